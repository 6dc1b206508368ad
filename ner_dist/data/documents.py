"""Documents with entities as character spans, from annotation tools, and their rows of words and tags.

Readers of such formats (`data/formats/`) only parse: they return `Document`s. `rows_from_documents` cuts
every text into sentences and words, and turns spans into tags.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.data.corpus import Rows, rows_from_lists

if TYPE_CHECKING:
    from ner_dist.recipe import Data


@dataclass(frozen=True)
class Span:
    """An entity in a text."""

    start: int
    """Its first character, in code points from 0."""
    end: int
    """The character after its last."""
    type: str


@dataclass(frozen=True)
class Document:
    """A text with its entities, as one file, line or task of an annotation tool holds it."""

    text: str
    spans: tuple[Span, ...]
    """As annotated: they may overlap, and start or end within a word."""
    line: int
    """Line or row in the file, from 1, for messages."""
    words: tuple[tuple[int, int], ...] | None = None
    """Start and end of every word, if the tool has cut the text into words; else `data.words` decides."""
    sentences: tuple[int, ...] | None = None
    """Index into `words` of the first word of every sentence, if the tool has cut it into sentences."""
    id: str | None = None
    """What the tool calls the document; None for file and line."""


def rows_from_documents(
    documents: Sequence[Document], data: Data, *, file: str, place_prefix: str = ""
) -> Rows:
    """Cut documents into sentences of words with a tag each.

    Args:
        documents: in the order of the file.
        data: the rules for words, sentences and spans that do not fit them.
        file: its name in messages.
        place_prefix: what precedes `Document.line` in messages: empty for lines, `row ` for rows.
    """
    tokens: list[list[str]] = []
    tags: list[list[str]] = []
    lines: list[int] = []
    ids: list[str] = []
    chars: list[tuple[int, int]] = []
    for document in documents:
        words = document.words or tuple(match.span() for match in re.finditer(r"\S+", document.text))
        tokens.append([document.text[start:end] for start, end in words])
        tags.append([_tag(start, end, document.spans) for start, end in words])
        lines.append(document.line)
        ids.append(document.id or f"{file}:{place_prefix}{document.line}")
        chars.extend(words)
    rows = rows_from_lists(
        tokens, tags, file=file, line_numbers=lines, place_prefix=place_prefix, read=len(tokens)
    )
    rows.documents, rows.chars = ids, np.array(chars, dtype=np.int64).reshape(-1, 2)
    return rows


def _tag(start: int, end: int, spans: tuple[Span, ...]) -> str:
    for span in spans:
        if start < span.end and span.start < end:
            return f"{'B' if span.start >= start else 'I'}-{span.type}"
    return "O"
