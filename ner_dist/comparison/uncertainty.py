"""Uncertainty: intervals and p-values of every score and every difference between models.

**Intervals** are percentile intervals of the bootstrap (Efron & Tibshirani 1993, ch. 13). BCa (ch. 14)
corrects bias and skewness, but differences have little of either: in simulations it covered no difference
more often than the percentile interval (`benchmarks/interval_coverage.py`; figures in
benchmarks/RESULTS.md), and it is not defined for runs and sentences drawn together. Few entities limit every
bootstrap: with about ten entities of a type, 95 % intervals of differences contained the true difference in
84 to 88 % of cases.

**p-values** are two-sided and never 0, since the observed data counts as one resample (Davison & Hinkley
1997, ch. 4; Phipson & Smyth 2010). With n resamples d_1, ..., d_n of a difference d, and n swapped ones s_1,
..., s_n:

    p               = min(1, 2 (1 + min(#{d_i <= 0}, #{d_i >= 0})) / (n + 1))
    p_randomisation = (1 + #{|s_i| >= |d|}) / (n + 1)

`p` inverts the interval (Efron & Tibshirani 1993, section 15.4): it is below 0.05 if the 95 % interval
excludes 0.

**Significant** differences are those that both tests find: the larger p-value decides, and the larger of two
valid p-values is valid. The bootstrap alone finds too much if few sentences differ: four sentences that all
favour B give p = 0.04, but four tosses of a coin agree in one case of eight. Over the types, for one pair of
models and one figure, the larger p-value is corrected after Holm (1979): `p_holm`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Generic

import numpy as np

from ner_dist.comparison.resampling import between_runs, bootstrap, same_seeds, swapped
from ner_dist.comparison.unit_counts import UnitCounts
from ner_dist.evaluation.json_form import INLINE, OPTIONAL
from ner_dist.evaluation.metrics import Figure, PrecisionRecallF1

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.comparison.aligned import AlignedPredictions

# Differences up to this size are due to rounding.
_NOTHING = 1e-12


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """The difference of a figure between two models, its interval and its p-values."""

    difference: float
    low: float
    high: float
    p: float
    """Two-sided p-value of the bootstrap."""
    p_randomisation: float
    significant: bool
    """Whether both tests find a difference: the larger p-value (for a type, corrected) is below 1 - level."""
    p_holm: float | None = field(default=None, metadata=OPTIONAL)
    """The larger p-value, corrected over the types; None for figures over all types."""

    @property
    def decisive_p(self) -> float:
        """The p-value that decides."""
        return max(self.p, self.p_randomisation) if self.p_holm is None else self.p_holm


@dataclass(frozen=True)
class MacroF1(Generic[Figure]):
    """The mean of the types' F1."""

    f1: Figure


@dataclass(frozen=True)
class Figures(Generic[Figure]):
    """Statistics of every score on the shared types and sentences."""

    micro: PrecisionRecallF1[Figure]
    macro: MacroF1[Figure]
    accuracy: Figure
    per_type: dict[str, PrecisionRecallF1[Figure]]

    def overall(self) -> dict[str, Figure]:
        """The figures over all types, by the names of `Scores.overall`."""
        return {
            "precision": self.micro.precision,
            "recall": self.micro.recall,
            "f1": self.micro.f1,
            "macro_f1": self.macro.f1,
            "accuracy": self.accuracy,
        }


@dataclass(frozen=True)
class PairDifferences:
    """The figures of model `of` minus those of model `to`."""

    of: str
    to: str
    figures: Figures[Difference] = field(metadata=INLINE)

    def better(self, difference: Difference) -> str:
        """The model that is ahead in a figure."""
        return self.of if difference.difference > 0 else self.to


@dataclass(frozen=True)
class Uncertainty:
    """Intervals of every model's figures, and tests of the differences between each two models."""

    resamples: int
    resamples_needed: int
    """Fewest resamples with which a difference on a type can be significant."""
    level: float
    """Level of the intervals, such as 0.95."""
    drawn: str
    """`documents`, or `sentences`: distinct ones with all their copies."""
    units: int
    """Number of these."""
    seed: int
    """Seed of the resampling."""
    method: str
    models: dict[str, Figures[Estimate]]
    differences: list[PairDifferences]
    """Of later models to earlier ones."""


def uncertainty(
    aligned: AlignedPredictions, *, resamples: int = 10_000, level: float = 0.95, seed: int = 13
) -> Uncertainty:
    """Intervals of each model's figures; intervals and p-values of the differences of each two models.

    Args:
        aligned: the predictions; its units are documents or distinct sentences. A model's figure is the mean
            over its runs.
        resamples: number of resamples of the bootstrap, and of the randomisation test of each pair.
        level: level of each single interval; differences are significant below p = 1 - level.
        seed: seed of the resampling.
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
    needed = resamples_needed(max((int(family.sum()) for family in families), default=0), level)
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
    """Two-sided p-value for no difference, from the differences in resamples [n, ...]."""
    fewer = np.minimum((drawn <= _NOTHING).sum(axis=0), (drawn >= -_NOTHING).sum(axis=0))
    result: np.ndarray = np.minimum(2 * (fewer + 1) / (len(drawn) + 1), 1)
    return result


def p_randomisation(difference: np.ndarray, swapped: np.ndarray) -> np.ndarray:
    """Two-sided p-value of a difference [...], from the differences after swapping [n, ...]."""
    as_large = (np.abs(swapped) >= np.abs(difference) - _NOTHING).sum(axis=0)
    result: np.ndarray = (as_large + 1) / (len(swapped) + 1)
    return result


def holm(p: np.ndarray) -> np.ndarray:
    """Correct p-values [n] for multiple testing; this controls the chance of any false finding.

    S. Holm, A simple sequentially rejective multiple test procedure (Scandinavian Journal of Statistics 6,
    1979): with the p-values in ascending order, the corrected p_(k) is the largest of (n + 1 - j) p_(j) over
    j <= k, and at most 1.
    """
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def resamples_needed(tests: int, level: float) -> int:
    """Fewest resamples that can show a difference: of n, the smallest p is 2 / (n + 1), before correction."""
    return math.ceil(2 * tests / (1 - level))


def _tested(
    difference: np.ndarray,
    drawn: np.ndarray,
    randomised: np.ndarray,
    occurring: np.ndarray,
    names: Sequence[tuple[str, ...]],
    level: float,
) -> list[Difference]:
    """Intervals and p-values of a pair's figures, called `names`; only types in `occurring` are tested."""
    low, high = interval(drawn, level)
    p, p_swapped = p_bootstrap(drawn), p_randomisation(difference, randomised)
    decisive = np.maximum(p, p_swapped)
    corrected = np.full(len(p), np.nan)
    for kind in ("precision", "recall", "f1"):
        family = np.array([name[0] == "per_type" and name[-1] == kind for name in names])
        # A type that occurs in neither model's counts cannot be tested.
        tested = np.flatnonzero(family)[occurring]
        corrected[family] = 1.0
        corrected[tested] = holm(decisive[tested])
    decisive = np.where(np.isnan(corrected), decisive, corrected)
    # 1 - 0.95 is a little more than 0.05.
    significant = decisive < round(1 - level, 9)
    columns = (column.tolist() for column in (difference, low, high, p, p_swapped, significant))
    holm_p = [None if np.isnan(value) else value for value in corrected.tolist()]
    return [*map(Difference, *columns, holm_p)]


def _figures(names: Sequence[tuple[str, ...]], cells: Sequence[Figure]) -> Figures[Figure]:
    """Arrange cells [F] by their `names`."""
    by_name = dict(zip(names, cells, strict=True))

    def cell(*name: str) -> Figure:
        return by_name[name]

    def three(*parents: str) -> PrecisionRecallF1[Figure]:
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
