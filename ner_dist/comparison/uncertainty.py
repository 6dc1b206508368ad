"""Uncertainty: intervals and p-values of every score and every difference between models.

**Intervals** are percentile intervals of the bootstrap (Efron & Tibshirani 1993, ch. 13). BCa (ch. 14) mends
bias and skewness, of which differences have little: in simulations it covered every difference less often
than the percentile interval did, or as often (`benchmarks/interval_coverage.py`; figures in
benchmarks/RESULTS.md), and there is none for runs and sentences drawn together. No bootstrap knows more than
the sentences: with some ten entities of a type, 95 % intervals of differences held the truth in 84 to 88 %
of cases.

**p-values** are two-sided and never 0: the resample at hand counts as one (Davison & Hinkley 1997, ch. 4;
Phipson & Smyth 2010). `p` inverts the interval: twice the smaller share of resamples on either side of no
difference (Efron & Tibshirani 1993, section 15.4), so that it is below 0.05 where the 95 % interval leaves
out 0. `p_randomisation` is the share of swapped resamples with at least the difference that was seen.

**Significant** is a difference that both tests find: the larger of the two p-values decides. The larger of
two valid p-values is valid. The bootstrap alone finds too much where few sentences differ: four that all
speak for B give p = 0.04, and a coin would do so in one case of eight. Over the types of one pair and figure
the larger p-value is corrected after Holm (1979): `p_holm`.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ner_dist.comparison.resampling import between_runs, bootstrap, same_seeds, swapped
from ner_dist.comparison.results import (
    Difference,
    Estimate,
    Figures,
    MacroF1,
    PairDifferences,
    Uncertainty,
)
from ner_dist.comparison.unit_counts import UnitCounts
from ner_dist.evaluation.metrics import PrecisionRecallF1

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.comparison.aligned import AlignedPredictions

Cell = TypeVar("Cell")

# Differences that rounding alone makes.
_NOTHING = 1e-12


def uncertainty(
    aligned: AlignedPredictions, *, resamples: int = 10_000, level: float = 0.95, seed: int = 13
) -> Uncertainty:
    """Intervals of each model's figures, and of the differences of each two models with p-values.

    Args:
        aligned: units are its documents or its distinct sentences; a model's figure is the mean over its
            runs.
        resamples: of the bootstrap, and of the randomisation of each pair.
        level: of the intervals, which hold one by one; 1 - level is the limit for what is significant.
        seed: of the resampling.
    """
    counted = UnitCounts.of(aligned)
    observed = counted.means(counted.observed)
    moved = between_runs(counted, aligned.seeds, resamples=resamples, seed=seed)
    drawn = bootstrap(counted, resamples=resamples, seed=seed) + moved
    models = {}
    for place, model in enumerate(aligned.models):
        low, high = np.clip(interval(drawn[:, place], level), 0, 1)
        columns = observed[place].tolist(), low.tolist(), high.tolist()
        models[model] = _figures(counted.names, [*map(Estimate, *columns)])
    differences, families = [], []
    for to, of in combinations(range(len(aligned.models)), 2):
        pair = aligned.models[of], aligned.models[to]
        randomised = swapped(counted, *pair, resamples=resamples, seed=seed) + moved[:, of] - moved[:, to]
        difference = observed[of] - observed[to]
        families.append(counted.occurring(*pair))
        apart = drawn[:, of] - drawn[:, to]
        cells = _tested(difference, apart, randomised, families[-1], counted.names, level)
        differences.append(PairDifferences(*pair, _figures(counted.names, cells)))
    needed = resamples_needed(max(int(family.sum()) for family in families), level)
    return Uncertainty(
        resamples=resamples,
        resamples_needed=needed,
        level=level,
        drawn="documents" if aligned.draws_documents else "sentences",
        units=int(aligned.drawn.max(initial=-1)) + 1,
        seed=seed,
        method=_method(aligned, resamples=resamples, needed=needed, level=level),
        models=models,
        differences=differences,
    )


def interval(drawn: np.ndarray, level: float) -> np.ndarray:
    """Percentile interval of resamples [n, ...]: float64 [2, ...], low and high."""
    result: np.ndarray = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return result


def p_bootstrap(drawn: np.ndarray) -> np.ndarray:
    """Two-sided p-value of no difference from the differences of resamples, [n, ...]."""
    fewer = np.minimum((drawn <= _NOTHING).sum(axis=0), (drawn >= -_NOTHING).sum(axis=0))
    result: np.ndarray = np.minimum(2 * (fewer + 1) / (len(drawn) + 1), 1)
    return result


def p_randomisation(difference: np.ndarray, swapped: np.ndarray) -> np.ndarray:
    """Two-sided p-value of a difference [...] from those after swapping, [n, ...]."""
    as_large = (np.abs(swapped) >= np.abs(difference) - _NOTHING).sum(axis=0)
    result: np.ndarray = (as_large + 1) / (len(swapped) + 1)
    return result


def holm(p: np.ndarray) -> np.ndarray:
    """p-values [n] corrected for their number, so that the chance of any false finding keeps the level."""
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def resamples_needed(tests: int, level: float) -> int:
    """Fewest that can show a difference: the smallest p-value, 2 / (n + 1), is corrected for all tests."""
    return math.ceil(2 * tests / (1 - level))


def _tested(
    difference: np.ndarray,
    drawn: np.ndarray,
    randomised: np.ndarray,
    occurring: np.ndarray,
    names: Sequence[tuple[str, ...]],
    level: float,
) -> list[Difference]:
    """Intervals and p-values of a pair's figures, which are called `names`; of types those `occurring`."""
    low, high = interval(drawn, level)
    p, p_swapped = p_bootstrap(drawn), p_randomisation(difference, randomised)
    decisive = np.maximum(p, p_swapped)
    corrected = np.full(len(p), np.nan)
    for kind in ("precision", "recall", "f1"):
        family = np.array([name[0] == "per_type" and name[-1] == kind for name in names])
        # Where a type occurs for neither there is nothing to test.
        tested = np.flatnonzero(family)[occurring]
        corrected[family] = 1.0
        corrected[tested] = holm(decisive[tested])
    decisive = np.where(np.isnan(corrected), decisive, corrected)
    # 1 - 0.95 is a little more than 0.05.
    significant = decisive < round(1 - level, 9)
    columns = (column.tolist() for column in (difference, low, high, p, p_swapped, significant))
    holm_p = [None if np.isnan(value) else value for value in corrected.tolist()]
    return [*map(Difference, *columns, holm_p)]


def _figures(names: Sequence[tuple[str, ...]], cells: Sequence[Cell]) -> Figures[Cell]:
    """Cells [F] in their places, which are called `names`."""
    by_name = dict(zip(names, cells, strict=True))

    def cell(*name: str) -> Cell:
        return by_name[name]

    def three(*parents: str) -> PrecisionRecallF1[Cell]:
        return PrecisionRecallF1(cell(*parents, "precision"), cell(*parents, "recall"), cell(*parents, "f1"))

    return Figures(
        micro=three("micro"),
        macro=MacroF1(cell("macro", "f1")),
        accuracy=cell("accuracy"),
        per_type={name[1]: three("per_type", name[1]) for name in names if name[::2] == ("per_type", "f1")},
    )


def independence(documents: int | None) -> str:
    """What drawing sentences leaves out, as a sentence, of a test split with so many documents."""
    why = (
        "The files do not name documents"
        if documents is None
        else f"There are too few documents to draw ({documents})"
    )
    return f"{why}: that sentences of one document are alike is not covered, so intervals may be too narrow."


def _method(aligned: AlignedPredictions, *, resamples: int, needed: int, level: float) -> str:
    """Description of the method for readers of the report."""
    if aligned.draws_documents:
        number, what, unit = aligned.documents or 0, "documents", "document"
        together = "all its sentences"
    else:
        number, what, unit, together = aligned.units, "distinct sentences", "sentence", "all its copies"
    text = (
        f"Paired bootstrap: {resamples:,} times, {number:,} of the {number:,} {what} "
        f"are drawn with replacement, each with {together}, the same for all models; percentile "
        f"intervals ({100 * level:g} %). p: bootstrap, two-sided. p_randomisation: approximate "
        "randomisation, which "
        f"swaps what two models said about a {unit}. p_holm: the larger of the two, corrected after Holm "
        "over the types. A difference is significant if the larger p, for a type the corrected one, is below "
        f"{1 - level:.2g}. Intervals are not corrected."
    )
    if resamples < needed:
        text += f" To show a difference on any type, {needed:,} resamples are needed: these are too few."
    if not aligned.draws_documents:
        text += f" {independence(aligned.documents)}"
    several = [model for model, runs in aligned.predicted.items() if len(runs) > 1]
    if several:
        text += (
            f" A model's figure is the mean over its runs; the runs of {', '.join(several)} are drawn again "
            f"together with the {'documents' if aligned.draws_documents else 'sentences'}, in both tests, "
            "after Student's t for their number."
        )
    for to, of in combinations(several, 2):
        how = (
            "the same seeds and are drawn in pairs"
            if same_seeds(aligned.seeds[of], aligned.seeds[to])
            else "runs drawn independently"
        )
        text += f" {to} and {of} have {how}."
    if single := [model for model in aligned.models if model not in several]:
        text += f" There is one run of {', '.join(single)}: nothing is said about another seed."
    return text
