"""The longest common subsequence: as long as the textbook's, and a subsequence of both."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from ner_dist.comparison.lcs import KEPT_BITS, common_subsequence

few_letters = st.text("abc", max_size=25)


def textbook_length(a, b):
    row = [0] * (len(b) + 1)
    for x in a:
        above, row = row, [0]
        for j, y in enumerate(b):
            row.append(above[j] + 1 if x == y else max(above[j + 1], row[j]))
    return row[-1]


@given(a=few_letters, b=few_letters, kept=st.sampled_from([0, 1, 20, KEPT_BITS]))
def test_it_is_common_in_order_and_as_long_as_the_textbook_s(a, b, kept):
    pairs = common_subsequence(a, b, kept=kept)
    assert all(a[i] == b[j] for i, j in pairs)
    for side in range(2):
        places = [pair[side] for pair in pairs]
        assert places == sorted(set(places))
    assert len(pairs) == textbook_length(a, b)


def test_a_sequence_with_some_left_out_is_found_whole():
    a = [str(i % 977) for i in range(30_000)]
    kept = [i for i in range(30_000) if i % 10]
    start = time.perf_counter()
    pairs = common_subsequence(a, [a[i] for i in kept])
    assert time.perf_counter() - start < 30
    assert len(pairs) == len(kept)
