"""A run's directory: where each file lies, who may write there, and what it records about its making.

RUN/recipe.yaml          the resolved recipe and its provenance
RUN/metrics.jsonl        one JSON object an event
RUN/checkpoints/         complete checkpoints only
RUN/model/               the trained model, in Hugging Face format
RUN/results.json         written last: a run that has it is complete
RUN/predictions/         one JSON object a sentence
"""

from __future__ import annotations

import json
import logging
import os
import platform
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ner_dist.errors import UserError
from ner_dist.recipe import Recipe
from ner_dist.recipe_file import differing_keys, load_recipe, to_yaml
from ner_dist.runtime import from_main

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accelerate import Accelerator
    from filelock import BaseFileLock

log = logging.getLogger(__name__)

_LOCK, _HOLDER = ".lock", ".holder.json"
# A network file system may not show a new file to another machine at once.
_ATTRIBUTE_CACHE_SECONDS = 60

_PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "deepspeed", "datasets", "seqeval", "numpy")


@dataclass(frozen=True)
class Run:
    """The paths of one output directory."""

    folder: Path

    @property
    def recipe(self) -> Path:
        return self.folder / "recipe.yaml"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def results(self) -> Path:
        return self.folder / "results.json"

    def predictions(self, split: str) -> Path:
        return self.folder / "predictions" / f"{split}.jsonl"

    @property
    def complete(self) -> bool:
        return self.results.exists()


def find_run(path: str | Path) -> Run:
    """The complete run at `path`."""
    run = Run(Path(path))
    if not run.folder.is_dir():
        raise UserError(
            "there is no such run", where=str(path), fix="name the output directory of a training"
        )
    if not run.complete:
        raise UserError(
            f"holds no complete run ({run.results.name} is missing)",
            where=str(path),
            fix="train it to the end first",
        )
    return run


def read_results(run: Run) -> dict[str, Any]:
    """The run's `results.json`."""
    try:
        return json.loads(run.results.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read: {error}", where=str(run.results)) from None


def check_output(recipe: Recipe) -> Run:
    """The run that the recipe may write to. Reads only, so that all ranks can ask the same.

    Raises:
        UserError: the directory holds another recipe's run or other files, or cannot be written to.
    """
    run = Run(Path(recipe.output_dir))
    check_folder(run.folder, where="output_dir")
    if not _has_content(run):
        return run
    moves = recipe.overwrite or recipe.resume == "never"
    if moves and Path.cwd().is_relative_to(run.folder.resolve()):
        raise UserError(
            "holds the current directory, so it cannot be moved aside",
            where=f"output_dir {run.folder}",
            fix="name another output_dir",
        )
    if recipe.overwrite:
        return run
    if not run.recipe.exists():
        raise UserError(
            "holds files that are no run of ner_dist",
            where=f"output_dir {run.folder}",
            fix="name another output_dir, or pass overwrite=true to move it aside",
        )
    keys = differing_keys(load_recipe(run.recipe), recipe)
    if keys and _has_progress(run):
        shown = ", ".join(keys[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")
        raise UserError(
            f"holds the run of another recipe (they differ in {shown})",
            where=f"output_dir {run.folder}",
            fix="name another output_dir, or pass overwrite=true to move the old run aside",
        )
    return run


def _has_content(run: Run) -> bool:
    """Whether there is anything in the folder but the traces of who holds it."""
    return run.folder.is_dir() and any(path.name not in (_LOCK, _HOLDER) for path in run.folder.iterdir())


def _has_progress(run: Run) -> bool:
    """Whether training got anywhere; a recipe that failed before may be mended and started again."""
    trained = run.metrics.exists() and run.metrics.stat().st_size > 0
    return trained or run.complete or (run.checkpoints.is_dir() and any(run.checkpoints.iterdir()))


@contextmanager
def claimed(recipe: Recipe, accelerator: Accelerator) -> Iterator[Run]:
    """The run's directory, which no other training may write to while the block runs.

    The system drops the lock when the process that holds it ends, however it ends. An old run is moved aside
    first if the recipe says so. All ranks must call this.

    Raises:
        UserError: as `check_output`; or another process trains there.
    """
    lock = None

    def take() -> Run:
        nonlocal lock
        run = check_output(recipe)
        lock = _lock(run)
        foreign = not run.recipe.exists() or bool(differing_keys(load_recipe(run.recipe), recipe))
        if _has_content(run) and (recipe.resume == "never" or (recipe.overwrite and foreign)):
            _unlock(run, lock)
            move_aside(run)
            lock = _lock(run)
        return run

    try:
        run = from_main(accelerator, take)
        _check_shared(run, accelerator)
        yield run
    finally:
        if lock is not None:
            _unlock(Run(Path(recipe.output_dir)), lock)


def _check_shared(run: Run, accelerator: Accelerator) -> None:
    """Every machine must see what rank 0 writes: the model is loaded from there, and so are checkpoints."""
    if accelerator.num_processes == int(os.environ.get("LOCAL_WORLD_SIZE", 1)):
        return
    from accelerate.utils import gather_object

    until = time.monotonic() + _ATTRIBUTE_CACHE_SECONDS
    while not (run.folder / _HOLDER).exists() and time.monotonic() < until:
        time.sleep(0.5)
    sees = (run.folder / _HOLDER).exists()
    blind = {host for host, seen in gather_object([(platform.node(), sees)]) if not seen}
    if blind:
        raise UserError(
            f"is not seen by {', '.join(sorted(blind))}: all machines must share it",
            where=f"output_dir {run.folder}",
            fix="name a folder on a file system that they share",
        )


def _lock(run: Run) -> BaseFileLock:
    from filelock import FileLock, Timeout

    run.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run.folder / _LOCK)
    holder = run.folder / _HOLDER
    try:
        lock.acquire(timeout=0)
    except Timeout:
        known = json.loads(holder.read_text(encoding="utf-8")) if holder.exists() else {}
        raise UserError(
            f"process {known.get('pid', '?')} on {known.get('host', 'another host')} trains here "
            f"since {known.get('since', '?')}",
            where=f"output_dir {run.folder}",
            fix="wait for it, stop it, or name another output_dir",
        ) from None
    except (OSError, NotImplementedError) as error:
        log.warning("%s cannot be locked (%s): see to it that no other run writes there", run.folder, error)
        return lock
    facts = {"host": platform.node(), "pid": os.getpid(), "since": _now()}
    write_atomically(holder, json.dumps(facts) + "\n")
    return lock


def _unlock(run: Run, lock: BaseFileLock) -> None:
    """Leave no trace: a run that failed before it wrote anything leaves no folder either."""
    for name in (_HOLDER, _LOCK):
        (run.folder / name).unlink(missing_ok=True)
    lock.release()
    with suppress(OSError):
        run.folder.rmdir()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def check_folder(folder: Path, *, where: str) -> None:
    """Find out before the work, not after it, that its results could not be written to `folder`.

    Args:
        folder: need not exist.
        where: what the user calls it, such as `output_dir`.

    Raises:
        UserError: it is a file, lies below one, or may not be written to.
    """
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        what = "is a file" if existing == folder else f"lies below {existing}, which is a file"
    elif not os.access(existing, os.W_OK | os.X_OK):
        what = f"cannot be written to: no permission in {existing}"
    else:
        return
    raise UserError(what, where=f"{where} {folder}", fix="name another folder")


def move_aside(run: Run) -> Path | None:
    """Rename an old run's folder to the first free `<folder>.old-N`; nothing is deleted."""
    if not run.folder.is_dir() or not any(run.folder.iterdir()):
        return None
    number = 1
    while (target := run.folder.with_name(f"{run.folder.name}.old-{number}")).exists():
        number += 1
    run.folder.rename(target)
    log.info("moved the old run to %s", target)
    return target


def write_recipe(run: Run, recipe: Recipe, *, world: dict[str, Any], fingerprint: str) -> None:
    """Record what is trained, with what, on what."""
    earlier = _provenance(run)
    starts = earlier.pop("earlier_starts", [])
    provenance = {
        "started": _now(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "git_commit": _git_commit(),
        "data_fingerprint": fingerprint,
        "python": platform.python_version(),
        "packages": package_versions(),
        **world,
        "earlier_starts": [*starts, earlier] if earlier else [],
    }
    write_atomically(run.recipe, to_yaml(recipe, provenance=provenance))


def _provenance(run: Run) -> dict[str, Any]:
    """What an earlier start of the run recorded."""
    if not run.recipe.exists():
        return {}
    return yaml.safe_load(run.recipe.read_text(encoding="utf-8")).get("provenance", {})


def package_versions() -> dict[str, str]:
    """Versions of the packages that decide a run's figures."""
    return {name: version for name in ("ner_dist", *_PACKAGES) if (version := _version(name))}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """Commit of the source that runs, with `-dirty` if it was changed since; None outside a checkout."""

    def git(*words: str) -> str:
        here = Path(__file__).parent
        return subprocess.run(
            ["git", *words], cwd=here, check=True, capture_output=True, text=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader, or a crash, sees the old one or the new one and nothing between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    with aside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
