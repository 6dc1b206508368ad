"""How much of the chance in F1 is due to the test sentences, the seed, and the training set.

With runs of several seeds, and refits: runs on training sets that were drawn from the training sentences with
replacement (`data.resample`), each with a seed of its own. In the model of `seeds.py`, with variances of F1:

    test sentences    c = d - n        d: of a run over test sets; n: its noise, that of a run x sentence
    seeds             s                between runs of one recipe; this has the noise in it already
    training set      r - s            r: between refits, which differ in their seeds too

A single training on new data, of another seed and on another test set, has about the sum of the three. The
bootstrap knows the training set by drawing from it: a refit sees 63 % of the distinct sentences, so its mean
F1 is lower, and only the variance of refits is used (Efron & Tibshirani 1993).

**Uncertainty.** Variances of few runs are themselves uncertain: s has as many degrees of freedom as there
are runs, less one, and r likewise. Intervals and the chance that a part is the largest are those of
generalised inference (Weerahandi 1993): each variance is multiplied by its degrees of freedom over
chi-squared numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.comparison.influence import sentence_covariance
from ner_dist.comparison.scores import strict_scores
from ner_dist.comparison.unit_counts import UnitCounts
from ner_dist.errors import UserError
from ner_dist.labels import UNLABELLED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ner_dist.comparison.aligned import AlignedPredictions
    from ner_dist.comparison.predictions import Predictions

LEVEL, DRAWS, SEED = 0.95, 20_000, 13
# Differences of variances up to this size are due to rounding.
_NOTHING = 1e-12
_F1 = 2
"""The place of F1 over all types in `UnitCounts.names`."""


@dataclass(frozen=True)
class Deviation:
    """A standard deviation of F1 with its interval."""

    sd: float
    low: float
    high: float


@dataclass(frozen=True)
class VarianceParts:
    """What makes the F1 of a model vary on the same ground."""

    runs: int
    """Of several seeds, on the whole training set."""
    refits: int
    test_sentences: Deviation
    seeds: Deviation
    training_set: Deviation
    largest: str | None
    """The largest of the three; None where that cannot be told at the level of the intervals."""


def variance_parts(
    aligned: AlignedPredictions,
    own: Mapping[str, Sequence[Predictions]],
    refits: Mapping[str, Sequence[Predictions]],
) -> dict[str, VarianceParts]:
    """The parts of each model that has two refits and two runs or more.

    Args:
        aligned: the predictions of all models' runs.
        own: by model: the predictions of its runs, as read.
        refits: by model: the predictions of its refits, as read.

    Raises:
        UserError: a refit was not scored on the test set of its model.
    """
    wanted = [model for model, each in refits.items() if len(each) > 1 and len(own[model]) > 1]
    if not wanted:
        return {}
    counted = UnitCounts.of(aligned)
    covariance, figures = sentence_covariance(counted)[_F1], counted.observed[:, _F1]
    found = {}
    for model in wanted:
        runs = counted.runs[model]
        refitted = [_f1(refit, own[model][0], aligned, model) for refit in refits[model]]
        within = covariance[runs, runs]
        found[model] = _parts(figures[runs], np.array(refitted), within, counted.entities.units)
    return found


def _f1(refit: Predictions, run: Predictions, aligned: AlignedPredictions, model: str) -> float:
    """F1 of a refit on the same ground, where it has the places of its model's first run."""
    same = len(refit.gold) == len(run.gold) and np.array_equal(refit.offsets, run.offsets)
    gold = refit.labels.tags_of(refit.gold) if same else []
    if not same or gold != run.labels.tags_of(run.gold):
        raise UserError(
            f"was not scored on the sentences of {run.source}",
            where=refit.source,
            fix="train all refits of a model on one test set",
        )
    taken = refit.take(aligned.places[model][0], aligned.labels)
    known = taken.gold != UNLABELLED
    offsets = np.concatenate([[0], np.cumsum(known)])[taken.offsets]
    return strict_scores(aligned.gold, taken.predicted[known], offsets, aligned.labels).f1


def _parts(figures: np.ndarray, refits: np.ndarray, covariance: np.ndarray, units: int) -> VarianceParts:
    """The parts of a model.

    Args:
        figures: F1 of its runs, float64 [runs].
        refits: F1 of its refits, float64 [refits].
        covariance: of its runs over test sets, float64 [runs, runs].
        units: number of units in the test set.
    """
    n = len(figures)
    # Between runs, the noise of a run on a sentence is no luck of the test set that runs share.
    shared = (covariance.sum() - np.trace(covariance)) / (n * (n - 1))
    measured = {
        "test_sentences": (max(float(shared), 0.0), max(units - 1, 1)),
        "seeds": (float(figures.var(ddof=1)), n - 1),
        "refits": (float(refits.var(ddof=1)), len(refits) - 1),
    }
    rng = np.random.default_rng(SEED)
    scaled = {
        name: variance * degrees / rng.chisquare(degrees, DRAWS)
        for name, (variance, degrees) in measured.items()
    }
    parts = {
        "test_sentences": (measured["test_sentences"][0], scaled["test_sentences"]),
        "seeds": (measured["seeds"][0], scaled["seeds"]),
        "training_set": (
            max(measured["refits"][0] - measured["seeds"][0], 0.0),
            np.maximum(scaled["refits"] - scaled["seeds"], 0),
        ),
    }
    draws = np.stack([draws for _, draws in parts.values()])
    # A part that is as large as another, but for rounding, is not the largest.
    largest = (draws > np.sort(draws, axis=0)[-2] + _NOTHING).mean(axis=1)
    likeliest = int(largest.argmax())
    return VarianceParts(
        runs=n,
        refits=len(refits),
        **{name: _deviation(variance, drawn) for name, (variance, drawn) in parts.items()},
        largest=list(parts)[likeliest] if largest[likeliest] >= LEVEL else None,
    )


def _deviation(variance: float, draws: np.ndarray) -> Deviation:
    low, high = np.sqrt(np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])).tolist()
    return Deviation(float(np.sqrt(variance)), low, high)


NAMES = {"test_sentences": "the test sentences", "seeds": "the seed", "training_set": "the training set"}
"""The parts in words."""


def variance_sentence(model: str, parts: VarianceParts) -> str:
    """What the parts show, and what they do not."""
    shown = ", ".join(
        f"{name} {each.sd:.4f} ({each.low:.4f} to {each.high:.4f})"
        for key, name in NAMES.items()
        for each in [getattr(parts, key)]
    )
    text = (
        f"F1 of {model} varies, in standard deviations with 95 % intervals, with {shown}, by "
        f"{parts.runs} seeds and {parts.refits} refits"
    )
    if parts.largest is None:
        return f"{text}: which of the three is the largest, these runs cannot tell."
    return f"{text}: most is due to {NAMES[parts.largest]}."
