"""Submitting an experiment to Slurm, and saying what was submitted."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ner_dist.cluster import slurm
from ner_dist.cluster.experiment import COMPARISON, JOBS, LOGS, runs_text
from ner_dist.cluster.queue import ask_queue
from ner_dist.errors import UserError
from ner_dist.files import now, write_atomically
from ner_dist.outside import command_line, quoted

if TYPE_CHECKING:
    from ner_dist.cluster.experiment import Experiment


def check_idle(experiment: Experiment) -> None:
    """Nothing that was submitted before still waits or runs.

    Raises:
        UserError: a job does, or the queue cannot be read.
    """
    path = experiment.folder / JOBS
    if not path.exists():
        return
    earlier = json.loads(path.read_text(encoding="utf-8"))
    jobs = [earlier[key] for key in ("array", "compare") if earlier[key] is not None]
    queue = ask_queue()
    if queue.problem is not None:
        raise UserError(
            "jobs of this experiment were submitted before, and it is not known whether they have ended: "
            + queue.problem,
            where=str(experiment.folder),
            fix="repeat the command when Slurm answers",
        )
    if left := [job for job in queue.jobs if not job.ended and (job.array or job.id) in jobs]:
        left.sort(key=lambda job: (jobs.index(job.array or job.id), job.index or 0))
        shown = ", ".join(f"{job.name} {job.state}" for job in left)
        raise UserError(
            f"jobs of this experiment have not ended: {shown}",
            where=str(experiment.folder),
            fix=f"wait for them (ner-dist status {experiment.folder}) or end them (scancel {' '.join(jobs)})",
        )


def submit(experiment: Experiment) -> dict[str, Any]:
    """Submit both jobs; returns what jobs.json then holds.

    Raises:
        UserError: Slurm refuses one of them; then neither is left in the queue.
    """
    fresh = not experiment.runs_file.exists()
    (experiment.folder / LOGS).mkdir(parents=True, exist_ok=True)
    write_atomically(experiment.runs_file, runs_text(experiment.runs))
    try:
        array = slurm.submit(experiment.train_command())
    except UserError:
        if fresh:
            _take_back(experiment)
        raise
    compare = _submit_comparison(experiment, array) if experiment.compares else None
    jobs = {
        "array": array,
        "compare": compare,
        "submitted": now(),
        "runs": [run.recorded() for run in experiment.runs],
    }
    write_atomically(experiment.folder / JOBS, json.dumps(jobs, indent=1) + "\n")
    return jobs


def _take_back(experiment: Experiment) -> None:
    """Leave no trace of an experiment that never began: the next one may have other seeds."""
    experiment.runs_file.unlink()
    with suppress(OSError):  # a folder that holds something stays
        for folder in (experiment.folder / LOGS, experiment.folder):
            folder.rmdir()


def _submit_comparison(experiment: Experiment, array: str) -> str:
    try:
        return slurm.submit(experiment.compare_command(array))
    except UserError as error:
        slurm.cancel([array])
        raise UserError(
            f"the comparison was refused ({error.what}), so the array job {array} was cancelled",
            where=error.where,
            fix="fix it and repeat the command",
        ) from None


def described(experiment: Experiment, jobs: dict[str, Any] | None) -> str:
    """Describe the submitted experiment or, without `jobs`, the one that would be submitted."""
    array = jobs["array"] if jobs else "ARRAY"
    lines = [command_line(experiment.train_command())]
    lines.append(f"  {f'array job {array}' if jobs else 'array job'}, trainings by their index:")
    width = max(len(run.name) for run in experiment.runs)
    lines += [
        f"  {run.index:>4}  {run.name:<{width}}  seed {run.seed}  {run.folder}" for run in experiment.runs
    ]
    if experiment.compares:
        job = f"job {jobs['compare']}" if jobs else "job"
        where = experiment.folder / COMPARISON
        lines.append(command_line(experiment.compare_command(array)))
        lines.append(f"  {job}: compares the runs when all have ended, to {where}/compare.json")
    else:
        lines.append("no comparison: it needs at least two recipes")
    lines.append(f"logs: {experiment.folder / LOGS}/")
    if jobs:
        lines.append(f"next: ner-dist status {quoted(str(experiment.folder))}")
    else:
        lines += ["", f"{experiment.runs_file}:", runs_text(experiment.runs).rstrip("\n"), ""]
        lines.append("dry run: nothing was written or submitted")
    return "\n".join(lines)
