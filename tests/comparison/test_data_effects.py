"""What is said to be the score without an effect is the score of what is left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from ner_dist.comparison.data_effects import EffectGap, EffectScores, effects
from ner_dist.comparison.predictions import words_of
from ner_dist.evaluation import metrics
from ner_dist.labels import extract_spans
from tests.comparison.grounds import LABELS, grounds, written

NAMES = ["duplicates", "train_test_overlap", "entity_free_sentences", "invalid_transitions"]


def trained(aligned, **texts):
    """The same ground, where each of some models was trained on sentences of these words."""
    known = {
        model: np.array([" ".join(words) in sentences for words in aligned.tokens], dtype=bool)
        for model, sentences in texts.items()
    }
    return replace(aligned, in_train=known)


def f1_of(aligned, model, sentences, *, strict=True):
    words, offsets = words_of(np.array(sentences, dtype=np.int64), aligned.offsets)
    counts = [
        metrics.count(aligned.gold[words], run[words], offsets, aligned.labels, strict=strict)
        for run in aligned.predicted[model]
    ]
    return np.mean([metrics.scores(each, aligned.labels.types).f1 for each in counts])


@given(aligned=grounds())
def test_scores_without_are_those_of_the_sentences_that_are_left(aligned):
    known = [" ".join(words) for words in aligned.tokens[:2]]
    found = effects(trained(aligned, A=known, B=known))
    everything = range(len(aligned))
    has_entity = [
        extract_spans(aligned.gold[start:end], np.array([0, end - start]), LABELS, strict=True)
        for start, end in zip(aligned.offsets[:-1], aligned.offsets[1:], strict=True)
    ]
    left = {
        "duplicates": [i for i in everything if aligned.tokens[i] not in aligned.tokens[:i]],
        "train_test_overlap": [i for i in everything if aligned.tokens[i] not in aligned.tokens[:2]],
        "entity_free_sentences": [i for i in everything if len(has_entity[i].start)],
    }
    assert list(found) == NAMES
    for name, kept in left.items():
        effect = found[name]
        assert effect.count == len(aligned) - len(kept)
        assert effect.share == pytest.approx(effect.count / len(aligned))
        for model in aligned.models:
            scores = effect.scores[model]
            assert scores.with_effect == pytest.approx(f1_of(aligned, model, everything))
            if kept:
                assert scores.without == pytest.approx(f1_of(aligned, model, kept))
                assert scores.difference == scores.with_effect - scores.without
            else:
                assert scores.without is None and "no sentence" in effect.why
        gap, scores = effect.gap, effect.scores
        assert gap.with_effect == scores["B"].with_effect - scores["A"].with_effect
        if kept:
            assert gap.without == scores["B"].without - scores["A"].without


@given(aligned=grounds())
def test_invalid_transitions_are_read_strictly_and_leniently(aligned):
    effect = effects(aligned)["invalid_transitions"]
    invalid = 0
    for model in aligned.models:
        everything = range(len(aligned))
        assert effect.scores[model].with_effect == pytest.approx(f1_of(aligned, model, everything))
        lenient = f1_of(aligned, model, everything, strict=False)
        assert effect.scores[model].without == pytest.approx(lenient)
        for run in aligned.predicted[model]:
            for start, end in zip(aligned.offsets[:-1], aligned.offsets[1:], strict=True):
                tags = [LABELS.tags[i] for i in run[start:end]]
                invalid += sum(
                    tag[0] == "I" and before[1:] != tag[1:]
                    for before, tag in zip(["O", *tags], tags, strict=False)
                )
    assert effect.count == invalid


def test_a_score_that_duplicates_flatter():
    aligned = written(
        ["B-PER", "B-PER", "B-PER", "B-LOC"],
        [["B-PER", "B-PER", "B-PER", "O"]],
        [["O", "O", "O", "B-LOC"]],
        unit=[0, 0, 0, 1],
        tokens=["Anna", "Anna", "Anna", "Paris"],
    )
    effect = effects(aligned)["duplicates"]
    assert (effect.count, effect.share) == (2, 0.5)
    assert effect.scores["A"].difference == pytest.approx(6 / 7 - 2 / 3)
    assert effect.gap.with_effect == pytest.approx(2 / 5 - 6 / 7)
    assert effect.gap.without == pytest.approx(0)


def test_what_cannot_be_known_says_why():
    gold = ["B-PER O", "O O"]
    without_words = effects(written(gold, [gold], [gold]))
    assert "no words" in without_words["duplicates"].why
    assert without_words["train_test_overlap"].why == "the predictions do not say what training had seen"
    for name in ("duplicates", "train_test_overlap"):
        effect = without_words[name]
        assert effect.count is None and effect.share is None
        assert effect.scores["A"] == EffectScores(1.0, without=None, difference=None)
        assert effect.gap == EffectGap(0.0, None)
    assert effects(written(gold, [gold], tokens=["Anna .", "So what"]))["duplicates"].count == 0
    assert without_words["entity_free_sentences"].count == 1


def test_what_any_model_was_trained_on_is_left_out_for_all():
    gold = ["B-PER", "B-LOC", "B-ORG"]
    said = [["B-PER", "O", "O"]], [["O", "B-LOC", "B-ORG"]]
    aligned = written(gold, *said, [gold], tokens=["Anna", "Paris", "Berg"])
    effect = effects(trained(aligned, A=["Anna"], B=["Paris"]))["train_test_overlap"]
    assert (effect.count, effect.why) == (2, None)
    assert [effect.scores[model].without for model in "ABC"] == [0, 1, 1]
    assert effect.what.endswith(
        "for all models. Looked up in the training text of A, B. "
        "Not that of C: the predictions do not say what training had seen."
    )


def test_copies_that_are_known_without_words_are_counted():
    aligned = written(["B-PER", "B-PER"], [["B-PER", "B-PER"]], unit=[0, 0])
    assert effects(aligned)["duplicates"].count == 1


def test_one_model_has_no_gap():
    for effect in effects(written(["B-PER"], [["B-PER"]])).values():
        assert effect.gap == EffectGap(None, None)


@given(aligned=grounds())
def test_a_model_against_itself_has_no_gap_under_any_effect(aligned):
    same = replace(aligned, predicted={"A": aligned.predicted["A"], "B": aligned.predicted["A"]})
    for effect in effects(trained(same, A=["Anna"])).values():
        assert {effect.gap.with_effect, effect.gap.without} <= {0.0, None}
