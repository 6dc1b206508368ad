"""Offsets in UTF-16 units and bytes point at the characters that Python counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ner_dist.data.offsets import code_points

ENCODED = {"utf16": ("utf-16-le", 2), "bytes": ("utf-8", 1)}


@given(st.text(max_size=40), st.sampled_from(sorted(ENCODED)))
def test_every_character_is_found(text, unit):
    encoding, size = ENCODED[unit]
    point_of = code_points(text, unit)
    starts = [len(text[:i].encode(encoding)) // size for i in range(len(text) + 1)]
    assert [point_of(start) for start in starts] == list(range(len(text) + 1))
    within = set(range(-2, starts[-1] + 3)) - set(starts)
    assert {point_of(offset) for offset in within} <= {None}


@given(st.text(max_size=40), st.integers(-3, 50))
def test_characters_are_themselves(text, offset):
    assert code_points(text, "characters")(offset) == (offset if 0 <= offset <= len(text) else None)
