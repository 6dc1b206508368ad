"""Spans against out-of-fold probabilities: kinds of disagreement, their order, and what needs no opinion."""

from __future__ import annotations

import numpy as np
import pytest

from ner_dist.data.corpus import Split, offsets_of
from ner_dist.doctor.suspects import Span, suspects
from ner_dist.labels import UNLABELLED, LabelSet

LABELS = LabelSet.from_types(["PER", "LOC"])


def found(*sentences: tuple[str, str, float]):
    """The suspects of sentences, each given as its tags, and the model's with how sure it is of them."""
    tags = [each[0].split() for each in sentences]
    split = Split(
        [[f"w{i}" for i in range(len(own))] for own in tags],
        tags=np.array([LABELS.label2id.get(tag, UNLABELLED) for own in tags for tag in own], dtype=np.int16),
        offsets=offsets_of(np.array([len(own) for own in tags])),
    )
    rows = []
    for _, model, sure in sentences:
        for tag in model.split():
            row = np.full(len(LABELS), (1 - sure) / (len(LABELS) - 1))
            if tag == "?":
                row[:] = 0
            else:
                row[LABELS.label2id[tag]] = sure
            rows.append(row)
    return suspects(split, split.tags, np.array(rows, dtype=np.float32), LABELS)


@pytest.mark.parametrize(
    "data, model, kind, was, now",
    [
        ("O O O", "O B-PER O", "missing", [], [(1, 2, "PER")]),
        ("O B-PER I-PER", "O O O", "extra", [(1, 3, "PER")], []),
        ("B-PER I-PER O", "B-LOC I-LOC O", "wrong type", [(0, 2, "PER")], [(0, 2, "LOC")]),
        ("B-PER O O", "B-PER I-PER O", "wrong boundary", [(0, 1, "PER")], [(0, 2, "PER")]),
        ("O B-PER O", "B-PER I-PER O", "wrong boundary", [(1, 2, "PER")], [(0, 2, "PER")]),
        ("B-PER B-PER", "B-PER I-PER", "wrong boundary", [(0, 1, "PER"), (1, 2, "PER")], [(0, 2, "PER")]),
        ("B-PER O O", "B-LOC I-LOC O", "wrong type and boundary", [(0, 1, "PER")], [(0, 2, "LOC")]),
    ],
)
def test_kinds(data, model, kind, was, now):
    (suspect,) = found((data, model, 0.9))
    assert suspect.kind == kind and not suspect.agrees and suspect.evidence > 0
    assert [(s.start, s.end, s.type) for s in suspect.annotated] == was
    assert [(s.start, s.end, s.type) for s in suspect.suggested] == now


def test_the_surer_the_model_the_higher_the_suspect():
    order = [
        each.sentence
        for each in found(("B-PER", "B-LOC", 0.6), ("B-PER", "O", 0.95), ("B-PER", "B-PER", 0.9))
    ]
    assert order == [1, 0, 2]


def test_every_entity_has_a_place_and_agreement_comes_last():
    every = found(("B-PER O B-LOC", "B-PER O B-LOC", 0.9), ("O B-PER O", "O B-LOC O", 0.7))
    assert [each.agrees for each in every] == [False, True, True]
    assert all(each.evidence < 0 for each in every[1:])


def test_weak_agreement_is_more_suspicious_than_strong():
    weak, strong = found(("B-PER O", "B-PER O", 0.5), ("B-PER O", "B-PER O", 0.9))
    assert (weak.sentence, strong.sentence) == (0, 1) and weak.confidence < strong.confidence


@pytest.mark.parametrize("data, model", [("I", "I"), ("B", "I"), ("I", "B")])
def test_stray_agreement_ranks_like_any_other(data, model):
    """An I- that continues no entity is read as its beginning, and so it is scored."""
    every = found(
        (f"{data}-PER O", f"{model}-PER O", 0.8),
        ("B-PER O", "B-PER O", 0.8),
        ("B-PER O", "B-PER O", 0.5),
        ("B-PER O", "B-LOC O", 0.8),
    )
    of = {each.sentence: each for each in every}
    assert [each.agrees for each in every] == [False, True, True, True]
    assert of[0].evidence == pytest.approx(of[1].evidence)
    assert of[0].confidence == pytest.approx(of[1].confidence)
    assert of[0].evidence < of[2].evidence < of[3].evidence


def test_length_alone_is_not_suspicious():
    """Words that both readings have alike cancel."""
    long, short = found(
        ("B-PER" + " I-PER" * 8, "B-PER" + " I-PER" * 8 + "", 0.8), ("B-PER O", "B-PER O", 0.8)
    )
    assert abs(long.evidence - short.evidence) < 1.5


def test_words_that_no_model_saw_are_neutral():
    every = found(("B-PER O", "? ?", 0.9), ("B-PER O", "B-LOC O", 0.9))
    assert [each.sentence for each in every] == [1, 0] and every[0].evidence > 0
    assert every[1].evidence == pytest.approx(0, abs=1e-6) and every[1].agrees


def test_nothing_is_claimed_of_words_without_a_label():
    assert found(("? O O", "B-PER O O", 0.9)) == []
    (suspect,) = found(("B-LOC ? O", "B-LOC I-LOC O", 0.9))
    assert suspect.agrees


def test_entities_at_the_ends_of_sentences_have_no_reading_beyond():
    for suspect in found(("B-PER", "B-PER", 0.9), ("B-PER I-PER", "B-PER I-PER", 0.9)):
        length = suspect.sentence + 1
        assert all(0 <= span.start < span.end <= length for span in suspect.suggested)
    assert Span(0, 1, "PER") == found(("B-PER", "O", 0.9))[0].annotated[0]
