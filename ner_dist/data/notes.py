"""Record the log of data preparation with the data, and repeat it whenever the data is used.

Code that reads or converts data logs what it dropped, converted or guessed with a logger below
`ner_dist.data`, or with the tokenizer's. Such lines are repeated at every later start without further effort.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Notes = list[tuple[str, str]]
"""(`info` or `warning`, text) of every line, in order."""

_LOGGERS = ("ner_dist.data", "ner_dist.model.tokenizer")
_PROGRESS = "ner_dist.data.prepare"
"""Logger whose lines apply to one start only."""


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
        yield notes


@contextmanager
def _recording(logger: logging.Logger, notes: Notes) -> Iterator[None]:
    handler = _Recording(logger, notes)
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


def say_again(notes: Notes, *, log: logging.Logger) -> None:
    """Log recorded lines again at their levels."""
    for level, text in notes:
        log.log(logging.WARNING if level == "warning" else logging.INFO, "%s", text)
