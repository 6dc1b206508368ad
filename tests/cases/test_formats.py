"""Exports of other tools are read without loss, or refused with a way to convert them."""

from __future__ import annotations

import logging

import pytest

from tests.cases.reading import check, read, refused

NAMED = {
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
        ("doccano", {}),
        ("prodigy", {}),
        ("gliner", {}),
        ("kaggle_csv", {}),
        ("pylist_csv", {}),
        ("pylist_jsonl", {}),
        ("json_columns", {}),
        ("conll2012", {}),
        ("conll2012", {"tags_column": 10}),
        ("bilou", {}),
        ("bioes", {}),
        ("io_plain", {}),
        ("suffix", {}),
        ("underscore", {}),
        ("zero_for_o", {}),
    ],
)
def test_what_is_read(name, settings):
    check(read(f"formats/{name}", **settings))


@pytest.mark.parametrize(
    ("name", "types"), [("lowercase", {"per", "loc", "org"}), ("bio_untyped", {"ENTITY"})]
)
def test_tags_with_other_types_are_read_as_well(name, types):
    corpus, plain = read(f"formats/{name}"), read("formats/bilou")
    assert set(corpus.labels.types) == types
    for split, part in corpus.splits.items():
        assert part.tokens == plain.splits[split].tokens
        other = plain.splits[split].tags
        begins = [tag.partition("-")[0] for tag in plain.labels.tags]
        assert [corpus.labels.tags[tag].partition("-")[0] for tag in part.tags] == [begins[t] for t in other]


def test_what_is_found_in_misc_is_said(caplog):
    with caplog.at_level(logging.INFO):
        read("formats/conllu_misc")
    assert (
        "train.conllu: tags are read from NER= in column MISC, O where it is absent; "
        "set data.tags_column to change this" in caplog.text
    )
