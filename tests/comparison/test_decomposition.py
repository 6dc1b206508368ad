"""The parts of a gap add up, for any two models."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from seqeval.metrics import v1
from seqeval.scheme import IOB2

from ner_dist.comparison.aligned import align_predictions
from ner_dist.comparison.decomposition import decomposition
from ner_dist.comparison.predictions import Predictions, words_of
from ner_dist.comparison.scores import mean, std, strict_scores
from ner_dist.labels import LabelSet
from tests.comparison import simulated
from tests.comparison.made_files import corpora, predictions, some_types, two_files

PARTS = ("label_set", "sentences", "gold", "model")


def apart(a, b):
    own = {"A": [a], "B": [b]}
    aligned, _ = align_predictions(own, {"A": [None], "B": [None]})
    return decomposition(own, aligned)["B"], aligned


def whole_score(file):
    return strict_scores(file.gold, file.predicted, file.offsets, file.labels)


@given(files=two_files())
def test_the_parts_add_up_to_the_gap_between_the_headlines(files):
    gap, aligned = apart(*files)
    headline = [whole_score(file).f1 for file in files]
    assert gap.gap == headline[1] - headline[0]
    assert sum(getattr(gap, part) for part in PARTS) == pytest.approx(gap.gap, abs=1e-12)
    assert gap.task == pytest.approx(gap.label_set + gap.sentences, abs=1e-12)
    for order in (gap.orders.labels_first, gap.orders.sentences_first):
        assert order.label_set + order.sentences == pytest.approx(gap.task, abs=1e-12)
    assert [gap.grounds[model].own for model in "AB"] == headline
    shared = [
        strict_scores(aligned.gold, aligned.predicted[m][0], aligned.offsets, aligned.labels).f1 for m in "AB"
    ]
    assert [gap.grounds[model].agreed for model in "AB"] == shared


@given(files=two_files())
def test_a_model_with_itself_has_no_gap(files):
    gap, _ = apart(files[0], files[0])
    assert [getattr(gap, part) for part in ("gap", *PARTS)] == [0.0] * 5


@given(files=two_files())
def test_the_order_of_the_models_flips_the_signs_and_nothing_else(files):
    there, back = apart(*files)[0], apart(*files[::-1])[0]
    for part in ("gap", *PARTS):
        assert getattr(there, part) == pytest.approx(-getattr(back, part), abs=1e-12)
        low, high = there.intervals[part].low, there.intervals[part].high
        assert (-high, -low) == pytest.approx(
            (back.intervals[part].low, back.intervals[part].high), abs=1e-12
        )
    assert there.grounds == {"A": back.grounds["B"], "B": back.grounds["A"]}


@given(corpus=corpora(), types=some_types)
def test_the_same_sentences_and_labels_leave_all_to_the_model(corpus, types):
    a, b = (predictions(corpus, types, model=model) for model in range(2))
    gap, _ = apart(a, b)
    assert (gap.label_set, gap.sentences) == (0.0, 0.0)
    assert gap.model == gap.gap


def test_intervals_of_the_parts_agree_with_a_bootstrap_of_the_sentences():
    """Two models of unlike types, B without a tenth of the sentences; the parts of drawn sentences."""
    rng = np.random.default_rng(5)
    gold, offsets = simulated.gold_tags(rng, 400)
    labels = LabelSet.from_types(simulated.TYPES)
    said = [simulated.said(rng, gold, offsets, error=error) for error in (0.2, 0.1)]

    def files(sentences):
        words, starts = words_of(sentences, offsets)
        names = [[f"w{number}"] * int(n) for number, n in enumerate(np.diff(starts))]
        whole = [
            Predictions(name, labels, gold[words], each[words], starts, tokens=names)
            for name, each in zip("ab", said, strict=True)
        ]
        fewer = whole[1].take(np.flatnonzero(sentences % 10 > 0), LabelSet.from_types(simulated.TYPES[:3]))
        return whole[0], fewer

    gap, _ = apart(*files(np.arange(400)))
    drawn = [apart(*files(rng.integers(0, 400, 400)))[0] for _ in range(120)]
    for part in (*PARTS, "gap", "task"):
        low, high = gap.intervals[part].low, gap.intervals[part].high
        deviation = np.std([getattr(each, part) for each in drawn])
        assert (high - low) / 3.92 == pytest.approx(deviation, rel=0.25, abs=1e-9), part


@given(corpus=corpora(), types=some_types)
def test_projection_then_scoring_is_scoring_then_restricting(corpus, types):
    whole = whole_score(predictions(corpus)).per_type
    projected = whole_score(predictions(corpus, types)).per_type
    assert projected == {name: whole[name] for name in types}


@given(files=two_files())
def test_the_same_ground_is_scored_as_seqeval_does(files):
    _, aligned = apart(*files)

    def tags(flat):
        names = [aligned.labels.tags[tag] for tag in flat]
        return [names[i:j] for i, j in zip(aligned.offsets, aligned.offsets[1:], strict=False)]

    for (predicted,) in aligned.predicted.values():
        ours = strict_scores(aligned.gold, predicted, aligned.offsets, aligned.labels)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = v1.precision_recall_fscore_support(
                tags(aligned.gold), tags(predicted), average="micro", scheme=IOB2
            )
        assert (ours.precision, ours.recall, ours.f1) == theirs[:3]


def test_mean_and_std_keep_the_shape_and_what_is_not_known():
    trees = [{"a": {"x": 1.0, "n": 7}, "loss": None}, {"a": {"x": 3.0, "n": 7}, "loss": None}]
    assert mean(trees) == {"a": {"x": 2.0, "n": 7}, "loss": None}
    assert std(trees) == {"a": {"x": pytest.approx(2**0.5), "n": 0.0}, "loss": None}
    assert mean(trees[:1]) == trees[0]
    assert std(trees[:1]) is None
