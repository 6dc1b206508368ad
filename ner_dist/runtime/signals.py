"""Stopping between two steps when a signal asks for it, on all ranks after the same step.

SIGTERM, SIGUSR1 (a scheduler's warning) and SIGINT (Ctrl-C) set a flag. At every step, and at every forward
pass of an evaluation, the ranks exchange their flags; the answer is read one turn later, so nobody waits.
Ctrl-C once more ends the process at once.
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
"""Exit code of a run that stopped because it was asked to: start it again, and it goes on (EX_TEMPFAIL).

Whoever asks and knows can have another, such as 0: launchers take all others for crashes, with a traceback.
"""

_SAME_SECONDS = 1.0
_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


def exit_on_signals() -> None:
    """Before training there is nothing to save: end at once, with the code that asks for another start."""

    def end(number: int, frame: Any) -> None:
        raise SystemExit(EXIT_RESUME)

    for number in _SIGNALS:
        signal.signal(number, end)


class Stopped(Exception):
    """Training stopped where it can go on."""


class PreemptionFlag:
    """Whether any rank was asked to stop. All ranks call `agreed` equally often."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.asked: str | None = None
        self._asked_at = 0.0
        import torch

        # A group of its own that talks over the host: agreeing must not wait for the GPU.
        self._group = torch.distributed.new_group(backend="gloo") if accelerator.num_processes > 1 else None
        self._turn: tuple[Any, torch.Tensor] | None = None
        self._agreed = False

    def agreed(self) -> bool:
        """The ranks' common answer: yes once any had been asked by the time of the call before this one."""
        if self._group is None:
            self._agreed = self._agreed or self.asked is not None
        elif not self._agreed:
            if self._turn is not None:
                work, flag = self._turn
                work.wait()
                self._agreed = bool(flag.item())
            import torch

            flag = torch.tensor(int(self.asked is not None))
            work = torch.distributed.all_reduce(
                flag, torch.distributed.ReduceOp.MAX, group=self._group, async_op=True
            )
            self._turn = work, flag
        return self._agreed

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Note signals instead of dying of them while the block runs."""
        before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: Any) -> None:
        # Nothing is logged here: the signal may have come in the middle of a line.
        if self.asked == "SIGINT" and number in (signal.SIGINT, signal.SIGTERM):
            # torchrun hands a second Ctrl-C on as SIGTERM. The same one may come twice within moments.
            if time.monotonic() - self._asked_at > _SAME_SECONDS:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
        elif self.asked is None:
            self.asked, self._asked_at = signal.Signals(number).name, time.monotonic()
