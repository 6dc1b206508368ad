"""Offsets into a text that count UTF-16 units or bytes of UTF-8, as code points."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Literal

Unit = Literal["characters", "utf16", "bytes"]


def code_points(text: str, unit: Unit) -> Callable[[int], int | None]:
    """A function from an offset in a unit to code points; None for one that is within a character or outside.

    Args:
        text: the text that offsets point into.
        unit: what they count.
    """
    if unit == "characters" or text.isascii() or (unit == "utf16" and max(text) < "\U00010000"):
        return lambda offset: offset if 0 <= offset <= len(text) else None
    # A lone surrogate is one unit, and takes three bytes where it is written at all.
    size = _utf16_units if unit == "utf16" else _utf8_bytes
    points = {at: point for point, at in enumerate(accumulate(map(size, text), initial=0))}
    return points.get


def _utf16_units(character: str) -> int:
    return 2 if character >= "\U00010000" else 1


def _utf8_bytes(character: str) -> int:
    return len(character.encode("utf-8", "surrogatepass"))
