"""Measure how often 95 % intervals contain the true value: percentile and BCa, by SciPy, on few sentences.

Two made-up models, of which B errs less; the truth is their F1 on 200,000 sentences. Samples of them are
bootstrapped by `scipy.stats.bootstrap`, each figure and each difference in both ways from the same resamples.

    python benchmarks/interval_coverage.py [--repetitions 1000] [--resamples 1000] [--sentences 60,200]
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
from scipy.stats import bootstrap

sys.path.insert(0, str(Path(__file__).parents[1]))

from ner_dist.comparison.aligned import AlignedPredictions
from ner_dist.evaluation.metrics import count_per_sentence, precision_recall_f1
from tests.comparison import simulated

TYPES = ("micro", *simulated.TYPES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=1_000)
    parser.add_argument("--resamples", type=int, default=1_000)
    parser.add_argument("--sentences", default="60,200")
    asked = parser.parse_args()
    # SciPy warns where all resamples are the same.
    warnings.simplefilter("ignore")
    aligned = simulated.two_models(0, sentences=200_000, errors=(0.15, 0.10))
    population = np.stack([counts_of(aligned, model) for model in "AB"], axis=1)  # [N, 2, 1 + types, 3]
    truth = figures_of(population.sum(axis=0))
    support = population[:, 0, :, 2].mean(axis=0)
    print("| sentences | of | entities | B: percentile | BCa | B − A: percentile | BCa |")
    print("|---|---|---|---|---|---|---|")
    for n in map(int, asked.sentences.split(",")):
        rng = np.random.default_rng(n)
        inside = np.mean(
            [covered(population, n, truth, asked.resamples, rng) for _ in range(asked.repetitions)], axis=0
        )  # [2 methods, 2 figures, 1 + types]
        for i, name in enumerate(TYPES):
            cells = " | ".join(
                f"{100 * inside[method, figure, i]:.1f} %" for figure in (0, 1) for method in (0, 1)
            )
            print(f"| {n} | {name} | {n * support[i]:.0f} | {cells} |")


def counts_of(aligned: AlignedPredictions, model: str) -> np.ndarray:
    """Of each sentence, [N, 1 + types, 3]: all types together, then one by one; right, predicted, gold."""
    counts = count_per_sentence(
        aligned.gold, aligned.predicted[model][0], aligned.offsets, aligned.labels, strict=True
    )
    return np.concatenate([counts.sum(axis=2, keepdims=True), counts], axis=2).transpose(0, 2, 1)


def figures_of(sums: np.ndarray) -> np.ndarray:
    """F1 of B and its difference to A from sums [..., 2, 1 + types, 3]: [2, ..., 1 + types]."""
    f1 = precision_recall_f1(*np.moveaxis(sums, -1, 0))["f1"]
    return np.stack([f1[..., 1, :], f1[..., 1, :] - f1[..., 0, :]])


def covered(
    population: np.ndarray, n: int, truth: np.ndarray, resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """Whether the intervals from one sample of n sentences hold the truth: bool [2 methods, 2, 1 + types]."""
    sample = population[rng.integers(0, len(population), size=n)]

    def statistic(drawn: np.ndarray, axis: int) -> np.ndarray:
        rows = drawn.reshape(-1, drawn.shape[-1])
        weights = np.zeros((len(rows), n))
        np.add.at(weights, (np.arange(len(rows))[:, None], rows), 1)
        return np.moveaxis(figures_of(np.tensordot(weights, sample, 1)), 1, -1).reshape(
            *truth.shape, *drawn.shape[:-1]
        )

    result, inside = None, []
    for method in ("percentile", "BCa"):
        result = bootstrap(
            (np.arange(n),),
            statistic,
            n_resamples=resamples if result is None else 0,
            bootstrap_result=result,
            method=method,
            rng=rng,
        )
        low, high = result.confidence_interval
        inside.append((low - 1e-12 <= truth) & (truth <= high + 1e-12))
    return np.array(inside)


if __name__ == "__main__":
    main()
