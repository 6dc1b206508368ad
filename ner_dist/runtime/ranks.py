"""Run work on one rank, and give all ranks its result or its error.

A rank that fails alone leaves the others waiting in the next collective. So all work that uses a disk, or may
find a user's mistake, goes through here.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from ner_dist.errors import UserError, disk_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from accelerate import Accelerator

T = TypeVar("T")

# Time that ranks wait for each other: for a slow disk, and while one per machine downloads and tokenises.
COLLECTIVE_TIMEOUT = timedelta(minutes=30)
PREPARATION_TIMEOUT = timedelta(hours=6)


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
    return answer[0]


def local_main_first(accelerator: Accelerator, work: Callable[[], T]) -> T:
    """Run `work` on one rank of each machine first, then on the others, which use its caches.

    A `UserError` on one rank is raised on all, so that none waits for a rank that has ended.
    """
    answer: list[T] = []
    problem = None
    if accelerator.is_local_main_process:
        try:
            with disk_errors():
                answer.append(work())
        except UserError as error:
            problem = error
    for each in _all_problems(accelerator, problem):
        if each is not None:
            raise each
    return answer[0] if answer else work()


def _all_problems(accelerator: Accelerator, mine: UserError | None) -> list[UserError | None]:
    """Gather the problems of all ranks, with a long timeout."""
    import torch

    problems = [mine] * accelerator.num_processes
    if accelerator.num_processes > 1:
        patient = torch.distributed.new_group(backend="gloo", timeout=PREPARATION_TIMEOUT)
        torch.distributed.all_gather_object(problems, mine, group=patient)
        torch.distributed.destroy_process_group(patient)
    return problems


def leave() -> None:
    """Destroy the process group, whose threads would otherwise abort the process at exit.

    All ranks must call this: a rank that failed alone would wait for the others.
    """
    if "torch" not in sys.modules:
        return  # an early error need not import torch
    import torch

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
