"""Rows of words with spans over words: GLiNER, DyGIE, SpERT and their like.

{"tokenized_text": ["In", "Bern"], "ner": [[1, 1, "LOC"]]}               last word inclusive
{"sentences": [["In", "Bern"]], "ner": [[[1, 1, "LOC"]]]}                last word inclusive, by document
{"tokens": ["In", "Bern"], "entities": [{"start": 1, "end": 2, "type": "LOC"}]}    end exclusive
{"tokens": ["In", "Bern"], "entities": [[1, 2, "LOC"]]}                  either: the spans of the file tell
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import chain, pairwise
from typing import Any

from ner_dist.data.documents import Document, Span
from ner_dist.data.formats.form import Content, JsonFormat, JsonRows
from ner_dist.data.formats.span_items import is_span, spans_of
from ner_dist.data.formats.text_spans import SPAN_KEYS, id_of, text_in
from ner_dist.errors import UserError

log = logging.getLogger(__name__)

_WORDS = ("tokens", "words", "sentences", "tokenized_text")


def _is_gliner(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("tokenized_text"), list) and "ner" in row


def _read_gliner(rows: JsonRows) -> Content:
    documents = []
    for number, row in rows:
        if not _is_gliner(row):
            what = f"{row!r:.60} has no `tokenized_text` and `ner`"
            raise UserError(what, where=rows.place(number))
        items = rows.items(row, "ner", number)
        documents.append(_document([row["tokenized_text"]], items, rows, number, inclusive=True))
    return rows.documents(documents)


def _span_key(row: Any) -> str | None:
    """The key of spans over the words of a row."""
    keys = [key for key in SPAN_KEYS if isinstance(row.get(key), list)]
    return next((key for key in keys if is_span(_first(row[key]))), None)


def _word_key(row: Any) -> str | None:
    for key in _WORDS:
        if isinstance(row.get(key), list) and isinstance(_first(row[key]), str):
            return key
    return None


def _first(items: Any) -> Any:
    """The first span or word of a list, or of a list for each sentence."""
    while isinstance(items, list) and items and isinstance(items[0], list) and not is_span(items[0]):
        items = next((each for each in items if each), items[0])
    return items[0] if isinstance(items, list) and items else None


def _recognises(row: Any) -> bool:
    if not isinstance(row, dict) or text_in(row) is not None:  # spans of a row with a text count characters
        return False
    return _word_key(row) is not None and _span_key(row) is not None


def _read(rows: JsonRows) -> Content:
    """Spans as objects end before their `end`; of lists, the file tells; those of DyGIE end with it."""
    known = next(row for _, row in rows if _recognises(row))
    word_key, span_key = str(_word_key(known)), str(_span_key(known))
    inclusive, why = False, ""
    if isinstance(_first(known[span_key]), list):
        inclusive, why = _inclusive(rows, word_key, span_key)
    documents = []
    for number, row in rows:
        words = row.get(word_key) if isinstance(row, dict) else None
        if not isinstance(words, list):
            raise UserError(f"{row!r:.60} has no words in '{word_key}'", where=rows.place(number))
        sentences = words if all(isinstance(each, list) for each in words) else [words]
        items = rows.items(row, span_key, number)
        if all(isinstance(each, list) and not is_span(each) for each in items):  # a list for each sentence
            items = list(chain.from_iterable(items))
        documents.append(_document(sentences, items, rows, number, inclusive=inclusive, name=id_of(row)))
    says = "%s: read as words in '%s' with spans in '%s', whose last number is %s"
    end = "the last word" if inclusive else "the word after the last"
    log.log(
        logging.WARNING if why == _UNDECIDED else logging.INFO, says, rows.file, word_key, span_key, end + why
    )
    return rows.documents(documents)


_UNDECIDED = ", since no span tells; if it is the word after the last, write spans as objects with an `end`"


def _inclusive(rows: JsonRows, word_key: str, span_key: str) -> tuple[bool, str]:
    """Whether the last number of spans that are lists is their last word; and why, for the log."""
    found = [
        (number, _length(words), _bounds(row.get(span_key)))
        for number, row in rows
        if isinstance(row, dict) and isinstance(words := row.get(word_key), list)
    ]
    if word_key == "sentences":  # DyGIE's
        return True, ""
    for number, _, bounds in found:
        if any(start == end for start, end in bounds):
            return True, f", since {rows.place(number)} has a span whose two numbers are equal"
    for number, length, bounds in found:
        if any(end == length for _, end in bounds):
            return False, f", since {rows.place(number)} has a span that ends with the number of words"
    pairs = [pair for _, _, bounds in found for pair in pairwise(sorted(bounds))]
    touching = sum(before[1] == after[0] for before, after in pairs)
    if touching and touching * _MANY >= len(pairs):
        return (
            False,
            f", since {touching} of {len(pairs)} spans would else overlap the next one by a word",
        )
    return True, _UNDECIDED


_MANY = 20
"""Spans rarely overlap by one word; if one in so many does, their ends are exclusive."""


def _length(words: list[Any]) -> int:
    return sum(len(each) if isinstance(each, list) else 1 for each in words)


def _bounds(items: Any) -> list[tuple[int, int]]:
    """The two numbers of each span that is a list."""
    if not isinstance(items, list):
        return []
    if items and all(isinstance(each, list) and not is_span(each) for each in items):
        items = list(chain.from_iterable(items))
    spans: Iterable[list[Any]] = (each for each in items if isinstance(each, list) and is_span(each))
    numbers = ([part for part in span[:3] if type(part) is int] for span in spans)
    return [(start, end) for start, end, *_ in numbers]


def _document(
    sentences: list[Any],
    items: list[Any],
    rows: JsonRows,
    number: int,
    *,
    inclusive: bool,
    name: str | None = None,
) -> Document:
    """A document of words, with spans over them."""
    where = rows.place(number)
    flat = list(chain.from_iterable(sentences))
    if not all(isinstance(word, str) and word.strip() for word in flat):
        wrong = next(word for word in flat if not isinstance(word, str) or not word.strip())
        raise UserError(f"{wrong!r:.60} is not a word", where=where, fix="write words as text")
    spans = []
    # The words stand in for the characters of a text, so that all spellings of a span are read.
    for span in spans_of(items, "." * (len(flat) + 1), rows, number, quotes=False):
        last = span.end if inclusive else span.end - 1
        if not span.start <= last < len(flat):
            what = f"span {span.start} to {span.end} ({span.type}) is not within the {len(flat)} words"
            raise UserError(what, where=where, fix="correct it")
        spans.append(Span(span.start, last + 1, span.type))
    return Document.from_words(sentences, spans, line=number, id=name)


GLINER = JsonFormat("a GLiNER file", _is_gliner, _read_gliner)
WORD_SPANS = JsonFormat("a file of spans over words", _recognises, _read)
