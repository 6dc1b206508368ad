"""Figures from counts by unit equal those of `metrics.scores`; grouping loses nothing."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_dist.comparison.unit_counts import Grouped, UnitCounts
from ner_dist.evaluation import metrics
from tests.comparison import simulated

seeds = st.integers(0, 2**32 - 1)


def cell(scores: dict, name: tuple[str, ...]) -> float:
    for part in name[1:] if name[0] == "micro" else name:
        scores = scores[part]
    return scores


@given(seeds, st.integers(1, 40), st.integers(1, 3))
def test_figures_are_those_of_the_metrics(seed, sentences, runs):
    aligned = simulated.two_models(seed, sentences=sentences, runs=runs)
    counted = UnitCounts.of(aligned)
    said = [run for of_model in aligned.predicted.values() for run in of_model]
    for figures, predicted in zip(counted.observed, said, strict=True):
        counts = metrics.count(aligned.gold, predicted, aligned.offsets, aligned.labels, strict=True)
        scores = asdict(metrics.scores(counts, aligned.labels.types))
        scores["accuracy"] = metrics.token_accuracy(aligned.gold, predicted)
        assert figures == pytest.approx([cell(scores, name) for name in counted.names], abs=1e-14)


def test_nothing_predicted_and_nothing_there_is_zero():
    gold, offsets = np.zeros(6, dtype=np.int16), np.array([0, 2, 6])
    counted = UnitCounts.of(simulated.aligned(gold, offsets, {"A": [gold], "B": [gold]}))
    figures = dict(zip(counted.names, counted.observed[0], strict=True))
    assert figures.pop(("accuracy",)) == 1
    assert set(figures.values()) == {0.0}
    assert not counted.occurring(*counted.runs).any()


def test_runs_stand_in_the_order_of_the_models_and_seeds():
    aligned = simulated.two_models(3, runs=2)
    counted = UnitCounts.of(aligned)
    assert counted.runs == {"A": slice(0, 2), "B": slice(2, 4)}
    aligned.seeds["B"] = [9, 4]
    assert (UnitCounts.of(aligned).observed == counted.observed[[0, 1, 3, 2]]).all()


@given(
    st.integers(1, 4).flatmap(
        lambda columns: st.lists(
            st.lists(st.sampled_from([0, 1, 300]), min_size=columns, max_size=columns), min_size=1
        )
    )
)
def test_groups_are_the_distinct_rows_and_their_numbers(rows):
    grouped = Grouped.of(np.array(rows))
    expanded = [row for row, n in zip(grouped.rows.tolist(), grouped.copies, strict=True) for _ in range(n)]
    assert sorted(expanded) == sorted(rows)
    assert len({tuple(row) for row in grouped.rows.tolist()}) == len(grouped.rows)
    assert (np.diff(grouped.copies) <= 0).all()
    assert grouped.units == len(rows) and grouped.total.tolist() == np.sum(rows, axis=0).tolist()


@given(seeds)
def test_copies_are_counted_with_their_unit(seed):
    aligned = simulated.two_models(seed, sentences=30)
    rng = np.random.default_rng(seed)
    copied = simulated.copied(aligned, np.sort(rng.integers(0, 30, size=50)))
    counted = UnitCounts.of(copied)
    assert counted.entities.units == counted.words.units == copied.units < len(copied)
    assert counted.words.total[0] == len(copied.gold)
