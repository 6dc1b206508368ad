"""Run work on one rank, and give all ranks its result or its error.

A rank that fails alone leaves the others waiting in the next collective. So all work that uses a disk, or may
find a user's mistake, goes through here.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ner_dist.errors import UserError, disk_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from accelerate import Accelerator, PartialState

T = TypeVar("T")

# Time that ranks wait for each other: for a slow disk, and while one per machine downloads and tokenises.
COLLECTIVE_TIMEOUT = timedelta(minutes=30)
PREPARATION_TIMEOUT = timedelta(hours=6)
_POLL_SECONDS = 0.05
_LOST = ("gloo/transport", "Connection closed by peer", "Connection reset by peer", "remote process exited")
"""Parts of what gloo and NCCL say when a peer is gone."""


@dataclass(frozen=True)
class OneProcess:
    """A process on its own, as Accelerate's `PartialState` describes it, but without torch."""

    process_index: int = 0
    num_processes: int = 1
    is_main_process: bool = True

    def wait_for_everyone(self) -> None:
        """There is nobody to wait for."""


def is_main_process() -> bool:
    """Rank 0, known before the process group exists."""
    return int(os.environ.get("RANK", 0)) == 0


def on_main_rank(accelerator: Accelerator, work: Callable[[], T]) -> T:
    """Run `work` on rank 0; return its result, or raise its `UserError`, on every rank."""
    from accelerate.utils import broadcast_object_list

    answer: list[Any] = [None, None]
    if accelerator.is_main_process:
        try:
            with disk_errors():
                answer[0] = work()
        except UserError as error:
            answer[1] = error
    if accelerator.num_processes > 1:
        broadcast_object_list(answer)
    if answer[1] is not None:
        raise answer[1]
    result: T = answer[0]
    return result


def local_main_first(accelerator: Accelerator, work: Callable[[], T]) -> T:
    """Run `work` on one rank of each machine first, then on the others, which use its caches.

    A `UserError` on one rank is raised on all, so that none waits for a rank that has ended.
    """
    answer: list[T] = []
    problem = None
    with sharing_problems(accelerator) as share:
        if accelerator.is_local_main_process:
            try:
                with disk_errors():
                    answer.append(work())
            except UserError as error:
                problem = error
        share(problem)
    return answer[0] if answer else work()


@contextmanager
def sharing_problems(
    accelerator: Accelerator | PartialState | OneProcess,
) -> Iterator[Callable[[UserError | None], None]]:
    """Yield a function that raises the problem of any rank on all of them, once all have called it.

    The ranks have to begin the block together, and may work in it for hours before they call the function. A
    rank that waits in it still ends at a signal, which a rank in a collective does not notice.
    """
    if accelerator.num_processes == 1:
        yield _raise_first
        return
    import torch

    patient = torch.distributed.new_group(backend="gloo", timeout=PREPARATION_TIMEOUT)

    neighbours = _neighbours(patient, accelerator.process_index)

    def share(mine: UserError | None) -> None:
        arrived = torch.distributed.barrier(group=patient, async_op=True)
        while not arrived.is_completed():
            time.sleep(_POLL_SECONDS)
            if gone := [rank for rank, process in neighbours.items() if _has_ended(process)]:
                raise RankLost(f"rank {gone[0]} has ended while others waited for it")
        arrived.wait()
        problems: list[UserError | None] = [None] * accelerator.num_processes
        torch.distributed.all_gather_object(problems, mine, group=patient)
        torch.distributed.destroy_process_group(patient)
        _raise_first(*problems)

    yield share


def _neighbours(group: torch.distributed.ProcessGroup, rank: int) -> dict[int, int]:
    """The process of every other rank on this machine, by rank."""
    import torch

    everyone: list[tuple[str, int]] = [("", 0)] * torch.distributed.get_world_size(group)
    torch.distributed.all_gather_object(everyone, (platform.node(), os.getpid()), group=group)
    here = platform.node()
    return {
        other: process for other, (host, process) in enumerate(everyone) if host == here and other != rank
    }


def _has_ended(process: int) -> bool:
    try:
        os.kill(process, 0)
        # One that its parent has not waited for still has a number.
        return Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] == "Z"
    except ProcessLookupError:
        return True
    except OSError:  # not ours, or without /proc
        return False


def _raise_first(*problems: UserError | None) -> None:
    for each in problems:
        if each is not None:
            raise each


class RankLost(Exception):
    """Another rank has ended, and this one cannot train on without it."""

    def __str__(self) -> str:
        return f"{self.args[0]}; repeat the command to resume from the last checkpoint"


def without_peer(error: BaseException) -> bool:
    """Whether a collective failed because another rank has ended, or cannot be reached any more."""
    text = str(error)
    return isinstance(error, RuntimeError) and any(sign in text for sign in _LOST)


def leave() -> None:
    """Destroy the process group, whose threads would otherwise abort the process at exit.

    All ranks must call this: a rank that failed alone would wait for the others.
    """
    if "torch" not in sys.modules:
        return  # an early error need not import torch
    import torch

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
