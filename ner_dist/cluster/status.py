"""`ner-dist status`: what runs, how far it is, and when it will end.

The facts are on the disk (metrics.jsonl, results.json, who holds the directory, what Slurm's jobs wrote down)
and in Slurm's queue. Nothing is written and no lock is touched, so it may be asked at any time, from any
machine that sees the folder.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ner_dist.cluster.eta import Pace, read_pace
from ner_dist.cluster.experiment import LOGS
from ner_dist.cluster.queue import Job, Queue, ask_queue
from ner_dist.cluster.status_files import Found, Submitted, read_time, search
from ner_dist.files import read_json
from ner_dist.run.directory import Run, best_weights
from ner_dist.run.lock import LockHolder, lock_holder

STATES = ("running", "pending", "failed", "stopped", "not started", "complete")
"""In the order in which they are shown: what moves, what needs somebody, what is done."""

# A training that has begun reads data and loads a model before its first event.
_PREPARATION = 600.0
# A holder on a machine that cannot be asked is believed for so long without a sign of life.
_BELIEVED = 3600.0


@dataclass(frozen=True)
class RunStatus:
    """The state of one run. Durations in seconds; None where something is not known.

    Attributes:
        pace: how far it is.
        phase: of a running run: `starting` until its first event, `training`, `scoring` after its last step.
        job: as Slurm has it now. job_name: also of one that Slurm has forgotten.
        restarts: of its Slurm job so far.
        elapsed: time spent on training so far, over all starts.
        left: until the results are there; for a run that does not train, once it does.
        ends: when that will be, of a run that trains or whose start is known.
        checkpoint: step from which it would resume.
        heard: time since the last sign of life. silent: the same, if it should have given one since.
        over: what `left` exceeds the job's time limit by. resumes: how often the limit will interrupt it.
        log: of the job that ended without results.
    """

    name: str
    folder: str
    state: str
    pace: Pace
    phase: str | None = None
    job: Job | None = None
    job_name: str | None = None
    holder: LockHolder | None = None
    restarts: int | None = None
    nodes: str | None = None
    elapsed: float | None = None
    left: float | None = None
    ends: datetime | None = None
    checkpoint: int | None = None
    heard: float | None = None
    silent: float | None = None
    over: float | None = None
    resumes: int | None = None
    log: str | None = None
    test_f1: float | None = None


@dataclass(frozen=True)
class ComparisonStatus:
    """The job that compares an experiment's runs when they have ended."""

    experiment: str
    job: str | None
    state: str
    reason: str | None = None
    log: str | None = None
    result: str | None = None


@dataclass(frozen=True)
class Overview:
    """All runs and comparisons at and below some folders; `ner-dist status --json` prints its fields."""

    time: datetime
    """When the files and the queue were read."""
    runs: list[RunStatus]
    comparisons: list[ComparisonStatus]
    counts: dict[str, int]
    """Number of runs in each of `STATES`."""
    all_end: datetime | None
    """When the last run that trains, or whose start is known, will end."""
    problem: str | None
    """Why Slurm's queue is not known."""


def overview(folders: list[str]) -> Overview:
    """Look at all runs at and below some folders.

    Raises:
        UserError: a folder is none, or holds no run.
    """
    found, experiments = search(folders)
    queue, now = ask_queue(), datetime.now(timezone.utc)
    runs = [_status(one, queue, now) for one in found]
    runs.sort(key=lambda run: STATES.index(run.state))
    comparisons = [_comparison(one, queue) for one in experiments if one.compare is not None]
    return Overview(
        now,
        runs,
        comparisons,
        counts={state: sum(run.state == state for run in runs) for state in STATES},
        all_end=max((run.ends for run in runs if run.ends), default=None),
        problem=queue.problem,
    )


def _status(found: Found, queue: Queue, now: datetime) -> RunStatus:
    run = found.run
    slurm = read_json(run.job)
    job = _job(found, slurm, queue)
    holder = lock_holder(run)
    pace = read_pace(run.metrics)
    status = RunStatus(
        found.name,
        str(run.folder),
        "not started",
        replace(pace, best_f1=_best_f1(run, pace)),
        job=job,
        job_name=_job_name(found, slurm, job),
        holder=holder,
        restarts=slurm["starts"][-1]["restart"] if slurm.get("starts") else None,
        elapsed=pace.trained or None,
        checkpoint=run.newest_step or None,
    )
    if run.complete:
        return _complete(status, run)
    if job is not None and job.waits and not (holder and holder.alive):
        return _pending(status, job)
    if _trains(status, slurm, queue, now):
        return _running(status, slurm, now)
    return replace(
        status,
        state=_ended(status, slurm, queue),
        left=_left_from_checkpoint(status),
        log=_log(found, slurm, status.job_name),
    )


def _job(found: Found, slurm: dict[str, Any], queue: Queue) -> Job | None:
    """The job that trains the run or is to: the experiment's, or the one that it was last started by."""
    jobs = []
    if found.experiment is not None:
        jobs.append(queue.find(None, array=found.experiment.array, index=found.index))
    jobs.append(queue.find(slurm.get("job"), array=slurm.get("array_job"), index=slurm.get("array_task")))
    known = [job for job in jobs if job is not None]
    return min(known, key=lambda job: job.ended, default=None)


def _job_name(found: Found, slurm: dict[str, Any], job: Job | None) -> str | None:
    if job is not None:
        return job.name
    if slurm.get("array_job") is not None:
        return f"{slurm['array_job']}_{slurm['array_task']}"
    if slurm.get("job") is not None:
        return str(slurm["job"])
    if found.experiment is not None and found.experiment.array is not None:
        return f"{found.experiment.array}_{found.index}"
    return None


def _best_f1(run: Run, pace: Pace) -> float | None:
    """The best validation F1 of the whole run; the best weights know theirs, however long ago it was."""
    known = [read_json(path / "state.json").get("f1") for path in best_weights(run.checkpoints)]
    return max((f1 for f1 in [*known, pace.best_f1] if f1 is not None), default=None)


def _complete(status: RunStatus, run: Run) -> RunStatus:
    results = read_json(run.results)
    train, pace = results.get("train", {}), status.pace
    steps = train.get("steps")
    return replace(
        status,
        state="complete",
        left=0.0,
        elapsed=train.get("seconds", status.elapsed),
        test_f1=results.get("test", {}).get("f1"),
        # Early stopping ends a training before its last step.
        pace=replace(pace, step=steps or pace.step, total=pace.total or steps),
    )


def _pending(status: RunStatus, job: Job) -> RunStatus:
    left = _left_from_checkpoint(status)
    ends = None if job.start is None or left is None else job.start + timedelta(seconds=left)
    return _with_limit(replace(status, state="pending", left=left, ends=ends), job.limit, job.limit)


def _trains(status: RunStatus, slurm: dict[str, Any], queue: Queue, now: datetime) -> bool:
    """Whether the run is training, as far as this machine can see."""
    holder, job = status.holder, status.job
    if (job is not None and not job.ended) or (holder is not None and holder.alive):
        return True
    if holder is None or holder.alive is False:
        return False
    # It runs, or was killed, on another machine. If that was by a job, Slurm knows that it is no more.
    if queue.problem is None and _short(holder.host) in _nodes(slurm):
        return False
    return (now - _last_sign(status, slurm)).total_seconds() < max(_BELIEVED, status.pace.patience())


def _nodes(slurm: dict[str, Any]) -> list[str]:
    """The nodes of the newest start."""
    return [_short(node) for node in (slurm.get("starts") or [{}])[-1].get("nodes", [])]


def _short(host: str) -> str:
    return host.split(".")[0]


def _last_sign(status: RunStatus, slurm: dict[str, Any]) -> datetime:
    """When the run was last heard of."""
    times = [
        status.pace.last,
        read_time(status.holder.since if status.holder else None),
        *_start_times(slurm),
    ]
    if status.job is not None:
        times.append(status.job.start)
    return max((time for time in times if time is not None), default=datetime.fromtimestamp(0, timezone.utc))


def _start_times(slurm: dict[str, Any]) -> list[datetime | None]:
    return [read_time(start.get("at")) for start in slurm.get("starts") or []]


def _running(status: RunStatus, slurm: dict[str, Any], now: datetime) -> RunStatus:
    pace, holder, job = status.pace, status.holder, status.job
    nodes = ",".join(_nodes(slurm)) or None
    if job is not None and not job.ended and not job.waits:
        nodes = job.nodes or nodes
    elif holder is not None and _short(holder.host) not in _nodes(slurm):
        # Started by hand, whatever job had it before or is to have it.
        job, nodes = None, holder.host
        status = replace(status, job=None, job_name=None, restarts=None)
    last = _last_sign(status, slurm)
    heard = max(0.0, (now - last).total_seconds())
    patience, elapsed = pace.patience(), status.elapsed
    if pace.last is None or last > pace.last:
        phase, patience = "starting", max(_PREPARATION, patience)
        left = _left_from_checkpoint(status)
    else:
        phase = "scoring" if pace.total is not None and pace.step >= pace.total else "training"
        left, elapsed = pace.left(now), pace.trained + heard
    status = replace(
        status,
        state="running",
        phase=phase,
        nodes=nodes,
        elapsed=elapsed,
        left=left,
        ends=None if left is None else now + timedelta(seconds=left),
        heard=heard,
        silent=heard if heard > patience else None,
    )
    return status if job is None else _with_limit(status, job.left, job.limit)


def _left_from_checkpoint(status: RunStatus) -> float | None:
    """Seconds left once it is started again: the steps after its newest checkpoint are lost."""
    return status.pace.left_from(status.checkpoint or 0)


def _with_limit(status: RunStatus, available: float | None, limit: float | None) -> RunStatus:
    """Add by how much the rest of the training exceeds the time that its job has, if it does."""
    if status.left is None or available is None or not limit or status.left <= available:
        return status
    over = status.left - available
    return replace(status, over=over, resumes=math.ceil(over / limit))


def _ended(status: RunStatus, slurm: dict[str, Any], queue: Queue) -> str:
    """The state of a run without results on which nobody is at work."""
    by_job = status.job_name is not None
    if status.checkpoint is not None and (not by_job or status.checkpoint >= status.pace.step):
        # Asked to stop, a training saves its last step. A job that left less was killed, or failed.
        return "stopped"
    traces = status.pace.last is not None or status.holder is not None or bool(slurm)
    if not traces and not (by_job and queue.problem is None):
        # Unless Slurm says that its job is no more, it may still be waiting for it.
        return "not started"
    return "failed"


def _comparison(experiment: Submitted, queue: Queue) -> ComparisonStatus:
    job, result = queue.find(experiment.compare), experiment.result()
    status = ComparisonStatus(str(experiment.folder), experiment.compare, "unknown", result=result)
    if job is not None and not job.ended:
        return replace(status, state="pending" if job.waits else "running", reason=job.reason)
    if result:
        return replace(status, state="done")
    if queue.problem is None:
        return replace(status, state="failed", log=_log_of(experiment, {experiment.compare}))
    return status


def _log(found: Found, slurm: dict[str, Any], job_name: str | None) -> str | None:
    """The log of the job that trained a run."""
    return _log_of(found.experiment, {job_name, slurm.get("job")})


def _log_of(experiment: Submitted | None, jobs: set[str | None]) -> str | None:
    """A job's log: in the experiment's folder, or where sbatch was typed if that is here."""
    names = "|".join(re.escape(str(job)) for job in jobs if job is not None)
    is_log = re.compile(rf"(?:.*\D)?(?:{names})\.(?:log|out)")
    folders = [Path()] if experiment is None else [experiment.folder / LOGS, Path()]
    for folder in folders if names else []:
        for path in sorted(folder.glob("*")):
            if is_log.fullmatch(path.name):
                return str(path)
    return None
