"""Files of other tools are recognised by their content."""

from __future__ import annotations

import json

import pytest

from ner_dist.data.readers import read_rows
from ner_dist.data.sources import load_corpus
from ner_dist.errors import UserError
from ner_dist.recipe_data import Data


def test_what_has_words_and_tags_is_read_whatever_else_it_holds(tmp_path):
    row = {"tokens": ["In", "Bern"], "ner_tags": ["O", "B-LOC"], "text": "In Bern", "label": [[3, 7, "LOC"]]}
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(row | {"spans": [], "_input_hash": 1}) + "\n")
    assert read_rows(path, Data(path="unused")).tokens == [["In", "Bern"]]


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.jsonl", "version https://git-lfs.github.com/spec/v1\noid sha256:a\n", "a pointer of Git LFS"),
        ("a.conll", "version https://git-lfs.github.com/spec/v1\noid sha256:a\n", "a pointer of Git LFS"),
        ("a.txt", "\n<!DOCTYPE html>\n<html>", "a web page"),
        ("a.xml", "<?xml version='1.0'?><a/>", "an XML file"),
        ("a.xlsx", "PK", "a spreadsheet"),
        ("a.arrow", "ARROW1", "one file of a data set saved with save_to_disk"),
    ],
)  # fmt: skip
def test_whole_files(tmp_path, name, content, what):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError, match=f"this is {what}.*which is not supported; "):
        read_rows(path, Data(path="unused"))


class TestSavedToDisk:
    @pytest.fixture
    def folder(self, tmp_path):
        import datasets

        def save(**splits: list[list[str]]):
            rows = {"tokens": [["In", "Bern"], ["Go", "Rome"]], "ner_tags": [["O", "B-LOC"], ["O", "B-LOC"]]}
            whole = datasets.Dataset.from_dict(rows)
            made = {name: whole.select(chosen) for name, chosen in splits.items()}
            datasets.DatasetDict(made).save_to_disk(str(tmp_path / "saved"))
            return tmp_path / "saved"

        return save

    def test_is_read_under_other_names_too(self, folder):
        corpus = load_corpus(Data(path=str(folder(train=[1], dev=[0], test=[1]))))
        assert [split.tokens for split in corpus.splits.values()] == [
            [["Go", "Rome"]],
            [["In", "Bern"]],
            [["Go", "Rome"]],
        ]

    def test_errors(self, folder):
        path = folder(train=[0, 1], dev=[1], devel=[0])
        with pytest.raises(
            UserError, match=r"dev, devel could each be validation; set data.splits.validation$"
        ):
            load_corpus(Data(path=str(path)), splits=["validation"])
        with pytest.raises(UserError, match=r"has no split 'test'; it has train, dev, devel$"):
            load_corpus(Data(path=str(path)), splits=["test"])
        next(path.glob("train/*.arrow")).write_bytes(b"ARROW1")
        with pytest.raises(
            UserError, match=r"a damaged data set of save_to_disk \(.*; copy or save it again$"
        ):
            load_corpus(Data(path=str(path)), splits=["train"])
