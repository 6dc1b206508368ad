"""Calibration of words and of entities follows the definition of Guo et al."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_dist.comparison.calibration import calibration
from ner_dist.evaluation import metrics
from ner_dist.evaluation.reliability import ReliabilityBin, reliability
from tests.comparison.grounds import grounds, written


def one_by_one(answers):
    """ECE by the definition, from (confidence in ten-thousandths, right)."""
    bins = {}
    for confidence, right in answers:
        bins.setdefault(max(-(-confidence // 1000), 1), []).append((confidence / 10_000, right))
    gaps = [abs(sum(c for c, _ in each) - sum(right for _, right in each)) for each in bins.values()]
    return sum(gaps) / len(answers), {number: len(each) for number, each in bins.items()}


@given(answers=st.lists(st.tuples(st.integers(0, 10_000), st.booleans()), min_size=1, max_size=60))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_error_is_that_of_the_definition(answers, dtype):
    confidence = (np.array([c for c, _ in answers]) / 10_000).astype(dtype)
    found = reliability(confidence, np.array([right for _, right in answers]))
    error, counts = one_by_one(answers)
    assert found.ece == pytest.approx(error, abs=1e-6)
    assert {i + 1: each.count for i, each in enumerate(found.bins) if each.count} == counts


def test_ends_belong_to_the_bin_below():
    ends = np.arange(11) / 10
    for confidence in (ends, ends.astype(np.float32), np.cumsum([0, *[0.1] * 10])):
        counts = [each.count for each in reliability(confidence, np.ones(11, dtype=bool)).bins]
        assert counts == [2, *[1] * 9]


def test_a_model_that_knows_how_sure_it_is_has_no_error_and_one_that_is_too_sure_has():
    rng = np.random.default_rng(0)
    confidence = rng.random(100_000)
    right = rng.random(100_000) < confidence
    assert reliability(confidence, right).ece < 0.01
    assert reliability(np.sqrt(confidence), right).ece == pytest.approx(2 / 3 - 1 / 2, abs=0.01)


def test_empty_bins_hold_nothing():
    found = reliability(np.array([0.95]), np.array([True]))
    assert found.bins[0] == ReliabilityBin(low=0.0, high=0.1, count=0, confidence=None, accuracy=None)
    assert found.bins[9].accuracy == 1.0 and found.bins[9].high == 1.0
    assert reliability(np.empty(0), np.empty(0, dtype=bool)).ece is None


@given(aligned=grounds(models=1))
def test_answers_are_words_and_predicted_entities_of_all_runs(aligned):
    found = calibration(aligned, "A")
    runs = aligned.predicted["A"]
    assert found.runs == len(runs)
    assert sum(each.count for each in found.words.bins) == len(aligned.gold) * len(runs)
    accurate = sum(each.count * (each.accuracy or 0) for each in found.words.bins)
    assert accurate == pytest.approx(sum((run == aligned.gold).sum() for run in runs))
    counts = sum(
        metrics.count(aligned.gold, run, aligned.offsets, aligned.labels, strict=True).as_array()
        for run in runs
    )
    right, predicted, _ = counts.sum(axis=1)
    assert sum(each.count for each in found.entities.bins) == predicted
    accurate = sum(each.count * (each.accuracy or 0) for each in found.entities.bins)
    assert accurate == pytest.approx(right)


def test_an_entity_is_as_likely_as_its_words_together():
    aligned = written(
        ["B-PER I-PER O B-LOC", "B-ORG"],
        [["B-PER I-PER O B-ORG", "B-ORG"]],
        confidence=[0.9, 0.5, 0.1, 0.75, 0.25],
    )
    bins = calibration(aligned, "A").entities.bins
    found = {i: (each.confidence, each.accuracy) for i, each in enumerate(bins) if each.count}
    assert found == {
        2: (pytest.approx(0.25), 1.0),
        4: (pytest.approx(0.45), 1.0),
        7: (pytest.approx(0.75), 0.0),
    }


def test_no_probabilities_no_calibration():
    aligned = written(["B-PER"], [["B-PER"], ["O"]], confidence=None)
    assert calibration(aligned, "A") is None
    assert calibration(replace(aligned, confidence={"A": [None, None]}), "A") is None


def test_runs_without_probabilities_are_left_out():
    aligned = written(["B-PER"], [["O"], ["B-PER"]])
    aligned = replace(aligned, confidence={"A": [None, np.array([0.8], dtype=np.float32)]})
    found = calibration(aligned, "A")
    assert found.runs == 1 and found.words.ece == pytest.approx(0.2)
