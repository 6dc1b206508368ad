"""Pad the subwords of some examples to a rectangle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ner_dist.data.encoding import Encoded


@dataclass(frozen=True)
class Padded:
    """The examples of one forward pass, padded on the right."""

    input_ids: np.ndarray
    """int64 [examples, longest]"""
    filled: np.ndarray
    """bool [examples, longest]: what is not padding."""
    positions: np.ndarray
    """int64 [n]: index of the first subword of each owned word in the flattened [examples * longest]."""
    words: np.ndarray
    """int32 [n]: index of the word in its split."""


def pad(encoded: Encoded, examples: np.ndarray, *, pad_id: int) -> Padded:
    """Pad examples to the longest of them.

    Args:
        encoded: the split's subwords.
        examples: ids of the examples, int [examples], at least one.
        pad_id: subword id for padding.
    """
    starts = encoded.example_offsets[examples]
    lengths = encoded.example_offsets[examples + 1] - starts
    longest = int(lengths.max())
    filled = np.arange(longest) < lengths[:, None]
    row_starts = np.cumsum(lengths) - lengths
    source = np.repeat(starts - row_starts, lengths) + np.arange(int(lengths.sum()))

    input_ids = np.full(filled.shape, pad_id, dtype=np.int64)
    input_ids[filled] = encoded.input_ids[source]
    words = encoded.word_index[source]
    owned = words >= 0
    return Padded(input_ids, filled, positions=np.flatnonzero(filled)[owned], words=words[owned])
