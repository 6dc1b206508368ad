"""This user's jobs in Slurm's queue, asked once and within seconds.

Where there is no Slurm, or its controller does not answer, there are no jobs but a `problem` to show: what
stands on the disk can be told without it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from datetime import datetime, timezone

PATIENCE = 5.0
"""Seconds that the controller has for its answer."""

# Ids, state, why it waits, start, time left, time limit, nodes. --array gives every task of an array a line
# of its own, --states=all also shows what ended a few minutes ago, and how.
_FORMAT = "%A|%F|%K|%T|%r|%S|%L|%l|%N"
_FIELDS = _FORMAT.count("|") + 1
_COMMAND = ("squeue", "--noheader", "--array", "--states=all", f"--format={_FORMAT}")

_WAITS = {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
_WAITS |= {"STOPPED", "SUSPENDED"}
_ENDED = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"}
_ENDED |= {"PREEMPTED", "REVOKED", "TIMEOUT"}


@dataclass(frozen=True)
class Job:
    """One job, or one task of an array.

    Times left and limits are in seconds, None where there is none. `start` is when it began or, for a job
    that waits, when Slurm expects it to begin; None if Slurm does not say.
    """

    id: str
    array: str | None
    index: int | None
    state: str
    reason: str | None
    start: datetime | None
    left: float | None
    limit: float | None
    nodes: str | None

    @property
    def waits(self) -> bool:
        return self.state in _WAITS

    @property
    def ended(self) -> bool:
        return self.state in _ENDED

    @property
    def name(self) -> str:
        """As Slurm's commands take it: `120_3` for a task of an array."""
        return self.id if self.index is None else f"{self.array}_{self.index}"


@dataclass(frozen=True)
class Queue:
    """The jobs, or why they are not known."""

    jobs: list[Job] = field(default_factory=list)
    problem: str | None = None

    def find(self, job: str | None, *, array: str | None = None, index: int | None = None) -> Job | None:
        """The task `index` of `array`, or the job with an id of its own; None if Slurm has it no more."""
        for one in self.jobs:
            # Slurm gives a task that waits the id of its array.
            if index is not None and (one.array, one.index) == (array, index):
                return one
            if index is None and one.id == job and one.index is None:
                return one
        return None


def ask_queue() -> Queue:
    """This user's jobs."""
    if shutil.which("squeue") is None:
        return Queue(problem="no Slurm here (no squeue)")
    # The user's own SQUEUE_* settings would change what is listed; seconds since 1970 have no time zone.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SQUEUE_")}
    environment |= {"SLURM_TIME_FORMAT": "%s", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [*_COMMAND, f"--user={os.getuid()}"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
    except subprocess.TimeoutExpired:
        return Queue(problem=f"Slurm did not answer within {PATIENCE:.0f} s")
    except (OSError, subprocess.CalledProcessError) as error:
        return Queue(problem=f"Slurm cannot be asked ({_last_line(error)})")
    return Queue(jobs=parse(done.stdout))


def _last_line(error: OSError | subprocess.CalledProcessError) -> str:
    text = error.strerror if isinstance(error, OSError) else error.stderr
    lines = (text or "").strip().splitlines()
    return lines[-1] if lines else str(error)


def parse(text: str) -> list[Job]:
    """The jobs in squeue's answer, a line each."""
    fields = (line.strip().split("|") for line in text.splitlines())
    return [_job(*values) for values in fields if len(values) == _FIELDS]


def _job(
    id: str, array: str, index: str, state: str, reason: str, start: str, left: str, limit: str, nodes: str
) -> Job:
    is_task = index.isdigit()
    return Job(
        id=id,
        array=array if is_task else None,
        index=int(index) if is_task else None,
        state=state,
        reason=None if reason in ("", "None", "(null)") else reason,
        start=datetime.fromtimestamp(int(start), timezone.utc) if start.isdigit() else None,
        left=seconds(left),
        limit=seconds(limit),
        nodes=nodes if nodes not in ("", "(null)") else None,
    )


def seconds(text: str) -> float | None:
    """Slurm's `[days-][[hours:]minutes:]seconds`; None for `UNLIMITED` and what else is no time."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(?:(\d+):)?(\d+):)?(\d+)", text)
    if match is None:
        return None
    days, hours, minutes, rest = (int(part or 0) for part in match.groups())
    return 86400.0 * days + 3600 * hours + 60 * minutes + rest
