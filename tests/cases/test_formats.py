"""Exports of other tools are read without loss, or refused with a way to convert them."""

from __future__ import annotations

import logging

import pytest

from ner_dist.labels import UNLABELLED
from tests.cases.reading import WORDS, check, read, words_of


def test_words_with_the_id_minus_100_have_no_label():
    names = ["O", *(f"{prefix}-{kind}" for kind in ("LOC", "ORG", "PER") for prefix in "BI")]
    corpus = read("formats/ids_minus100", label_names=names)
    assert words_of(corpus) == WORDS
    assert corpus.counts["train_words_without_label"] == 54
    assert (corpus.splits["train"].tags == UNLABELLED).sum() == 54


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
