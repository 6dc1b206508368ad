"""One cluster for all tests."""

from __future__ import annotations

import pytest

from tests.slurm.cluster import PROGRAMS, Cluster
from tests.slurm.machines import why_not


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A running two-node Slurm cluster; a test leaves both nodes up and no job behind (`Cluster.clear`)."""
    if reason := why_not(PROGRAMS):
        pytest.skip(f"no Slurm cluster: {reason}")
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    cluster.start()
    yield cluster
    cluster.stop()
