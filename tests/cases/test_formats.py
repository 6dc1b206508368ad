"""Exports of other tools: read where nothing is lost, else named, with what to do now."""

from __future__ import annotations

import ast
import csv
import json
import logging
import re
from pathlib import Path

import pytest

from ner_dist.data.sources import load_corpus
from ner_dist.labels import UNLABELLED
from ner_dist.recipe import Data
from tests.cases.reading import CASES, FIRST, WORDS, check, read, refused, sentence, words_of

LINES = '{"tokens": ["Ada", "slept"], "ner_tags": ["B-PER", "O"]}'
SPANS = (
    f"cut each text into words, give every word its tag and write lines like {LINES}; "
    '"Spans to tags" in docs/formats.md has the code'
)
COLUMNS = "write a line of word, tab, tag for every word and an empty line after every sentence"

NAMED = {
    "doccano": f"train.jsonl:1: this is a doccano export (spans over `text`), which is not "
    f"supported; {SPANS}",
    "prodigy": f"train.jsonl:1: this is a Prodigy export (`spans` over `text`), which is not "
    f"supported; {SPANS}",
    "gliner": (
        "train.json:row 1: this is a GLiNER file (`ner` holds first and last word of each entity), "
        f"which is not supported; give every word its tag and write lines like {LINES}"
    ),
    "brat": (
        f"train/doc0.txt: this is text annotated with brat (see doc0.ann), which is not supported; {SPANS}"
    ),
    "kaggle_csv": (
        f"train.csv: this is a CSV table, which is not supported; {COLUMNS}; "
        f"or, with a row for each sentence, lines like {LINES}"
    ),
    "pylist_csv": (
        "train.csv: this is a CSV table with Python lists as text, which is not supported; read it "
        "with pandas, "
        "apply ast.literal_eval to both columns, and save it with to_json(orient='records', lines=True)"
    ),
    "pylist_jsonl": (
        "train.jsonl:1: this is a file with Python lists as text, which is not supported; "
        "apply ast.literal_eval to both columns and write them as lists"
    ),
    "json_columns": (
        "train.json: this is a table as pandas' to_json() writes it, which is not supported; "
        "save it with to_json(orient='records', lines=True) under a name that ends with .jsonl"
    ),
    "conll2012": (
        "train.gold_conll: this is a CoNLL-2012 file (OntoNotes), whose entities are brackets such as "
        f"`(ORG* *)`, which is not supported; convert the brackets to BIO: {COLUMNS}"
    ),
    "hipe": (
        "train.tsv:4: several columns hold tags of entities: NE-COARSE-LIT (B-LOC, B-ORG, I-ORG), "
        "NE-FINE-LIT (B-LOC, B-ORG, I-ORG); "
        "set data.tags_column=NE-COARSE-LIT or data.tags_column=NE-FINE-LIT"
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_what_is_not_read_is_named(name):
    assert refused(f"formats/{name}") == NAMED[name]


def test_words_with_the_id_minus_100_have_no_label():
    names = ["O", *(f"{prefix}-{kind}" for kind in ("LOC", "ORG", "PER") for prefix in "BI")]
    corpus = read("formats/ids_minus100", label_names=names)
    assert words_of(corpus) == WORDS
    assert corpus.counts["train_words_without_label"] == 54
    assert (corpus.splits["train"].tags == UNLABELLED).sum() == 54


@pytest.mark.parametrize("name", ["doccano", "prodigy", "pylist_jsonl"])
def test_it_is_named_whatever_keys_are_tried(name):
    message = refused(f"formats/{name}", tokens_column="text", tags_column="label")
    assert "which is not supported" in message


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("hanging_tab", {}),
        ("hanging_tab", {"separator": "tab"}),
        ("trailing_space_tab", {}),
        ("trailing_space_tab", {"separator": "\\t"}),
        ("save_to_disk", {}),
        ("conllu_misc", {}),
        ("conllu_misc", {"tags_column": "MISC"}),
        ("conllu_misc", {"tags_column": "MISC:NER"}),
        ("hipe", {"tags_column": "NE-COARSE-LIT"}),
        ("hipe", {"tags_column": 2}),
    ],
)
def test_what_is_read(name, settings):
    check(read(f"formats/{name}", **settings))


def test_what_is_found_in_misc_is_said(caplog):
    with caplog.at_level(logging.INFO):
        read("formats/conllu_misc")
    assert (
        "train.conllu: tags are read from NER= in column MISC, O where it is absent; "
        "set data.tags_column to change this" in caplog.text
    )


def test_the_advice_on_csv_works(tmp_path):
    """By hand what the messages say, as pandas is not among what is installed for certain."""
    for split in ("train", "validation", "test"):
        with (CASES / f"formats/pylist_csv/{split}.csv").open(newline="") as file:
            rows = [{key: row[key] for key in ("tokens", "ner_tags")} for row in csv.DictReader(file)]
        lists = ({key: ast.literal_eval(cell) for key, cell in row.items()} for row in rows)
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lists))
    assert sentence(load_corpus(Data(path=str(tmp_path))), "train", 0) == FIRST


@pytest.mark.parametrize("name", ["doccano", "prodigy"])
def test_the_advice_on_spans_works(tmp_path, name):
    """What docs/formats.md shows makes the made corpus out of its exports."""
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    shown = re.search(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert shown is not None
    names: dict = {}
    exec(shown[1], names)
    for split in ("train", "validation", "test"):
        source = CASES / "formats" / name / f"{split}.jsonl"
        names["convert"](source, tmp_path / f"{split}.jsonl", names[name])
    corpus = load_corpus(Data(path=str(tmp_path)))
    assert sentence(corpus, "train", 0) == FIRST
    assert set(corpus.labels.types) == {"PER", "LOC", "ORG"}
    assert names["label_studio"]({"label": [{"start": 3, "end": 7, "labels": ["LOC"]}]}) == [(3, 7, "LOC")]
