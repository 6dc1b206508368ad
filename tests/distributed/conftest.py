"""What the tests of several ranks share: the process that forks them, and runs that nothing disturbed."""

from __future__ import annotations

import pytest

from tests.distributed.forked import Server, trained_once
from tests.distributed.launching import RECIPE, STEPS


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("forked"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def tiny_recipe(tmp_path_factory):
    """The tiny recipe with evaluations, and with every checkpoint kept."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(
        RECIPE.replace("max_steps: 20", f"max_steps: {STEPS}")
        + "checkpoint: {every: 4, keep_last: 20}\nevaluation: {every: 6}\n"
    )
    return path


@pytest.fixture(scope="session")
def undisturbed(server, tiny_recipe, tmp_path_factory):
    """The run of each strategy without any disturbance, trained when first asked for."""
    return trained_once(server, tiny_recipe, tmp_path_factory.mktemp("undisturbed"))
