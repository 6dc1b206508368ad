"""Scores with the dropped repeats equal seqeval's on the split as published."""

from __future__ import annotations

import warnings
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import sequence_labeling, v1
from seqeval.scheme import IOB2

from ner_dist.data.corpus import Split, offsets_of
from ner_dist.data.duplicates import clean
from ner_dist.evaluation import metrics
from ner_dist.evaluation.evaluate import EvaluationResult
from ner_dist.evaluation.figures import LenientFigures, RepeatsFigures
from ner_dist.evaluation.repeats import with_repeats
from ner_dist.labels import LabelSet
from ner_dist.recipe_data import Data

DATA = LabelSet.from_types(["PER", "LOC", "BIO"])


@st.composite
def published(draw):
    """A split with repeats, most of them under tags of their own: words and label ids of each sentence."""
    words = draw(st.lists(st.lists(st.sampled_from("abc"), max_size=4), min_size=1, max_size=12))
    if not any(words):
        words.append(["a"])
    tags = [draw(st.lists(st.integers(0, 6), min_size=len(s), max_size=len(s))) for s in words]
    return words, tags


def split_of(words, tags):
    flat = np.array([tag for sentence in tags for tag in sentence], np.int16)
    return Split(tokens=words, tags=flat, offsets=offsets_of(np.array([len(s) for s in words])))


def scored(gold, predicted, split, labels):
    """The evaluation of predictions, as `evaluate` would give it."""
    strict, lenient = (
        metrics.count(gold, predicted, split.offsets, labels, strict=strict) for strict in (True, False)
    )
    return EvaluationResult(
        labels=labels,
        strict=strict,
        lenient=lenient,
        loss_sum=0.0,
        loss_words=0,
        correct_words=int((gold == predicted).sum()),
        words=len(gold),
        sentences=len(split),
        seconds=1.0,
        predicted=predicted,
    )


@given(published(), st.sampled_from([["PER", "LOC", "BIO"], ["LOC"]]), st.integers(0, 2**32 - 1))
def test_they_are_seqevals_on_the_split_as_published(case, types, seed):
    words, tags = case
    kept = clean({"test": split_of(words, tags)}, Data(path="x"), counts={})["test"]
    labels = DATA.select(types)
    projection = DATA.projection(labels)
    predicted = np.random.default_rng(seed).integers(0, len(labels), len(kept.tags)).astype(np.int16)
    found = with_repeats(
        scored(projection[kept.tags], predicted, kept, labels), kept, gold_of=lambda tags, _: projection[tags]
    )
    filled = [i for i, sentence in enumerate(words) if sentence]
    if len(kept) == len(filled):
        assert found is None
        return
    found = asdict(found)
    said = {
        tuple(sentence): predicted[kept.offsets[i] : kept.offsets[i + 1]]
        for i, sentence in enumerate(kept.tokens)
    }
    name = np.array(labels.tags)
    gold = [name[projection[tags[i]]].tolist() for i in filled]
    answers = [name[said[tuple(words[i])]].tolist() for i in filled]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        strict = v1.precision_recall_fscore_support(gold, answers, average="micro", scheme=IOB2)
        lenient = sequence_labeling.precision_recall_fscore_support(gold, answers, average="micro")
    assert [found[key] for key in ("precision", "recall", "f1")] == [float(value) for value in strict[:3]]
    assert [found["lenient"][key] for key in ("precision", "recall", "f1")] == [
        float(value) for value in lenient[:3]
    ]
    pairs = [pair for both in zip(gold, answers, strict=True) for pair in zip(*both, strict=True)]
    assert found["accuracy"] == sum(a == b for a, b in pairs) / len(pairs)
    assert (found["sentences"], found["words"]) == (len(filled), len(pairs))
    assert found["scheme"] == "strict IOB2"


def test_nothing_is_kept_of_training_sentences_or_where_repeats_stay():
    words, tags = [["a"], ["a"], ["b"]], [[1], [0], [0]]
    train = clean({"train": split_of(words, tags)}, Data(path="x"), counts={})["train"]
    assert len(train) == 2 and train.repeats is None
    whole = clean({"test": split_of(words, tags)}, Data(path="x", deduplicate=False), counts={})["test"]
    assert len(whole) == 3 and with_repeats(SimpleNamespace(), whole, gold_of=lambda tags, _: tags) is None


def test_they_are_said_on_one_line():
    lenient = LenientFigures(0.9, 0.92, 0.91, "lenient")
    figures = RepeatsFigures(0.9, 0.92, 0.91, "strict", 0.98, lenient, sentences=3453, words=1)
    said = "F1 0.9100  precision 0.9000  recall 0.9200  accuracy 0.9800 on all 3,453 sentences"
    assert str(figures) == f"{said}, repeats among them"
