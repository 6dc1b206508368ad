"""Slurm's own commands to submit and cancel; `queue.py` asks what became of jobs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from ner_dist.errors import UserError


def check_available() -> None:
    """Jobs can be submitted from this machine.

    Raises:
        UserError: they cannot.
    """
    if shutil.which("sbatch") is None:
        raise _no_program("sbatch")


def _no_program(name: str) -> UserError:
    return UserError(
        f"{name} is not on PATH: Slurm is not installed, or not loaded",
        fix="run the command on a login node of the cluster",
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


def _ask(command: Sequence[str]) -> str:
    """Run one of Slurm's commands and return its output; raise its own message as an error."""
    try:
        done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise _no_program(command[0]) from None
    if done.returncode != 0:
        raise UserError(_complaint(command[0], done.stderr or done.stdout), where=command[0])
    return done.stdout


def _environment() -> dict[str, str]:
    """Ours, without what a job that this runs in was told of itself: sbatch would hand it on."""
    of_slurm = {name for name in os.environ if name.startswith("SLURM_")} - {"SLURM_CONF"}
    return {name: value for name, value in os.environ.items() if name not in of_slurm}


def _complaint(program: str, printed: str) -> str:
    """Slurm's complaint without the words before it: `sbatch: error: Batch job submission failed: …`."""
    lines = [line.removeprefix(f"{program}: ").strip() for line in printed.splitlines()]
    errors = [line.partition("error: ")[2] for line in lines if "error: " in line]
    complaints = [line.removeprefix("Batch job submission failed: ") for line in errors or lines if line]
    return "; ".join(complaints) or "failed, and did not say why"
