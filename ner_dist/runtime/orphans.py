"""End a rank whose launcher was killed, and which would otherwise train on or wait for others in vain.

A launcher that is killed forwards no signal, and SIGUSR1 kills torchrun and `accelerate launch`. Their ranks
notice within a second that they have another parent, save and end.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from ner_dist.runtime import signals

_GRACE = 40
"""Seconds that a rank has to save."""
_GRACE_BEFORE = 5
"""Seconds that a rank has to end while it has nothing to save."""
_LAUNCHERS = ("accelerate", "torchrun", "accelerate.commands.launch", "torch.distributed.run")


def end_with_launcher() -> None:
    """Watch the launcher from a thread; do nothing in a process that has none."""
    launcher = os.getppid()
    if _launched(launcher):
        threading.Thread(target=_watch, args=(launcher,), daemon=True).start()


def _launched(parent: int) -> bool:
    """Whether the parent is a launcher, or was one that is dead already."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return True
    # `accelerate launch` sets no variable of its own for a single process: these may be exported in a shell.
    if "ACCELERATE_MIXED_PRECISION" not in os.environ:
        return False
    match _words(parent):
        case [_, "-m", module, *_] | [_, module, *_]:
            return Path(module).name in _LAUNCHERS
    return False


def _words(process: int) -> list[str]:
    """The command line of a process; empty if it is not known, as without /proc."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []


def _watch(launcher: int) -> None:
    # The first process of a machine takes in orphans; that of a container may be the launcher itself.
    adopted = launcher == 1 and "python" not in [*_words(1), "python"][0]
    while os.getppid() == launcher and not adopted:
        time.sleep(1)
    grace = _GRACE if signals.can_save() else _GRACE_BEFORE
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)
    os.kill(os.getpid(), signal.SIGKILL)
