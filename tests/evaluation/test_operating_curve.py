"""The operating curve: what it says is what an evaluation at its points gives."""

from __future__ import annotations

import re
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_dist.errors import UserError
from ner_dist.evaluation.operating_curve import (
    FILE,
    FORMAT,
    BiasPoint,
    OperatingCurve,
    ThresholdPoint,
    bias_for,
    measure_curve,
    read_curve,
    threshold_for,
    thresholds_between,
    write_curve,
)
from tests.conftest import REPOSITORY
from tests.evaluation.samples import samples


def curve(thresholds=(), biases=()) -> OperatingCurve:
    """A curve of (value, precision, recall) points."""
    return OperatingCurve(
        format=FORMAT,
        split="validation",
        sentences=10,
        entities=20,
        decode="viterbi",
        temperature=1.5,
        thresholds=[ThresholdPoint(*each, f1=0.5) for each in thresholds],
        biases=[BiasPoint(*each, f1=0.5) for each in biases],
    )


@settings(max_examples=15)
@given(sample=samples(), decode=st.sampled_from(["greedy", "viterbi"]))
def test_recall_never_rises_with_the_threshold_and_the_first_points_are_without_any(sample, decode):
    found = measure_curve(sample, decode=decode, temperature=1.5)
    plain = sample.scores(sample.tags(decode))
    for first in (found.thresholds[0], found.biases[0]):
        assert (first.precision, first.recall, first.f1) == (plain.precision, plain.recall, plain.f1)
    recalls = [point.recall for point in found.thresholds]
    if (sample.gold >= 0).all():  # what stands around an unlabelled word may join when that is left out
        assert recalls == sorted(recalls, reverse=True)
    assert [point.threshold for point in found.thresholds] == sorted(
        {point.threshold for point in found.thresholds}
    )
    assert len(found.thresholds) <= 100 and len(found.biases) <= 41


@given(values=st.lists(st.floats(0, 1), max_size=300))
def test_thresholds_lie_between_the_probabilities_and_divide_them_evenly(values):
    probability = np.array(values)
    found = thresholds_between(probability)
    assert len(found) <= 99
    assert found == sorted(found)
    if len(set(values)) == len(values) <= 100 and len(values) > 1:
        ordered = sorted(values)
        parts = np.searchsorted(found, ordered, side="right")
        assert parts.tolist() == list(range(len(values)))


def test_the_smallest_threshold_and_the_smallest_bias_are_taken():
    points = curve(
        thresholds=[(0.0, 0.8, 0.9), (0.5, 0.95, 0.7), (0.6, 0.94, 0.6), (0.9, 0.99, 0.2)],
        biases=[(0.0, 0.8, 0.9), (0.25, 0.7, 0.93), (0.5, 0.6, 0.97), (0.75, 0.5, 0.96)],
    )
    assert threshold_for(points, 0.95).threshold == 0.5
    assert threshold_for(points, 0.5).threshold == 0.0
    assert bias_for(points, 0.95).bias == 0.5
    with pytest.raises(
        UserError, match=r"no precision of 0\.995 is .*: the highest is 0\.9900; ask for at most 0\.99$"
    ):
        threshold_for(points, 0.995)
    with pytest.raises(
        UserError, match=r"no recall of 0\.98 is .*: the highest is 0\.9700; ask for at most 0\.97"
    ):
        bias_for(points, 0.98)


def test_a_written_curve_is_read_back_and_a_damaged_one_is_an_error(tmp_path):
    assert read_curve(tmp_path) is None
    written = curve(thresholds=[(0.0, 0.8, 0.9)], biases=[(0.0, 0.8, 0.9)])
    write_curve(tmp_path, written)
    assert read_curve(tmp_path) == written
    text = (tmp_path / FILE).read_text()
    for damaged in (text[:-20], "[]", text.replace('"thresholds"', '"threshold"')):
        (tmp_path / FILE).write_text(damaged)
        with pytest.raises(UserError, match="cannot be read"):
            read_curve(tmp_path)
    (tmp_path / FILE).write_text(text.replace('"format": 1', '"format": 9'))
    with pytest.raises(UserError, match="has format 9"):
        read_curve(tmp_path)


def test_the_page_describes_every_key():
    page = (REPOSITORY / "docs/formats.md").read_text(encoding="utf-8")
    section = page.split(f"## {FILE}\n")[1].split("\n## ")[0]
    described = set()
    for cell in re.findall(r"^\| (`.*?) \|", section, flags=re.M):
        for name in re.findall(r"`([^`]+)`", cell):
            head, _, inner = name.partition("{")
            described |= {head + each for each in inner.rstrip("}").split(",")}
    points = {"thresholds": ThresholdPoint, "biases": BiasPoint}
    expected = {field.name for field in fields(OperatingCurve)} - set(points)
    expected |= {f"{name}[].{field.name}" for name, kind in points.items() for field in fields(kind)}
    assert described == expected
