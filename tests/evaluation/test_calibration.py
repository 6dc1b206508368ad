"""The temperature is that of the likeliest gold tags, and logits are kept for a bounded number of words."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_dist.data.annotation import Annotation
from ner_dist.data.corpus import offsets_of
from ner_dist.data.labelled import LabelledSplit
from ner_dist.evaluation.calibration import fit_temperature, measure
from ner_dist.evaluation.logit_sample import LogitKeeper, LogitSample, chosen_sentences
from ner_dist.labels import OUTSIDE, UNLABELLED
from ner_dist.model.partial_loss import summed_cross_entropy
from tests import small
from tests.evaluation.samples import LABELS, samples
from tests.evaluation.test_evaluate import NO_SUBWORDS, prepared


def drawn_by(logits: np.ndarray, temperature: float, rng: np.random.Generator) -> np.ndarray:
    """Gold labels drawn from the softmax at a temperature."""
    noise = rng.gumbel(size=logits.shape)
    return (logits / temperature + noise).argmax(axis=1).astype(np.int16)


def sample_of(logits: np.ndarray, gold: np.ndarray, **settings) -> LogitSample:
    """Sentences of ten words."""
    offsets = offsets_of(np.full(len(gold) // 10, 10))
    gaps = settings.pop("gaps", np.empty(0, dtype=np.int64))
    return LogitSample(
        LABELS, gold=gold, offsets=offsets, logits=logits.astype(np.float32), gaps=gaps, **settings
    )


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found_and_lowers_loss_and_calibration_error(temperature):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, len(LABELS))) * 4
    sample = sample_of(logits, drawn_by(logits, temperature, rng))
    found = fit_temperature(sample)
    assert found == pytest.approx(temperature, rel=0.03)
    scores = measure(sample, decode="greedy", temperature=found)
    assert (scores.sentences, scores.words) == (2_000, 20_000)
    if temperature != 1:
        assert scores.loss_after < scores.loss_before
        assert scores.ece_after < scores.ece_before / 2
    else:
        assert abs(scores.ece_after - scores.ece_before) < 0.01


def test_words_without_a_label_and_without_subwords_play_no_part():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2_000, len(LABELS))) * 4
    gold = drawn_by(logits, 1.7, rng)
    plain = fit_temperature(sample_of(logits, gold))
    worst = logits.argmin(axis=1).astype(np.int16)
    more = np.concatenate([gold, np.full(10, UNLABELLED, np.int16), worst[:10]])
    gaps = np.arange(2_010, 2_020)
    with_others = sample_of(np.concatenate([logits, logits[:10], logits[:10]]), more, gaps=gaps)
    assert fit_temperature(with_others) == plain
    nothing = sample_of(logits[:10], np.full(10, UNLABELLED, np.int16))
    assert fit_temperature(nothing) is None
    assert fit_temperature(sample_of(np.full((10, 5), np.nan), gold[:10])) is None


@given(sample=samples(annotated=True), temperature=st.floats(0.3, 3))
def test_the_loss_of_partial_annotation_is_that_of_training(sample, temperature):
    words = sample.words_with_loss()
    scores = measure(sample, decode="greedy", temperature=temperature)
    if not len(words):
        assert scores.loss_after is None
        return
    expected = summed_cross_entropy(
        torch.from_numpy(sample.logits[words]).double() / temperature,
        torch.from_numpy(sample.gold[words]).long(),
        torch.from_numpy(sample.annotated[words]),
        outside=LABELS.label2id[OUTSIDE],
        ignore_index=UNLABELLED,
    )
    assert scores.loss_after == pytest.approx(float(expected) / len(words), rel=1e-6, abs=1e-9)


@given(lengths=st.lists(st.integers(0, 30), min_size=1, max_size=60), most=st.integers(1, 400))
def test_sentences_are_chosen_evenly_and_hold_no_more_words_than_allowed(lengths, most):
    chosen = chosen_sentences(np.array(lengths), most)
    assert chosen[0] == 0
    assert len(set(np.diff(chosen))) <= 1
    words = sum(lengths[i] for i in chosen)
    assert words <= most or len(chosen) == 1
    if sum(lengths) <= most:
        assert len(chosen) == len(lengths)


@settings(max_examples=20)
@given(data=st.data())
def test_the_sample_holds_the_logits_of_its_words_however_they_come(data):
    words = st.sampled_from(["ab", "cde", "f", NO_SUBWORDS])
    sentences = data.draw(st.lists(st.lists(words, max_size=5), min_size=1, max_size=6))
    split = prepared(sentences)
    rng = np.random.default_rng(0)
    n = len(split.tags)
    gold = rng.integers(0, len(LABELS), n).astype(np.int16)
    source = np.repeat(rng.integers(0, 2, len(sentences)), np.diff(split.offsets)).astype(np.int8)
    annotated = np.array([[True] * 5, [True] * 3 + [False] * 2])
    labelled = LabelledSplit(
        split, tags=gold, labels=LABELS, pad_id=0, annotation=Annotation(source, annotated, np.ones(2))
    )
    logits = rng.normal(size=(n, len(LABELS))).astype(np.float32)
    keeper = LogitKeeper(labelled, most_words=data.draw(st.integers(1, 20)))
    there = np.setdiff1d(np.arange(n), labelled.without_subwords())
    for part in np.array_split(data.draw(st.permutations(there.tolist())), 3):
        part = np.array(part, dtype=np.int64)
        keeper.keep(part, logits[part])
    sample = keeper.gather(small.one_process())
    own = np.concatenate(
        [np.arange(split.offsets[i], split.offsets[i + 1]) for i in keeper.sentences]
    ).astype(int)
    gaps = ~np.isin(own, there)
    assert sample.gold.tolist() == gold[own].tolist()
    assert sample.gaps.tolist() == np.flatnonzero(gaps).tolist()
    assert (sample.logits == np.where(gaps[:, None], 0, logits[own])).all()
    assert (sample.annotated == annotated[source[own]]).all()
