"""Calibration of a model's probabilities: reliability, and the expected calibration error.

A model is calibrated if, of all answers given with confidence c, the share c is right. Confidences are put
into M = 10 bins of equal width, B_m = ((m - 1) / M, m / M]. With acc(B_m) the share of right answers and
conf(B_m) the mean confidence in a bin, and n the number of answers, the expected calibration error is

    ECE = sum over m of |B_m| / n * |acc(B_m) - conf(B_m)|

Source: Guo et al., On Calibration of Modern Neural Networks (ICML 2017), section 2.
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
"""A tagger predicts word by word, so this is the probability that it assigns to the whole entity. The words
of an entity tend to be right or wrong together, so it is too low for long entities."""


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers with a confidence in (low, high]; the first bin includes 0."""

    low: float
    high: float
    count: int
    confidence: float | None
    """Mean confidence; None without answers."""
    accuracy: float | None
    """Share of right answers; None without answers."""


@dataclass(frozen=True)
class Reliability:
    """Accuracy of answers by their confidence."""

    ece: float | None
    """Expected calibration error; None without answers."""
    bins: list[ReliabilityBin]


@dataclass(frozen=True)
class Calibration:
    """Calibration of a model, over the runs that store probabilities."""

    runs: int
    words: Reliability
    """Words; right with the gold tag."""
    entities: Reliability
    """Predicted entities; right if they match a gold entity in words and type."""
    entity_confidence: str
    """Definition of an entity's confidence."""


def calibration(aligned: AlignedPredictions, model: str) -> Calibration | None:
    """Calibration of a model on the shared types and sentences, over the runs that store probabilities.

    Returns:
        None if no run stores probabilities.
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
        right: whether each answer is right, bool [n].
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


def _of_entities(outcome: Outcome, confidence: np.ndarray) -> np.ndarray:
    """Confidence of each predicted entity, float [predicted]."""
    spans = outcome.predicted
    if not len(spans.start):
        return np.empty(0)
    # reduceat multiplies from each bound to the next: every second product is that of an entity, the others
    # lie between entities. The 1.0 lets the last entity end after the last word.
    bounds = np.column_stack([spans.start, spans.end]).ravel()
    return np.multiply.reduceat(np.append(confidence, 1.0), bounds)[::2]
