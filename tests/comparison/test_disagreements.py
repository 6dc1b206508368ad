"""The sentences shown are those where a model errs or models differ, each once, as they are."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ner_dist.comparison.disagreements import Entity, EntityError, disagreements
from ner_dist.comparison.matching import KINDS, outcome
from ner_dist.evaluation.json_form import as_json
from ner_dist.labels import extract_spans
from tests.comparison.grounds import LABELS, grounds, written


def entities(tags, aligned, sentence):
    start, end = aligned.offsets[sentence : sentence + 2]
    spans = extract_spans(tags[start:end], np.array([0, end - start]), LABELS, strict=True)
    return [
        Entity(LABELS.types[kind], first, behind)
        for kind, first, behind in zip(
            spans.type.tolist(), spans.start.tolist(), spans.end.tolist(), strict=True
        )
    ]


@given(aligned=grounds(models=3))
def test_every_unit_with_an_error_is_shown_once_and_as_it_is(aligned):
    shown = disagreements(aligned)
    first = {model: runs[0] for model, runs in aligned.predicted.items()}
    gold = [entities(aligned.gold, aligned, i) for i in range(len(aligned))]
    predicted = {m: [entities(tags, aligned, i) for i in range(len(aligned))] for m, tags in first.items()}
    worth = {
        aligned.unit[i] for i in range(len(aligned)) if any(predicted[m][i] != gold[i] for m in predicted)
    }
    assert sorted(aligned.unit[each.id] for each in shown) == sorted(worth)
    for each in shown:
        i = each.id
        assert each.tokens == aligned.tokens[i] and each.words == len(aligned.tokens[i])
        assert each.copies == (aligned.unit == aligned.unit[i]).sum()
        assert each.gold == gold[i]
        assert each.predicted == {model: predicted[model][i] for model in predicted}
        assert each.models_differ == any(predicted[model][i] != predicted["A"][i] for model in predicted)
        for model in predicted:
            wrong = [entity for entity in gold[i] if entity not in predicted[model][i]]
            wrong += [entity for entity in predicted[model][i] if entity not in gold[i]]
            assert [error.entity for error in each.errors[model]] == wrong


@given(aligned=grounds(models=2))
def test_the_kinds_of_errors_are_those_that_are_counted(aligned):
    aligned = replace(aligned, unit=np.arange(len(aligned)))
    shown = disagreements(aligned)
    for model, runs in aligned.predicted.items():
        kinds = Counter(error.kind for each in shown for error in each.errors[model])
        counted = outcome(aligned.gold, runs[0], aligned.offsets, aligned.labels).kinds()
        # Both entities of a pair are there; what has no partner is there once.
        sides = {"missed": 1, "spurious": 1}
        assert kinds == +Counter(
            {kind: sides.get(kind, 2) * int(counted[place]) for place, kind in enumerate(KINDS) if place}
        )


@given(aligned=grounds(models=2), limit=st.integers(0, 4))
def test_disagreements_come_first_then_the_order_of_the_data(aligned, limit):
    shown = disagreements(aligned)
    assert shown == sorted(shown, key=lambda each: (not each.models_differ, each.id))
    assert disagreements(aligned, limit=limit) == shown[:limit]


def test_a_copy_with_an_error_is_shown_where_the_first_has_none():
    aligned = written(["B-PER", "O"], [["B-PER", "B-PER"]], unit=[0, 0], tokens=["Anna", "Anna"])
    (shown,) = disagreements(aligned)
    assert (shown.id, shown.copies) == (2, 2), "sentences without ids are counted from 1"
    assert shown.errors == {"A": [EntityError("spurious", Entity("PER", 0, 1))]}


def test_an_error_keeps_its_kind_type_and_place_together():
    aligned = written(
        ["B-PER O B-LOC O O B-PER I-PER B-LOC"],
        [["B-PER O B-ORG O B-PER B-PER I-PER I-PER"]],
        [["B-PER O B-LOC O O B-PER I-PER B-LOC"]],
    )
    (shown,) = disagreements(aligned)
    assert shown.errors["B"] == [] and shown.tokens is None
    assert shown.errors["A"] == [
        EntityError("wrong_type", Entity("LOC", 2, 3)),
        EntityError("wrong_boundary", Entity("PER", 5, 7)),
        EntityError("missed", Entity("LOC", 7, 8)),  # although the person that was predicted covers it
        EntityError("wrong_type", Entity("ORG", 2, 3)),
        EntityError("spurious", Entity("PER", 4, 5)),
        EntityError("wrong_boundary", Entity("PER", 5, 8)),
    ]


@given(aligned=grounds(models=1))
def test_the_gold_against_itself_shows_nothing(aligned):
    assert disagreements(replace(aligned, predicted={"A": [aligned.gold], "B": [aligned.gold]})) == []


def test_what_is_shown_can_be_written_as_json():
    aligned = written(["B-PER O", "O"], [["O B-LOC", "O"]], tokens=["Anna .", "so"])
    assert json.loads(json.dumps(as_json(disagreements(aligned))))[0]["words"] == 2
