"""Exports of other tools: read where nothing is lost, else named, with what to do now."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from ner_dist.data.sources import load_corpus
from ner_dist.recipe import Data
from tests.cases.reading import CASES, FIRST, check, read, refused, sentence

LINES = '{"tokens": ["Ada", "slept"], "ner_tags": ["B-PER", "O"]}'
SPANS = (
    f"cut each text into words, give every word its tag and write lines like {LINES}; "
    '"Spans to tags" in docs/formats.md has the code'
)

NAMED = {
    "doccano": f"train.jsonl:1: this is a doccano export (spans over `text`), which is not "
    f"supported; {SPANS}",
    "prodigy": f"train.jsonl:1: this is a Prodigy export (`spans` over `text`), which is not "
    f"supported; {SPANS}",
    "gliner": (
        "train.json:row 1: this is a GLiNER file (`ner` holds first and last word of each entity), "
        f"which is not supported; give every word its tag and write lines like {LINES}"
    ),
    "ids_minus100": (
        "train.jsonl:1: 54 words have the id -100, the mark of subwords to skip; every word needs a tag; "
        "use the data from before tokenisation, or write the id of O there"
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_what_is_not_read_is_named(name):
    names = ["O", *(f"{prefix}-{kind}" for kind in ("LOC", "ORG", "PER") for prefix in "BI")]
    settings = {"label_names": names} if name == "ids_minus100" else {}
    assert refused(f"formats/{name}", **settings) == NAMED[name]


@pytest.mark.parametrize("name", ["doccano", "prodigy"])
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
        ("hipe", {}),
        ("hipe", {"tags_column": "NE-COARSE-LIT"}),
        ("hipe", {"tags_column": 2}),
        ("kaggle_csv", {}),
        ("pylist_csv", {}),
        ("pylist_jsonl", {}),
        ("json_columns", {}),
        ("conll2012", {}),
        ("conll2012", {"tags_column": 10}),
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
