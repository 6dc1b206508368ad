"""Ranks that agree: one does the work, all get the answer, or all get the error.

A rank that fails alone leaves the others waiting in the next collective. What reads or writes a disk, or may
be a user's mistake, goes through here.
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

# How long ranks wait for each other: for a slow disk, and while one of each machine downloads and tokenises.
COLLECTIVE_TIMEOUT = timedelta(minutes=30)
PREPARATION_TIMEOUT = timedelta(hours=6)


def is_main_process() -> bool:
    """Rank 0, known before the process group exists."""
    return int(os.environ.get("RANK", 0)) == 0


def on_main_rank(accelerator: Accelerator, work: Callable[[], T]) -> T:
    """What `work` returns on rank 0, on every rank; or the error, where a user or a full disk is at fault."""
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
    """What `work` returns, once a rank of each machine has done it and its caches serve the others.

    A `UserError` of one is raised on all: none is left waiting for one that has ended.
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
    """Every rank's problem, however long the slowest takes."""
    import torch

    problems = [mine] * accelerator.num_processes
    if accelerator.num_processes > 1:
        patient = torch.distributed.new_group(backend="gloo", timeout=PREPARATION_TIMEOUT)
        torch.distributed.all_gather_object(problems, mine, group=patient)
        torch.distributed.destroy_process_group(patient)
    return problems


def leave() -> None:
    """Take leave of the other ranks: threads of the process group that are left abort the process.

    All ranks must call this: a rank that failed alone would wait in it for the others.
    """
    if "torch" not in sys.modules:
        return  # a mistake that was found at once need not wait for it
    import torch

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
