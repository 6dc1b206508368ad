"""A run's directory belongs to one training at a time.

Rank 0 holds a file lock in it, which the system drops when the process ends, however it ends. Beside the lock
stands who holds it, for the message that a second training gets.
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
from ner_dist.run.directory import HOLDER, LOCK, TRACES, Run, check_output, move_aside
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
    """The run's directory, which no other training may write to while the block runs.

    The system drops the lock when the process that holds it ends, however it ends. An old run is moved aside
    first if the recipe says so. All ranks must call this.

    Raises:
        UserError: as `check_output`; or another process trains there.
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
    """The training that holds a run's directory, as it wrote itself down.

    Attributes:
        since: ISO time at which it took the lock.
        alive: whether its process is still there; None for another host's, which cannot be asked from here.
    """

    host: str
    pid: int
    since: str
    alive: bool | None


def lock_holder(run: Run) -> LockHolder | None:
    """Who holds the directory, or held it to the last if it was killed.

    The lock itself is left alone: whoever tries it holds it for a moment, in which a training that starts
    would be refused.
    """
    try:
        known = json.loads((run.folder / HOLDER).read_text(encoding="utf-8"))
        host, pid, since = known["host"], int(known["pid"]), known["since"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
    here = host == platform.node()
    return LockHolder(host, pid, since, _has_open(pid, run.folder / LOCK) if here else None)


def _has_open(pid: int, path: Path) -> bool:
    """Whether a process of this machine has a file open, or, where that is not told, whether it exists."""
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
    """Every machine must see what rank 0 writes: the model is loaded from there, and so are checkpoints."""
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
            f"is not seen by {', '.join(sorted(blind))}: all machines must share it",
            where=f"output_dir {run.folder}",
            fix="name a folder on a file system that they share",
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
            f"{who} trains here" + (f" since {holder.since}" if holder else ""),
            where=f"output_dir {run.folder}",
            fix="wait for it, stop it, or name another output_dir",
        ) from None
    except (OSError, NotImplementedError) as error:
        log.warning("%s cannot be locked (%s): see to it that no other run writes there", run.folder, error)
    _write_holder(run)
    return lock


def _write_holder(run: Run) -> None:
    facts = {"host": platform.node(), "pid": os.getpid(), "since": now()}
    write_atomically(run.folder / HOLDER, json.dumps(facts) + "\n")


def _unlock(run: Run, lock: BaseFileLock) -> None:
    """Leave no trace: a run that failed before it wrote anything leaves no folder either."""
    for name in TRACES:
        (run.folder / name).unlink(missing_ok=True)
    lock.release()
    with suppress(OSError):
        run.folder.rmdir()
