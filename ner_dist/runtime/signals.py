"""Stop training at a signal, or save by the clock, between two steps, on all ranks after the same step.

SIGTERM, SIGUSR1 (a scheduler's warning) and SIGINT (Ctrl-C) set a flag. At every step, and at every forward
pass of an evaluation, the ranks exchange their flags; the result is read one turn later, so that no rank
waits. Rank 0's clock travels the same way. A second Ctrl-C ends the process at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from accelerate import Accelerator

EXIT_RESUME = int(os.environ.get("NER_DIST_EXIT_RESUME", 75))
"""Exit code of a run that stopped at a signal: the same command resumes it (EX_TEMPFAIL).

A launcher can set another code, such as 0: most launchers report any other code as a crash, with a traceback.
"""

_SAME_SECONDS = 1.0
_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


def exit_on_signals() -> None:
    """End at once on a signal, with `EXIT_RESUME`: before training there is nothing to save."""
    for number in _SIGNALS:
        signal.signal(number, _end)


def ignore_signals() -> None:
    """Ignore signals from here on, since they would raise within what runs at exit."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _end(number: int, frame: Any) -> None:
    # A launcher may send another signal.
    ignore_signals()
    raise SystemExit(EXIT_RESUME)


def can_save() -> bool:
    """Whether a signal makes this process save, rather than end at once."""
    return signal.getsignal(signal.SIGTERM) not in (_end, signal.SIG_DFL, signal.SIG_IGN)


class Stopped(Exception):
    """Training stopped at a signal, and can be resumed."""


class PreemptionFlag:
    """A stop signal, and whether to save, shared by all ranks, which must call `agreed` equally often."""

    def __init__(self, accelerator: Accelerator, *, save_every: float | None = None) -> None:
        """
        Args:
            accelerator: the process group.
            save_every: seconds between saves by rank 0's clock; None for no such saves.
        """
        self.save_due = False
        """Whether it was time to save at the previous call; the same on every rank."""
        self._save_every = save_every if accelerator.is_main_process else None
        self._saved_at, self._just_saved = time.monotonic(), False
        self.asked: str | None = None
        self._asked_at = 0.0
        import torch

        # A separate group over host memory: agreeing must not wait for the GPU.
        self._group = torch.distributed.new_group(backend="gloo") if accelerator.num_processes > 1 else None
        self._turn: tuple[Any, torch.Tensor] | None = None
        self._agreed = False

    def agreed(self) -> bool:
        """Whether any rank had received a stop signal by the previous call; the same on every rank."""
        if self._group is None:
            self._agreed = self._agreed or self.asked is not None
            self.save_due = self._time_to_save()
        elif not self._agreed:
            if self._turn is not None:
                work, flags = self._turn
                work.wait()
                stop, save = flags.tolist()
                # What was asked before a save is answered by it.
                self._agreed, self.save_due = bool(stop), bool(save) and not self._just_saved
                self._just_saved = False
            import torch

            flags = torch.tensor([int(self.asked is not None), int(self._time_to_save())])
            work = torch.distributed.all_reduce(
                flags, torch.distributed.ReduceOp.MAX, group=self._group, async_op=True
            )
            self._turn = work, flags
        return self._agreed

    def saved(self) -> None:
        """Note, on every rank, that all is saved: the clock begins again."""
        self._saved_at, self.save_due, self._just_saved = time.monotonic(), False, True

    def _time_to_save(self) -> bool:
        return self._save_every is not None and time.monotonic() - self._saved_at >= self._save_every

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Record signals in the block, instead of being killed by them."""
        before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                # A process that was asked to stop is about to exit.
                about_to_exit = self.asked is not None and handler is _end
                signal.signal(number, signal.SIG_IGN if about_to_exit else handler)

    def _note(self, number: int, frame: Any) -> None:
        # No logging here: the signal may arrive in the middle of a line.
        if self.asked == "SIGINT" and number in (signal.SIGINT, signal.SIGTERM):
            # torchrun forwards a second Ctrl-C as SIGTERM. The first may arrive twice within moments.
            if time.monotonic() - self._asked_at > _SAME_SECONDS:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
        elif self.asked is None:
            self.asked, self._asked_at = signal.Signals(number).name, time.monotonic()
