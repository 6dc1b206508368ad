"""Splits cut from train: whole documents or whole groups of copies, the same everywhere, never silently."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_dist.data.corpus import Split, offsets_of
from ner_dist.data.cutting import cut_from_train
from ner_dist.data.duplicates import sentence_key
from ner_dist.data.sources import check_files, load_corpus
from ner_dist.errors import UserError
from ner_dist.recipe_data import Cut, Data, SplitNames

BOTH = {"validation": 0.1, "test": 0.2}


def split(words: list[str], documents: list[str] | None = None) -> Split:
    tags = np.zeros(len(words), np.int16)
    return Split([[word] for word in words], tags, offsets_of(np.ones(len(words))), documents=documents)


def cut(train: Split, names=("validation", "test"), **shares):
    return cut_from_train(train, Cut(**(shares or BOTH)), list(names), where="here")


def test_documents_are_cut_whole():
    parts, by = cut(split([f"w{i}" for i in range(200)], [f"d{i // 5}" for i in range(200)]))
    assert by == "document"
    assert {name: len(part) for name, part in parts.items()} == {"train": 140, "validation": 20, "test": 40}
    named = [set(part.documents) for part in parts.values()]
    assert sum(map(len, named)) == len(set.union(*named)) == 40


@given(st.lists(st.integers(0, 30), min_size=4, max_size=200), st.integers(0, 99))
def test_copies_stay_together_and_nothing_is_lost(words, seed):
    train = split([f"w{number}" for number in words])
    distinct = len(set(words))
    if distinct < 3:
        with pytest.raises(UserError, match="distinct sentences are too few to cut"):
            cut(train, validation=0.1, test=0.2, seed=seed)
        return
    parts, by = cut(train, validation=0.1, test=0.2, seed=seed)
    assert by == "sentence"
    keys = [set(map(sentence_key, part.tokens)) for part in parts.values()]
    assert all(keys) and sum(map(len, keys)) == distinct
    assert sum(map(len, parts.values())) == len(words)


def test_the_cut_is_known():
    """These numbers are of no other library's shuffle: they hold on every machine and version."""
    parts, _ = cut(split([f"w{i}" for i in range(20)]))
    assert [words[0] for words in parts["test"].tokens] == ["w7", "w10", "w11", "w12"]
    assert [words[0] for words in parts["validation"].tokens] == ["w2", "w8"]


def test_another_seed_cuts_elsewhere_and_test_does_not_depend_on_validation():
    train = split([f"w{i}" for i in range(100)])
    first, other = (cut(train, validation=0.1, test=0.2, seed=seed)[0]["test"] for seed in (1, 2))
    assert first.tokens != other.tokens
    assert cut(train, validation=0.4, test=0.2, seed=1)[0]["test"].tokens == first.tokens


def test_too_few_documents_are_cut_by_sentence(caplog):
    _, by = cut(split([f"w{i}" for i in range(50)], ["a"] * 25 + ["b"] * 25))
    assert by == "sentence"
    assert "here: 2 documents cannot be cut in 3: cut by sentence" in caplog.text


def lines(path: Path, first: int, number: int) -> Path:
    rows = [
        {"tokens": ["Ann", f"w{i}"], "ner_tags": ["B-PER", "O"], "doc": i // 5}
        for i in range(first, first + number)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_single_file_is_cut(tmp_path, caplog):
    path = lines(tmp_path / "all.jsonl", 0, 100)
    data = Data(path=str(path), split=Cut(**BOTH), document_column="doc")
    check_files(data)
    with caplog.at_level("INFO"):
        corpus = load_corpus(data)
    assert {name: len(part) for name, part in corpus.splits.items()} == {
        "train": 70,
        "validation": 10,
        "test": 20,
    }
    assert corpus.counts["validation_cut"] == "0.1 of train by document, seed 13"
    assert f"{path}: it has no test and no validation, cut off from train by document" in caplog.text
    assert corpus.counts["test_in_train"] == 0
    alone = load_corpus(data, splits=["test"]).splits
    assert list(alone) == ["test"] and alone["test"].tokens == corpus.splits["test"].tokens


def test_only_what_the_data_lacks_is_cut(tmp_path, caplog):
    lines(tmp_path / "train.jsonl", 0, 50)
    lines(tmp_path / "test.jsonl", 50, 7)
    with caplog.at_level("INFO"):
        corpus = load_corpus(Data(path=str(tmp_path), split=Cut(**BOTH)))
    assert {name: len(part) for name, part in corpus.splits.items()} == {
        "train": 45,
        "validation": 5,
        "test": 7,
    }
    assert "it has test, so data.split.test cuts none" in caplog.text
    assert "test_cut" not in corpus.counts


def test_nothing_is_cut_unasked(tmp_path):
    path = lines(tmp_path / "all.jsonl", 0, 20)
    with pytest.raises(UserError, match=r"is one file, .* cut them off with data\.split\.validation=0\.1"):
        load_corpus(Data(path=str(path)))
    assert list(load_corpus(Data(path=str(path)), splits=["test"]).splits) == ["test"]
    no_test = Data(path=str(path), split=Cut(validation=0.2), splits=SplitNames(test=None))
    assert list(load_corpus(no_test).splits) == ["train", "validation"]
