"""`sbatch launch/slurm/train.sbatch` on a real cluster: two nodes, warnings, lost nodes, bad submissions."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
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
        # Slurm looks at time limits every 30 s, and warns up to a minute too early.
        job = jobs.train("warned", options=("--nodelist=n1", "--time=3", "--signal=B:USR1@60"))
        jobs.until_step("warned", 20, job)
        # A training that stands still until then costs nothing.
        jobs.signal("warned", "STOP")
        end = time.monotonic() + 150
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
    assert any(0 < start["step"] < STEPS for start in starts), "never disturbed in the middle"
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


def test_tasks_of_an_array_are_warned_alone_and_preempted(jobs, outside):
    """The last task has the array's own id: to warn it must not warn the others."""
    cluster, runs = jobs.cluster, jobs.folder / "runs.tsv"
    runs.write_text(
        "".join(f"{jobs.recipe}\toutput_dir={jobs.folder / name}\n" for name in ("task0", "task1"))
    )
    array = jobs.submit("--runs", str(runs), *OPTIONS, options=("--array=0-1", "--nodelist=n1"))
    first, last = f"{array}_0", f"{array}_1"
    jobs.until_step("task1", 10, last)
    cluster.run(["scancel", "--batch", "--signal=USR1", last])
    cluster.wait(last, "PENDING", timeout=60)
    assert "warned: asking the ranks to save" in cluster.log(last)

    cluster.wait(last, "RUNNING", timeout=60)
    jobs.until_step("task1", jobs.step("task1") + 10, last)
    jobs.signal("task1", "STOP")  # it would be through before it is preempted; Slurm has it go on
    cluster.wait(first)
    urgent = cluster.submit(
        "--partition=urgent", "--nodelist=n1", "--exclusive", "--wrap", "true", cwd=jobs.folder
    )
    cluster.wait(last, "PENDING", timeout=60)
    cluster.wait(urgent)
    cluster.wait(last)

    assert [start["restart"] for start in jobs.starts("task0")] == [0]
    starts = jobs.starts("task1")
    assert [start["restart"] for start in starts] == [0, 1, 2]
    assert 10 <= starts[1]["step"] < starts[2]["step"] < STEPS
    assert same_weights(jobs.folder / "task0", outside) and same_weights(jobs.folder / "task1", outside)


def test_the_hook_and_the_container_are_the_users_own(jobs):
    """A hook that is not written for strict shells, an environment that is not handed on, a container."""
    hook, container = jobs.folder / "own.sh", jobs.folder / "container"
    hook.write_text(
        f"[ -n $NOT_SET_ANYWHERE ]\nfalse\nsource {jobs.hook}\nexport NER_DIST_CONTAINER={container}\n"
    )
    container.write_text('#!/bin/sh\necho "contained: $1" >&2\nexec "$@"\n')
    container.chmod(0o755)
    words = [str(jobs.recipe), f"output_dir={jobs.folder / 'contained'}", "train.max_steps=2"]
    job = jobs.submit(*words, options=("--export=NER_DIST_ENVIRONMENT",), NER_DIST_ENVIRONMENT=str(hook))
    jobs.cluster.wait(job)
    log = jobs.cluster.log(job)
    assert "contained: python" in log and "contained: accelerate" in log


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


class Refused:
    """Bad submissions, all in the queue at once; each is to fail within seconds of its start, untrained."""

    def __init__(self, jobs) -> None:
        self.jobs, self.submitted = jobs, {}

    def submit(
        self, name: str, *arguments: str, options: tuple[str, ...] = ("--nodes=1",), **env: str
    ) -> None:
        self.submitted[name] = self.jobs.submit(*arguments, options=options, **env)

    def line(self, name: str) -> str:
        """The one line that it ended with."""
        cluster, job = self.jobs.cluster, self.submitted[name]
        state = cluster.wait(job, "FAILED", timeout=120)
        start, end = (datetime.fromisoformat(state[key]) for key in ("StartTime", "EndTime"))
        assert (end - start).total_seconds() < 40
        assert state["ExitCode"] == "2:0"
        log = cluster.log(job)
        assert "preflight passed" not in log and "Traceback" not in log
        (line,) = [line for line in log.splitlines() if not line.startswith(("srun: ", "slurmstepd"))]
        assert line.startswith("error: ")
        return line


def test_bad_submissions_fail_within_seconds_with_one_line(jobs, private_disk):
    recipe, out, refused = str(jobs.recipe), f"output_dir={jobs.folder / 'bad'}", Refused(jobs)
    private = f"output_dir={private_disk / 'run'}"
    refused.submit("recipe", str(jobs.folder / "none.yaml"), out)
    refused.submit("key", recipe, out, "train.epoch=3")
    # Two GPUs of a node, however they are asked for, that this torch cannot see.
    refused.submit("gpus", recipe, out, options=("--ntasks-per-node=2", "--gpus-per-task=1"))
    refused.submit("tasks", recipe, out, options=("--ntasks-per-node=3", "--gpus-per-node=2"))
    refused.submit("uneven", recipe, out, options=("--nodes=2", "--ntasks=3", "--gpus=3"))
    config = ("--launch-config", "launch/single_gpu.yaml")
    refused.submit("config", recipe, out, *config, options=("--nodes=1", "--ntasks-per-node=2"))
    refused.submit("hook", recipe, out, NER_DIST_ENVIRONMENT="none.sh")
    refused.submit("read-only", recipe, private, options=("--nodelist=n1",))

    assert "there is no such recipe" in refused.line("recipe")
    assert "did you mean `train.epochs`?" in refused.line("key")
    assert "the allocation has 2 GPUs here, and torch" in refused.line("gpus")
    assert "3 tasks and 2 GPUs a node" in refused.line("tasks")
    assert "the job's 3 GPUs are spread unevenly over 2 nodes" in refused.line("uneven")
    assert "starts one process, and this is 1 node x 2 processes" in refused.line("config")
    assert "NER_DIST_ENVIRONMENT" in refused.line("hook")
    assert "cannot be written to" in refused.line("read-only")
    jobs.cluster.on("n1", ["mount", "-o", "remount,rw", str(private_disk)])
    refused.submit("private", recipe, private, options=("--nodes=2",))
    line = refused.line("private")
    assert "is not shared" in line and "n2" in line
    assert not (jobs.folder / "bad").exists()


def test_nodes_that_cannot_meet_are_told_where_they_tried(jobs):
    out = f"output_dir={jobs.folder / 'bad'}"
    submitted = {
        name: jobs.submit(
            str(jobs.recipe), out, options=("--nodes=2",), **{name: value, "NER_DIST_PREFLIGHT_TIMEOUT": "6"}
        )
        for name, value in (("NER_DIST_ADDRESS", "n3"), ("GLOO_SOCKET_IFNAME", "ib0"))
    }
    log_of = {}
    for name, job in submitted.items():
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
