"""Show progress bars below the log lines, on rank 0 and only if standard error is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ner_dist.runtime.ranks import is_main_process

if TYPE_CHECKING:
    from rich.progress import Progress

_shown: Progress | None = None


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar in the block; yields a function to call with the number done so far.

    Args:
        what: short name of the work.
        total: number at which the work is complete.
    """
    if not (is_main_process() and sys.stderr.isatty()):
        yield lambda done: None
        return
    with _bars() as bars:
        task = bars.add_task(what, total=total)
        try:
            yield lambda done: bars.update(task, completed=done)
        finally:
            bars.remove_task(task)


@contextmanager
def _bars() -> Iterator[Progress]:
    """The only display of the terminal; nested work adds a bar to it."""
    global _shown
    if _shown is not None:
        yield _shown
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as _shown:
        try:
            yield _shown
        finally:
            _shown = None
