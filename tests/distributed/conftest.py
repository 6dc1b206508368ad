"""Fixtures of tests with several ranks: the process that forks them, and undisturbed runs."""

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
    """The undisturbed run of each strategy, trained at its first use."""
    return trained_once(server, tiny_recipe, tmp_path_factory.mktemp("undisturbed"))
