"""A span over a text as JSON, in the common spellings: `[3, 7, "LOC"]`, or an object with start and end."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ner_dist.data.documents import Span
from ner_dist.data.offsets import code_points
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.data.formats.form import JsonRows
    from ner_dist.data.offsets import Unit

_STARTS = ("start", "start_offset", "startOffset", "start_char", "char_start", "start_idx", "begin", "offset")
_ENDS = ("end", "end_offset", "endOffset", "end_char", "char_end", "end_idx", "stop")
_LENGTHS = ("length", "len")
_TYPES = (
    *("label", "labels", "entity_group", "entity_type", "entityType", "type", "entity", "tag", "category"),
    *("class", "name", "ner"),
)
_QUOTES = ("text", "word", "surface", "mention", "value", "span")
# Python refuses to read numbers of thousands of digits.
_DIGITS = 20
_UNITS: tuple[Unit, ...] = ("characters", "utf16", "bytes")


def is_span(item: Any) -> bool:
    """Whether a JSON value is one span over a text."""
    if isinstance(item, dict):
        return _number(item, _STARTS) is not None and (
            _number(item, _ENDS) is not None or _number(item, _LENGTHS) is not None
        )
    if not isinstance(item, list) or len(item) < 3:
        return False
    numbers = [type(part) is int for part in item[:3]]
    return numbers in ([True, True, False], [False, True, True]) or (
        # doccano's numbers for labels
        numbers == [True, True, True] and len(item) == 3
    )


def are_spans(items: Any) -> bool:
    """Whether a JSON value is a list of spans, which is not empty."""
    return isinstance(items, list) and bool(items) and all(map(is_span, items))


def spans_of(
    items: Iterable[Any], text: str, rows: JsonRows, number: int, *, quotes: bool = True
) -> tuple[Span, ...]:
    """The spans over a text; a span with several labels gives one for each.

    Args:
        items: spans in any of the spellings.
        text: what they point into.
        rows: the rows of the file; the recipe's `data.offsets` says what offsets count.
        number: the text's row, for messages.
        quotes: whether to check the text that an item quotes.

    Raises:
        UserError: an item is no span, lies outside the text, has no label, or quotes other text.
    """
    where = rows.place(number)
    point_of = code_points(text, rows.data.offsets)
    found = []
    for item in items:
        start, end, types, quote = _parts(item, where)
        first, last = point_of(start), point_of(end)
        fits = first is not None and last is not None and first <= last
        if not fits or (quotes and not _quotes(text[first:last], quote)):
            raise _misplaced(text, item, (start, end), quote, rows, where)
        assert first is not None and last is not None
        found += [Span(first, last, name) for name in types]
    return tuple(found)


def _parts(item: Any, where: str) -> tuple[int, int, list[str], str | None]:
    """Start, end, labels and quoted text of an item."""
    quote: Any = None
    if not is_span(item):
        fix = 'write [start, end, label] or {"start": 3, "end": 7, "label": "LOC"}'
        raise UserError(f"{item!r:.80} is not a span", where=where, fix=fix)
    if isinstance(item, list):
        start, end, label = item[:3] if type(item[0]) is int else (item[1], item[2], item[0])
    else:
        begins, ends, length = (_number(item, keys) for keys in (_STARTS, _ENDS, _LENGTHS))
        assert begins is not None
        start, end = begins, ends if ends is not None else begins + (length or 0)
        label = next((item[key] for key in _TYPES if item.get(key) not in (None, "", [])), None)
        quote = next((item[key] for key in _QUOTES if isinstance(item.get(key), str)), None)
    labels = label if isinstance(label, list) else [label]
    types = [str(name).strip() for name in labels if isinstance(name, str | int)]
    if not types or len(types) < len(labels) or not all(types):
        raise UserError(f"span {item!r:.80} has no label", where=where, fix="give it one, or remove it")
    return start, end, types, quote


def _number(item: dict[str, Any], keys: tuple[str, ...]) -> int | None:
    """The first of these keys that holds a whole number, which may be written as text."""
    for key in keys:
        value = item.get(key)
        if type(value) is int:
            return value
        if isinstance(value, str) and value.isdecimal() and len(value) < _DIGITS:
            return int(value)
        if isinstance(value, float) and value.is_integer():
            return int(value)
    return None


def _quotes(inside: str, quote: str | None) -> bool:
    """Whether a quote is the text of a span. Tools change blanks, letter case and what is no letter."""
    if quote is None or inside.split() == quote.split():
        return True
    # Without letters and digits, nothing would be left to compare.
    return _bare(inside) == _bare(quote) != ""


def _bare(text: str) -> str:
    return re.sub(r"\\n|[\W_]+", "", text).casefold()


def _misplaced(
    text: str, item: Any, ends: tuple[int, int], quote: str | None, rows: JsonRows, where: str
) -> UserError:
    """The error for a span outside its text, or with a quote of other text; names the unit that fits."""
    start, end = ends
    what = f"span {item!r:.80} is not within the text, which has {len(text)} characters"
    points = [code_points(text, rows.data.offsets)(at) for at in ends]
    if None not in points and start <= end:
        what = f"span {item!r:.80} quotes `{quote:.40}`, but the text has `{text[points[0] : points[1]]:.40}`"
    for unit in _UNITS if quote else ():
        point_of = code_points(text, unit)
        if _quotes(text[point_of(start) : point_of(end)], quote) and None not in map(point_of, ends):
            return UserError(what, where=where, fix=f"set data.offsets={unit}, by which it fits")
    if quote and text[start : end + 1] == quote:
        return UserError(what, where=where, fix="write ends exclusive, one higher")
    fix = "correct the span, or set data.offsets if the tool counts UTF-16 units or bytes"
    return UserError(what, where=where, fix=fix)
