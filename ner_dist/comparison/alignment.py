"""Which sentences of several files of predictions are the same ones.

With words, sentences are the same if their words are; where ids say the same, they decide between copies.
Without words, ids decide; without either, the order does: files of one test split hold its sentences one
after the other, though some may be left out, so that their gold tags have a long common subsequence.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.comparison.subsequence import common_subsequence
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from ner_dist.comparison.predictions import Predictions
    from ner_dist.labels import LabelSet

ID_AND_WORDS, WORDS, ID, ORDER = "id and words", "words", "id", "order of gold tags"

SAME_GOLD = 0.99
"""Ids without words are trusted if this share of the sentences with equal ids has equal gold tags."""

Pairs = list[tuple[int, int]]


@dataclass(frozen=True)
class Alignment:
    """The sentences that stand in every file."""

    by: str
    """What decided: `id and words`, `words`, `id` or `order of gold tags`."""
    places: list[np.ndarray]
    """For each file int64 [n]: where its sentences stand, in the order of the first file."""
    notes: list[str] = field(default_factory=list)
    """What to know about it, in plain sentences."""


def align(files: Sequence[Predictions], labels: LabelSet) -> Alignment:
    """Align two or more files of predictions.

    Args:
        files: the first gives the order.
        labels: of the shared types, which the gold tags of every file are projected onto.

    Raises:
        UserError: the files share no sentence.
    """
    if all(file.tokens is not None for file in files):
        alignment = _by_words(files)
    else:
        alignment = _by_id(files, labels) or _by_order(files, labels)
    if not len(alignment.places[0]):
        raise UserError(
            "the runs share no test sentence: they were scored on different data",
            where=", ".join(dict.fromkeys(file.source for file in files)),
        )
    return alignment


def _by_words(files: Sequence[Predictions]) -> Alignment:
    first, *others = files
    by_id: list[Pairs] = []
    pairs: list[Pairs] = []
    for other in others:
        equal = _equal(_id_and_words(first), _id_and_words(other)) if first.ids and other.ids else []
        taken = [set(side) for side in zip(*equal, strict=True)] if equal else [set(), set()]
        rest = _occurrences(_words(first), taken[0]), _occurrences(_words(other), taken[1])
        by_id.append(equal)
        pairs.append(sorted(equal + _equal(*rest)))
    places = _in_all(pairs, len(first))
    decided = set.intersection(*({i for i, _ in equal} for equal in by_id))
    alone = sum(place not in decided for place in places[0].tolist())
    if not alone:
        return Alignment(ID_AND_WORDS, places)
    notes = []
    if decided:
        notes.append(f"{alone:,} sentences were aligned by their words alone: their ids differ.")
    return Alignment(WORDS, places, notes)


def _by_id(files: Sequence[Predictions], labels: LabelSet) -> Alignment | None:
    """None without common ids, or if equal ones stand for different sentences, as line numbers may."""
    first, *others = files
    if any(file.ids is None for file in files):
        return None
    gold = gold_sequences(first, labels)
    pairs, other_gold = [], 0
    for other in others:
        same_id = _equal(enumerate(first.ids or []), enumerate(other.ids or []))
        its_gold = gold_sequences(other, labels)
        equal = sum(gold[i] == its_gold[j] for i, j in same_id)
        if not same_id or equal < SAME_GOLD * len(same_id):
            return None
        # Other gold is the one sign there is of another sentence.
        pairs.append([(i, j) for i, j in same_id if gold[i] == its_gold[j]])
        other_gold += len(same_id) - len(pairs[-1])
    notes = ["Not every file holds words, so the sentences were aligned by their ids."]
    if other_gold:
        notes.append(f"{other_gold:,} sentences of equal ids have different gold tags: left out.")
    return Alignment(ID, _in_all(pairs, len(first)), notes)


def _by_order(files: Sequence[Predictions], labels: LabelSet) -> Alignment:
    gold = [gold_sequences(file, labels) for file in files]
    pairs = [common_subsequence(gold[0], others) for others in gold[1:]]
    notes = [
        "Not every file holds words, so the sentences were aligned by the order of their gold tags on the "
        "shared types: an exact longest common subsequence. Where a file leaves out one of several "
        "neighbours with equal gold tags, which one it was cannot be known."
    ]
    return Alignment(ORDER, _in_all(pairs, len(gold[0])), notes)


def gold_sequences(file: Predictions, labels: LabelSet) -> list[bytes]:
    """The gold tags of every sentence, projected, as something that can be compared and counted."""
    gold = file.labels.projection(labels)[file.gold]
    return [gold[start:end].tobytes() for start, end in pairwise(file.offsets.tolist())]


def _id_and_words(file: Predictions) -> Iterable[tuple[int, Hashable]]:
    keys = zip(file.ids or [], map(tuple, file.tokens or []), strict=True)
    return enumerate(keys)


def _words(file: Predictions) -> Iterable[tuple[int, tuple[str, ...]]]:
    return enumerate(map(tuple, file.tokens or []))


def _occurrences(keys: Iterable[tuple[int, Any]], taken: set[int]) -> list[tuple[int, Hashable]]:
    """Of the places that are not taken, each with its key and how often that came before."""
    seen: dict[Any, int] = defaultdict(int)
    found: list[tuple[int, Hashable]] = []
    for place, key in keys:
        if place not in taken:
            found.append((place, (key, seen[key])))
            seen[key] += 1
    return found


def _equal(one: Iterable[tuple[int, Hashable]], other: Iterable[tuple[int, Hashable]]) -> Pairs:
    """Pairs of places with equal keys; within each side every key stands once."""
    place = {key: j for j, key in other}
    return [(i, place[key]) for i, key in one if key in place]


def _in_all(pairs: list[Pairs], sentences: int) -> list[np.ndarray]:
    """Places in the first file and in each other one, of the sentences of the first that are in all."""
    places = np.full((len(pairs), sentences), -1, dtype=np.int64)
    for row, found in zip(places, pairs, strict=True):
        if found:
            own, others = np.array(found, dtype=np.int64).T
            row[own] = others
    shared = np.flatnonzero((places >= 0).all(axis=0))
    return [shared, *places[:, shared]]
