"""Calibration of the models of a comparison: how often they are right, by how sure they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.comparison.matching import CORRECT
from ner_dist.evaluation.reliability import Reliability, reliability

if TYPE_CHECKING:
    from ner_dist.comparison.aligned import AlignedPredictions

ENTITY_CONFIDENCE = "product of the probabilities of its words' tags"
"""A tagger predicts word by word, so this is the probability that it assigns to the whole entity. The words
of an entity tend to be right or wrong together, so it is too low for long entities."""


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
        (outcome.predicted.products(confidence), outcome.kind_of_predicted == CORRECT)
        for _, outcome, confidence in runs
    ]
    words = [(confidence, tags == aligned.gold) for tags, _, confidence in runs]
    return Calibration(
        runs=len(runs),
        words=reliability(*map(np.concatenate, zip(*words, strict=True))),
        entities=reliability(*map(np.concatenate, zip(*entities, strict=True))),
        entity_confidence=ENTITY_CONFIDENCE,
    )
