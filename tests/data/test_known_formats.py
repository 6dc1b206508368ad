"""Files of other tools are told by what they hold."""

from __future__ import annotations

import json

import pytest

from ner_dist.data.readers import read_rows
from ner_dist.data.sources import load_corpus
from ner_dist.errors import UserError
from ner_dist.recipe import Data

ROWS = {
    "a file with Python lists as text": [{"tokens": "['In', 'Bern']", "ner_tags": "[0, 1]"}],
}  # fmt: skip


@pytest.mark.parametrize("ending", ["jsonl", "json"])
@pytest.mark.parametrize(("what", "row"), [(what, row) for what, rows in ROWS.items() for row in rows])
def test_rows_of_json(tmp_path, what, row, ending):
    path = tmp_path / f"train.{ending}"
    path.write_text(json.dumps(row) + "\n" if ending == "jsonl" else json.dumps([row, row], indent=1))
    with pytest.raises(UserError, match=f"this is {what}.*, which is not supported; ") as caught:
        read_rows(path, Data(path="unused"))
    assert caught.value.where == f"{path}:{'1' if ending == 'jsonl' else 'row 1'}"


def test_what_has_words_and_tags_is_read_whatever_else_it_holds(tmp_path):
    row = {"tokens": ["In", "Bern"], "ner_tags": ["O", "B-LOC"], "text": "In Bern", "label": [[3, 7, "LOC"]]}
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(row | {"spans": [], "_input_hash": 1}) + "\n")
    assert read_rows(path, Data(path="unused")).tokens == [["In", "Bern"]]


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.json", {"tokens": {"0": ["In"]}, "ner_tags": {"0": ["O"]}}, "a table as pandas"),
        ("a.jsonl", "version https://git-lfs.github.com/spec/v1\noid sha256:a\n", "a pointer of Git LFS"),
        ("a.conll", "version https://git-lfs.github.com/spec/v1\noid sha256:a\n", "a pointer of Git LFS"),
        ("a.txt", "\n<!DOCTYPE html>\n<html>", "a web page"),
        ("a.xml", "<?xml version='1.0'?><a/>", "an XML file"),
        ("a.tsv", "#FORMAT=WebAnno TSV 3.3\n\n\n#Text=In\n1-1\t0-2\tIn\t_\n", "a WebAnno TSV file"),
        ("a.conll", "#begin document (a); part 000\na 0 0 In IN (TOP* - - - - * -\n", "a CoNLL-2012 file"),
        ("a.csv", "Sentence #,Word,Tag\nSentence: 1,In,O\n", "a CSV table, "),
        ("a.csv", 'tokens,tags\n"[""In"", ""Bern""]","[""O"", ""B-LOC""]"\n', "a CSV table with Python"),
        ("a.spacy", "\x00\x01", "a binary file of spaCy"),
        ("a.arrow", "ARROW1", "one file of a data set saved with save_to_disk"),
    ],
)  # fmt: skip
def test_whole_files(tmp_path, name, content, what):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError, match=f"this is {what}.*which is not supported; "):
        read_rows(path, Data(path="unused"))


def test_folders(tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    (flat / "a.txt").write_text("In Bern .")
    (flat / "a.ann").write_text("T1\tLOC 3 7\tBern\n")
    with pytest.raises(
        UserError, match=r"flat: this is a folder annotated with brat \(such as a.ann\), which"
    ):
        load_corpus(Data(path=str(flat)))
    import datasets

    datasets.Dataset.from_dict({"tokens": [["In"]], "ner_tags": [["O"]]}).save_to_disk(str(tmp_path / "one"))
    with pytest.raises(UserError, match="this is one split of a data set saved with save_to_disk"):
        load_corpus(Data(path=str(tmp_path / "one")))


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
