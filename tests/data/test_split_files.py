"""Which files of a folder are which split, by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from ner_dist.data.sources import load_corpus
from ner_dist.data.split_files import files_of
from ner_dist.errors import UserError
from ner_dist.recipe_data import Data, SplitNames

SPLITS = ("train", "validation", "test")


@pytest.fixture
def folder(tmp_path):
    def folder(*names: str) -> Path:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("In O\nBern B-LOC\n")
        return tmp_path

    return folder


def found(folder: Path, **settings) -> list[str]:
    data = Data(path=str(folder), **settings)
    return [str(path.relative_to(folder)) for split in SPLITS for path in files_of(data, split)]


def refused(folder: Path, split: str, **settings) -> str:
    with pytest.raises(UserError) as caught:
        files_of(Data(path=str(folder), **settings), split)
    return str(caught.value).replace(str(folder), "FOLDER")


@pytest.mark.parametrize(
    "names",
    [
        ("train.tsv", "devel.tsv", "test.tsv"),
        ("train.tsv", "dev.tsv", "test.tsv"),
        ("train.txt", "valid.txt", "test.txt"),
        ("train.txt", "val.txt", "test.txt"),
        ("training.conll", "development.conll", "testing.conll"),
        ("eng.train", "eng.testa", "eng.testb"),
        ("esp.train", "esp.testa", "esp.testb"),
        ("train", "testa", "testb"),
        ("train.txt", "testa.txt", "testb.txt"),
        ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"),
        ("en-train.iob2", "en-dev.iob2", "en-test.iob2"),
        ("en_ewt-ud-train.iob2", "en_ewt-ud-dev.iob2", "en_ewt-ud-test.iob2"),
        ("da_ddt-ud-train.conllu", "da_ddt-ud-dev.conllu", "da_ddt-ud-test.conllu"),
        ("NER-de-train.tsv", "NER-de-dev.tsv", "NER-de-test.tsv"),
        ("deTrain.tsv", "deDev.tsv", "deTest.tsv"),
        ("train2.conll", "dev2.conll", "test2.conll"),
        ("onto.train.gold_conll", "onto.development.gold_conll", "onto.test.gold_conll"),
        ("data/train.txt", "data/dev.txt", "data/test.txt"),
        ("train/a.txt", "devel/a.txt", "test/a.txt"),
        ("train.conll.gz", "dev.conll.gz", "test.conll.gz"),
        ("TRAIN.txt", "Dev.txt", "Test.txt"),
    ],
)
def test_names_of_splits(folder, names):
    more = ("README.md", "labels.py", "contest.log", "run_test.sh")
    assert found(folder(*names, *more)) == list(names)


JOINED = [
    "train_dev",
    "train-dev",
    "traindev",
    "train+dev",
    "trainDev",
    "train.devel",
    "trainval",
    "dev_train",
]


@pytest.mark.parametrize("joined", JOINED)
def test_splits_that_were_joined_are_neither(folder, joined):
    names = ["train.tsv", "devel.tsv", "test.tsv"]
    assert found(folder(*names, f"{joined}.tsv")) == names
    (folder() / "train.tsv").unlink()
    (folder() / "devel.tsv").unlink()
    for split in ("train", "validation"):
        drop = {"train": ", or data.splits.train", "validation": ", or data.splits.validation to null"}[split]
        assert refused(folder(), split) == (
            f"FOLDER: no file is named '{split}'; "
            f"the files are {', '.join(sorted(['test.tsv', f'{joined}.tsv']))}; "
            f"{joined}.tsv holds more than {split}, by its name; set data.files.{split}{drop}"
        )
    named = {"train": f"{joined}.tsv", "validation": "test.tsv"}
    assert found(folder(), files=named) == [f"{joined}.tsv", "test.tsv", "test.tsv"]


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (("dev.tsv", "devel.tsv"), "validation"),
        (("dev.jsonl", "validation.jsonl"), "validation"),
        (("dev.txt", "eng.testa"), "validation"),
        (("a.dev.conll", "b.dev.conll"), "validation"),
        (("train.conll", "train.txt"), "train"),
        (("train.jsonl", "train.jsonl.gz"), "train"),
        (("emerging.test", "emerging.test.annotated"), "test"),
        (("test_a.txt", "test_b.txt"), "test"),
    ],
)
def test_two_that_may_be_one_split(folder, names, split):
    there = folder(*names)
    assert (
        refused(there, split) == f"FOLDER: {', '.join(names)} could each be {split}; set data.files.{split}"
    )
    chosen = Data(path=str(there), files={split: names[1]})
    assert [path.name for path in files_of(chosen, split)] == [names[1]]


def test_two_folders_that_may_be_one_split(folder):
    there = folder("train/a.txt", "dev/a.txt", "devel/a.txt", "test/a.txt")
    assert refused(there, "validation") == (
        "FOLDER: dev, devel could each be validation; set data.splits.validation"
    )
    splits = SplitNames(validation="devel")
    assert found(there, splits=splits) == ["train/a.txt", "devel/a.txt", "test/a.txt"]


def test_the_name_in_the_recipe_comes_first(folder):
    there = folder("train.txt", "dev.txt", "testa.txt", "testb.txt", "exam.txt")
    splits = SplitNames(validation="testa", test="exam")
    assert found(there, splits=splits) == ["train.txt", "testa.txt", "exam.txt"]
    assert refused(there, "validation").startswith("FOLDER: dev.txt, testa.txt could each be validation")


def test_a_plain_name_comes_before_a_part_of_one(folder):
    there = folder("train.txt", "train_noisy.txt", "dev.txt", "test.txt", "test.annotated.txt")
    assert found(there) == ["train.txt", "dev.txt", "test.txt"]


def test_conll2003_as_published_is_read(folder):
    corpus = load_corpus(Data(path=str(folder("eng.train", "eng.testa", "eng.testb"))))
    assert [split.tokens for split in corpus.splits.values()] == [[["In", "Bern"]]] * 3


def test_files_of_other_kinds_are_named_when_they_are_asked_for(folder):
    there = folder("train.xml", "dev.xlsx", "test.arrow")
    (there / "train.xml").write_text("<?xml version='1.0'?>")
    for split, what in (("train", "an XML file"), ("validation", "a spreadsheet"), ("test", "one file of")):
        with pytest.raises(UserError, match=f": this is {what}.*, which is not supported; "):
            load_corpus(Data(path=str(there)), splits=[split])
