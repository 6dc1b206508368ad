"""Slurm's own commands: submit, cancel, and what the queue holds."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from ner_dist.errors import UserError


@dataclass(frozen=True)
class Queued:
    """A job, or a task of an array, that has not ended."""

    id: str
    """As `scancel` takes it: `120`; of an array `120_3`, or `120_[4-7]` for tasks that wait together."""
    state: str
    """`PENDING`, `RUNNING`, `COMPLETING` and the like."""


def check_available() -> None:
    """Jobs can be submitted from this machine.

    Raises:
        UserError: they cannot.
    """
    if shutil.which("sbatch") is None:
        raise _no_program("sbatch")


def _no_program(name: str) -> UserError:
    return UserError(
        f"{name} is not on PATH: Slurm is not here, or not loaded",
        fix="give the command on a login node of the cluster",
    )


def sbatch_command(options: Sequence[str], script: str, arguments: Sequence[str]) -> list[str]:
    """The words of a submission whose only output is the job's id."""
    return ["sbatch", "--parsable", *options, script, *arguments]


def submit(command: Sequence[str]) -> str:
    """Submit a job and return its id.

    Args:
        command: of `sbatch_command`.

    Raises:
        UserError: Slurm refuses it, with its own words.
    """
    # With --parsable, a job on a cluster of a federation is `ID;CLUSTER`.
    return _ask(command).strip().splitlines()[-1].partition(";")[0]


def cancel(jobs: Sequence[str]) -> None:
    """End jobs, whether they wait or run.

    Raises:
        UserError: Slurm refuses.
    """
    _ask(["scancel", *jobs])


def queued(jobs: Sequence[str]) -> list[Queued]:
    """Which of some jobs have not ended; a job that Slurm has forgotten has.

    Args:
        jobs: ids; that of an array stands for all its tasks.

    Raises:
        UserError: the queue cannot be read.
    """
    found = []
    # The user's own SQUEUE_* would change what is listed.
    env = {name: value for name, value in os.environ.items() if not name.startswith("SQUEUE_")}
    # One at a time, so that each is known or forgotten by itself: of several, squeue skips what it forgot.
    for job in jobs:
        try:
            lines = _ask(["squeue", "--noheader", "--format=%i %T", f"--jobs={job}"], env=env).splitlines()
        except UserError as error:
            if "Invalid job id" not in error.what:
                raise
            continue
        found += [Queued(*line.split()) for line in lines if line.strip()]
    return found


def _ask(command: Sequence[str], *, env: dict[str, str] | None = None) -> str:
    """What one of Slurm's commands prints; its own complaint as an error."""
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise _no_program(command[0]) from None
    if done.returncode != 0:
        raise UserError(_complaint(command[0], done.stderr or done.stdout), where=command[0])
    return done.stdout


def _complaint(program: str, printed: str) -> str:
    """Slurm's complaint without the words before it: `sbatch: error: Batch job submission failed: …`."""
    lines = [line.removeprefix(f"{program}: ").strip() for line in printed.splitlines()]
    errors = [line.partition("error: ")[2] for line in lines if "error: " in line]
    said = [line.removeprefix("Batch job submission failed: ") for line in errors or lines if line]
    return "; ".join(said) or "failed, and did not say why"
