"""Measure what a comparison says of simulated models: how often equal ones are told apart, others found.

Entities are found with logistic probabilities: sentences differ in difficulty, runs of one recipe in luck,
and each run has noise of its own on each sentence (`tests/comparison/simulated.py`). Recipes are compared by
`seeds.py`, beside a test of crossed random effects that pools no variance; trained models and families of
figures by the whole of `uncertainty`.

    python benchmarks/calibration.py [--repetitions 600] [--resamples 999]
        [--part recipes,trained,families,width]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1]))

from ner_dist.comparison.aligned import AlignedPredictions
from ner_dist.comparison.influence import sentence_covariance
from ner_dist.comparison.seeds import RunFigures, tested
from ner_dist.comparison.uncertainty import uncertainty
from ner_dist.comparison.unit_counts import UnitCounts
from tests.comparison.simulated import Luck, crossed

NONE, LITTLE, SOME, GREAT = (Luck(seed=seed) for seed in (0.0, 0.055, 0.12, 0.28))
SHARED = Luck(seed=0.28, shared=0.8)
RECIPES = [
    ("2 against 2, N 1,000", (2, 2), 1_000, LITTLE, 0.0),
    ("3 against 3, no luck, N 300", (3, 3), 300, NONE, 0.0),
    ("3 against 3, N 300", (3, 3), 300, SOME, 0.0),
    ("3 against 3, great luck, N 300", (3, 3), 300, GREAT, 0.0),
    ("3 against 3, N 1,000", (3, 3), 1_000, LITTLE, 0.0),
    ("3 against 3, great luck, shared by 0.8, N 300", (3, 3), 300, SHARED, 0.0),
    ("5 against 5, N 300", (5, 5), 300, SOME, 0.0),
    ("5 against 5, N 1,000", (5, 5), 1_000, LITTLE, 0.0),
    ("1 against 5, N 300", (1, 5), 300, SOME, 0.0),
    ("1 against 5, N 1,000", (1, 5), 1_000, LITTLE, 0.0),
    ("3 against 3, N 300, a gap", (3, 3), 300, SOME, 0.35),
    ("3 against 3, great luck, a gap", (3, 3), 300, GREAT, 0.65),
    ("3 against 3, no luck, a gap", (3, 3), 300, NONE, 0.25),
    ("3 against 3, N 1,000, a gap", (3, 3), 1_000, LITTLE, 0.17),
    ("5 against 5, N 300, a gap", (5, 5), 300, SOME, 0.35),
    ("5 against 5, N 1,000, a gap", (5, 5), 1_000, LITTLE, 0.17),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=600)
    parser.add_argument("--resamples", type=int, default=999)
    parser.add_argument("--part", default="recipes,trained,families,width")
    asked = parser.parse_args()
    parts = {
        "recipes": lambda: _recipes(asked.repetitions),
        "trained": lambda: _trained(asked.repetitions, asked.resamples),
        "families": lambda: _families(asked.repetitions // 4, asked.resamples),
        "width": lambda: _width(asked.repetitions // 2),
    }
    for part in asked.part.split(","):
        parts[part]()
        print(flush=True)


def _head(*columns: str) -> None:
    print(f"| {' | '.join(columns)} |")
    print("|" + "---|" * len(columns))


def _recipes(repetitions: int) -> None:
    """Share of comparisons in which recipes are told apart at 5 %."""
    heads = ("recipes", "gap in F1", "SD between seeds", "other seeds", "the same seeds", "unpooled")
    _head(*heads, "interval holds 0")
    for place, (name, numbers, sentences, luck, ahead) in enumerate(RECIPES):
        rows = []
        # Each row has seeds of its own, so that the rows are independent.
        for seed in range(10_000 * place, 10_000 * place + repetitions):
            runs, a, b = _runs(crossed(seed, sentences=sentences, runs=numbers, luck=luck, ahead=ahead))
            difference = runs.figures[b].mean(axis=0) - runs.figures[a].mean(axis=0)
            low, high, p = (cell[2] for cell in tested(difference, runs.difference(b, a, paired=False), 0.95))
            same = np.nan
            if numbers[0] == numbers[1]:
                same = tested(difference, runs.difference(b, a, paired=True), 0.95)[2][2] < 0.05
            spread = runs.figures[b, 2].var(ddof=1)
            rows.append(
                (difference[2], spread, p < 0.05, same, _unpooled(runs, a, b) < 0.05, low <= 0 <= high)
            )
        gap, spread, *shares = np.mean(np.array(rows, dtype=float), axis=0)
        cells = ["–" if np.isnan(share) else f"{100 * share:.1f} %" for share in shares]
        print(f"| {name} | {gap:+.3f} | {spread**0.5:.3f} | {' | '.join(cells)} |", flush=True)


def _runs(aligned: AlignedPredictions) -> tuple[RunFigures, slice, slice]:
    counted = UnitCounts.of(aligned)
    runs = RunFigures(counted.observed, sentence_covariance(counted), units=counted.entities.units)
    return runs, counted.runs["A"], counted.runs["B"]


def _unpooled(runs: RunFigures, a: slice, b: slice) -> float:
    """p-value of F1 by a quasi-F test of crossed random effects with a variance of each recipe's own."""
    sides = [(runs.figures[each, 2], runs.covariance[2, each, each]) for each in (a, b)]
    if min(len(figures) for figures, _ in sides) < 2:
        return np.nan
    weights = np.concatenate([np.full(len(f), s / len(f)) for (f, _), s in zip(sides, (-1, 1), strict=True)])
    between = np.array([figures.var(ddof=1) / len(figures) for figures, _ in sides])
    noise = [(np.trace(own) - len(f) * own.mean()) / (len(f) - 1) / len(f) for f, own in sides]
    sentences = weights @ runs.covariance[2] @ weights
    variance = max(between.sum() + sentences - sum(noise), 1e-12)
    degrees = variance**2 / sum(v**2 / (len(f) - 1) for v, (f, _) in zip(between, sides, strict=True))
    difference = sides[1][0].mean() - sides[0][0].mean()
    return float(2 * stats.t.sf(abs(difference) / np.sqrt(variance), degrees))


def _trained(repetitions: int, resamples: int) -> None:
    """One training each: what is said of the trained models, and that nothing is said of recipes."""
    _head("one training each", "trained models told apart", "recipes told apart")
    for name, sentences, luck in (
        ("no luck, N 300", 300, NONE),
        ("luck, N 300", 300, SOME),
        ("luck, N 1,000", 1_000, LITTLE),
    ):
        found = [
            uncertainty(crossed(seed, sentences=sentences, runs=(1, 1), luck=luck), resamples=resamples)
            for seed in range(repetitions)
        ]
        cells = [each.differences[0].figures.micro.f1 for each in found]
        recipes = [cell.recipes is not None and cell.recipes.significant for cell in cells]
        trained = np.mean([cell.trained.significant for cell in cells])
        print(f"| {name} | {100 * trained:.1f} % | {100 * np.mean(recipes):.1f} % |", flush=True)


def _families(repetitions: int, resamples: int) -> None:
    """Equal models without luck: how often any pair's F1, or any of the five figures, is called different."""
    _head("equal models", "some pair's F1", "some other figure over all types", "either")
    for number in (2, 3, 5, 8):
        rows = []
        for seed in range(repetitions):
            found = uncertainty(crossed(seed, runs=(1,) * number, luck=NONE), resamples=resamples)
            overall = [pair.figures.overall() for pair in found.differences]
            f1 = any(figures["f1"].significant for figures in overall)
            other = any(
                cell.significant for figures in overall for key, cell in figures.items() if key != "f1"
            )
            rows.append((f1, other, f1 or other))
        shares = [f"{100 * share:.1f} %" for share in np.mean(rows, axis=0)]
        print(f"| {number} | {' | '.join(shares)} |", flush=True)


def _width(repetitions: int) -> None:
    """Mean width of the intervals of a difference of F1 by the number of seeds."""
    _head("seeds of each", "trained models", "recipes, other seeds", "recipes, the same seeds")
    for number in (1, 2, 3, 4, 5):
        rows = []
        for seed in range(repetitions):
            runs, a, b = _runs(crossed(seed, runs=(number, number), luck=SOME))
            weights = np.concatenate([np.full(number, -1 / number), np.full(number, 1 / number)])
            row = [2 * 1.96 * np.sqrt(weights @ runs.covariance[2] @ weights)]
            for paired in (False, True):
                spreads = runs.difference(b, a, paired=paired)
                low, high, _ = (
                    tested(np.zeros(runs.figures.shape[1]), spreads, 0.95) if spreads else (0, np.inf, 0)
                )
                row.append(high[2] - low[2] if spreads else np.inf)
            rows.append(row)
        cells = ["unknown" if np.isinf(each) else f"{each:.3f}" for each in np.mean(rows, axis=0)]
        print(f"| {number} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
