"""Spans over the words of a text, and back: what tags can express, by rule, and a note of the rest."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.data.span_notes import SpanNotes
    from ner_dist.data.words import Range

Place = Callable[[int], str]
"""`file:line` of a character of a text."""
Misaligned = Literal["expand", "shrink", "error"]
"""What becomes of a span that begins or ends within a word."""
Overlapping = Literal["longest", "shortest", "error"]
"""Which of two overlapping spans is kept."""


@dataclass(frozen=True)
class Span:
    """An entity in a text."""

    start: int
    """Its first character, in code points from 0."""
    end: int
    """The character after its last."""
    type: str


@dataclass(frozen=True)
class WordSpan:
    """An entity over words, and the span that it is made of."""

    first: int
    """Index of its first word."""
    end: int
    """Index of the word after its last."""
    span: Span


@dataclass(frozen=True)
class SpanRules:
    """What becomes of spans that tags cannot express."""

    misaligned: Misaligned
    overlapping: Overlapping
    notes: SpanNotes


def word_spans(
    text: str, spans: Sequence[Span], words: Sequence[Range], rules: SpanRules, *, place: Place
) -> list[WordSpan]:
    """The spans of a text over its words, none overlapping another, in order.

    Args:
        text: the document's.
        spans: its entities, as annotated.
        words: start and end of its words, in order.
        rules: what becomes of spans off the words, or over each other.
        place: (character of the text) to `file:line`.

    Raises:
        UserError: a span is not within the text, or the rules refuse it.
    """
    starts, ends = [start for start, _ in words], [end for _, end in words]
    found: dict[WordSpan, None] = {}
    for span in spans:
        trimmed = _trimmed(text, span, rules, place)
        placed = trimmed and _over_words(text, trimmed, starts, ends, rules, place)
        if placed and placed in found:
            rules.notes.add("repeated", place(span.start), _shown(text, span))
        elif placed:
            found[placed] = None
    return _apart(text, list(found), rules, place)


def tags_of(spans: Sequence[WordSpan], words: int) -> list[str]:
    """IOB2 tags of a number of words from the spans over them."""
    tags = ["O"] * words
    for span in spans:
        tags[span.first] = f"B-{span.span.type}"
        for word in range(span.first + 1, span.end):
            tags[word] = f"I-{span.span.type}"
    return tags


def spans_of_tags(tags: Sequence[str | None], words: Sequence[Range]) -> list[Span]:
    """The spans that IOB2 tags mark; an I- that continues nothing begins one.

    Words without a label (None) are passed over, so that an entity may go on behind one.
    """
    spans: list[Span] = []
    before = "O"
    for tag, (start, end) in zip(tags, words, strict=True):
        if tag is None:
            continue
        if tag[:2] == "I-" and before[1:] == tag[1:]:
            spans[-1] = Span(spans[-1].start, end, spans[-1].type)
        elif tag != "O":
            spans.append(Span(start, end, tag[2:]))
        before = tag
    return spans


def _trimmed(text: str, span: Span, rules: SpanRules, place: Place) -> Span | None:
    """A span without blanks at its ends; None if nothing is left."""
    if not 0 <= span.start <= span.end <= len(text):
        what = f"span {span.start} to {span.end} ({span.type}) in a text of {len(text)} characters"
        fix = "correct it, or set data.offsets to utf16 or bytes if the tool counts those"
        raise UserError(what, where=place(span.start), fix=fix)
    inside = text[span.start : span.end]
    bare = inside.strip()
    if not bare:
        rules.notes.add("empty", place(span.start), f"{span.start} to {span.end} ({span.type})")
        return None
    if bare == inside:
        return span
    start = span.start + len(inside) - len(inside.lstrip())
    rules.notes.add("blanks", place(span.start), _shown(text, span))
    return Span(start, start + len(bare), span.type)


def _over_words(
    text: str, span: Span, starts: list[int], ends: list[int], rules: SpanRules, place: Place
) -> WordSpan | None:
    """The words of a span, by the rule for spans off the words; None if there are none."""
    first, end = bisect_right(ends, span.start), bisect_left(starts, span.end)
    if first < end and starts[first] == span.start and ends[end - 1] == span.end:
        return WordSpan(first, end, span)
    if rules.misaligned == "error":
        what = f"span {_shown(text, span)} begins or ends within a word"
        raise UserError(what, where=place(span.start), fix="correct it, or set data.misaligned or data.words")
    if rules.misaligned == "shrink":
        first, end = bisect_left(starts, span.start), bisect_right(ends, span.end)
    if first >= end:
        rules.notes.add("without_words", place(span.start), _shown(text, span))
        return None
    became = Span(starts[first], ends[end - 1], span.type)
    rules.notes.add(
        "misaligned", place(span.start), f"{_shown(text, span)} becomes `{_quoted(text, became)}`"
    )
    return WordSpan(first, end, became)


def _apart(text: str, spans: list[WordSpan], rules: SpanRules, place: Place) -> list[WordSpan]:
    """Spans without overlaps: by length, each that overlaps none kept before it; of equals, the first."""
    sign = 1 if rules.overlapping == "shortest" else -1
    kept: list[WordSpan] = []  # in the order of the text
    for span in sorted(spans, key=lambda span: sign * (span.span.end - span.span.start)):
        at = bisect_left(kept, span.first + 1, key=lambda other: other.end)
        if at == len(kept) or kept[at].first >= span.end:
            kept.insert(at, span)
            continue
        other = kept[at]
        pair = f"{span.span.type} {_how(span, other)} {other.span.type}"
        says = f"{_shown(text, span.span)} {_how(span, other)} {_shown(text, other.span)}"
        if rules.overlapping == "error":
            fix = "remove one, or set data.overlapping"
            raise UserError(f"overlapping spans: {says}", where=place(span.span.start), fix=fix)
        rules.notes.add("overlapping", place(span.span.start), says, pair=pair)
    return kept


def _how(span: WordSpan, other: WordSpan) -> str:
    if (span.first, span.end) == (other.first, other.end):
        return "on the words of"
    if other.first <= span.first and span.end <= other.end:
        return "in"
    return "around" if span.first <= other.first and other.end <= span.end else "across"


def _quoted(text: str, span: Span) -> str:
    inside = " ".join(text[span.start : span.end].split())
    return inside if len(inside) <= 40 else f"{inside[:39]}…"


def _shown(text: str, span: Span) -> str:
    return f"`{_quoted(text, span)}` ({span.type})"
