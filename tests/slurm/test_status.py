"""`ner-dist status` asks a real Slurm: a task that trains, one that waits, a job that waits for both."""

from __future__ import annotations

import json
import sys
import time

import pytest

from tests.distributed.launching import RECIPE, environment

pytestmark = [pytest.mark.slurm, pytest.mark.soak]

JOB = """#!/bin/bash
#SBATCH --output=exp/logs/%x-%A_%a.log
run=exp/run-$SLURM_ARRAY_TASK_ID
mkdir -p $run
{python} - $run <<EOF
import platform, sys
from pathlib import Path
from ner_dist.cluster.restarts import note_start
from ner_dist.run.directory import Run
note_start(Run(Path(sys.argv[1])), nodes=[platform.node()])
EOF
exec {python} -m ner_dist.train tiny.yaml output_dir=$run train.max_steps=100000
"""


@pytest.fixture
def experiment(cluster, tmp_path):
    """Two trainings, one after the other, and a job that waits for both."""
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    (tmp_path / "job.sh").write_text(JOB.format(python=sys.executable))
    (tmp_path / "exp" / "logs").mkdir(parents=True)
    array = cluster.submit("--array=0-1%1", "--time=2", "job.sh", cwd=tmp_path, env=environment())
    after = f"--dependency=afterany:{array}"
    script = "mkdir exp/comparison; echo > exp/comparison/compare.json"
    compare = cluster.submit(after, "--wrap", script, "-o", "/dev/null", cwd=tmp_path)
    runs = [{"index": index, "name": f"run-{index}", "folder": f"exp/run-{index}"} for index in (0, 1)]
    jobs = {"array": array, "compare": compare, "submitted": None, "runs": runs}
    (tmp_path / "exp" / "jobs.json").write_text(json.dumps(jobs))
    yield array, compare
    cluster.clear()


def test_the_queue_and_the_files_are_seen_together(cluster, experiment, tmp_path):
    array, compare = experiment

    def ask(*options):
        command = [sys.executable, "-m", "ner_dist.cli", "status", "exp", *options]
        return cluster.run(command, cwd=tmp_path, env=environment()).stdout

    def until(condition, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition(seen := json.loads(ask("--json"))):
            assert time.monotonic() < deadline, (seen, cluster.log(f"{array}_0"))
            time.sleep(0.3)
        return seen

    seen = until(lambda seen: any(run["pace"]["step"] >= 5 for run in seen["runs"]))
    assert seen["problem"] is None
    trains, waits = seen["runs"]
    assert (trains["name"], trains["state"], trains["phase"]) == ("run-0", "running", "training")
    assert (trains["job_name"], trains["nodes"], trains["restarts"]) == (f"{array}_0", "n1", 0)
    assert 0 < trains["job"]["left"] < trains["job"]["limit"] == 120
    # Thousands of steps do not fit into two minutes.
    assert trains["left"] > 120 and trains["resumes"] > 1
    assert (waits["name"], waits["state"], waits["job_name"]) == ("run-1", "pending", f"{array}_1")
    assert waits["job"]["reason"] == "JobArrayTaskLimit"
    (comparison,) = seen["comparisons"]
    assert (comparison["job"], comparison["state"]) == (compare, "pending")
    assert comparison["reason"] == "Dependency"
    shown = ask()
    assert "on n1" in shown and "waits (JobArrayTaskLimit)" in shown and "1 running, 1 pending" in shown

    cluster.run(["scancel", array])
    seen = until(lambda seen: seen["comparisons"][0]["state"] == "done")
    states = {run["name"]: run["state"] for run in seen["runs"]}
    # The one saved when it was asked to end; the other never began.
    assert states == {"run-0": "stopped", "run-1": "failed"}
    assert f"exp/logs/job.sh-{array}_0.log" in ask()
