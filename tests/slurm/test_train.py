"""`sbatch launch/slurm/train.sbatch` on a real cluster: two nodes, warnings, lost nodes, bad submissions."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.conftest import REPOSITORY
from tests.distributed.launching import RECIPE, environment, events, results, train
from tests.slurm.cluster import FINAL

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]

STEPS = 160
SCRIPT = "launch/slurm/train.sbatch"
# Saved after every step: a job that is disturbed goes on close to where it was.
OPTIONS = (f"train.max_steps={STEPS}", "checkpoint.every=1", "evaluation.every=1000")


class Jobs:
    """Trainings of one recipe on the cluster, each with a folder of its own."""

    def __init__(self, cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.recipe = folder / "tiny.yaml"
        self.recipe.write_text(RECIPE)
        # The hook gives the jobs this Python; nothing else of the submitter's environment is needed.
        hook = folder / "environment.sh"
        given = environment()
        lines = [f"export PATH={Path(sys.executable).parent}:$PATH"]
        lines += [
            f"export {name}='{given[name]}'"
            for name in ("OMP_WAIT_POLICY", "PYTHONPATH", "TOKENIZERS_PARALLELISM", "NER_DIST_CACHE")
        ]
        hook.write_text("\n".join([*lines, "export HF_HUB_OFFLINE=1"]) + "\n")
        self.hook = hook

    def submit(self, *arguments: str, options: tuple[str, ...] = (), **env: str) -> str:
        log = f"--output={self.folder}/%x-%j.log"
        env = {"NER_DIST_ENVIRONMENT": str(self.hook), **env}
        return self.cluster.submit(*options, log, SCRIPT, *arguments, cwd=REPOSITORY, env=env)

    def train(self, name: str, *arguments: str, options: tuple[str, ...] = (), **env: str) -> str:
        words = [str(self.recipe), f"output_dir={self.folder / name}", *OPTIONS, *arguments]
        return self.submit(*words, options=options, **env)

    def step(self, name: str) -> int:
        """How far a training is."""
        path = self.folder / name / "metrics.jsonl"
        return path.read_text().count('"event": "train"') if path.exists() else 0

    def until_step(self, name: str, step: int, job: str) -> None:
        end = time.monotonic() + 120
        while self.step(name) < step:
            state = self.cluster.state(job)["JobState"]
            assert state not in FINAL and time.monotonic() < end, f"{state}\n{self.cluster.log(job)[-4000:]}"
            time.sleep(0.1)

    def signal(self, name: str, signal: str) -> None:
        """Signal a training's processes on n1, behind Slurm's back."""
        words = ["pkill", f"-{signal}", "--full", "--", f"-m ner_dist.train .*{self.folder / name} "]
        self.cluster.on("n1", words)

    def starts(self, name: str) -> list[dict]:
        return json.loads((self.folder / name / "slurm.json").read_text())["starts"]


@pytest.fixture(scope="module")
def jobs(cluster, tmp_path_factory):
    yield Jobs(cluster, tmp_path_factory.mktemp("jobs"))
    cluster.clear()


@pytest.fixture(scope="module")
def outside(jobs) -> Path:
    """The training outside Slurm, in one process that nothing disturbs."""
    folder = jobs.folder / "outside"
    train(jobs.recipe, f"output_dir={folder}", *OPTIONS, config="single_gpu")
    return folder


@pytest.fixture(scope="module")
def warned(jobs):
    """A job that reaches its time limit while others run, and what came of it: a future."""

    def live() -> str:
        job = jobs.train("warned", options=("--nodelist=n1", "--time=1", "--signal=B:USR1@45"))
        jobs.until_step("warned", 20, job)
        # Slurm looks at time limits every 30 s. A training that stands still until then costs nothing.
        jobs.signal("warned", "STOP")
        end = time.monotonic() + 90
        while "warned: asking the ranks to save" not in jobs.cluster.log(job) and time.monotonic() < end:
            time.sleep(0.2)
        jobs.signal("warned", "CONT")
        jobs.cluster.wait(job, timeout=240)
        return job

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(live)


@pytest.fixture(scope="module")
def on_two_nodes(jobs, outside, warned) -> dict[str, str]:
    """Two jobs of two nodes at once, one under DDP, one under ZeRO-2."""
    return {
        "ddp": jobs.train("ddp", options=("--nodes=2",)),
        "zero2": jobs.train("zero2", "--launch-config", "launch/zero2_bf16.yaml", options=("--nodes=2",)),
    }


@pytest.mark.parametrize(("name", "strategy"), [("ddp", "DDP"), ("zero2", "ZeRO-2")])
def test_two_nodes_give_the_losses_of_the_run_outside_slurm(jobs, on_two_nodes, outside, name, strategy):
    job = on_two_nodes[name]
    jobs.cluster.wait(job, timeout=240)
    written = results(jobs.folder / name)["environment"]
    assert (written["processes"], written["strategy"]) == (2, strategy)
    pairs = list(zip(events(outside), events(jobs.folder / name), strict=True))
    assert len(pairs) == STEPS
    for expected, got in pairs[:50]:
        assert got["loss"] == pytest.approx(expected["loss"], rel=1e-4)
        assert got["grad_norm"] == pytest.approx(expected["grad_norm"], rel=1e-3)
    assert pairs[-1][1]["loss"] == pytest.approx(pairs[-1][0]["loss"], rel=0.05)

    log = jobs.cluster.log(job)
    for rank, node in enumerate(("n1", "n2")):
        assert f"rank {rank:<4} {node:<16} CPU" in log
    assert "preflight passed" in log and f"meeting at n1:{20000 + int(job)}" in log
    assert (jobs.folder / f"ner_dist-{job}.task-1.log").exists()


def test_two_jobs_share_the_nodes_and_do_not_meet(jobs, on_two_nodes):
    ran = [jobs.cluster.wait(job, timeout=240) for job in on_two_nodes.values()]
    assert ran[0]["NodeList"] == ran[1]["NodeList"] == "n[1-2]"
    assert max(job["StartTime"] for job in ran) < min(job["EndTime"] for job in ran), "not at the same time"
    for name, job in on_two_nodes.items():
        assert jobs.starts(name)[0]["nodes"] == ["n1", "n2"]
        assert json.loads((jobs.folder / name / "slurm.json").read_text())["job"] == job


def same_weights(one: Path, other: Path) -> bool:
    a, b = (load_file(folder / "model/model.safetensors") for folder in (one, other))
    return a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a)


def test_signals_requeues_and_lost_nodes_change_no_bit(jobs, on_two_nodes, warned):
    """One job lives four times: signalled, requeued, its node killed; then it finishes."""
    cluster = jobs.cluster
    for job in on_two_nodes.values():
        cluster.wait(job, timeout=240)
    job = jobs.train("disturbed", options=("--nodes=2",))

    def life(number: int) -> None:
        cluster.wait(job, "RUNNING", timeout=60)
        jobs.until_step("disturbed", jobs.step("disturbed") + 10, job)
        assert len(jobs.starts("disturbed")) == number

    life(1)
    cluster.run(["scancel", "--signal=USR1", job])
    cluster.wait(job, "PENDING", timeout=60)
    life(2)
    cluster.run(["scontrol", "requeue", job])
    cluster.wait(job, "PENDING", timeout=60)
    life(3)
    cluster.kill("n2")
    cluster.mark_down("n2")
    cluster.wait(job, "PENDING", timeout=60)
    cluster.start_node("n2")
    cluster.wait(job, timeout=120)

    starts = jobs.starts("disturbed")
    assert [start["restart"] for start in starts] == [0, 1, 2, 3]
    steps = [start["step"] for start in starts]
    assert steps == sorted(set(steps)) and steps[-1] < STEPS, "every life went on from a later step"
    log = cluster.log(job)
    assert "the ranks were asked to stop and have saved: the job goes back into the queue" in log
    assert f"resuming after step {steps[-1]} of {STEPS}" in log and "restart 3 of the Slurm job" in log
    assert "Traceback" not in log.split("resuming after step")[0], "a requested stop is no failure"
    assert same_weights(jobs.folder / "disturbed", jobs.folder / "ddp")


def test_a_job_at_its_time_limit_saves_requeues_and_finishes_as_if_undisturbed(jobs, outside, warned):
    job = warned.result()
    starts = jobs.starts("warned")
    assert len(starts) > 1 and 0 < starts[1]["step"] < STEPS
    assert "warned: asking the ranks to save" in jobs.cluster.log(job)
    assert int(jobs.cluster.state(job)["Restarts"]) == len(starts) - 1
    assert same_weights(jobs.folder / "warned", outside)


def test_a_cancelled_job_saves_and_stays_away_and_goes_on_when_submitted_again(jobs, outside):
    job = jobs.train("cancelled")
    jobs.until_step("cancelled", 20, job)
    jobs.cluster.run(["scancel", job])
    assert jobs.cluster.wait(job, "CANCELLED", timeout=60)["Restarts"] == "0"
    again = jobs.train("cancelled")
    jobs.cluster.wait(again)
    assert "resuming after step" in jobs.cluster.log(again)
    assert jobs.starts("cancelled")[0]["step"] >= 20
    assert same_weights(jobs.folder / "cancelled", outside)


@pytest.fixture
def private_disk(jobs):
    """A folder of which each node sees another disk, that of n1 read-only."""
    folder = jobs.folder / "private"
    folder.mkdir()
    for node, options in (("n1", "ro"), ("n2", "rw")):
        jobs.cluster.on(node, ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)])
    yield folder
    for node in ("n1", "n2"):
        jobs.cluster.on(node, ["umount", str(folder)])
    folder.rmdir()


def refused(jobs, *arguments: str, options: tuple[str, ...] = ("--nodes=1",), **env: str) -> str:
    """The one line that a bad submission ends with, within seconds and before any training."""
    began = time.monotonic()
    job = jobs.submit(*arguments, options=options, **env)
    state = jobs.cluster.wait(job, "FAILED", timeout=60)
    assert time.monotonic() - began < 40
    assert state["ExitCode"] == "2:0"
    log = jobs.cluster.log(job)
    assert "preflight passed" not in log and "Traceback" not in log
    (line,) = [line for line in log.splitlines() if not line.startswith(("srun: ", "slurmstepd"))]
    assert line.startswith("error: ")
    return line


def test_bad_submissions_fail_within_seconds_with_one_line(jobs, private_disk):
    recipe, out = str(jobs.recipe), f"output_dir={jobs.folder / 'bad'}"
    assert "there is no such recipe" in refused(jobs, str(jobs.folder / "none.yaml"), out)
    assert "did you mean `train.epochs`?" in refused(jobs, recipe, out, "train.epoch=3")
    # Two GPUs of a node, however they are asked for, that this torch cannot see.
    gpus = ("--ntasks-per-node=2", "--gpus-per-task=1")
    assert "the allocation has 2 GPUs here, and torch" in refused(jobs, recipe, out, options=gpus)
    assert "3 tasks and 2 GPUs a node" in refused(
        jobs, recipe, out, options=("--ntasks-per-node=3", "--gpus-per-node=2")
    )
    config = ("--launch-config", "launch/single_gpu.yaml")
    line = refused(jobs, recipe, out, *config, options=("--nodes=1", "--ntasks-per-node=2"))
    assert "starts one process, and this is 1 node x 2 processes" in line
    assert "NER_DIST_ENVIRONMENT" in refused(jobs, recipe, out, NER_DIST_ENVIRONMENT="none.sh")

    private = f"output_dir={private_disk / 'run'}"
    assert "cannot be written to" in refused(jobs, recipe, private, options=("--nodelist=n1",))
    jobs.cluster.on("n1", ["mount", "-o", "remount,rw", str(private_disk)])
    line = refused(jobs, recipe, private, options=("--nodes=2",))
    assert "is not shared" in line and "n2" in line
    assert not (jobs.folder / "bad").exists()


def test_nodes_that_cannot_meet_are_told_where_they_tried(jobs):
    out = f"output_dir={jobs.folder / 'bad'}"
    log_of = {}
    for name, value in (("NER_DIST_ADDRESS", "n3"), ("GLOO_SOCKET_IFNAME", "ib0")):
        env = {name: value, "NER_DIST_PREFLIGHT_TIMEOUT": "6"}
        job = jobs.submit(str(jobs.recipe), out, options=("--nodes=2",), **env)
        jobs.cluster.wait(job, "FAILED", timeout=60)
        log_of[name] = jobs.cluster.log(job)
        assert "[c10d]" not in log_of[name] and "Traceback" not in log_of[name]
    assert "did not meet at n3:" in log_of["NER_DIST_ADDRESS"]
    assert "cannot talk to them" in log_of["GLOO_SOCKET_IFNAME"]
    assert "ib0" in log_of["GLOO_SOCKET_IFNAME"] and "GLOO_SOCKET_IFNAME" in log_of["GLOO_SOCKET_IFNAME"]


def test_more_gpus_than_a_node_has_is_refused_at_submission(jobs):
    words = ["sbatch", "--gpus-per-node=9", SCRIPT, str(jobs.recipe)]
    done = jobs.cluster.run(words, cwd=REPOSITORY, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "Requested node configuration is not available" in line
