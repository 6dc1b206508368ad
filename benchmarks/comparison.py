"""Measure time and memory of 10,000 paired resamples, against scoring every resample anew from its tags.

Generated data of the size of MultiNERD's English test split: 32,864 sentences, all of them different, and 15
types. Two models, which err on their own; intervals and p-values of all figures, and the swaps of the
randomisation, are part of the time, and so is counting.

    python benchmarks/comparison.py [--sentences N] [--types N] [--runs N] [--resamples N] [--rescored N]
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

import numpy as np

from ner_dist.comparison.aligned import AlignedPredictions
from ner_dist.comparison.predictions import words_of
from ner_dist.comparison.uncertainty import uncertainty
from ner_dist.comparison.unit_counts import UnitCounts
from ner_dist.evaluation import metrics
from ner_dist.labels import MULTINERD_TYPES, LabelSet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sentences", type=int, default=32_864)
    parser.add_argument("--types", type=int, default=len(MULTINERD_TYPES))
    parser.add_argument("--runs", type=int, default=1, help="of each model")
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--rescored", type=int, default=5, help="resamples to score from tags, for the ratio")
    asked = parser.parse_args()
    aligned = generated(asked.sentences, asked.types, asked.runs)
    before, seconds, cpu = peak(), time.perf_counter(), time.process_time()
    uncertainty(aligned, resamples=asked.resamples)
    seconds, cpu = time.perf_counter() - seconds, time.process_time() - cpu
    used = peak()
    naive = rescoring(aligned, asked.rescored) * asked.resamples
    groups = UnitCounts.of(aligned).entities.copies
    print(
        f"{asked.resamples:,} resamples of {asked.sentences:,} sentences ({len(groups):,} different counts), "
        f"{asked.types} types, 2 models of {asked.runs} run{'s' * (asked.runs > 1)}: {seconds:.2f} s "
        f"(processor {cpu:.2f} s), peak memory {used:.0f} MB (+{used - before:.0f} MB); "
        f"scoring every resample again: {naive:,.0f} s, {naive / seconds:,.0f} x"
    )


def generated(sentences: int, types: int, runs: int) -> AlignedPredictions:
    """Sentences of 21 words with 1.6 entities on average, as in MultiNERD; the first types are common."""
    rng = np.random.default_rng(0)
    labels = LabelSet.from_types(f"T{i}" for i in range(types))
    offsets = np.concatenate([[0], np.cumsum(rng.integers(3, 40, size=sentences))]).astype(np.int64)
    chances = 0.75 ** np.arange(types)
    kinds = rng.choice(types, size=offsets[-1], p=chances / chances.sum())
    gold = np.where(rng.random(offsets[-1]) < 1.6 / 21, 1 + 2 * kinds, 0).astype(np.int16)

    def said(error: float) -> np.ndarray:
        """Other tags in place of some that begin an entity, and a few entities where there are none."""
        wrong = rng.random(len(gold)) < np.where(gold > 0, error, error / 20)
        other = 1 + 2 * rng.integers(0, types, size=len(gold))
        return np.where(wrong, np.where(rng.random(len(gold)) < 0.4, 0, other), gold).astype(np.int16)

    return AlignedPredictions(
        labels=labels,
        gold=gold,
        offsets=offsets,
        predicted={model: [said(error) for _ in range(runs)] for model, error in (("A", 0.055), ("B", 0.05))},
        seeds={model: list(range(runs)) for model in "AB"},
        unit=np.arange(sentences),
    )


def rescoring(aligned: AlignedPredictions, resamples: int) -> float:
    """Seconds to draw one resample and score it from its tags, for all runs of both models."""
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    for _ in range(resamples):
        words, offsets = words_of(rng.integers(0, len(aligned), size=len(aligned)), aligned.offsets)
        gold = aligned.gold[words]
        for runs in aligned.predicted.values():
            for run in runs:
                counts = metrics.count(gold, run[words], offsets, aligned.labels, strict=True)
                metrics.scores(counts, aligned.labels.types)
                metrics.token_accuracy(gold, run[words])
    return (time.perf_counter() - start) / resamples


def peak() -> float:
    """Largest resident memory of this process so far, in MB."""
    return (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform != "darwin" else 1024) / 1000
    )


if __name__ == "__main__":
    main()
