"""One server for all tests that fork their trainings."""

from __future__ import annotations

import pytest

from tests.distributed.forked import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("forked"))
    yield server
    server.close()
