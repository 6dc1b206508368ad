"""Error analysis of a model: kinds of errors, scores with partial credit, confusion, and breakdowns.

Everything is counted over entities on the same ground, strict IOB2, and summed over the model's runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.comparison.aligned import NO_TRAINING, NO_WORDS
from ner_dist.comparison.buckets import Bucket, by_entity_length, by_seen, by_sentence_length
from ner_dist.comparison.matching import KINDS, MISSED, SPURIOUS
from ner_dist.comparison.muc import muc
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
    """The last is `O`: its column holds what was missed, its row what is spurious."""
    counts: list[list[int]]


@dataclass(frozen=True)
class ErrorAnalysis:
    """A model's errors on the same ground; counts are sums over its runs."""

    runs: int
    strict: PrecisionRecallF1[float]
    """This and the next three: how strictly an entity has to match, as in `muc.py`."""
    exact: PrecisionRecallF1[float]
    partial: PrecisionRecallF1[float]
    type: PrecisionRecallF1[float]
    kinds: dict[str, int]
    """Number of entities of each of `matching.KINDS`."""
    kinds_per_type: dict[str, dict[str, int]]
    """A spurious entity counts for the type it was given, all others for their gold type."""
    confusion: Confusion
    by_entity_length: list[Bucket]
    by_sentence_length: list[Bucket]
    by_seen: list[Bucket] | None
    by_seen_why: str | None
    """Reason if `by_seen` is None."""


def errors(aligned: AlignedPredictions, model: str) -> ErrorAnalysis:
    """The errors on the same ground of the model of this name."""
    outcomes = aligned.outcomes[model]
    types = aligned.labels.types
    per_type = _kinds_per_type(outcomes, len(types))
    why = NO_WORDS if aligned.tokens is None else None if model in aligned.seen else NO_TRAINING
    return ErrorAnalysis(
        runs=len(outcomes),
        **muc(per_type.sum(axis=0)),
        kinds=_named(per_type.sum(axis=0)),
        kinds_per_type={name: _named(per_type[i]) for i, name in enumerate(types)},
        confusion=Confusion([*types, OUTSIDE], _confusion(outcomes, len(types)).tolist()),
        by_entity_length=by_entity_length(outcomes),
        by_sentence_length=by_sentence_length(outcomes, aligned.offsets),
        by_seen=None if why else by_seen(outcomes, aligned, aligned.seen[model]),
        by_seen_why=why,
    )


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
