"""The sentences shown are those where a model errs or models differ, each once, as they are."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ner_dist.comparison.explorer import disagreements
from ner_dist.metrics import extract_spans
from tests.comparison.grounds import LABELS, grounds, written


def entities(tags, ground, sentence):
    start, end = ground.offsets[sentence : sentence + 2]
    spans = extract_spans(tags[start:end], np.array([0, end - start]), LABELS, strict=True)
    return [
        [LABELS.types[kind], first, behind]
        for kind, first, behind in zip(
            spans.type.tolist(), spans.start.tolist(), spans.end.tolist(), strict=True
        )
    ]


@given(ground=grounds(models=3))
def test_every_unit_with_an_error_is_shown_once_and_as_it_is(ground):
    shown = disagreements(ground)
    first = {model: runs[0] for model, runs in ground.predicted.items()}
    gold = [entities(ground.gold, ground, i) for i in range(len(ground))]
    said = {m: [entities(tags, ground, i) for i in range(len(ground))] for m, tags in first.items()}
    worth = {ground.unit[i] for i in range(len(ground)) if any(said[m][i] != gold[i] for m in said)}
    assert sorted(ground.unit[each["id"]] for each in shown) == sorted(worth)
    for each in shown:
        i = each["id"]
        assert each["tokens"] == ground.tokens[i] and each["words"] == len(ground.tokens[i])
        assert each["copies"] == (ground.unit == ground.unit[i]).sum()
        assert each["gold"] == gold[i]
        assert each["predicted"] == {model: said[model][i] for model in said}
        assert each["disagree"] == any(said[model][i] != said["A"][i] for model in said)
        wrong = [
            entity
            for m in said
            for entity in (*gold[i], *said[m][i])
            if (entity in gold[i]) != (entity in said[m][i])
        ]
        assert each["types"] == [name for name in LABELS.types if name in {entity[0] for entity in wrong}]
        for model in said:
            assert bool(each["kinds"][model]) == (said[model][i] != gold[i])


@given(ground=grounds(models=2), limit=st.integers(0, 4))
def test_disagreements_come_first_then_the_order_of_the_data(ground, limit):
    shown = disagreements(ground)
    assert shown == sorted(shown, key=lambda each: (not each["disagree"], each["id"]))
    assert disagreements(ground, limit=limit) == shown[:limit]


def test_a_copy_with_an_error_is_shown_where_the_first_has_none():
    ground = written(["B-PER", "O"], [["B-PER", "B-PER"]], unit=[0, 0], tokens=["Anna", "Anna"])
    (shown,) = disagreements(ground)
    assert (shown["id"], shown["copies"], shown["kinds"]) == (1, 2, {"A": ["spurious"]})


def test_kinds_and_types_are_those_of_the_errors():
    ground = written(
        ["B-PER O B-LOC O O"],
        [["B-PER O B-ORG O B-PER"]],
        [["B-PER O B-LOC O O"]],
    )
    (shown,) = disagreements(ground)
    assert shown["kinds"] == {"A": ["wrong_type", "spurious"], "B": []}
    assert shown["types"] == ["PER", "LOC", "ORG"] and shown["tokens"] is None


@given(ground=grounds(models=1))
def test_the_gold_against_itself_shows_nothing(ground):
    assert disagreements(replace(ground, predicted={"A": [ground.gold], "B": [ground.gold]})) == []


def test_what_is_shown_can_be_written_as_json():
    ground = written(["B-PER O", "O"], [["O B-LOC", "O"]], tokens=["Anna .", "so"])
    assert json.loads(json.dumps(disagreements(ground)))[0]["words"] == 2
