"""One job of two nodes, with few steps; tests/slurm/test_train.py has warnings, lost nodes and requeues."""

from __future__ import annotations

import pytest

from tests import small
from tests.distributed.launching import events, results
from tests.slurm.jobs import Jobs

pytestmark = [pytest.mark.slurm, pytest.mark.soak]

STEPS = 8


def test_a_job_of_two_nodes_computes_what_one_process_computes(cluster, tmp_path):
    # First, since both make the same recipe's file and prepare the same data.
    alone = small.train(small.recipe(tmp_path, f"train.max_steps={STEPS}"))
    jobs = Jobs(cluster, tmp_path)
    words = [str(jobs.recipe), f"output_dir={tmp_path / 'job'}", f"train.max_steps={STEPS}"]
    job = jobs.submit(*words, "--launch-config", "launch/zero2_bf16.yaml", options=("--nodes=2",))
    cluster.wait(job, timeout=300)
    written = results(tmp_path / "job")["environment"]
    assert (written["processes"], written["strategy"]) == (2, "ZeRO-2")
    pairs = list(zip(events(alone), events(tmp_path / "job"), strict=True))
    assert len(pairs) == STEPS
    for expected, got in pairs:
        assert got["loss"] == pytest.approx(expected["loss"], rel=1e-4)
        assert got["grad_norm"] == pytest.approx(expected["grad_norm"], rel=1e-3)
    log = cluster.log(job)
    for rank, node in enumerate(("n1", "n2")):
        assert f"rank {rank:<4} {node:<16} CPU" in log
    assert "preflight passed" in log
    cluster.clear()
