"""Counts of errors add up to all gold and predicted entities in every breakdown."""

from __future__ import annotations

import gzip
import json
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given

from ner_dist.comparison.aligned import AlignedPredictions
from ner_dist.comparison.buckets import Bucket
from ner_dist.comparison.error_analysis import errors
from ner_dist.data.training_text import entities
from ner_dist.evaluation import metrics
from ner_dist.labels import MULTINERD_TYPES, LabelSet
from tests.comparison.grounds import grounds, written

SEEN = {"Anna": frozenset({"PER"}), "Paris": frozenset({"LOC", "ORG"}), "Anna Berg": frozenset()}


def counted(aligned, model):
    """True positives, predicted and gold by type, over the model's runs."""
    return sum(
        metrics.count(aligned.gold, run, aligned.offsets, aligned.labels, strict=True).as_array()
        for run in aligned.predicted[model]
    )


@given(aligned=grounds())
def test_kinds_sum_to_gold_and_to_predicted(aligned):
    for model in aligned.models:
        found, (right, predicted, gold) = (
            errors(aligned, model),
            counted(aligned, model),
        )
        kinds = found.kinds
        assert found.runs == len(aligned.predicted[model])
        assert kinds["correct"] == right.sum()
        assert sum(kinds.values()) - kinds["spurious"] == gold.sum()
        assert sum(kinds.values()) - kinds["missed"] == predicted.sum()
        for i, name in enumerate(aligned.labels.types):
            of_type = found.kinds_per_type[name]
            assert of_type["correct"] == right[i]
            assert sum(of_type.values()) - of_type["spurious"] == gold[i]
        for kind, number in kinds.items():
            assert sum(of_type[kind] for of_type in found.kinds_per_type.values()) == number


@given(aligned=grounds())
def test_strict_is_what_metrics_says(aligned):
    for model in aligned.models:
        scores = metrics.scores(metrics.Counts.from_array(counted(aligned, model)), aligned.labels.types)
        strict = errors(aligned, model).strict
        assert asdict(strict) == {name: getattr(scores, name) for name in ("precision", "recall", "f1")}


@given(aligned=grounds())
def test_more_credit_is_no_lower_score(aligned):
    found = errors(aligned, "A")
    for figure in ("precision", "recall", "f1"):
        assert getattr(found.strict, figure) <= getattr(found.exact, figure) <= getattr(found.partial, figure)
        assert getattr(found.strict, figure) <= getattr(found.type, figure) <= 1


@given(aligned=grounds())
def test_confusion_holds_every_entity_once(aligned):
    found, (_, predicted, gold) = errors(aligned, "A"), counted(aligned, "A")
    types, counts = found.confusion.types, np.array(found.confusion.counts)
    assert types == [*aligned.labels.types, "O"] and counts[-1, -1] == 0
    assert counts[:-1].sum(axis=1).tolist() == gold.tolist()
    assert counts[:, :-1].sum(axis=0).tolist() == predicted.tolist()
    kinds = found.kinds
    assert counts[:, -1].sum() == kinds["missed"] and counts[-1].sum() == kinds["spurious"]
    assert np.trace(counts) == kinds["correct"] + kinds["wrong_boundary"]


@given(aligned=grounds())
def test_breakdowns_sum_to_the_whole(aligned):
    of_gold = entities(aligned.tokens, aligned.gold, aligned.offsets, aligned.labels)
    seen = {form: SEEN.get(form, frozenset()) for sentence in of_gold for form, _ in sentence}
    found = errors(replace(aligned, seen={"A": seen}), "A")
    right, predicted, gold = counted(aligned, "A")
    for name in ("by_entity_length", "by_sentence_length", "by_seen"):
        parts = getattr(found, name)
        assert sum(part.support for part in parts) == gold.sum()
        assert sum(part.recall * part.support for part in parts) == pytest.approx(right.sum())
        if name != "by_seen":
            assert sum(part.predicted for part in parts) == predicted.sum()
            assert sum(part.precision * part.predicted for part in parts) == pytest.approx(right.sum())


def test_scores_with_credit_by_hand():
    """One entity of each kind: COR 1, and a wrong type, a wrong boundary, both, one missed, one spurious."""
    aligned = written(
        ["B-PER O", "B-PER O", "B-PER I-PER", "B-PER I-PER", "B-PER O", "O O"],
        [["B-PER O", "B-LOC O", "B-PER O", "O B-LOC", "O O", "B-ORG O"]],
    )
    found = errors(aligned, "A")
    assert set(found.kinds.values()) == {1}
    # Of 5 gold and 5 predicted entities: strict 1, exact 1 + 1, partial 2 + 2 / 2, type 1 + 1.
    expected = {"strict": 1 / 5, "exact": 2 / 5, "partial": 3 / 5, "type": 2 / 5}
    for measure, value in expected.items():
        scores = getattr(found, measure)
        assert (scores.precision, scores.recall, scores.f1) == pytest.approx((value, value, value))
    assert found.confusion.counts == [[2, 2, 0, 1], [0] * 4, [0] * 4, [0, 0, 1, 0]]
    assert found.kinds_per_type["ORG"] == dict.fromkeys(found.kinds, 0) | {"spurious": 1}


def test_buckets_by_length():
    aligned = written(
        ["B-PER", "B-PER I-PER I-PER I-PER", "B-LOC" + " I-LOC" * 10, "O " * 59 + "B-ORG"],
        [["B-PER", "B-PER I-PER I-PER O", "B-LOC" + " I-LOC" * 10, "O " * 60]],
    )
    found = errors(aligned, "A")
    by_length = {part.bucket: part for part in found.by_entity_length}
    assert list(by_length) == ["1", "2", "3", "4", "5+"]
    assert [part.support for part in by_length.values()] == [2, 0, 0, 1, 1]
    assert [part.predicted for part in by_length.values()] == [1, 0, 1, 0, 1]
    assert by_length["1"].recall == 0.5 and by_length["1"].precision == 1.0
    by_sentence = {part.bucket: part.support for part in found.by_sentence_length}
    assert by_sentence == {"1-10": 2, "11-20": 1, "21-30": 0, "31-50": 0, "51+": 1}


def test_buckets_by_what_training_shows():
    aligned = written(
        ["B-PER O B-LOC", "B-PER I-PER O", "B-PER O O"],
        [["B-PER O B-LOC", "O O O", "O O O"]],
        tokens=["Anna in Paris", "Anna Berg .", "Paris met anna"],
    )
    found = errors(replace(aligned, seen={"A": SEEN}), "A")
    assert found.by_seen == [
        Bucket(bucket="seen", recall=1.0, support=2),
        Bucket(bucket="seen with another type", recall=0.0, support=1),
        Bucket(bucket="unseen", recall=0.0, support=1),
    ]
    assert found.by_seen_why is None


def test_an_entity_that_the_gold_of_the_models_own_file_lacks_is_in_no_bucket():
    aligned = written(["B-PER O B-LOC"], [["B-PER O B-LOC"]], tokens=["Anna in Rome"])
    found = errors(replace(aligned, seen={"A": SEEN}), "A")
    assert [part.support for part in found.by_seen] == [1, 0, 0]


def test_what_training_shows_may_not_be_known():
    gold = ["B-PER O"]
    without_words = errors(replace(written(gold, [gold]), seen={"A": SEEN}), "A")
    not_said = errors(replace(written(gold, [gold], [gold], tokens=["Anna ."]), seen={"B": SEEN}), "A")
    assert without_words.by_seen is None and "no words" in without_words.by_seen_why
    assert not_said.by_seen is None and "do not say what training had seen" in not_said.by_seen_why


def test_no_entities_at_all():
    found = errors(written(["O O"], [["O O"]]), "A")
    assert set(found.kinds.values()) == {0} and found.partial.f1 == 0.0


def test_a_test_set_of_32864_sentences_takes_no_more_than_a_second():
    rng = np.random.default_rng(0)
    labels = LabelSet.from_types([f"T{i}" for i in range(15)])
    offsets = np.arange(0, 32_865 * 21, 21)
    n = int(offsets[-1])
    gold = np.where(rng.random(n) < 0.1, rng.integers(0, len(labels), n), 0).astype(np.int16)
    said = np.where(rng.random(n) < 0.05, rng.integers(0, len(labels), n), gold).astype(np.int16)
    aligned = AlignedPredictions(
        labels, gold, offsets, {"A": [said]}, {"A": [1]}, unit=np.arange(len(offsets) - 1)
    )
    began = time.process_time()
    found = errors(aligned, "A")
    assert time.process_time() - began < 1
    assert found.kinds["correct"] > 10_000


def with_stray_tags():
    """Tags in which some I- continue nothing: in gold, in the prediction, and in both."""
    return written(
        ["B-PER I-PER O", "O I-LOC O", "B-ORG O I-ORG", "O O O", "I-PER I-PER O"],
        [["B-PER O O", "O B-LOC O", "I-ORG O I-ORG", "I-LOC I-LOC O", "O I-PER O"]],
    )


def test_a_stray_inside_tag_is_read_as_an_entity_beside_the_strict_reading():
    found = errors(with_stray_tags(), "A")
    assert found.lenient is not None
    # By hand: 5 gold and 6 predicted entities, of which three are equal; none of strict IOB2 is.
    assert found.lenient["strict"].f1 == pytest.approx(2 * 3 / (5 + 6))
    assert found.strict.f1 == 0
    tidy = errors(written(["B-PER O"], [["B-PER O"]]), "A")
    assert tidy.lenient is None


def test_the_reading_of_stray_tags_is_nervaluates():
    nervaluate = pytest.importorskip("nervaluate", reason="nervaluate is not installed")
    aligned = with_stray_tags()
    names = np.array(aligned.labels.tags)
    gold, said = (
        [names[tags[i:j]].tolist() for i, j in zip(aligned.offsets, aligned.offsets[1:], strict=False)]
        for tags in (aligned.gold, aligned.predicted["A"][0])
    )
    theirs = nervaluate.Evaluator(gold, said, tags=list(aligned.labels.types), loader="list").evaluate()
    lenient = errors(aligned, "A").lenient
    for ours, name in (
        ("strict", "strict"),
        ("exact", "exact"),
        ("partial", "partial"),
        ("type", "ent_type"),
    ):
        their = theirs["overall"][name]
        expected = pytest.approx((their.precision, their.recall, their.f1))
        assert (lenient[ours].precision, lenient[ours].recall, lenient[ours].f1) == expected


@pytest.mark.real_data
def test_real_predictions_score_as_in_nervaluate(real_data):
    """Version 1.2.1 finds the same numbers of correct, incorrect, partial, missed and spurious ones here."""
    labels = LabelSet.from_types(MULTINERD_TYPES)
    with gzip.open(real_data / "multinerd_predictions" / "model_A.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    gold, said = (
        np.array([labels.label2id[tag] for row in rows for tag in row[column]], dtype=np.int16)
        for column in ("gold", "pred")
    )
    offsets = np.cumsum([0, *(len(row["gold"]) for row in rows)])
    aligned = AlignedPredictions(
        labels, gold, offsets, {"A": [said]}, {"A": [None]}, unit=np.arange(len(rows))
    )
    found = errors(aligned, "A")
    kinds = found.kinds
    assert kinds["correct"] == 48_451 and kinds["missed"] == 1_602 and kinds["spurious"] == 2_336
    assert kinds["wrong_type"] == 48_989 - 48_451
    assert kinds["wrong_boundary"] == 49_021 - 48_451
    assert kinds["wrong_both"] == 1_194 - kinds["wrong_type"] - kinds["wrong_boundary"]
    f1 = {"strict": 0.9387181772387335, "partial": 0.9554965706978725, "type": 0.949761692564033}
    assert {measure: getattr(found, measure).f1 for measure in f1} == f1
    assert found.exact.f1 == 0.9491417057387531
