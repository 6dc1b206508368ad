"""Documents with entities as character spans, from annotation tools, and their rows of words and tags.

Readers of such formats (`data/formats/`) only parse: they return `Document`s. `rows_from_documents` cuts
every text into sentences and words, and turns spans into tags.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from operator import itemgetter
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.data.corpus import Rows, rows_from_lists
from ner_dist.data.span_notes import SpanNotes
from ner_dist.data.span_tags import Span, SpanRules, WordSpan, spans_of_tags, tags_of, word_spans
from ner_dist.data.words import TextRule
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.recipe_data import Data

__all__ = ["Document", "Span", "rows_from_documents"]


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
    line_starts: tuple[tuple[int, int], ...] | None = None
    """First character and number of the lines that the text comes from; None if all is at `line`."""

    unlabelled: Collection[int] = ()
    """Index into `words` of the words that nobody has labelled, as far as no span covers them."""

    @classmethod
    def from_words(
        cls,
        sentences: Sequence[Sequence[str]],
        spans: Iterable[Span],
        *,
        line: int,
        id: str | None = None,
        lines: Sequence[int] | None = None,
        unlabelled: Collection[int] = (),
    ) -> Document:
        """A document without a text: words are joined by blanks, sentences by line ends.

        Args:
            sentences: their words.
            spans: over words, as if a word were a character: the first word, and the one after the last.
            line: as in the class.
            id: as in the class.
            lines: line of every word in the file, if each has its own.
            unlabelled: as in the class.
        """
        ranges, at = list[tuple[int, int]](), 0
        for sentence in sentences:
            for word in sentence:
                ranges.append((at, at + len(word)))
                at += len(word) + 1
        starts = [start for start, _ in ranges]
        return cls(
            text="\n".join(" ".join(sentence) for sentence in sentences if sentence),
            spans=tuple(Span(ranges[each.start][0], ranges[each.end - 1][1], each.type) for each in spans),
            line=line,
            words=tuple(ranges),
            sentences=first_words(sentences),
            id=id,
            line_starts=None if lines is None else tuple(zip(starts, lines, strict=True)),
            unlabelled=unlabelled,
        )

    @classmethod
    def from_tags(cls, words: Sequence[str], tags: Sequence[str | None], *, line: int) -> Document:
        """A sentence of words with IOB2 tags, None for a word without a label."""
        spans = spans_of_tags(tags, [(word, word + 1) for word in range(len(words))])
        silent = frozenset(word for word, tag in enumerate(tags) if tag is None)
        return cls.from_words([words], spans, line=line, unlabelled=silent)

    def line_at(self, character: int) -> int:
        """The line of the file that a character is in, for messages."""
        starts = self.line_starts or ()
        at = bisect_right(starts, character, key=itemgetter(0)) - 1
        return starts[at][1] if at >= 0 else self.line


def first_words(sentences: Sequence[Sequence[object]]) -> tuple[int, ...]:
    """Index of the first word of every sentence that has words."""
    firsts = accumulate(map(len, sentences), initial=0)
    return tuple(first for first, sentence in zip(firsts, sentences, strict=False) if sentence)


def rows_from_documents(
    documents: Sequence[Document], data: Data, *, file: str, place_prefix: str = ""
) -> Rows:
    """Cut documents into sentences of words with a tag each.

    Args:
        documents: in the order of the file.
        data: the rules for words, sentences and spans that do not fit them.
        file: its name in messages.
        place_prefix: what precedes `Document.line` in messages: empty for lines, `row ` for rows.

    Raises:
        UserError: a span is not within its text, or a rule refuses it.
    """
    tokens: list[list[str]] = []
    tags: list[list[str | None]] = []
    lines: list[int] = []
    ids: list[str] = []
    chars: list[tuple[int, int]] = []
    for cut in over_words(documents, data, file=file, place_prefix=place_prefix):
        text, all_tags = cut.document.text, cut.tags()
        for first, end in pairwise([*cut.firsts, len(cut.words)]):
            tokens.append([text[start:stop] for start, stop in cut.words[first:end]])
            tags.append(all_tags[first:end])
            lines.append(cut.document.line_at(cut.words[first][0]))
            # Not the path: predictions are the same wherever the data lies.
            ids.append(cut.document.id or f"{PurePath(file).name}:{place_prefix}{cut.document.line}")
        chars.extend(cut.words)
    rows = rows_from_lists(
        tokens, tags, file=file, line_numbers=lines, place_prefix=place_prefix, read=len(tokens)
    )
    rows.documents, rows.chars = ids, np.array(chars, dtype=np.int64).reshape(-1, 2)
    return rows


@dataclass(frozen=True)
class CutDocument:
    """A document in words and sentences."""

    document: Document
    words: Sequence[tuple[int, int]]
    """Start and end of every word in the text."""
    firsts: Sequence[int]
    """Index of the first word of every sentence."""
    spans: Sequence[WordSpan]
    """Its entities over words: none overlaps another or the end of a sentence."""

    def tags(self) -> list[str | None]:
        """The IOB2 tag of every word; None for those that nobody has labelled."""
        tags: list[str | None] = [*tags_of(self.spans, len(self.words))]
        for word in self.document.unlabelled:
            tags[word] = None if tags[word] == "O" else tags[word]
        return tags


def over_words(
    documents: Sequence[Document], data: Data, *, file: str, place_prefix: str = ""
) -> Iterator[CutDocument]:
    """Cut documents into words and sentences, and fit their spans to them; then log what did not fit.

    The arguments are those of `rows_from_documents`.
    """
    rule, notes = TextRule(data.words, data.sentences), SpanNotes(file)
    rules = SpanRules(data.misaligned, data.overlapping, notes)
    for document in documents:
        place = partial(_place, document, f"{file}:{place_prefix}")
        words, firsts = _cut(document, rule)
        if not words:
            notes.add("blank", place(0), "a text without words")
        spans = word_spans(document.text, document.spans, words, rules, place=place)
        yield CutDocument(document, words, _outside(firsts, spans, document, notes, place), spans)
    notes.log()


def _place(document: Document, prefix: str, character: int) -> str:
    return f"{prefix}{document.line_at(character)}"


def _cut(document: Document, rule: TextRule) -> tuple[Sequence[tuple[int, int]], list[int]]:
    """Words of a document, and the first word of every sentence: the tool's own, else by the rule."""
    words = document.words if document.words is not None else rule.word_ranges(document.text)
    if not words:
        return words, []
    if document.sentences is not None:
        return words, list(document.sentences)
    return words, rule.first_words(document.text, list(words))


def _outside(
    firsts: list[int],
    spans: list[WordSpan],
    document: Document,
    notes: SpanNotes,
    place: Callable[[int], str],
) -> list[int]:
    """The first words of sentences, without those that would cut an entity in two."""
    inside = {word: span for span in spans for word in range(span.first + 1, span.end)}
    for first in firsts:
        if first in inside:
            span = inside[first].span
            quoted = " ".join(document.text[span.start : span.end].split())
            notes.add("sentences", place(span.start), f"`{quoted}` ({span.type})")
    return [first for first in firsts if first not in inside]


def check_words(document: Document, *, place: str) -> None:
    """Check that the words of a tool are in order and within the text.

    Raises:
        UserError: they are not.
    """
    at = 0
    for start, end in document.words or ():
        if not at <= start < end <= len(document.text):
            what = f"word {start} to {end} is not after the word before it and within the text"
            raise UserError(what, where=place, fix="correct the words, or remove them from the file")
        at = end
