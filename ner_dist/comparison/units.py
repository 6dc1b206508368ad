"""Which sentences are copies of one: they are one piece of evidence, however often they stand in a file."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.comparison.alignment import gold_sequences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.comparison.predictions import Predictions

TELLING_WORDS, TELLING_ENTITY_WORDS = 20, 4
"""Gold tags of so many words, so many of them in entities, hardly ever belong to two different sentences."""
FEWEST_TELLING = 20
DOUBLED_SHARE = 0.9


def by_words(tokens: list[list[str]]) -> np.ndarray:
    """int64 [N]: the same number, from 0 in order of appearance, for sentences of equal words."""
    number: dict[tuple[str, ...], int] = {}
    return np.array([number.setdefault(tuple(words), len(number)) for words in tokens], dtype=np.int64)


def without_words(
    first: Predictions, flat: Sequence[np.ndarray], offsets: np.ndarray
) -> tuple[np.ndarray, str]:
    """Units of sentences whose words are not known, and what was found, as a plain sentence.

    If the file is seen to hold its sentences twice, sentences that are equal in every tag are paired off.
    Which of several equal ones are the copies does not matter: pairs of equal counts resample alike.

    Args:
        first: the sentences with all their gold tags, [N].
        flat: int [W] each: the gold and every predicted tag on the shared types.
        offsets: int64 [N+1]: of `flat`.
    """
    twice, telling = _doubled(first)
    if telling < FEWEST_TELLING or twice < DOUBLED_SHARE * telling:
        return np.arange(len(first)), (
            "The words are not known, so every sentence counts as distinct; were some copies, the intervals "
            "would be too narrow."
        )
    units = np.empty(len(first), dtype=np.int64)
    single: dict[bytes, int] = {}
    number = 0
    rows = np.stack(flat, axis=1)
    for sentence, (start, end) in enumerate(pairwise(offsets.tolist())):
        key = rows[start:end].tobytes()
        if key in single:
            units[sentence] = single.pop(key)
        else:
            units[sentence] = single[key] = number
            number += 1
    return units, (
        f"Of {telling:,} distinct long gold sequences {twice:,} occur exactly twice, so the file holds its "
        f"sentences twice. Those that are equal in every tag were paired as copies: {len(first):,} "
        f"sentences, {number:,} distinct."
    )


def _doubled(file: Predictions) -> tuple[int, int]:
    """How many distinct telling gold sequences occur exactly twice, and how many there are."""
    is_entity = np.concatenate([[0], np.cumsum(file.gold != file.labels.label2id["O"])])
    entity_words = np.diff(is_entity[file.offsets])
    telling = (np.diff(file.offsets) >= TELLING_WORDS) & (entity_words >= TELLING_ENTITY_WORDS)
    sequences = gold_sequences(file, file.labels)
    counts = Counter(sequences[i] for i in np.flatnonzero(telling))
    return sum(count == 2 for count in counts.values()), len(counts)
