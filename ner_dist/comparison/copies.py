"""Find the copies of a sentence, which are drawn together: by their words, else by where they are.

A file may hold its test set several times over. Copies say nothing new, so intervals that take them for new
sentences are too narrow. If the words are unknown, two signs tell:

- **Position.** The gold tags of the file repeat after N sentences, or each of them occurs k times in a row.
- **Long gold sequences**, which hardly ever belong to two different sentences, occur k times nearly all.

Without either, nothing is known about copies, and the result says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.comparison.alignment import gold_sequences
from ner_dist.data.duplicates import sentence_key
from ner_dist.labels import OUTSIDE

if TYPE_CHECKING:
    from ner_dist.comparison.predictions import Predictions

MOST_COPIES = 20
"""Largest number of copies of each sentence that is looked for."""
FEWEST_DISTINCT = 10
"""Least number of distinct gold sequences with entities from which positions tell."""
TELLING_WORDS, TELLING_ENTITY_WORDS = 20, 4
"""Least numbers of words, and of words in entities, with which a gold sequence hardly ever belongs to two
different sentences."""
FEWEST_TELLING = 20
"""Least number of such gold sequences from which it is decided whether a file holds its sentences several
times."""
COPIED_SHARE = 0.9
"""Least share of them that has to occur equally often."""


@dataclass(frozen=True)
class Copies:
    """Which sentences are copies of each other."""

    unit: np.ndarray
    """int64 [N]: the number of the distinct sentence, from 0 in order of appearance."""
    note: str | None = None
    """How copies were found without words, as a sentence."""
    unknown: bool = False
    """Whether nothing is known: each sentence then counts as distinct."""


def by_words(tokens: list[list[str]]) -> Copies:
    """Sentences of the same words are copies."""
    number: dict[str, int] = {}
    unit = [number.setdefault(key, len(number)) for key in map(sentence_key, tokens)]
    return Copies(np.array(unit, np.int64))


def without_words(first: Predictions, flat: Sequence[np.ndarray], offsets: np.ndarray) -> Copies:
    """Find copies by their positions, or by their tags.

    If the long gold sequences tell that the file holds its sentences k times, those with equal gold and
    predicted tags are copies, k of them each. Which of several equal ones belong together does not matter:
    groups of equal counts resample alike.

    Args:
        first: the sentences with all their gold tags, [N].
        flat: int [W] each: the gold tags and the predicted tags of every run, on the shared types.
        offsets: int64 [N+1]: of `flat`.
    """
    gold = gold_sequences(first, first.labels)
    outside = np.int16(first.labels.label2id[OUTSIDE])
    with_entity = [bool((np.frombuffer(key, np.int16) != outside).any()) for key in gold]
    for copies in range(MOST_COPIES, 1, -1):
        if (unit := _by_position(gold, with_entity, copies)) is not None:
            number = len(gold) // copies
            return Copies(
                unit,
                f"The gold tags of the file are those of {number:,} sentences, {copies} times over: these "
                "were taken for copies.",
            )
    found, telling = _copied(first, gold)
    if found is None:
        return Copies(
            np.arange(len(gold)),
            "The words are not known, so every sentence counts as distinct; were some copies, the intervals "
            "would be too narrow.",
            unknown=True,
        )
    copies, number = found
    unit = _by_tags(flat, offsets, copies)
    times = "twice" if copies == 2 else f"{copies} times"
    return Copies(
        unit,
        f"Of {telling:,} distinct long gold sequences {number:,} occur exactly {times}, so the file holds "
        f"its sentences {times}. Those that are equal in every tag were taken for copies: {len(gold):,} "
        f"sentences, {int(unit.max()) + 1:,} distinct.",
    )


def _by_position(gold: list[bytes], with_entity: list[bool], copies: int) -> np.ndarray | None:
    """The units, int64 [N], if the file is its first part so many times, or has each so often in a row."""
    number, rest = divmod(len(gold), copies)
    if rest:
        return None
    for starts, unit in (
        (range(number), np.tile(np.arange(number), copies)),
        (range(0, len(gold), copies), np.repeat(np.arange(number), copies)),
    ):
        if [gold[starts[i]] for i in unit] == gold:
            telling = {gold[place] for place in starts if with_entity[place]}
            return unit if len(telling) >= FEWEST_DISTINCT else None
    return None


def _copied(file: Predictions, gold: list[bytes]) -> tuple[tuple[int, int] | None, int]:
    """How often nearly all long gold sequences occur, with their number, and the number of all of them."""
    is_entity = np.concatenate([[0], np.cumsum(file.gold != file.labels.label2id[OUTSIDE])])
    entity_words = np.diff(is_entity[file.offsets])
    telling = (np.diff(file.offsets) >= TELLING_WORDS) & (entity_words >= TELLING_ENTITY_WORDS)
    counts = Counter(gold[i] for i in np.flatnonzero(telling))
    (copies, number), *_ = Counter(counts.values()).most_common(1) or [(1, 0)]
    enough = len(counts) >= FEWEST_TELLING and number >= COPIED_SHARE * len(counts)
    return ((copies, number) if enough and copies > 1 else None), len(counts)


def _by_tags(flat: Sequence[np.ndarray], offsets: np.ndarray, copies: int) -> np.ndarray:
    """Number sentences, int64 [N], so that up to so many with the same tags are one."""
    units = np.empty(len(offsets) - 1, dtype=np.int64)
    seen: dict[bytes, tuple[int, int]] = {}
    number = 0
    rows = np.stack(flat, axis=1)
    for sentence, (start, end) in enumerate(pairwise(offsets.tolist())):
        key = rows[start:end].tobytes()
        unit, already = seen.get(key, (number, 0))
        if already in (0, copies):
            unit, already = number, 0
            number += 1
        units[sentence] = unit
        seen[key] = (unit, already + 1)
    return units
