"""Data with too few entities to learn is reported."""

from __future__ import annotations

import json
import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_dist.data.entities import report_entities
from ner_dist.data.sources import load_corpus
from ner_dist.errors import UserError
from ner_dist.labels import LabelSet
from ner_dist.recipe_data import Data, SplitNames

ALONE = SplitNames(validation=None, test=None)


def refused(path, **settings) -> str:
    with pytest.raises(UserError) as caught:
        load_corpus(Data(path=str(path), splits=ALONE, **settings))
    return str(caught.value).replace(f"{path}/", "")


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet"])
def test_no_entity_in_train(tmp_path, kind):
    row = {"id": 3, "tokens": ["In", "Bern"], "ner_tags": ["O", "O"], "fine": ["O", "B-LOC"]}
    rows = [row, row | {"tokens": ["Go"], "ner_tags": ["O"], "fine": ["O"]}]
    path = tmp_path / f"train.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text(
            json.dumps(rows) if kind == "json" else "".join(json.dumps(row) + "\n" for row in rows)
        )
    place = "1" if kind == "jsonl" else "row 1"
    assert refused(tmp_path) == (
        f"train.{kind}:{place}: no entity in train: every tag is O. "
        "Its first words and tags were read as: `In O`, `Bern O`, `Go O`. "
        'Its columns: id (3), tokens (["In", "Bern"]), ner_tags (["O", "O"]), fine (["O", "B-LOC"]); '
        "set data.tags_column=fine, which holds tags of entities"
    )
    corpus = load_corpus(Data(path=str(tmp_path), splits=ALONE, tags_column="fine"))
    assert corpus.counts["train_entities"] == 1


def test_no_entity_in_train_and_no_column_that_has_some(tmp_path):
    (tmp_path / "train.conll").write_text("In IN O\nBern NNP O\n")
    assert refused(tmp_path) == (
        "train.conll:1: no entity in train: every tag is O. "
        "Its first words and tags were read as: `In O`, `Bern O`. "
        "Its columns: 0 (In, Bern), 1 (IN, NNP), 2 (O); "
        "see data.tags_column or data.separator, or give train some entities"
    )
    (tmp_path / "train.jsonl").write_text('{"tokens": ["In", "Bern"], "ner_tags": [0, 0]}\n')
    assert refused(tmp_path / "train.jsonl", label_names=["O", "B-LOC"]).endswith(
        'Its columns: tokens (["In", "Bern"]), ner_tags ([0, 0]); '
        "see data.tags_column, or give train some entities"
    )


def test_validation_and_test_may_have_none(tmp_path):
    (tmp_path / "train.conll").write_text("Bern B-LOC\n")
    for split in ("validation", "test"):
        (tmp_path / f"{split}.conll").write_text("In O\n")
    corpus = load_corpus(Data(path=str(tmp_path)))
    assert [corpus.counts[f"{split}_entities"] for split in corpus.splits] == [1, 0, 0]


LABELS = LabelSet.from_types(["PER", "LOC", "ORG"])


def said(caplog, **counts: tuple[int, int, int]) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        report_entities(
            {name: dict(zip(LABELS.types, each, strict=True)) for name, each in counts.items()}, LABELS
        )
    return [record.message for record in caplog.records]


def test_what_is_too_little(caplog):
    assert said(caplog, train=(5, 5, 5), validation=(1, 0, 0), test=(0, 3, 0)) == []
    assert said(caplog, train=(5, 4, 1)) == [
        "train: fewer than 5 entities of LOC (4), ORG (1): too few to learn from; add more, "
        "or exclude the types with `labels`"
    ]
    assert said(caplog, train=(9, 0, 0), validation=(5, 2, 3), test=(7, 0, 0)) == [
        "validation: 5 of 10 entities are of types that train does not contain, so no model can find them: "
        "ORG (3), LOC (2); check data.files.validation if the files should have the same types, "
        "or exclude these with `labels`"
    ]
    assert said(caplog, train=(9, 9, 9), test=(0, 0, 0)) == [
        "test: no entity of the types to learn, so F1 is 0; check data.files.test and data.tags_column"
    ]
    assert said(caplog, test=(1, 0, 0)) == []


def test_many_types_are_counted(caplog):
    types = [f"T{number:02}" for number in range(58)]
    labels = LabelSet.from_types(["A", *types])
    none = dict.fromkeys(labels.types, 0)
    report_entities({"train": none | {"A": 9}, "test": none | dict.fromkeys(types, 2)}, labels)
    assert "T11 (2) and 46 more; check data.files.test" in caplog.messages[0]


def test_labels_that_train_does_not_hold():
    counts = {"train": {"PER": 0, "LOC": 7, "ORG": 0}}
    with pytest.raises(UserError) as caught:
        report_entities(counts, LabelSet.from_types(["PER", "ORG"]))
    assert str(caught.value) == (
        "labels: no entity of PER, ORG in train, which holds LOC (7); choose types that occur in train"
    )
