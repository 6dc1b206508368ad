"""Work on long arrays block by block: numpy widens an index to eight bytes, which is too much for all words.

What is computed of each sentence alone is the same for any cut between sentences.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK = 1 << 20
"""Items at a time."""


def blocks_of(total: int) -> Iterator[slice]:
    """Cut `total` items into blocks."""
    for start in range(0, total, BLOCK):
        yield slice(start, min(total, start + BLOCK))


def sentence_blocks(offsets: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Cut sentences into blocks of about `BLOCK` words.

    Args:
        offsets: int64 [N+1]; sentence i holds the words offsets[i]:offsets[i + 1].

    Yields:
        The sentences of a block, and their words.
    """
    first, last = 0, len(offsets) - 1
    while first < last:
        behind = int(np.searchsorted(offsets, offsets[first] + BLOCK, side="right")) - 1
        behind = min(last, max(first + 1, behind))
        yield slice(first, behind), slice(int(offsets[first]), int(offsets[behind]))
        first = behind


def taken(table: np.ndarray, index: np.ndarray) -> np.ndarray:
    """`table[index]` for one long index; negative ones count from the end."""
    if len(index) <= BLOCK:
        result: np.ndarray = table[index]
        return result
    found = np.empty(len(index), dtype=table.dtype)
    for block in blocks_of(len(index)):
        found[block] = table[index[block]]
    return found


def occurrences(codes: np.ndarray, number: int) -> np.ndarray:
    """How often each of the codes 0 to `number` - 1 occurs, int64 [number]; negative ones are passed over."""
    counts = np.zeros(number, dtype=np.int64)
    for block in blocks_of(len(codes)):
        part = codes[block]
        counts += np.bincount(part[part >= 0], minlength=number)
    return counts
