"""Do two recipes differ? A test of differences over other seeds and other sentences.

The figure of a run is taken as the sum of its recipe's figure, the luck of its seed, the difficulty of the
sentences for its recipe, and noise of this run on these sentences: runs and sentences are crossed random
effects (Baayen, Davidson & Bates 2008, "Mixed-effects modeling with crossed random effects for subjects and
items"). With A runs of one recipe and B of the other, the difference of their mean figures has the variance

    V = c s2 + v,   c = 1/A + 1/B

s2 is the variance between runs of one recipe, pooled over both, with A + B - 2 degrees of freedom: luck is
taken to be equally large for both. v is what the sentences add to it: the variance of the difference over
sentences (`influence.py`) less the share of the noise, c n2, which s2 has in it already. n2 is the variance
over sentences of a run's deviation from the mean of its recipe. If v comes out below 0 it is taken as 0. V
has Satterthwaite's degrees of freedom (1946), V^2 / ((c s2)^2 / (A + B - 2) + v^2 / (units - 1)), and
difference / sqrt(V) is compared with Student's t.

**The same seeds** may give both recipes the same luck: runs of one seed read the data in one order. Then
differences by seed vary less than s2 says, but three pairs cannot show whether they do. So from three seeds
on F1 over all types, which decides, is tested twice: by the pairs (the variance of their differences, with
A - 1 degrees of freedom, in place of c s2) and by independent runs, and p = min(1, 2 p_pairs,
1.25 p_independent). Bonferroni's weights would have to satisfy 1 / 2 + 1 / 1.25 <= 1, which costs power. With
these, equal recipes are told apart in 4 to 7 % of cases at a level of 5 %, whatever luck they share
(`benchmarks/calibration.py`; figures in benchmarks/RESULTS.md). The interval has the values that p does not
reject. Other figures are tested by independent runs alone: corrected for many types, two tests of each would
find too much.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from ner_dist.comparison.claims import Power

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.comparison.claims import SeedSpread

PAIRS, INDEPENDENT = 2.0, 1.25
"""Weights of the p-values of F1 for runs of the same seeds."""
FEWEST_PAIRS = 3
"""With two pairs of runs their variance has one degree of freedom, which shows next to nothing."""
F1 = 2
"""The place of F1 over all types among the figures, as `UnitCounts.names` has it."""
POWER, MOST_RUNS = 0.8, 100
# Deviations up to this size are due to rounding.
_NOTHING = 1e-12
# And differences of variances up to this part of the whole.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Spread:
    """Variance of an estimate over seeds and sentences, for each of F figures."""

    variance: np.ndarray
    """float64 [F]"""
    degrees: np.ndarray
    """float64 [F]: degrees of freedom of the variance."""

    def interval(self, value: np.ndarray, level: float) -> np.ndarray:
        """Interval around values [F] by Student's t, float64 [2, F]."""
        reach = stats.t.ppf((1 + level) / 2, self.degrees) * np.sqrt(self.variance)
        return np.stack([value - reach, value + reach])

    def p(self, value: np.ndarray) -> np.ndarray:
        """Two-sided p-value of values [F] against 0, float64 [F]."""
        size, error = np.abs(value), np.sqrt(self.variance)
        certain = np.where(size > _NOTHING, 0.0, 1.0)
        t = size / np.where(error > _NOTHING, error, 1.0)
        return np.where(error > _NOTHING, 2 * stats.t.sf(t, self.degrees), certain)


@dataclass(frozen=True)
class RunFigures:
    """The figures of some runs, and how they vary with the sentences."""

    figures: np.ndarray
    """float64 [runs, F]"""
    covariance: np.ndarray
    """float64 [F, runs, runs]: as from `sentence_covariance`."""
    units: int
    """Number of units that are drawn."""

    def mean(self, runs: slice) -> Spread | None:
        """Spread of the mean of a model's runs; None if there is one."""
        n = runs.stop - runs.start
        if n < 2:
            return None
        between = self.figures[runs].var(axis=0, ddof=1) / n
        own = self.covariance[:, runs, runs]
        return self._spread(
            between, n - 1, self._beyond_rounding(own.mean(axis=(1, 2)) - self._noise(own) / n)
        )

    def difference(
        self, of: slice, to: slice, *, paired: bool, known: SeedSpread | None = None
    ) -> list[Spread]:
        """Spreads of the difference of two models' means, by each test that can be made.

        Args:
            of: runs of one model.
            to: runs of the other.
            paired: whether run i of one has the seed of run i of the other.
            known: how F1 varies between seeds, where the runs do not show it.

        Returns:
            That of independent runs, and that of pairs if there are three; none if nothing is known of seeds.
        """
        pooled = self._pooled(of, to, known)
        if pooled is None:
            return []
        between, degrees, added = pooled
        one, other = (self.figures[runs] for runs in (of, to))
        spreads = [self._spread((1 / len(one) + 1 / len(other)) * between, degrees, added)]
        if paired and len(one) >= FEWEST_PAIRS:
            of_pairs = (one - other).var(axis=0, ddof=1) / len(one)
            spreads.append(self._spread(of_pairs, len(one) - 1, added))
        return spreads

    def power(self, of: slice, to: slice, *, known: SeedSpread | None = None) -> Power | None:
        """How many independent runs of each model would show their difference of F1, or one of 0.01.

        The smaller of the two, and no less than 0.001. The variances are taken as they were found.
        """
        pooled = self._pooled(of, to, known)
        if pooled is None:
            return None
        between, added = float(pooled[0][F1]), float(pooled[2][F1])
        found = abs(float(self.figures[of, F1].mean() - self.figures[to, F1].mean()))
        gap = max(min(found, 0.01), 0.001)
        for number in range(2, MOST_RUNS + 1):
            spread = self._spread(np.array([2 * between / number]), 2 * (number - 1), np.array([added]))
            needed = stats.t.ppf(0.975, spread.degrees) + stats.t.ppf(POWER, spread.degrees)
            if needed[0] * np.sqrt(spread.variance[0]) <= gap:
                return Power(gap, number)
        return Power(gap, None)

    def _pooled(
        self, of: slice, to: slice, known: SeedSpread | None
    ) -> tuple[np.ndarray, float, np.ndarray] | None:
        """Variance between runs of one model with its degrees of freedom, and what sentences add.

        None if the runs show none and none is known.
        """
        numbers = [runs.stop - runs.start for runs in (of, to)]
        degrees = sum(numbers) - 2
        weights = np.zeros(len(self.figures))
        weights[of], weights[to] = 1 / numbers[0], -1 / numbers[1]
        sentences = np.einsum("r,frs,s->f", weights, self.covariance, weights)
        if not degrees:
            if known is None:
                return None
            freedom = np.inf if known.degrees is None else known.degrees
            return np.full(len(sentences), known.sd**2), freedom, sentences
        squares, noise = np.zeros(len(sentences)), np.zeros(len(sentences))
        for runs, number in zip((of, to), numbers, strict=True):
            squares += self.figures[runs].var(axis=0) * number
            noise += self._noise(self.covariance[:, runs, runs]) * (number - 1)
        added = sentences - sum(1 / number for number in numbers) * noise / degrees
        return squares / degrees, degrees, self._beyond_rounding(added)

    def _beyond_rounding(self, variance: np.ndarray) -> np.ndarray:
        """A difference of variances over sentences, float64 [F]; 0 if it is negative or due to rounding."""
        whole = np.trace(self.covariance, axis1=1, axis2=2)
        return np.where(variance > _ROUNDING * whole, variance, 0.0)

    @staticmethod
    def _noise(covariance: np.ndarray) -> np.ndarray:
        """Variance over sentences of a run's deviation from the mean of its model, float64 [F]; 0 for one."""
        n = covariance.shape[-1]
        whole: np.ndarray = np.trace(covariance, axis1=1, axis2=2) - n * covariance.mean(axis=(1, 2))
        result: np.ndarray = whole / max(n - 1, 1)
        return result

    def _spread(self, between: np.ndarray, degrees: float, added: np.ndarray) -> Spread:
        variance = between + added
        parts = between**2 / degrees + added**2 / max(self.units - 1, 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            freedom = np.where(parts > 0, variance**2 / parts, np.inf)
        return Spread(variance, freedom)


def tested(
    difference: np.ndarray,
    spreads: Sequence[Spread],
    level: float,
    *,
    by_pairs: slice = slice(F1, F1 + 1),
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interval and p-value of a difference of recipes [F], from the spreads of each test.

    Args:
        difference: float64 [F]
        spreads: that of independent runs, and that of pairs if there are some.
        level: level of the interval.
        by_pairs: the figures that are tested by pairs too, where there are some.

    Returns:
        low, high and p, float64 [F] each.
    """
    independent = spreads[0]
    low, high = independent.interval(difference, level)
    p = independent.p(difference)
    if len(spreads) > 1:
        weighted = list(zip(spreads, (INDEPENDENT, PAIRS), strict=True))
        smallest = np.min([weight * each.p(difference) for each, weight in weighted], axis=0)
        bounds = [each.interval(difference, 1 - (1 - level) / weight) for each, weight in weighted]
        p[by_pairs] = np.minimum(smallest, 1)[by_pairs]
        low[by_pairs] = np.max([each[0] for each in bounds], axis=0)[by_pairs]
        high[by_pairs] = np.min([each[1] for each in bounds], axis=0)[by_pairs]
    return low, high, p


def same_seeds(of: list[int | None], to: list[int | None]) -> bool:
    """Whether the runs of two models are paired by seed."""
    return bool(_known(of)) and sorted(_known(of)) == sorted(_known(to))


def _known(seeds: Sequence[int | None]) -> list[int]:
    """The seeds, if all runs have different ones; else an empty list."""
    known = [seed for seed in seeds if seed is not None]
    return known if len(set(known)) == len(seeds) else []
