"""Runs and experiments below a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from ner_dist.cluster.experiment import COMPARISON, JOBS
from ner_dist.errors import UserError
from ner_dist.files import read_json
from ner_dist.run.checksums import SUMS
from ner_dist.run.directory import HOLDER, Run

# Nothing below these is a run.
_NOT_INTO = {"checkpoints", "model", "predictions"}
_OLD_RUN = re.compile(r".*\.old-\d+")


@dataclass
class Submitted:
    """A folder with a jobs.json: an experiment as `ner-dist slurm` submitted it."""

    folder: Path
    array: str | None
    compare: str | None
    tasks: dict[Path, int] = field(default_factory=dict)
    """Index in the array of each run's folder."""
    submitted: datetime | None = None

    def result(self) -> str | None:
        """Path of compare.json, if the comparison wrote it since the experiment was submitted."""
        path = self.folder / COMPARISON / "compare.json"
        since = self.submitted.timestamp() if self.submitted else 0.0
        return str(path) if path.exists() and path.stat().st_mtime >= since else None


@dataclass
class Found:
    """A run, or the folder where one is to be."""

    run: Run
    name: str
    experiment: Submitted | None = None

    @property
    def index(self) -> int | None:
        return None if self.experiment is None else self.experiment.tasks[self.run.folder]


def search(folders: list[str]) -> tuple[list[Found], list[Submitted]]:
    """The runs and the experiments at and below some folders.

    Raises:
        UserError: a folder is none, or holds no run.
    """
    by_folder: dict[Path, Found] = {}
    experiments: list[Submitted] = []
    for name in folders:
        folder = Path(name)
        if not folder.is_dir():
            raise UserError(
                "there is no such folder", where=name, fix="name a run, an experiment, or a folder of runs"
            )
        here, runs = [], []
        for path, files in _walk(folder):
            if JOBS in files and (experiment := _experiment(path)):
                here.append(experiment)
            if _is_run(path, files):
                runs.append(path)
        of_experiment = {path: one for one in here for path in one.tasks}
        for path in [*of_experiment, *(path for path in runs if path not in of_experiment)]:
            shown = _name(path, folder, several=len(folders) > 1)
            by_folder.setdefault(path.resolve(), Found(Run(path), shown, of_experiment.get(path)))
        if not runs and not here:
            raise UserError(
                "holds no runs", where=name, fix="name the output_dir of a training, or a folder above it"
            )
        experiments += here
    return list(by_folder.values()), experiments


def _walk(folder: Path) -> Iterator[tuple[Path, set[str]]]:
    """Every folder that may be a run's, with the names of what it holds."""
    for path, folders, files in os.walk(folder):
        names = {*files, *folders}
        folders[:] = sorted(
            name
            for name in folders
            if not (name in _NOT_INTO or name.startswith(".") or _OLD_RUN.fullmatch(name))
        )
        yield Path(path), names


def _is_run(path: Path, names: set[str]) -> bool:
    if {HOLDER, "slurm.json"} & names:
        return True
    known = {"recipe.yaml", SUMS} & names
    return bool(known) and bool(names & {"metrics.jsonl", "results.json", "checkpoints"})


def _name(path: Path, folder: Path, *, several: bool) -> str:
    if several or path == folder or not path.is_relative_to(folder):
        return str(path)
    return str(path.relative_to(folder))


def _experiment(folder: Path) -> Submitted | None:
    known = read_json(folder / JOBS)
    if not isinstance(known.get("runs"), list):
        return None
    tasks = {_run_folder(folder, run["folder"]): run["index"] for run in known["runs"]}
    return Submitted(
        folder, known.get("array"), known.get("compare"), tasks, read_time(known.get("submitted"))
    )


def _run_folder(experiment: Path, written: str) -> Path:
    """Where a run lies: written as seen from the folder of submission, which need not be the present one."""
    path, whole = Path(written), experiment.resolve().parts
    for length in range(len(path.parts) - 1, 0, -1):
        if path.parts[:length] == whole[-length:]:
            return experiment.joinpath(*path.parts[length:])
    return path


def read_time(text: str | None) -> datetime | None:
    """A time as `run.now` writes it."""
    try:
        return datetime.fromisoformat(text).astimezone(timezone.utc) if text else None
    except ValueError:
        return None
