"""What was said while data was prepared, kept with it and said again whenever it is used.

Whoever reads or converts data logs what it dropped, converted or guessed as ever, with a logger below
`ner_dist.data`, or the tokenizer's; nothing else is needed for the line to come again at every later start.
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
"""What this logger says is true of one start alone."""


class _Recording(logging.Handler):
    """Keeps every line, and passes on those that would have been shown without it."""

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
    """What the loggers of preparation say while the block runs, on a rank that shows no log, too."""
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
    """Log the lines at the levels they had."""
    for level, text in notes:
        log.log(logging.WARNING if level == "warning" else logging.INFO, "%s", text)
