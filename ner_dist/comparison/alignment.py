"""Match the sentences of several prediction files.

If all files hold the words, sentences with the same words match; if most differ only in upper and lower case,
without it. Copies of one sentence are matched by their
ids if these are equal in all files, then by their gold tags, then by their order.

Without words, sentences match by id, unless the ids are only line numbers. Otherwise the order decides: files
of one test split hold its sentences in the same order, though some may be left out, so their gold tags have a
long common subsequence (`lcs.py`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.comparison.lcs import common_subsequence
from ner_dist.data.duplicates import sentence_key
from ner_dist.errors import UserError
from ner_dist.labels import OUTSIDE, UNLABELLED, look_up

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from ner_dist.comparison.predictions import Predictions
    from ner_dist.labels import LabelSet

ID_AND_WORDS, WORDS, ID, ORDER = "id and words", "words", "id", "order of gold tags"

SAME_SPLIT = 0.5
"""Smallest share of the sentences with entities that has to match without words; else the files are refused
as predictions on different test splits."""
_BY_ORDER = (
    "Not every file holds words, so the sentences were aligned by the order of their gold tags on the "
    "shared types: an exact longest common subsequence. Where a file leaves out one of several neighbours "
    "with equal gold tags, which one it was cannot be known."
)
_IDS_OF_LINES = "Their ids were not used: equal ones stand for different sentences, as numbers of lines do."

Pairs = list[tuple[int, int]]


@dataclass(frozen=True)
class Alignment:
    """The sentences that all files contain."""

    by: str
    """Criterion: `id and words`, `words`, `id` or `order of gold tags`."""
    places: list[np.ndarray]
    """For each file int64 [n]: indices of the shared sentences, in the order of the first file."""
    notes: list[str] = field(default_factory=list)
    """Notes for the reader, as sentences."""


def align(files: Sequence[Predictions], labels: LabelSet) -> Alignment:
    """Align two or more files of predictions.

    Args:
        files: the first one determines the order of the sentences.
        labels: the shared types, onto which the gold tags of every file are projected.

    Raises:
        UserError: the files share no sentence, or neither words, ids nor order show which ones match.
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
    """Match sentences by their words: of each, as many copies as the file with the fewest copies has."""
    words = [list(map(sentence_key, file.tokens or [])) for file in files]
    notes = []
    fewest = min(map(len, files))
    if _common(words) < SAME_SPLIT * fewest:
        lowered = [[key.lower() for key in keys] for keys in words]
        if _common(lowered) >= SAME_SPLIT * fewest:
            words = lowered
            notes.append("Files write words in other case: sentences were aligned in lower case.")
    golds = [gold_sequences(file, labels) for file in files]
    # Copies are matched by equal ids, then by equal gold tags, then by their order.
    ids = [file.ids for file in files if file.ids]
    keys: list[list[list[Hashable]]] = [] if len(ids) < len(files) else [_zipped(ids, words)]
    keys += [_zipped(golds, words), [list(each) for each in words]]
    matched: list[tuple[int, ...]] = []
    found_by: list[int] = []
    for of_files in keys:
        taken = [{places[i] for places in matched} for i in range(len(files))]
        rest = [_occurrences(*each) for each in zip(of_files, taken, strict=True)]
        equal = [tuple(each[key] for each in rest) for key in rest[0] if all(key in each for each in rest)]
        found_by.append(len(equal))
        matched += equal
    places = np.array(sorted(matched), dtype=np.int64).reshape(-1, len(files)).T
    decided = found_by[0] if len(keys) == 3 else 0
    if decided == len(matched):
        return Alignment(ID_AND_WORDS, [*places], notes)
    if decided:
        notes.append(
            f"Sentences aligned by their words alone, as their ids differ: {len(matched) - decided:,}."
        )
    return Alignment(WORDS, [*places], notes)


def _common(words: list[list[str]]) -> int:
    """Number of distinct sentences that are in all files."""
    return len(set[str].intersection(*map(set, words)))


def _zipped(one: Sequence[Sequence[Hashable]], other: Sequence[Sequence[Hashable]]) -> list[list[Hashable]]:
    """Pair two keys of every sentence of every file."""
    return [list(zip(*each, strict=True)) for each in zip(one, other, strict=True)]


def _without_words(files: Sequence[Predictions], labels: LabelSet) -> Alignment:
    """Match by ids, unless the order finds many sentences whose ids match but whose gold tags differ.

    If ids are line numbers and a line is missing, the ids after it denote other sentences; the order still
    finds nearly all of these. Sentences whose gold tags were revised also differ under equal ids, but the
    order cannot find them.
    """
    gold = [gold_sequences(file, labels) for file in files]
    has_entity = [_has_entity(file, labels) for file in files]
    same_id = [_equal(files[0].ids or [], other.ids or []) for other in files[1:]]
    by_id = [
        [(i, j) for i, j in pairs if gold[0][i] == its_gold[j]]
        for pairs, its_gold in zip(same_id, gold[1:], strict=True)
    ]
    lost = [len(pairs) - len(kept) for pairs, kept in zip(same_id, by_id, strict=True)]
    alike = all(_with_entity(kept, has_entity[0]) for kept in by_id)
    by_order = []
    if any(lost) or not alike:
        by_order = [common_subsequence(gold[0], its_gold) for its_gold in gold[1:]]
    regained = [len(pairs) - len(kept) for pairs, kept in zip(by_order, by_id, strict=False)]
    if alike and not any(
        missing and 2 * back >= missing for missing, back in zip(lost, regained, strict=False)
    ):
        _check_found(by_id, [_with_entity(pairs, has_entity[0]) for pairs in same_id], has_entity[0], files)
        notes = ["Not every file holds words, so the sentences were aligned by their ids."]
        if any(lost):
            notes.append(f"Sentences left out because equal ids have different gold tags: {sum(lost):,}.")
        return Alignment(ID, _in_all(by_id, len(gold[0])), notes)
    fewer = [int(min(has_entity[0].sum(), each.sum())) for each in has_entity[1:]]
    _check_found(by_order, fewer, has_entity[0], files)
    notes = [_BY_ORDER, _IDS_OF_LINES] if all(same_id) else [_BY_ORDER]
    return Alignment(ORDER, _in_all(by_order, len(gold[0])), notes)


def _with_entity(pairs: Pairs, has_entity: np.ndarray) -> int:
    """Number of pairs whose sentence has an entity; `has_entity`, bool [N], is that of the first file.

    Sentences without entities often have equal gold tags by chance, so they are weak evidence.
    """
    return sum(bool(has_entity[i]) for i, _ in pairs)


def _check_found(
    matches: list[Pairs], possible: list[int], has_entity: np.ndarray, files: Sequence[Predictions]
) -> None:
    numbers = [_with_entity(pairs, has_entity) for pairs in matches]
    if any(number < SAME_SPLIT * most for number, most in zip(numbers, possible, strict=True)):
        raise UserError(
            "neither ids nor the order of gold tags tell which sentences are the same",
            where=_sources(files),
            fix="write the words, as `tokens`, into every file",
        )


def _has_entity(file: Predictions, labels: LabelSet) -> np.ndarray:
    """bool [N]: whether a sentence has a gold tag of these types."""
    gold = look_up(file.labels.projection(labels), file.gold)
    is_entity = (gold != labels.label2id[OUTSIDE]) & (gold != UNLABELLED)
    result: np.ndarray = np.diff(np.concatenate([[0], np.cumsum(is_entity)])[file.offsets]) > 0
    return result


def _sources(files: Sequence[Predictions]) -> str:
    return ", ".join(dict.fromkeys(file.source for file in files))


def gold_sequences(file: Predictions, labels: LabelSet) -> list[bytes]:
    """The projected gold tags of every sentence as bytes, to compare and count them."""
    gold = look_up(file.labels.projection(labels), file.gold)
    return [gold[start:end].tobytes() for start, end in pairwise(file.offsets.tolist())]


def _occurrences(keys: Iterable[Hashable], taken: set[int]) -> dict[Hashable, int]:
    """Indices that are not taken, by their key and its number of earlier occurrences."""
    seen: dict[Hashable, int] = defaultdict(int)
    places: dict[Hashable, int] = {}
    for place, key in enumerate(keys):
        if place not in taken:
            places[key, seen[key]] = place
            seen[key] += 1
    return places


def _equal(one: Iterable[Hashable], other: Iterable[Hashable]) -> Pairs:
    """Pairs of indices with equal keys; within each side, keys are distinct."""
    place = {key: j for j, key in enumerate(other)}
    return [(i, place[key]) for i, key in enumerate(one) if key in place]


def _in_all(pairs: list[Pairs], sentences: int) -> list[np.ndarray]:
    """Indices of the shared sentences in the first file and in each other one."""
    places = np.full((len(pairs), sentences), -1, dtype=np.int64)
    for row, matched in zip(places, pairs, strict=True):
        if matched:
            own, others = np.array(matched, dtype=np.int64).T
            row[own] = others
    shared = np.flatnonzero((places >= 0).all(axis=0))
    return [shared, *places[:, shared]]
