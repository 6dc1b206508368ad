"""Lock a run's directory, so that only one training at a time writes to it.

Rank 0 holds a file lock, which the system releases when the process ends, however it ends. A second file
names the holder, for the error message of a second training.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ner_dist.errors import UserError
from ner_dist.files import now, write_atomically
from ner_dist.run.directory import HOLDER, LOCK, TRACES, Run
from ner_dist.run.output import check_output, move_aside
from ner_dist.runtime.ranks import on_main_rank

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accelerate import Accelerator
    from filelock import BaseFileLock

    from ner_dist.recipe import Recipe

log = logging.getLogger(__name__)

# A network file system may not show a new file to another machine at once.
_ATTRIBUTE_CACHE_SECONDS = 60


@contextmanager
def run_lock(recipe: Recipe, accelerator: Accelerator) -> Iterator[Run]:
    """Lock the run's directory against other trainings while the block runs.

    The system releases the lock when the process that holds it ends, however it ends. An old run is moved
    aside first if the recipe says so. All ranks must call this.

    Raises:
        UserError: see `check_output`; or another process is training there.
    """
    lock = None

    def take() -> Run:
        nonlocal lock
        output = check_output(recipe)
        if output.moves_aside:
            _unlock(output.run, _lock(output.run))  # not from under another training
            move_aside(output.run)
        lock = _lock(output.run)
        return output.run

    try:
        run = on_main_rank(accelerator, take)
        _check_shared(run, accelerator)
        yield run
    finally:
        if lock is not None:
            _unlock(Run(Path(recipe.output_dir)), lock)


@dataclass(frozen=True)
class LockHolder:
    """The training that holds a run's directory, as recorded by itself.

    Attributes:
        since: ISO time at which it took the lock.
        alive: whether its process still exists; None on another host, where this cannot be checked.
    """

    host: str
    pid: int
    since: str
    alive: bool | None


def lock_holder(run: Run) -> LockHolder | None:
    """The training that holds the directory, or held it last if it was killed.

    The lock itself is not touched: trying it would hold it for a moment, and refuse a training that starts in
    that moment.
    """
    try:
        known = json.loads((run.folder / HOLDER).read_text(encoding="utf-8"))
        host, pid, since = known["host"], int(known["pid"]), known["since"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
    here = host == platform.node()
    return LockHolder(host, pid, since, _has_open(pid, run.folder / LOCK) if here else None)


def _has_open(pid: int, path: Path) -> bool:
    """Whether a process on this machine has a file open, or just exists if open files cannot be listed."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    try:
        inode = path.stat()
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if os.path.samestat(descriptor.stat(), inode):
                    return True
    except OSError:
        # Without /proc, or as another user: most likely it is still the same process.
        return path.exists()
    return False


def _check_shared(run: Run, accelerator: Accelerator) -> None:
    """Check that every machine sees rank 0's files: models and checkpoints are loaded from there."""
    if accelerator.num_processes == int(os.environ.get("LOCAL_WORLD_SIZE", 1)):
        return
    from accelerate.utils import gather_object

    until = time.monotonic() + _ATTRIBUTE_CACHE_SECONDS
    while not (run.folder / HOLDER).exists() and time.monotonic() < until:
        time.sleep(0.5)
    sees = (run.folder / HOLDER).exists()
    blind = {host for host, seen in gather_object([(platform.node(), sees)]) if not seen}
    if blind:
        raise UserError(
            f"is not visible to {', '.join(sorted(blind))}: all machines must share it",
            where=f"output_dir {run.folder}",
            fix="choose a folder on a shared file system",
        )


def _lock(run: Run) -> BaseFileLock:
    from filelock import FileLock, Timeout

    run.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run.folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        holder = lock_holder(run)
        who = f"process {holder.pid} on {holder.host}" if holder else "another process"
        raise UserError(
            f"{who} is training here" + (f" since {holder.since}" if holder else ""),
            where=f"output_dir {run.folder}",
            fix="wait for it, stop it, or name another output_dir",
        ) from None
    except (OSError, NotImplementedError) as error:
        log.warning("%s cannot be locked (%s): make sure that no other run writes there", run.folder, error)
    _write_holder(run)
    return lock


def _write_holder(run: Run) -> None:
    facts = {"host": platform.node(), "pid": os.getpid(), "since": now()}
    write_atomically(run.folder / HOLDER, json.dumps(facts) + "\n")


def _unlock(run: Run, lock: BaseFileLock) -> None:
    """Remove the lock files, and the folder if it is empty."""
    for name in TRACES:
        (run.folder / name).unlink(missing_ok=True)
    lock.release()
    with suppress(OSError):
        run.folder.rmdir()
