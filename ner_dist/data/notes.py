"""Record the log of data preparation with the data, and repeat it whenever the data is used.

Code that reads or converts data logs what it dropped, converted or guessed with a logger below
`ner_dist.data`, or with the tokenizer's. Such lines are repeated at every later start without further effort.
A line for each of many cases, of which the log shows the count and the first few, is a `detail`: it is kept
in a file beside the prepared data.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Notes = list[tuple[str, str]]
"""(`info`, `warning` or `debug`, text) of every line, in order; `debug` are the details."""

_LOGGERS = ("ner_dist.data", "ner_dist.model.tokenizer")
_PROGRESS = "ner_dist.data.prepare"
"""Logger whose lines apply to one start only."""
_DETAILS = logging.getLogger("ner_dist.data.details")


def detail(text: str) -> None:
    """Keep a line that the log need not show: one of many cases, or all that a summary leaves out."""
    _DETAILS.debug("%s", text)


class _Recording(logging.Handler):
    """Keep every line, and pass on those that would be shown without this handler."""

    def __init__(self, logger: logging.Logger, notes: Notes) -> None:
        super().__init__()
        self.logger, self.notes, self.shown_from = logger, notes, logger.getEffectiveLevel()

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != _PROGRESS:
            self.notes.append((record.levelname.lower(), record.getMessage()))
        if record.levelno >= self.shown_from and self.logger.parent is not None:
            self.logger.parent.callHandlers(record)


@contextmanager
def recorded() -> Iterator[Notes]:
    """Record the log of preparation in the block, also on ranks that show no log."""
    notes: Notes = []
    with ExitStack() as stack:
        for name in _LOGGERS:
            stack.enter_context(_recording(logging.getLogger(name), notes))
        stack.enter_context(_recording(_DETAILS, notes, level=logging.DEBUG))
        yield notes


@contextmanager
def _recording(logger: logging.Logger, notes: Notes, *, level: int = logging.INFO) -> Iterator[None]:
    handler = _Recording(logger, notes)
    before, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        logger.propagate = propagate


def without_details(notes: Notes) -> tuple[Notes, list[str]]:
    """The lines to repeat, and the details."""
    return [note for note in notes if note[0] != "debug"], [text for level, text in notes if level == "debug"]


def say_again(notes: Notes, *, log: logging.Logger) -> None:
    """Log recorded lines again at their levels."""
    for level, text in notes:
        log.log(logging.WARNING if level == "warning" else logging.INFO, "%s", text)
