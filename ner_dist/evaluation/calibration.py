"""A temperature for a model's probabilities, fitted on the validation split.

Trained encoders are too sure of themselves. The logits are divided by one number T before the softmax, which
changes the probabilities and no tag. T is the minimum of the mean negative log-likelihood of the gold tags

    NLL(T) = mean over words of -log softmax(z / T)[gold]

Source: Guo et al., On Calibration of Modern Neural Networks (ICML 2017), section 4.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.evaluation import metrics
from ner_dist.evaluation.json_form import OPTIONAL
from ner_dist.evaluation.reliability import reliability
from ner_dist.labels import UNLABELLED, extract_spans

if TYPE_CHECKING:
    from ner_dist.evaluation.logit_sample import LogitSample
    from ner_dist.recipe import Decode

_LEAST, _MOST = 0.1, 10.0
"""Bounds of a temperature: without an error on validation, the likelihood only rises towards 0."""


@dataclass(frozen=True)
class CalibrationScores:
    """How well the probabilities of one split are calibrated, with the temperature and without."""

    sentences: int
    """Those that were measured; see `logit_sample.py`."""
    words: int
    """Their labelled words."""
    entities: int
    """The entities predicted in them."""
    loss_before: float | None
    """Mean negative log-likelihood of the words at temperature 1; None without words."""
    loss_after: float | None
    """The same at the fitted temperature."""
    ece_before: float | None
    """Expected calibration error of entities at temperature 1; None without entities."""
    ece_after: float | None
    """The same at the fitted temperature."""


@dataclass(frozen=True)
class CalibrationFigures:
    """The temperature of a model, and what it does to the probabilities of each split."""

    temperature: float
    """Fitted on validation."""
    validation: CalibrationScores
    test: CalibrationScores | None = field(default=None, metadata=OPTIONAL)


def fit_temperature(sample: LogitSample) -> float | None:
    """The temperature of the smallest negative log-likelihood of a sample; None if it has no usable words."""
    from scipy.optimize import minimize_scalar

    words = sample.words_with_loss()
    if not len(words) or not np.isfinite(sample.logits[words]).all():
        return None
    best = minimize_scalar(
        lambda power: _loss(sample, words, math.exp(power)),
        bounds=(math.log(_LEAST), math.log(_MOST)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    # Four digits are more than the data determines, and the same on every machine.
    return round(math.exp(best.x), 4)


def measure(sample: LogitSample, *, decode: Decode, temperature: float) -> CalibrationScores:
    """Calibration of the words and entities of a sample at temperature 1 and at the one that was fitted."""
    words, tags = sample.words_with_loss(), sample.tags(decode)
    gold, predicted = sample.comparable(tags)
    found = extract_spans(predicted, sample.offsets, sample.labels, strict=True)
    right = metrics.matches(found, extract_spans(gold, sample.offsets, sample.labels, strict=True))
    losses = [_loss(sample, words, each) if len(words) else None for each in (1.0, temperature)]
    errors = [
        reliability(found.products(sample.probabilities(tags, each)), right).ece
        for each in (1.0, temperature)
    ]
    return CalibrationScores(
        sentences=len(sample.offsets) - 1,
        words=int((gold != UNLABELLED).sum()),
        entities=len(found.start),
        loss_before=losses[0],
        loss_after=losses[1],
        ece_before=errors[0],
        ece_after=errors[1],
    )


def _loss(sample: LogitSample, words: np.ndarray, temperature: float) -> float:
    """Mean negative log-likelihood of the gold labels of some words."""
    scores = sample.logits[words].astype(np.float64) / temperature
    scores -= scores.max(axis=1, keepdims=True)
    share = np.exp(scores)
    gold = (share * sample.allowed(words)).sum(axis=1)
    # A gold label that the softmax rounds to 0 still has a finite loss.
    return float(np.mean(np.log(share.sum(axis=1)) - np.log(np.maximum(gold, 1e-300))))
