"""What became of spans that words and tags cannot express as they are: counted, with examples, and listed.

The log has a line for each kind, with its count and the first few; every one is a detail of the notes
(`notes.py`), so that nothing is lost.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from ner_dist.data.notes import detail

log = logging.getLogger(__name__)

Kind = Literal[
    "blanks", "empty", "repeated", "misaligned", "without_words", "overlapping", "sentences", "blank"
]
_SAYS: dict[Kind, tuple[int, str, str]] = {
    "blanks": (logging.INFO, "span begins or ends with blanks", "spans begin or end with blanks"),
    "empty": (logging.WARNING, "span holds no text and is left out", "spans hold no text and are left out"),
    "repeated": (logging.INFO, "span is given twice", "spans are given twice"),
    "misaligned": (
        logging.WARNING,
        "span begins or ends within a word (data.misaligned, data.words)",
        "spans begin or end within a word (data.misaligned, data.words)",
    ),
    "without_words": (
        logging.WARNING,
        "span holds no whole word and is left out (data.misaligned, data.words)",
        "spans hold no whole word and are left out (data.misaligned, data.words)",
    ),
    "overlapping": (
        logging.WARNING,
        "span overlaps another and is left out (data.overlapping)",
        "spans overlap others and are left out (data.overlapping)",
    ),
    "sentences": (
        logging.INFO,
        "end of a sentence is within a span and is ignored (data.sentences)",
        "ends of sentences are within spans and are ignored (data.sentences)",
    ),
    "blank": (logging.INFO, "text is blank and is left out", "texts are blank and are left out"),
}
_SHOWN = 3
"""Number of examples in the log."""


@dataclass
class SpanNotes:
    """The changes to the spans of one file."""

    file: str
    _counts: Counter[Kind] = field(default_factory=Counter)
    _examples: dict[Kind, list[str]] = field(default_factory=dict)
    _pairs: Counter[str] = field(default_factory=Counter)

    def add(self, kind: Kind, place: str, text: str, *, pair: str | None = None) -> None:
        """Count a change and list it.

        Args:
            kind: what is wrong with the span.
            place: `file:line` of its document.
            text: what it is and what became of it.
            pair: of an overlap, the types of both spans and how they overlap.
        """
        self._counts[kind] += 1
        if pair is not None:
            self._pairs[pair] += 1
        examples = self._examples.setdefault(kind, [])
        if len(examples) < _SHOWN:
            examples.append(f"{place.removeprefix(self.file + ':')} {text}")
        detail(f"{place}: {kind}: {text}")

    def log(self) -> None:
        """Log a line for each kind of change."""
        for kind, (level, one, many) in _SAYS.items():
            count = self._counts[kind]
            if not count:
                continue
            shown = "; ".join(self._examples[kind])
            if count > _SHOWN:
                shown += f"; and {count - _SHOWN} more"
            says = f"{self.file}: {count} {one if count == 1 else many}"
            if kind == "overlapping":
                says += f": {', '.join(f'{pair} {number}' for pair, number in self._pairs.most_common())}"
            log.log(level, "%s: at %s", says, shown)
