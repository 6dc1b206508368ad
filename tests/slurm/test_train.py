"""`sbatch launch/slurm/train.sbatch` on a real cluster: two nodes, warnings, lost nodes, bad submissions.

What happens, in time:

    warned       trains 20 steps, held still .................... warned, requeued, ends
    outside        trained without Slurm, undisturbed
    ddp, zero2                              two jobs of two nodes, at the same time
    disturbed                               signalled, requeued, | node n2 lost, requeued, ends
    cancelled                               cancelled, again     |
    array                                   task 1 warned ...... | preempted once all others ended

Node n2 is killed only after ddp and zero2 have ended (the bar).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.distributed.launching import events, results, train
from tests.slurm.jobs import OPTIONS, SCRIPT, STEPS, Jobs, same_weights

pytestmark = [pytest.mark.slurm, pytest.mark.soak, pytest.mark.timeout(900)]

PATIENCE = 300
"""Seconds, for what takes ten where a core is free."""


@pytest.fixture(scope="module")
def jobs(cluster, tmp_path_factory):
    yield Jobs(cluster, tmp_path_factory.mktemp("jobs"))
    cluster.clear()


@pytest.fixture(scope="module")
def warned(jobs) -> Iterator[Future[str]]:
    """A job that trains, and is held still, which costs nothing, until it is warned of its time limit."""
    # Slurm looks at time limits every 30 s, and warns up to a minute too early.
    job = jobs.train("warned", options=("--nodelist=n1", "--time=3", "--signal=B:USR1@60"))
    jobs.until_step("warned", 20, job)
    jobs.signal("warned", "STOP")
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(_reach_the_time_limit, jobs, job)


@pytest.fixture(scope="module")
def outside(jobs, warned) -> Path:
    """The training outside Slurm, in one process that nothing disturbs."""
    folder = jobs.folder / "outside"
    train(jobs.recipe, f"output_dir={folder}", *OPTIONS, config="single_gpu")
    return folder


@pytest.fixture(scope="module")
def on_two_nodes(jobs, outside) -> dict[str, str]:
    """Two jobs of two nodes at once, one under DDP, one under ZeRO-2."""
    return {
        "ddp": jobs.train("ddp", options=("--nodes=2",)),
        "zero2": jobs.train("zero2", "--launch-config", "launch/zero2_bf16.yaml", options=("--nodes=2",)),
    }


@pytest.fixture(scope="module")
def lives(jobs, warned, on_two_nodes) -> dict[str, Future[str]]:
    """What happens to jobs, all at once since it is mostly waiting: each ends with its job's number."""
    with ThreadPoolExecutor(3) as pool:
        found = {
            "warned": warned,
            "disturbed": pool.submit(_be_disturbed, jobs, list(on_two_nodes.values())),
            "cancelled": pool.submit(_be_cancelled, jobs),
        }
        found["array"] = pool.submit(_be_warned_alone_and_preempted, jobs, list(found.values()))
        if found["disturbed"].exception() is None:
            # Not by a thread of the pool: a machine ends with the thread that started it.
            jobs.cluster.start_node("n2")
        yield found


def _reach_the_time_limit(jobs: Jobs, job: str) -> str:
    end = time.monotonic() + 150
    while "warned: asking the ranks to save" not in jobs.cluster.log(job) and time.monotonic() < end:
        time.sleep(0.2)
    jobs.signal("warned", "CONT")
    jobs.cluster.wait(job, timeout=PATIENCE)
    return job


def _be_disturbed(jobs: Jobs, others: list[str]) -> str:
    """Signalled, requeued, and its node killed, which it then waits for."""
    job = jobs.train("disturbed", options=("--nodes=2",))
    jobs.disturb("disturbed", job, "scancel", "--signal=USR1", job)
    jobs.disturb("disturbed", job, "scontrol", "requeue", job)
    cluster = jobs.cluster
    cluster.wait(job, "RUNNING", timeout=PATIENCE)
    jobs.until_step("disturbed", jobs.step("disturbed") + 10, job)
    for other in others:
        cluster.wait(other, timeout=PATIENCE)
    cluster.kill("n2")
    cluster.mark_down("n2")
    cluster.wait(job, "PENDING", timeout=PATIENCE)
    return job


def _be_cancelled(jobs: Jobs) -> str:
    """Cancelled, and submitted again."""
    job = jobs.train("cancelled", options=("--nodelist=n1",))
    jobs.until_step("cancelled", 20, job)
    jobs.cluster.run(["scancel", job])
    assert jobs.cluster.wait(job, "CANCELLED", timeout=PATIENCE)["Restarts"] == "0"
    again = jobs.train("cancelled", options=("--nodelist=n1",))
    jobs.cluster.wait(again, timeout=PATIENCE)
    return again


def _be_warned_alone_and_preempted(jobs: Jobs, others: list[Future[str]]) -> str:
    """Two tasks of an array, of which the last is warned and, when `others` have ended, preempted."""
    cluster, runs, folders = (
        jobs.cluster,
        jobs.folder / "runs.tsv",
        [jobs.folder / f"task{i}" for i in (0, 1)],
    )
    runs.write_text("".join(f"{jobs.recipe}\toutput_dir={folder}\n" for folder in folders))
    array = jobs.submit("--runs", str(runs), *OPTIONS, options=("--array=0-1", "--nodelist=n1"))
    first, last = f"{array}_0", f"{array}_1"
    jobs.disturb("task1", last, "scancel", "--batch", "--signal=USR1", last)
    cluster.wait(last, "RUNNING", timeout=PATIENCE)
    jobs.until_step("task1", jobs.step("task1") + 10, last)
    jobs.signal("task1", "STOP")  # it would be through before it is preempted; Slurm has it go on then
    cluster.wait(first, timeout=PATIENCE)
    for other in others:
        cluster.wait(other.result(), timeout=PATIENCE)
    cluster.submit("--partition=urgent", "--nodelist=n1", "--exclusive", "--wrap", "true", cwd=jobs.folder)
    cluster.wait(last, "PENDING", timeout=PATIENCE)
    cluster.wait(last, timeout=PATIENCE)
    return array


@pytest.mark.parametrize(("name", "strategy"), [("ddp", "DDP"), ("zero2", "ZeRO-2")])
def test_two_nodes_give_the_losses_of_the_run_outside_slurm(jobs, on_two_nodes, outside, name, strategy):
    job = on_two_nodes[name]
    jobs.cluster.wait(job, timeout=PATIENCE)
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
    ran = [jobs.cluster.wait(job, timeout=PATIENCE) for job in on_two_nodes.values()]
    assert ran[0]["NodeList"] == ran[1]["NodeList"] == "n[1-2]"
    assert max(job["StartTime"] for job in ran) < min(job["EndTime"] for job in ran), "not at the same time"
    for name, job in on_two_nodes.items():
        assert jobs.starts(name)[0]["nodes"] == ["n1", "n2"]
        assert json.loads((jobs.folder / name / "slurm.json").read_text())["job"] == job


def test_signals_requeues_and_lost_nodes_change_no_bit(jobs, lives):
    job = lives["disturbed"].result()
    jobs.cluster.wait(job, timeout=PATIENCE)
    starts = jobs.starts("disturbed")
    assert [start["restart"] for start in starts] == [0, 1, 2, 3]
    steps = [start["step"] for start in starts]
    assert steps == sorted(set(steps)) and steps[-1] < STEPS, "every life went on from a later step"
    log = jobs.cluster.log(job)
    assert "the ranks were asked to stop and have saved: the job is requeued" in log
    assert f"resuming after step {steps[-1]} of {STEPS}" in log and "restart 3 of the Slurm job" in log
    assert "Traceback" not in log.split("resuming after step")[0], "a requested stop is no failure"
    assert same_weights(jobs.folder / "disturbed", jobs.folder / "ddp")


def test_a_job_at_its_time_limit_saves_requeues_and_finishes_as_if_undisturbed(jobs, outside, lives):
    job = lives["warned"].result()
    starts = jobs.starts("warned")
    assert any(0 < start["step"] < STEPS for start in starts), "never disturbed in the middle"
    log = jobs.cluster.log(job)
    assert "warned: asking the ranks to save" in log and "may not be requeued" not in log
    assert int(jobs.cluster.state(job)["Restarts"]) == len(starts) - 1
    assert same_weights(jobs.folder / "warned", outside)


def test_a_cancelled_job_saves_and_stays_away_and_goes_on_when_submitted_again(jobs, outside, lives):
    assert "resuming after step" in jobs.cluster.log(lives["cancelled"].result())
    assert jobs.starts("cancelled")[0]["step"] >= 20
    assert same_weights(jobs.folder / "cancelled", outside)


def test_a_task_of_an_array_is_warned_alone_and_preempted(jobs, outside, lives):
    """The last task has the array's own id: to warn it must not warn the others."""
    array = lives["array"].result()
    assert [start["restart"] for start in jobs.starts("task0")] == [0]
    starts = jobs.starts("task1")
    assert [start["restart"] for start in starts] == [0, 1, 2]
    assert 10 <= starts[1]["step"] < starts[2]["step"] < STEPS
    assert "warned: asking the ranks to save" in jobs.cluster.log(f"{array}_1")
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
