"""Uncertainty: intervals and p-values of every score and every difference between models.

Two claims are kept apart, and each has its intervals and p-values.

**The trained models differ**: these trainings, on other sentences. Intervals are percentile intervals of the
bootstrap (Efron & Tibshirani 1993, ch. 13). BCa (ch. 14) corrects bias and skewness, but differences have
little of either: in simulations it covered no difference more often than the percentile interval
(`benchmarks/interval_coverage.py`; figures in benchmarks/RESULTS.md). Few entities limit every bootstrap:
with about ten entities of a type, 95 % intervals of differences contained the true difference in 84 to 88 %
of cases. p-values are two-sided and never 0, since the observed data counts as one resample (Davison &
Hinkley 1997, ch. 4; Phipson & Smyth 2010). With n resamples d_1, ..., d_n of a difference d, and n swapped
ones s_1, ..., s_n:

    p               = min(1, 2 (1 + min(#{d_i <= 0}, #{d_i >= 0})) / (n + 1))
    p_randomisation = (1 + #{|s_i| >= |d|}) / (n + 1)

`p` inverts the interval (Efron & Tibshirani 1993, section 15.4): it is below 0.05 if the 95 % interval
excludes 0. The larger of the two decides, and the larger of two valid p-values is valid. The bootstrap alone
finds too much if few sentences differ: four sentences that all favour B give p = 0.04, but four tosses of a
coin agree in one case of eight.

**The recipes differ**: other seeds on other sentences (`seeds.py`). This needs runs of several seeds, or a
standard deviation between seeds that is known from elsewhere.

**Families.** Of many equal models and figures some differ by chance, so p-values are corrected after Holm
(1979) over all pairs of models and the figures of a family: F1, which decides; the other figures over all
types; the F1 of types; their precision and recall. A difference is significant if its corrected p-value,
`p_holm`, is below 1 - level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.comparison.claims import (
    Bounds,
    Claim,
    Difference,
    Estimate,
    Figures,
    MacroF1,
    PairDifferences,
    Power,
    SeedSpread,
    TrainedClaim,
    Uncertainty,
)
from ner_dist.comparison.influence import sentence_covariance
from ner_dist.comparison.method_text import method
from ner_dist.comparison.resampling import bootstrap, swapped
from ner_dist.comparison.seeds import RunFigures, same_seeds, tested
from ner_dist.comparison.unit_counts import UnitCounts
from ner_dist.evaluation.metrics import Figure, PrecisionRecallF1

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ner_dist.comparison.aligned import AlignedPredictions

# Differences up to this size are due to rounding.
_NOTHING = 1e-12


def uncertainty(
    aligned: AlignedPredictions,
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 13,
    known: SeedSpread | None = None,
) -> Uncertainty:
    """Intervals of each model's figures; intervals and p-values of the differences of each two models.

    Args:
        aligned: the predictions; its units are documents or distinct sentences. A model's figure is the mean
            over its runs.
        resamples: number of resamples of the bootstrap, and of the randomisation test of each pair.
        level: level of each single interval; differences are significant below p = 1 - level.
        seed: seed of the resampling.
        known: how F1 varies between seeds, for models with one run each.
    """
    counted = UnitCounts.of(aligned)
    observed = counted.means(counted.observed)
    drawn = bootstrap(counted, resamples=resamples, seed=seed)
    runs = RunFigures(counted.observed, sentence_covariance(counted), units=counted.entities.units)
    models = {}
    for place, model in enumerate(aligned.models):
        low, high = np.clip(interval(drawn[:, place], level), 0, 1)
        columns = observed[place].tolist(), low.tolist(), high.tolist()
        recipes = _recipe_bounds(runs, counted.runs[model], observed[place], level)
        models[model] = _figures(counted.names, [*map(Estimate, *columns, recipes)])
    tests = [
        _tests_of_pair(
            counted,
            runs,
            (aligned.models[of], aligned.models[to]),
            apart=drawn[:, of] - drawn[:, to],
            randomised=swapped(
                counted, aligned.models[of], aligned.models[to], resamples=resamples, seed=seed
            ),
            paired=same_seeds(aligned.seeds[aligned.models[of]], aligned.seeds[aligned.models[to]]),
            level=level,
            known=known,
        )
        for to, of in combinations(range(len(aligned.models)), 2)
    ]
    cells = _corrected(tests, counted.names, level, only_f1=known is not None) if tests else []
    differences = [
        PairDifferences(*each.pair, _figures(counted.names, own), each.power)
        for each, own in zip(tests, cells, strict=True)
    ]
    needed = resamples_needed(sum(int(each.occurring.sum()) for each in tests), level)
    return Uncertainty(
        resamples=resamples,
        resamples_needed=needed,
        level=level,
        drawn="documents" if aligned.draws_documents else "sentences",
        units=int(aligned.drawn.max(initial=-1)) + 1,
        seed=seed,
        method=method(aligned, resamples=resamples, needed=needed, level=level, known=known),
        models=models,
        differences=differences,
        seed_spread=known,
    )


@dataclass(frozen=True)
class _PairTests:
    """The tests of one pair of models, for each of F figures."""

    pair: tuple[str, str]
    difference: np.ndarray
    bounds: np.ndarray
    """Of the trained models, float64 [2, F]."""
    p: np.ndarray
    p_randomisation: np.ndarray
    recipes: tuple[np.ndarray, np.ndarray, np.ndarray] | None
    """low, high and p, float64 [F] each."""
    occurring: np.ndarray
    """bool [types]: only these can be tested."""
    power: Power | None


def _tests_of_pair(
    counted: UnitCounts,
    runs: RunFigures,
    pair: tuple[str, str],
    *,
    apart: np.ndarray,
    randomised: np.ndarray,
    paired: bool,
    level: float,
    known: SeedSpread | None,
) -> _PairTests:
    """Test the first model of a pair against the second.

    Args:
        counted: the counts of all runs.
        runs: their figures.
        pair: the models.
        apart: the differences in resamples, float64 [n, F].
        randomised: the differences after swapping, float64 [n, F].
        paired: whether the models have the same seeds.
        level: level of the intervals.
        known: as in `uncertainty`.
    """
    of, to = (counted.runs[model] for model in pair)
    difference = runs.figures[of].mean(axis=0) - runs.figures[to].mean(axis=0)
    spreads = runs.difference(of, to, paired=paired, known=known)
    return _PairTests(
        pair,
        difference,
        interval(apart, level),
        p_bootstrap(apart),
        p_randomisation(difference, randomised),
        tested(difference, spreads, level) if spreads else None,
        counted.occurring(*pair),
        runs.power(of, to, known=known),
    )


def _recipe_bounds(runs: RunFigures, own: slice, value: np.ndarray, level: float) -> list[Bounds | None]:
    """The interval of each figure of a model over other seeds and sentences; None for a single run."""
    spread = runs.mean(own)
    if spread is None:
        return [None] * len(value)
    return [*map(Bounds, *np.clip(spread.interval(value, level), 0, 1).tolist())]


def _corrected(
    tests: list[_PairTests], names: Sequence[tuple[str, ...]], level: float, *, only_f1: bool
) -> list[list[Difference]]:
    """The cells of each pair, with p-values corrected over each family of figures and all pairs."""
    # A type that occurs in neither model's counts cannot be tested.
    testable = np.stack([_testable(names, each.occurring) for each in tests])
    trained = np.stack([np.maximum(each.p, each.p_randomisation) for each in tests])
    holm_trained = _by_family(trained, names, testable)
    holm_recipes = np.ones_like(trained)
    known = [place for place, each in enumerate(tests) if each.recipes is not None]
    if known:
        p = np.stack([each.recipes[2] for each in tests if each.recipes is not None])
        holm_recipes[known] = _by_family(p, names, testable[known])
    # 1 - 0.95 is a little more than 0.05.
    below = round(1 - level, 9)
    result = []
    for each, for_trained, for_recipes in zip(tests, holm_trained, holm_recipes, strict=True):
        trained_columns = (*each.bounds, each.p, for_trained, for_trained < below, each.p_randomisation)
        of_trained = [TrainedClaim(*row) for row in _rows(trained_columns)]
        of_recipes: list[Claim | None] = [None] * len(names)
        if each.recipes is not None:
            of_recipes = [Claim(*row) for row in _rows((*each.recipes, for_recipes, for_recipes < below))]
        if only_f1:
            of_recipes = [
                tested if name == ("micro", "f1") else None
                for name, tested in zip(names, of_recipes, strict=True)
            ]
        result.append([*map(Difference, each.difference.tolist(), of_trained, of_recipes)])
    return result


def _rows(columns: Sequence[np.ndarray]) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.tolist() for column in columns), strict=True)


def _testable(names: Sequence[tuple[str, ...]], occurring: np.ndarray) -> np.ndarray:
    """bool [F]: which figures can be tested, by the types that occur."""
    types = [name[1] for name in names if name[::2] == ("per_type", "f1")]
    occurs = dict(zip(types, occurring.tolist(), strict=True))
    return np.array([name[0] != "per_type" or occurs[name[1]] for name in names])


def _by_family(p: np.ndarray, names: Sequence[tuple[str, ...]], testable: np.ndarray) -> np.ndarray:
    """Correct p-values [pairs, F] over each family of figures and all pairs; 1 for what cannot be tested."""
    corrected = np.ones_like(p)
    families = np.array([(name[0] == "per_type", name[-1] == "f1" and name[0] != "macro") for name in names])
    for family in np.unique(families, axis=0):
        members = testable & (families == family).all(axis=1)
        corrected[members] = holm(p[members])
    return corrected


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
