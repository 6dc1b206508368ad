"""Starts of a run's Slurm job: RUN/slurm.json, one entry a start, and when to give up.

    {"job": "123", "array_job": "120", "array_task": 3,
     "starts": [{"restart": 0, "step": 0, "at": "2026-01-31T12:00:00+00:00", "nodes": ["n1", "n2"]}]}

`step` is that of the newest checkpoint at that start: a job whose last starts found the same gets nowhere.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from ner_dist.errors import UserError
from ner_dist.files import now, read_json, write_atomically

if TYPE_CHECKING:
    from ner_dist.run.directory import Run


def note_start(run: Run, *, nodes: list[str]) -> dict[str, Any]:
    """Record that the Slurm job of this environment starts the run, and return all its starts.

    Args:
        run: its folder must exist.
        nodes: the job's hosts.

    Raises:
        UserError: `NER_DIST_MAX_RESTARTS` (3) restarts in a row found no newer checkpoint.
    """
    number = os.environ["SLURM_JOB_ID"]
    task = os.environ.get("SLURM_ARRAY_TASK_ID")
    known = read_json(run.job)
    job = {
        "job": number,
        "array_job": os.environ.get("SLURM_ARRAY_JOB_ID"),
        "array_task": None if task is None else int(task),
        "starts": known["starts"] if known.get("job") == number else [],
    }
    restart = int(os.environ.get("SLURM_RESTART_COUNT", 0))
    # A start may be recorded twice, when the batch script was killed before Slurm counted it.
    job["starts"] = [start for start in job["starts"] if start["restart"] < restart]
    job["starts"].append({"restart": restart, "step": run.newest_step, "at": now(), "nodes": nodes})
    write_atomically(run.job, json.dumps(job, indent=1) + "\n")
    _stop_going_in_circles(run, job)
    return job


def _stop_going_in_circles(run: Run, job: dict[str, Any]) -> None:
    limit = int(os.environ.get("NER_DIST_MAX_RESTARTS", 3))
    last = [start["step"] for start in job["starts"][-limit - 1 :]]
    if len(last) > limit and len(set(last)) == 1:
        raise UserError(
            f"gives up: {limit} restarts of job {job['job']} saved no checkpoint after step {last[0]}",
            where=f"output_dir {run.folder}",
            fix="see in the log why it ends; if it is the time limit, ask for more with --time, or lower "
            "checkpoint.every",
        )
