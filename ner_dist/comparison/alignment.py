"""Which sentences of several files of predictions are the same ones.

With words, sentences are the same if their words are; between copies ids decide where they say the same, then
the gold tags.
Without words, ids decide, unless they are but numbers of lines; else the order does: files of one test
split hold its sentences one after the other, though some may be left out, so that their gold tags have a long
common subsequence.
"""

from __future__ import annotations

import operator
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.comparison.subsequence import common_subsequence
from ner_dist.errors import UserError
from ner_dist.labels import OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from ner_dist.comparison.predictions import Predictions
    from ner_dist.labels import LabelSet

ID_AND_WORDS, WORDS, ID, ORDER = "id and words", "words", "id", "order of gold tags"

SAME_SPLIT = 0.5
"""Without words, this share of the sentences with entities has to be found, or it is not one test split."""
_BY_ORDER = (
    "Not every file holds words, so the sentences were aligned by the order of their gold tags on the "
    "shared types: an exact longest common subsequence. Where a file leaves out one of several neighbours "
    "with equal gold tags, which one it was cannot be known."
)
_IDS_OF_LINES = "Their ids were not used: equal ones stand for different sentences, as numbers of lines do."

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
        UserError: the files share no sentence, or nothing tells which ones.
    """
    if all(file.tokens is not None for file in files):
        alignment = _by_words(files, labels)
    else:
        alignment = _without_words(files, labels)
    if not len(alignment.places[0]):
        raise UserError(
            "the runs share no test sentence: they were scored on different data",
            where=_sources(files),
            fix="name runs, or files, of one test split",
        )
    return alignment


def _by_words(files: Sequence[Predictions], labels: LabelSet) -> Alignment:
    words = [list(map(tuple, file.tokens or [])) for file in files]
    words_and_gold = [
        list(zip(known, gold_sequences(file, labels), strict=True))
        for known, file in zip(words, files, strict=True)
    ]
    by_id: list[Pairs] = []
    pairs: list[Pairs] = []
    for other, file in enumerate(files[1:], start=1):
        found = []
        if files[0].ids and file.ids:
            mine, theirs = (zip(files[i].ids or [], words[i], strict=True) for i in (0, other))
            found = _equal(enumerate(mine), enumerate(theirs))
        by_id.append(found)
        # Of copies those of the same gold belong together.
        for keys in (words_and_gold, words):
            taken = [{pair[side] for pair in found} for side in (0, 1)]
            found = found + _equal(_occurrences(keys[0], taken[0]), _occurrences(keys[other], taken[1]))
        pairs.append(found)
    places = _in_all(pairs, len(files[0]))
    decided = set.intersection(*({i for i, _ in equal} for equal in by_id))
    alone = sum(place not in decided for place in places[0].tolist())
    if not alone:
        return Alignment(ID_AND_WORDS, places)
    notes = []
    if decided:
        notes.append(f"Sentences aligned by their words alone, as their ids differ: {alone:,}.")
    return Alignment(WORDS, places, notes)


def _without_words(files: Sequence[Predictions], labels: LabelSet) -> Alignment:
    """By ids, or by order where it finds more.

    Where a line is missing, numbers of lines begin to stand for other sentences, which the order still finds.
    Ids of sentences whose gold was revised differ in gold, too, but no order finds those.
    """
    gold = [gold_sequences(file, labels) for file in files]
    has_entity = [_has_entity(file, labels) for file in files]
    same_id = [_equal(enumerate(files[0].ids or []), enumerate(other.ids or [])) for other in files[1:]]
    by_id = [
        [(i, j) for i, j in pairs if gold[0][i] == its_gold[j]]
        for pairs, its_gold in zip(same_id, gold[1:], strict=True)
    ]
    of_ids = [_found(pairs, has_entity[0]) for pairs in by_id]
    alike = all(number for number, _ in of_ids)
    other_gold = sum(map(len, same_id)) - sum(map(len, by_id))
    by_order = []
    if other_gold or not alike:
        by_order = [common_subsequence(gold[0], its_gold) for its_gold in gold[1:]]
    of_order = [_found(pairs, has_entity[0]) for pairs in by_order]
    if alike and all(map(operator.ge, of_ids, of_order)):
        _check_found(of_ids, [_found(pairs, has_entity[0])[0] for pairs in same_id], files)
        notes = ["Not every file holds words, so the sentences were aligned by their ids."]
        if other_gold:
            notes.append(f"Sentences left out because equal ids have different gold tags: {other_gold:,}.")
        return Alignment(ID, _in_all(by_id, len(gold[0])), notes)
    _check_found(of_order, [int(min(has_entity[0].sum(), each.sum())) for each in has_entity[1:]], files)
    notes = [_BY_ORDER, _IDS_OF_LINES] if all(same_id) else [_BY_ORDER]
    return Alignment(ORDER, _in_all(by_order, len(gold[0])), notes)


def _found(pairs: Pairs, has_entity: np.ndarray) -> tuple[int, int]:
    """How many pairs there are with an entity, as `has_entity` [N] says of the first file; and of all.

    Sentences without are often equal in gold by chance, so that they tell less.
    """
    return sum(bool(has_entity[i]) for i, _ in pairs), len(pairs)


def _check_found(found: list[tuple[int, int]], possible: list[int], files: Sequence[Predictions]) -> None:
    if any(number < SAME_SPLIT * most for (number, _), most in zip(found, possible, strict=True)):
        raise UserError(
            "neither ids nor the order of gold tags tell which sentences are the same",
            where=_sources(files),
            fix="write the words, as `tokens`, into every file",
        )


def _has_entity(file: Predictions, labels: LabelSet) -> np.ndarray:
    """bool [N]: whether a sentence's gold holds a tag of these types."""
    is_entity = file.labels.projection(labels)[file.gold] != labels.label2id[OUTSIDE]
    return np.diff(np.concatenate([[0], np.cumsum(is_entity)])[file.offsets]) > 0


def _sources(files: Sequence[Predictions]) -> str:
    return ", ".join(dict.fromkeys(file.source for file in files))


def gold_sequences(file: Predictions, labels: LabelSet) -> list[bytes]:
    """The gold tags of every sentence, projected, as something that can be compared and counted."""
    gold = file.labels.projection(labels)[file.gold]
    return [gold[start:end].tobytes() for start, end in pairwise(file.offsets.tolist())]


def _occurrences(keys: Iterable[Hashable], taken: set[int]) -> list[tuple[int, Hashable]]:
    """Of the places that are not taken, each with its key and how often that came before."""
    seen: dict[Hashable, int] = defaultdict(int)
    found: list[tuple[int, Hashable]] = []
    for place, key in enumerate(keys):
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
