"""Thresholds, biases and temperature: what each may change, and what it never does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_dist.data.tags import spell_labels
from ner_dist.errors import UserError
from ner_dist.evaluation.operating_point import OperatingPoint, PerType, operating_point, tag_probabilities
from ner_dist.labels import extract_spans
from tests.evaluation.samples import LABELS, samples

DECODE = st.sampled_from(["greedy", "viterbi"])
NUMBERS = st.floats(0, 1, width=32)


def entities(sample, tags) -> set[tuple[int, int, int]]:
    spans = extract_spans(sample.comparable(tags)[1], sample.offsets, LABELS, strict=True)
    return set(zip(spans.type.tolist(), spans.start.tolist(), spans.end.tolist(), strict=True))


def missing(sample) -> np.ndarray:
    return np.isin(np.arange(len(sample.gold)), sample.gaps)


def kept(sample, tags, threshold, temperature=1.0) -> np.ndarray:
    tags = tags.copy()
    point = OperatingPoint(temperature, threshold=np.asarray(threshold, dtype=float))
    probability = sample.probabilities(tags, temperature)
    changed = point.drop(tags, probability, missing(sample), sample.offsets, LABELS)
    assert (tags[changed] == 0).all()
    return tags


@settings(max_examples=30)
@given(sample=samples(), decode=DECODE, low=st.tuples(NUMBERS, NUMBERS), more=st.tuples(NUMBERS, NUMBERS))
def test_entities_above_a_higher_threshold_are_among_those_above_a_lower_one(sample, decode, low, more):
    tags = sample.tags(decode)
    high = np.minimum(np.add(low, more), 1)
    lower, higher = kept(sample, tags, low), kept(sample, tags, high)
    if (sample.gold >= 0).all():  # what stands around an unlabelled word may join when that is left out
        assert entities(sample, higher) <= entities(sample, lower) <= entities(sample, tags)
        assert sample.scores(higher).recall <= sample.scores(lower).recall
    # Nothing else changes: a word has its tag, or O.
    assert (higher[higher != 0] == tags[higher != 0]).all()
    assert (lower[higher != 0] != 0).all()


@settings(max_examples=30)
@given(sample=samples(), decode=DECODE, threshold=NUMBERS, temperature=st.floats(0.2, 5))
def test_what_is_kept_has_a_product_of_probabilities_that_reaches_the_threshold(
    sample, decode, threshold, temperature
):
    tags = sample.tags(decode)
    left = kept(sample, tags, [threshold, 0.0], temperature)
    scores = sample.logits.astype(float) / temperature
    share = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    there = ~missing(sample)
    spans = extract_spans(np.where(there, tags, np.int16(-100)), sample.offsets, LABELS, strict=False)
    for kind, start, end in zip(spans.type, spans.start, spans.end, strict=True):
        words = [word for word in range(start, end) if there[word]]
        product = np.prod([share[word, tags[word]] for word in words])
        if abs(product - threshold) > 1e-9:
            stays = kind == 1 or product > threshold
            assert (left[words] == (tags[words] if stays else 0)).all()


@settings(max_examples=30)
@given(sample=samples(), bias=st.lists(st.floats(-30, 30, width=16), min_size=5, max_size=5))
def test_no_bias_makes_an_illegal_sequence(sample, bias):
    tags = sample.tags("viterbi", np.array(bias, dtype=np.float32))
    for start, end in zip(sample.offsets, sample.offsets[1:], strict=False):
        before = "O"
        for word in range(start, end):
            if word not in sample.gaps:
                tag = LABELS.tags[tags[word]]
                assert not tag.startswith("I-") or before[2:] == tag[2:]
                before = tag


@settings(max_examples=30)
@given(sample=samples(), decode=DECODE)
def test_no_threshold_and_no_bias_change_nothing(sample, decode):
    tags = sample.tags(decode)
    assert (sample.tags(decode, np.zeros(5, dtype=np.float32)) == tags).all()
    assert (kept(sample, tags, [0.0, 0.0]) == tags).all()
    spelt = spell_labels(LABELS.tags, where="labels", fix="")
    point = operating_point(
        temperature=2.0,
        threshold=PerType(),
        bias=PerType.of({"PER": 0.0}),
        spelt=spelt,
        to=np.arange(2),
        known=LABELS.types,
        scored=LABELS.types,
    )
    assert point.bias is None and point.threshold is None
    assert (point.best(sample.logits) == sample.logits.argmax(1)).all()


@settings(max_examples=30)
@given(sample=samples(), temperature=st.floats(0.1, 10))
def test_a_temperature_keeps_the_order_of_the_tags(sample, temperature):
    best = sample.logits.argmax(axis=1)
    for other in range(len(LABELS)):
        others = np.full(len(best), other)
        of_best, of_other = (tag_probabilities(sample.logits, each, temperature) for each in (best, others))
        assert (of_best >= of_other).all()


def test_numbers_by_type_are_read_as_they_are_written():
    given_ = PerType.parse(["PER=.8", "0.5", "A=B=1"], "--threshold")
    assert given_ == PerType(0.5, {"PER": 0.8, "A=B": 1.0})
    assert PerType.parse(given_.words(), "--threshold") == given_
    assert given_.values(["LOC", "PER", "A=B"], "threshold").tolist() == [0.5, 0.8, 1.0]
    assert PerType.of({"PER": 1}).values(["PER", "LOC"], "bias").tolist() == [1.0, 0.0]
    for words, what in (
        (["PER"], "'PER' is neither"),
        (["=1"], "'=1' is neither"),
        (["PER=nan"], "'PER=nan' is neither"),
        (["1", "2"], "two numbers for all types"),
        (["PER=1", "PER=1"], "`PER` two numbers"),
    ):
        with pytest.raises(UserError, match=what):
            PerType.parse(words, "--threshold")
    with pytest.raises(UserError, match=r"no type `PERS`; did you mean `PER`\? it has PER, LOC"):
        PerType.of({"PERS": 1}).values(["PER", "LOC"], "threshold")


@pytest.mark.parametrize(("threshold", "bias"), [(1.5, 0.0), (-0.1, 0.0), (0.0, float("inf"))])
def test_numbers_out_of_range_are_refused(threshold, bias):
    with pytest.raises(UserError, match="write a number like"):
        operating_point(
            temperature=1.0,
            threshold=PerType(threshold),
            bias=PerType(bias),
            spelt=spell_labels(LABELS.tags, where="labels", fix=""),
            to=np.arange(2),
            known=LABELS.types,
            scored=LABELS.types,
        )
