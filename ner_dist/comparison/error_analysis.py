"""Analyse the errors of a model: their kinds, scores with partial credit, confusion, scores of subsets.

All counts are of entities on the same ground, in strict IOB2, summed over the model's runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.comparison.aligned import NO_TRAINING, NO_WORDS
from ner_dist.comparison.buckets import Bucket, by_entity_length, by_seen, by_sentence_length
from ner_dist.comparison.matching import KINDS, MISSED, SPURIOUS, outcome
from ner_dist.comparison.muc import muc
from ner_dist.evaluation.json_form import OPTIONAL
from ner_dist.evaluation.metrics import PrecisionRecallF1
from ner_dist.labels import OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.comparison.aligned import AlignedPredictions
    from ner_dist.comparison.matching import Outcome


@dataclass(frozen=True)
class Confusion:
    """Matched entities, gold (rows) by predicted type (columns)."""

    types: list[str]
    """The last is `O`: its column counts missed entities, its row spurious ones."""
    counts: list[list[int]]


@dataclass(frozen=True)
class ErrorAnalysis:
    """A model's errors on the same ground; counts are sums over its runs."""

    runs: int
    strict: PrecisionRecallF1[float]
    """This and the next three: precision, recall and F1 of each measure in `muc.py`."""
    exact: PrecisionRecallF1[float]
    partial: PrecisionRecallF1[float]
    type: PrecisionRecallF1[float]
    lenient: dict[str, PrecisionRecallF1[float]] | None = field(metadata=OPTIONAL)
    """The four measures if an I- that continues nothing is read as an entity; None if there is none."""
    kinds: dict[str, int]
    """Number of entities of each of `matching.KINDS`."""
    kinds_per_type: dict[str, dict[str, int]]
    """A spurious entity counts for its predicted type, all others for their gold type."""
    confusion: Confusion
    by_entity_length: list[Bucket]
    by_sentence_length: list[Bucket]
    by_seen: list[Bucket] | None
    by_seen_why: str | None
    """Reason if `by_seen` is None."""


def errors(aligned: AlignedPredictions, model: str) -> ErrorAnalysis:
    """The error analysis of one model, by its name in `aligned`."""
    outcomes = aligned.outcomes[model]
    types = aligned.labels.types
    per_type = _kinds_per_type(outcomes, len(types))
    why = NO_WORDS if aligned.tokens is None else None if model in aligned.seen else NO_TRAINING
    return ErrorAnalysis(
        runs=len(outcomes),
        **muc(per_type.sum(axis=0)),
        lenient=_lenient(aligned, model),
        kinds=_named(per_type.sum(axis=0)),
        kinds_per_type={name: _named(per_type[i]) for i, name in enumerate(types)},
        confusion=Confusion([*types, OUTSIDE], _confusion(outcomes, len(types)).tolist()),
        by_entity_length=by_entity_length(outcomes),
        by_sentence_length=by_sentence_length(outcomes, aligned.offsets),
        by_seen=None if why else by_seen(outcomes, aligned, aligned.seen[model]),
        by_seen_why=why,
    )


def _lenient(aligned: AlignedPredictions, model: str) -> dict[str, PrecisionRecallF1[float]] | None:
    found = [
        outcome(aligned.gold, tags, aligned.offsets, aligned.labels, strict=False)
        for tags in aligned.predicted[model]
    ]
    same = all(
        len(one.gold.start) == len(other.gold.start)
        and len(one.predicted.start) == len(other.predicted.start)
        for one, other in zip(found, aligned.outcomes[model], strict=True)
    )
    return None if same else muc(np.sum([each.kinds() for each in found], axis=0))


def _named(counts: np.ndarray) -> dict[str, int]:
    return dict(zip(KINDS, counts.tolist(), strict=True))


def _kinds_per_type(outcomes: Sequence[Outcome], n_types: int) -> np.ndarray:
    """int64 [types, kinds]"""
    counts = np.zeros((n_types, len(KINDS)), dtype=np.int64)
    for each in outcomes:
        np.add.at(counts, (each.gold.type, each.kind_of_gold), 1)
        spurious = each.kind_of_predicted == SPURIOUS
        counts[:, SPURIOUS] += np.bincount(each.predicted.type[spurious], minlength=n_types)
    return counts


def _confusion(outcomes: Sequence[Outcome], n_types: int) -> np.ndarray:
    """int64 [types + 1, types + 1]: gold by predicted type; the last is `O`."""
    counts = np.zeros((n_types + 1, n_types + 1), dtype=np.int64)
    for each in outcomes:
        gold, predicted = each.pairs()
        np.add.at(counts, (each.gold.type[gold], each.predicted.type[predicted]), 1)
        missed, spurious = each.kind_of_gold == MISSED, each.kind_of_predicted == SPURIOUS
        counts[:-1, -1] += np.bincount(each.gold.type[missed], minlength=n_types)
        counts[-1, :-1] += np.bincount(each.predicted.type[spurious], minlength=n_types)
    return counts
