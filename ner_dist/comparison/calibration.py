"""Calibration of a model's probabilities: reliability, and the expected calibration error.

Guo et al., On Calibration of Modern Neural Networks (ICML 2017), section 2, with 10 bins of equal width: of
the answers whose confidence lies in ((m - 1) / 10, m / 10], the share that is right should be the confidence.
The expected calibration error is the mean gap between the two, each bin weighted by its answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.comparison.matching import CORRECT

if TYPE_CHECKING:
    from ner_dist.comparison.aligned import AlignedPredictions
    from ner_dist.comparison.matching import Outcome

BINS = 10
ENTITY_CONFIDENCE = "product of the probabilities of its words' tags"
"""A tagger answers word by word, so that is its own probability of the whole entity. Words of one entity tend
to be right or wrong together, so it leans to the low side for long ones."""


@dataclass(frozen=True)
class ReliabilityBin:
    """The answers whose confidence lies in (low, high]; the first bin holds 0, too."""

    low: float
    high: float
    count: int
    confidence: float | None
    """Their mean confidence, None of no answers."""
    accuracy: float | None
    """The share that is right, None of no answers."""


@dataclass(frozen=True)
class Reliability:
    """Reliability: accuracy of answers by their confidence."""

    ece: float | None
    """The expected calibration error, None without an answer."""
    bins: list[ReliabilityBin]


@dataclass(frozen=True)
class Calibration:
    """Calibration of a model, over the runs that store probabilities."""

    runs: int
    words: Reliability
    """A word is right if it has the gold's tag."""
    entities: Reliability
    """A predicted entity is right if the gold has it with the same words and type."""
    entity_confidence: str
    """Definition of an entity's confidence."""


def calibration(aligned: AlignedPredictions, model: str) -> Calibration | None:
    """Calibration of a model on the same ground, over all its runs that store probabilities.

    Tags are compared on the shared types. None if no run stores probabilities.
    """
    stored = aligned.confidence.get(model) or []
    runs = [
        (tags, outcome, confidence)
        for tags, outcome, confidence in zip(
            aligned.predicted[model], aligned.outcomes[model], stored, strict=False
        )
        if confidence is not None
    ]
    if not runs:
        return None
    entities = [
        (_of_entities(outcome, confidence), outcome.kind_of_predicted == CORRECT)
        for _, outcome, confidence in runs
    ]
    words = [(confidence, tags == aligned.gold) for tags, _, confidence in runs]
    return Calibration(
        runs=len(runs),
        words=reliability(*map(np.concatenate, zip(*words, strict=True))),
        entities=reliability(*map(np.concatenate, zip(*entities, strict=True))),
        entity_confidence=ENTITY_CONFIDENCE,
    )


def reliability(confidence: np.ndarray, right: np.ndarray) -> Reliability:
    """Expected calibration error and reliability bins.

    Args:
        confidence: of each answer, float [n], from 0 to 1.
        right: whether it is, bool [n].
    """
    # Neither 0.3 in single precision nor 3 * 0.1 is 0.3, and each would end up in the next bin.
    confidence = np.round(np.asarray(confidence, dtype=np.float64), 6)
    ends = np.arange(1, BINS) / BINS
    bin_of = np.searchsorted(ends, confidence, side="left")
    count = np.bincount(bin_of, minlength=BINS)
    confident = np.bincount(bin_of, weights=confidence, minlength=BINS)
    accurate = np.bincount(bin_of, weights=right, minlength=BINS)
    bins = [
        ReliabilityBin(
            low=i / BINS,
            high=(i + 1) / BINS,
            count=int(count[i]),
            confidence=float(confident[i] / count[i]) if count[i] else None,
            accuracy=float(accurate[i] / count[i]) if count[i] else None,
        )
        for i in range(BINS)
    ]
    ece = float(np.abs(accurate - confident).sum() / len(confidence)) if len(confidence) else None
    return Reliability(ece, bins)


def _of_entities(found: Outcome, confidence: np.ndarray) -> np.ndarray:
    """Confidence of each predicted entity, float [predicted]."""
    spans = found.predicted
    if not len(spans.start):
        return np.empty(0)
    # From a start up to its end, and from there up to the next start, which is dropped; 1.0 to end behind.
    bounds = np.column_stack([spans.start, spans.end]).ravel()
    return np.multiply.reduceat(np.append(confidence, 1.0), bounds)[::2]
