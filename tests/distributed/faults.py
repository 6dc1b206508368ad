"""Faults of a rank: functions that a forked rank calls with its number before it trains.

Each replaces a part of the package by one that is slow, dies or fails. A test hands one to `Server.start`,
with its settings: `faults=[fault(kill_after_checkpoint, step=12)]`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from ner_dist.runtime import signals
from ner_dist.training import checkpoint_files, checkpoints, loop, loss, micro_batches, task, trainer
from tests.distributed.launching import REPOSITORY

Fault = tuple[str, dict[str, Any]]


def fault(function: Callable[..., None], **settings: Any) -> Fault:
    """A fault and its settings, as they travel to the process that forks the ranks."""
    return function.__name__, settings


def slow_steps_and_saves(rank: int) -> None:
    """Slow the ranks down, so that a signal arrives during the training."""
    write, update = checkpoint_files.CheckpointWriter._write, loop.TrainLoop._update
    checkpoint_files.CheckpointWriter._write = lambda *all: (time.sleep(0.03), write(*all))[1]
    loop.TrainLoop._update = lambda *all: (time.sleep(0.05), update(*all))[1]


def warn_after(rank: int, *, step: int) -> None:
    """A scheduler's warning after a step."""
    steps = loop.TrainLoop.steps

    def warned(self):
        for each in steps(self):
            yield each
            if each.number == step:
                os.kill(os.getpid(), signal.SIGUSR1)

    loop.TrainLoop.steps = warned


def after_checkpoint(step: int, do: Callable[[], None]) -> None:
    """Do something once the checkpoint of a step is complete; the best weights of that step are none."""
    prune = checkpoints.Checkpoints._prune

    def prune_and_do(self, state):
        prune(self, state)
        if state["step"] == step and "adam_step" in state:
            do()

    checkpoints.Checkpoints._prune = prune_and_do


def die_after_checkpoint(rank: int, *, step: int) -> None:
    after_checkpoint(step, lambda: os._exit(9))


def fill_disk_after_checkpoint(rank: int, *, step: int, file: str) -> None:
    """Fill the disk of a file to its last byte."""

    def fill():
        with Path(file).open("wb", buffering=0) as filler:
            try:
                while filler.write(b"x" * 1024):
                    pass
            except OSError:
                pass

    after_checkpoint(step, fill)


def no_finite_loss_in(rank: int, *, passes: int) -> None:
    """The first losses are not finite, so that Adam has no moments after them."""
    forward, calls = loss.TaggingLoss.forward, []

    def broken_at_first(self, *given):
        calls.append(1)
        return forward(self, *given) * (float("nan") if len(calls) <= passes else 1.0)

    loss.TaggingLoss.forward = broken_at_first


def break_batch(rank: int, *, of_rank: int, number: int, out_of_memory: bool = False) -> None:
    """One rank cannot make one of its batches."""
    build, made = micro_batches.MicroBatches.build, []

    def break_one(*all, **named):
        made.append(1)
        if rank == of_rank and len(made) == number:
            raise torch.OutOfMemoryError("a broken batch") if out_of_memory else ValueError("a broken batch")
        return build(*all, **named)

    micro_batches.MicroBatches.build = break_one


def note_engine(rank: int, *, out: str) -> None:
    """Write whether DeepSpeed's engine times its passes, and the formats in which gradients are added up."""
    from deepspeed.runtime.engine import DeepSpeedEngine

    build, add_up = DeepSpeedEngine.__init__, torch.distributed.all_reduce
    found: dict[str, Any] = {"sums": []}

    def built(self, *all, **named):
        build(self, *all, **named)
        found["times"] = self.tput_timer.config.enabled

    def noted(tensor, *all, **named):
        if tensor.is_floating_point() and tensor.numel() > 1000 and "times" in found:
            found["sums"] = sorted({*found["sums"], str(tensor.dtype)})
            Path(out, f"{rank}.json").write_text(json.dumps(found), encoding="utf-8")
        return add_up(tensor, *all, **named)

    DeepSpeedEngine.__init__, torch.distributed.all_reduce = built, noted


def hurry_clock(rank: int, *, of_rank: int, faster: float) -> None:
    """One rank's clock for saves by the minute goes faster."""
    if rank == of_rank:
        seconds = signals.time.monotonic
        signals.time = SimpleNamespace(monotonic=lambda: faster * seconds())


def wait_in(rank: int, *, step: int) -> None:
    """Stay in a step until the rank is killed."""
    update = loop.TrainLoop._update

    def wait(self):
        if self.step == step - 1:
            print("waiting", flush=True)
            time.sleep(100)
        return update(self)

    loop.TrainLoop._update = wait


def wait_in_preparation(rank: int, *, seconds: float = 60.0) -> None:
    """Stay in the preparation of the data, by default until the rank is killed."""
    prepare = task.prepare

    def slow(*arguments: Any, **options: Any) -> Any:
        print("preparing", flush=True)
        time.sleep(seconds)
        return prepare(*arguments, **options)

    task.prepare = slow


def count_held_tensors(rank: int, *, out: str) -> None:
    """Write what a rank holds at the last update of its weights, as benchmarks/memory.py counts it."""
    sys.path.insert(0, str(REPOSITORY / "benchmarks"))
    import measured_run

    build = trainer.Trainer.__init__

    def counting(self, *all, **named):
        build(self, *all, **named)
        held = measured_run.Held(self)
        count = held._count

        def noted():
            found = count()
            Path(out, f"{rank}.json").write_text(json.dumps(found), encoding="utf-8")
            return found

        held._count = noted

    trainer.Trainer.__init__ = counting


_CHANGES = (
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.symlink",
    "os.link",
    "os.truncate",
    "shutil.rmtree",
)


def watch_changes(rank: int, *, folder: str, note: str | None = None, kill_before: int | None = None) -> None:
    """See every change of the file system below a folder, before it is made.

    Args:
        rank: of the process.
        folder: outside of which changes do not count.
        note: file that gets a line for each change.
        kill_before: number of the change, from 1, at which the process is killed.
    """
    seen = 0

    def watch(event: str, given: tuple) -> None:
        nonlocal seen
        if event == "open":
            _, mode, flags = given
            writes = any(letter in mode for letter in "wax+") if isinstance(mode, str) else flags & 3
            if not writes:
                return
        elif event not in _CHANGES:
            return
        # Within `shutil.rmtree` a name is relative to an open folder.
        path = Path(os.fsdecode(given[0]) if not isinstance(given[0], int) else "")
        inside = event in ("os.remove", "os.rmdir") and not path.is_absolute()
        where = str(Path.cwd() / path)
        if where == note or not (inside or where.startswith(folder + os.sep)):
            return
        seen += 1
        if note is not None:
            os.write(notes, f"{event} {where.removeprefix(folder)}\n".encode())
        if seen == kill_before:
            os.kill(os.getpid(), signal.SIGKILL)

    if note is not None:
        notes = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    sys.addaudithook(watch)
