"""The exact longest common subsequence of two long sequences, computed on whole rows of bits.

Row i of the table of lengths, for the first i elements of `a`, is one integer V: bit j is 0 if the length
grows from b[:j] to b[:j + 1]. With M the bits at which `b` equals the next element of `a`, the next row is

    V' = (V + (V & M)) | (V - (V & M))

Source: H. Hyyrö, Bit-parallel LCS-length computation revisited (AWOCA 2004). The pairs are found by walking
back through the stored rows, as in RapidFuzz. A row of 30,000 columns is one Python integer, so 30,000 rows
take about a second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)

KEPT_BITS = 1 << 31
"""Rows x columns that are stored at once (256 MiB). Larger problems are halved first: D. S. Hirschberg, A
linear space algorithm for computing maximal common subsequences (CACM 18, 1975)."""


def common_subsequence(a: Sequence[Key], b: Sequence[Key], *, kept: int = KEPT_BITS) -> list[tuple[int, int]]:
    """Index pairs (i, j) with `a[i] == b[j]`, both increasing, as many as possible.

    The longest common subsequence need not be unique: of equal neighbours, any may be left out.

    Args:
        a: one sequence.
        b: the other.
        kept: bits of memory to use; see `KEPT_BITS`.
    """
    head = 0
    while head < min(len(a), len(b)) and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < min(len(a), len(b)) - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    middle = _pairs(a[head : len(a) - tail], b[head : len(b) - tail], kept)
    ends = [(len(a) - tail + i, len(b) - tail + i) for i in range(tail)]
    return [(i, i) for i in range(head)] + [(i + head, j + head) for i, j in middle] + ends


def _pairs(a: Sequence[Key], b: Sequence[Key], kept: int) -> list[tuple[int, int]]:
    if len(a) * len(b) <= kept or len(a) < 2:
        return _way_back(list(_steps(a, b)), len(b))
    half = len(a) // 2
    above, below = _lengths(a[:half], b), _lengths(a[half:][::-1], b[::-1])
    cut = max(range(len(b) + 1), key=lambda j: above[j] + below[len(b) - j])
    rest = _pairs(a[half:], b[cut:], kept)
    return _pairs(a[:half], b[:cut], kept) + [(i + half, j + cut) for i, j in rest]


def _steps(a: Sequence[Key], b: Sequence[Key]) -> Iterator[int]:
    """For each prefix of `a` an integer whose bit j is 0 where the length grows from b[:j] to b[:j + 1]."""
    places: dict[Key, list[int]] = {}
    for j, key in enumerate(b):
        places.setdefault(key, []).append(j)

    @lru_cache(maxsize=4096)  # the bits of all keys would take as much memory as the stored rows
    def equal(key: Key) -> int:
        bits = bytearray(len(b) // 8 + 1)
        for j in places.get(key, ()):
            bits[j >> 3] |= 1 << (j & 7)
        return int.from_bytes(bits, "little")

    every = (1 << len(b)) - 1
    row = every
    for key in a:
        shared = row & equal(key)
        row = ((row + shared) | (row - shared)) & every
        yield row


def _way_back(rows: list[int], columns: int) -> list[tuple[int, int]]:
    pairs = []
    i, j = len(rows), columns
    while i and j:
        if rows[i - 1] >> (j - 1) & 1:
            j -= 1
        elif i > 1 and not rows[i - 2] >> (j - 1) & 1:
            i -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs[::-1]


def _lengths(a: Sequence[Key], b: Sequence[Key]) -> list[int]:
    """Length of the longest common subsequence of `a` with each prefix of `b`."""
    row = deque(_steps(a, b), maxlen=1).pop()
    lengths = [0]
    for bit in reversed(f"{row:0{len(b)}b}" if b else ""):
        lengths.append(lengths[-1] + (bit == "0"))
    return lengths
