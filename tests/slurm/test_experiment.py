"""`ner-dist slurm` on a real cluster: one command from recipes to the finished comparison."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.distributed.launching import LAUNCH, environment

pytestmark = pytest.mark.slurm

RECIPE = """
name: full
output_dir: unset
model: {name: scratch, scratch: {vocab_size: 400, hidden_size: 16, layers: 1, heads: 2, max_length: 48}}
data: {path: synthetic, synthetic: {train: 200, validation: 20, test: 40}}
precision: fp32
train: {max_steps: 2, batch_tokens: 512, micro_batch_tokens: 512}
"""
FINISHED_SECONDS = 180
TOO_MANY = ("--gpus-per-node", "9", "--launch-config", str(LAUNCH / "ddp_bf16.yaml"))


@pytest.fixture
def here(tmp_path, cluster):
    """A folder of submission with two recipes; its name holds a space."""
    folder = tmp_path / "the work"
    folder.mkdir()
    (folder / "full.yaml").write_text(RECIPE)
    (folder / "subset.yaml").write_text("extends: full.yaml\nname: subset\nlabels: [PER, ORG, LOC]\n")
    yield folder
    cluster.clear()


@pytest.fixture
def ner_dist_slurm(cluster, here):
    """Runs `ner-dist slurm full.yaml subset.yaml ARGUMENTS` on the login node."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    def run(*arguments, check=True):
        words = [sys.executable, "-m", "ner_dist.cli", "slurm", "full.yaml", "subset.yaml"]
        words += ["--launch-config", str(LAUNCH / "single_gpu.yaml"), *arguments]
        # One thread each: four trainings at once have few cores.
        env = environment() | {"PATH": path, "OMP_NUM_THREADS": "1"}
        return cluster.run(words, cwd=here, env=env, check=check, timeout=120)

    return run


def jobs_of(folder):
    return json.loads((folder / "jobs.json").read_text())


def queue(cluster):
    return cluster.run(["squeue", "--noheader", "--format=%i %T"]).stdout.split("\n")[:-1]


@pytest.mark.soak
@pytest.mark.parametrize("seeds", [[1], [1, 2]])
def test_one_command_trains_two_models_and_compares_them(cluster, here, ner_dist_slurm, seeds):
    submitted = ner_dist_slurm("--seeds", ",".join(map(str, seeds)), "--out", "my exp")
    folder = here / "my exp"
    jobs = jobs_of(folder)
    assert [run["folder"] for run in jobs["runs"]] == [
        f"my exp/{name}/seed-{seed}" for name in ("full", "subset") for seed in seeds
    ]
    cluster.wait(jobs["compare"], timeout=FINISHED_SECONDS)

    comparison = json.loads((folder / "comparison/compare.json").read_text())
    a = comparison["runs"]["A"]
    assert (a["seeds"], a["paths"]) == (seeds, [f"my exp/full/seed-{seed}" for seed in seeds])
    # Two seeds are two trainings: as many losses as runs.
    losses = [
        json.loads((here / run["folder"] / "results.json").read_text())["test"]["loss"]
        for run in jobs["runs"]
    ]
    assert len(set(losses)) == 2 * len(seeds)
    mean = comparison["headline"]["A"]["mean"]["test"]["loss"]
    assert mean == pytest.approx(sum(losses[: len(seeds)]) / len(seeds))

    logs = sorted((folder / "logs").glob(f"*-{jobs['array']}_*.log"))
    assert [path.stem.rpartition("_")[2] for path in logs] == [str(i) for i in range(2 * len(seeds))]
    for run, log in zip(jobs["runs"], logs, strict=True):
        assert f"results in {run['folder']}/results.json" in log.read_text()
    (log,) = (folder / "logs").glob(f"*-{jobs['compare']}.log")
    assert "Both on the same ground: PER, ORG, LOC" in log.read_text()
    said = submitted.stdout
    assert f"array job {jobs['array']}" in said and f"job {jobs['compare']}: compares" in said
    assert said.endswith("next: ner-dist status 'my exp'\n")


@pytest.mark.soak
def test_the_same_command_once_more_trains_nothing(cluster, here, ner_dist_slurm):
    ner_dist_slurm("--seeds", "1,2", "--out", "my exp")
    folder = here / "my exp"
    earlier = jobs_of(folder)
    cluster.wait(earlier["compare"], timeout=FINISHED_SECONDS)
    runs = [here / run["folder"] / "results.json" for run in earlier["runs"]]
    trained = [path.stat().st_mtime_ns for path in runs]
    text = (folder / "comparison/compare.json").read_text()
    ner_dist_slurm("--seeds", "1,2", "--out", "my exp")
    jobs = jobs_of(folder)
    assert jobs["array"] != earlier["array"] and jobs["runs"] == earlier["runs"]
    cluster.wait(jobs["compare"], timeout=FINISHED_SECONDS)
    assert [path.stat().st_mtime_ns for path in runs] == trained
    assert (folder / "comparison/compare.json").read_text() == text


@pytest.mark.soak
def test_runs_that_did_not_end_well_are_named_by_the_comparison(cluster, here, ner_dist_slurm):
    ner_dist_slurm("--out", "exp", "--sbatch=--hold")
    jobs = jobs_of(here / "exp")

    again = ner_dist_slurm("--out", "exp", check=False)
    assert again.returncode == 2
    said = again.stderr.splitlines()[-1]
    assert said.startswith(f"error: exp: jobs of this experiment have not ended: {jobs['array']}_0 PENDING, ")
    assert f"(scancel {jobs['array']} {jobs['compare']})" in said
    assert jobs_of(here / "exp") == jobs

    cluster.run(["scancel", jobs["array"]])
    failed = cluster.wait(jobs["compare"], "FAILED")
    assert failed["ExitCode"] == "2:0"
    (line,) = cluster.log(jobs["compare"]).splitlines()
    assert line.startswith("error: 2 of 2 runs are not complete: exp/full/seed-13, exp/subset/seed-13; ")


@pytest.mark.soak
def test_what_slurm_refuses_is_said_in_its_words_and_leaves_nothing(cluster, here, ner_dist_slurm):
    start = time.monotonic()
    refused = ner_dist_slurm("--out", "exp", *TOO_MANY, "--no-prepare", check=False)
    assert time.monotonic() - start < 20
    assert refused.returncode == 2
    assert refused.stderr == "error: sbatch: Requested node configuration is not available\n"
    assert not (here / "exp").exists()
    assert queue(cluster) == []


@pytest.mark.soak
def test_a_comparison_that_slurm_refuses_takes_the_trainings_with_it(cluster, here, ner_dist_slurm):
    scripts = here / "launch/slurm"
    scripts.mkdir(parents=True)
    (scripts / "train.sbatch").write_text("#!/bin/bash\nsleep 60\n")
    text = (REPOSITORY / "launch/slurm/compare.sbatch").read_text()
    (scripts / "compare.sbatch").write_text(text.replace("--nodes=1", "--nodes=1 --gpus-per-node=9"))
    refused = ner_dist_slurm("--out", "exp", "--no-prepare", check=False)
    assert refused.returncode == 2
    assert refused.stderr.startswith(
        "error: sbatch: the comparison was refused (Requested node configuration is not available), "
        "so the array job "
    )
    assert not (here / "exp/jobs.json").exists()
    assert [line for line in queue(cluster) if not line.endswith(" COMPLETING")] == []


@pytest.mark.soak
def test_the_comparison_finds_its_environment_and_says_when_it_does_not(cluster, here):
    script = REPOSITORY / "launch/slurm/compare.sbatch"
    (here / "launch/slurm").mkdir(parents=True)
    hook = here / "launch/slurm/environment.sh"
    hook.write_text("PATH=/usr/bin:/bin\n")
    job = cluster.submit(script, "a", "b", "--out", "c", cwd=here)
    assert cluster.wait(job, "FAILED")["ExitCode"] == "2:0"
    assert cluster.log(job).startswith("error: ner-dist is not on the PATH of n")
    hook.write_text(f"export PATH={Path(sys.executable).parent}:$PATH PYTHONPATH={REPOSITORY}\n")
    job = cluster.submit(script, "a", "b", "--out", "c", cwd=here)
    cluster.wait(job, "FAILED")
    assert cluster.log(job).startswith("error: 2 of 2 runs are not complete: a, b; ")
    job = cluster.submit(script, "a", "b", "--out", "c", cwd=here, env={"NER_DIST_ENVIRONMENT": "none.sh"})
    cluster.wait(job, "FAILED")
    assert cluster.log(job).startswith("error: none.sh: no such file; ")
