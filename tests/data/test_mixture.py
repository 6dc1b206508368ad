"""Several sources in one recipe: label sets merge as it says, and each keeps what it annotates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from ner_dist.data.annotation import annotation_of
from ner_dist.data.sources import check_files, is_here, load_corpus, source_stamp
from ner_dist.errors import UserError
from ner_dist.recipe_data import Data
from ner_dist.recipe_file import data_section, load_recipe

PEOPLE = [(["Ann", "met", "Bob"], ["B-person", "O", "B-person"]), (["Bern"], ["O"])]
PLACES = [("Bern I-LOC\nAG I-ORG\n"), ("Ann O\n")]


@pytest.fixture
def sources(tmp_path):
    """A JSONL file of persons with a language, and a CoNLL file (IOB1) of places and organisations."""
    rows = [
        {"tokens": words, "ner_tags": tags, "lang": language}
        for language in ("en", "de")
        for words, tags in PEOPLE
    ]
    (tmp_path / "people.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "places.conll").write_text("\n".join(PLACES))
    only_train = {"validation": None, "test": None}
    people = {"path": str(tmp_path / "people.jsonl"), "map": {"person": "PER"}, "splits": only_train}
    places = {"path": str(tmp_path / "places.conll"), "splits": only_train}
    return people, places


def data(*sources: dict, **settings) -> Data:
    return Data.model_validate({"sources": list(sources), **settings})


def tags_of(corpus, split="train") -> list[str]:
    return [corpus.labels.tags[tag] for tag in corpus.splits[split].tags]


def test_label_sets_merge_by_name_and_map(sources):
    people, places = sources
    corpus = load_corpus(data(people | {"language": "en"}, places))
    assert corpus.labels.types == ("PER", "ORG", "LOC")
    assert tags_of(corpus) == ["B-PER", "O", "B-PER", "O", "B-LOC", "B-ORG", "O"]
    assert corpus.splits["train"].source.tolist() == [0, 0, 1, 1]
    assert [(source.types, source.sentences) for source in corpus.sources] == [
        (("PER",), {"train": 2}),
        (("ORG", "LOC"), {"train": 2}),
    ]
    assert corpus.counts["train_rows"] == 6
    assert corpus.counts["train_scheme"] == "IOB2, IOB1"


def test_a_type_mapped_to_null_is_not_annotated(sources):
    people, places = sources
    corpus = load_corpus(data(people, places | {"map": {"ORG": None}}))
    assert corpus.labels.types == ("PER", "LOC")
    assert tags_of(corpus)[-3:] == ["B-LOC", "O", "O"]
    assert corpus.sources[1].types == ("LOC",)


def test_two_types_may_become_one(sources):
    people, places = sources
    corpus = load_corpus(
        data(people | {"map": {"person": "ANY"}}, places | {"map": {"ORG": "ANY", "LOC": "ANY"}})
    )
    assert corpus.labels.types == ("ANY",)
    assert tags_of(corpus)[-3:] == ["B-ANY", "B-ANY", "O"]


def test_what_the_sources_say_of_each_word(sources):
    people, places = sources
    corpus = load_corpus(data(people | {"language": "en"}, places))
    split = corpus.splits["train"]
    known = annotation_of(corpus.sources, split.source, split.offsets, corpus.labels)
    assert known.source.tolist() == [0] * 4 + [1] * 3
    assert known.annotated.tolist() == [
        [True, True, True, False, False, False, False],
        [True, False, False, True, True, True, True],
    ]
    predicted = np.array([1, 3, 5, 0, 1, 5, 3], np.int16)
    assert known.scored(predicted, 0).tolist() == [1, 0, 0, 0, 0, 5, 3]
    persons = corpus.labels.select(["PER"])
    assert annotation_of(corpus.sources[:1], split.source * 0, split.offsets, persons) is None


def test_stated_types_are_annotated_though_none_occurs(sources):
    people, places = sources
    stated = load_corpus(data(people | {"types": ["PER", "LOC", "ORG"]}, places))
    assert stated.sources[0].types == ("PER", "ORG", "LOC")


def test_sources_that_annotate_everything_need_no_annotation(sources):
    people, _ = sources
    corpus = load_corpus(data(people | {"language": "en"}, people | {"language": "de"}))
    split = corpus.splits["train"]
    assert len(split) == 4  # the same words in two sources are no repeats
    assert annotation_of(corpus.sources, split.source, split.offsets, corpus.labels) is None
    weighted = load_corpus(data(people | {"language": "en", "weight": 2.0}, people | {"language": "de"}))
    known = annotation_of(weighted.sources, split.source, split.offsets, corpus.labels)
    assert known.weights.tolist() == [2.0, 1.0] and not known.is_partial


def test_train_in_one_language_and_test_in_another(sources):
    people, _ = sources
    train = people | {"language": "en"}
    test = people | {"language": "de", "splits": {"train": None, "validation": None, "test": "test"}}
    settings = data(train, test)
    assert settings.used_splits == ["train", "test"]
    corpus = load_corpus(settings)
    assert {name: len(split) for name, split in corpus.splits.items()} == {"train": 2, "test": 2}
    assert corpus.counts["test_in_train"] == 2
    assert list(load_corpus(settings, splits=["test"]).splits) == ["test"]


def test_each_source_is_cut_by_itself(sources):
    people, places = sources
    cut = people | {"splits": {"validation": None}, "split": {"test": 0.3}}
    corpus = load_corpus(data(cut, places))
    assert {name: split.source.tolist() for name, split in corpus.splits.items()} == {
        "train": [0, 1, 1],
        "test": [0],
    }
    assert corpus.counts["test_cut"] == "0.3 of train by sentence, seed 13"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"map": {"peson": "PER"}}, r"data\.sources\[0\]\.map: .* has no type `peson`; it has person"),
        ({"types": ["LOC"]}, r"data\.sources\[0\]\.types: .* annotates `PER`; add it, or map it to null"),
    ],
)
def test_a_wrong_name_of_a_type_is_an_error(sources, change, complaint):
    people, places = sources
    with pytest.raises(UserError, match=complaint):
        load_corpus(data(people | change, places))


def test_a_split_that_no_source_has_is_an_error(sources):
    with pytest.raises(UserError, match=r"data\.splits\.test: the recipe sets this split to null"):
        load_corpus(data(*sources), splits=["test"])


def test_the_stamp_changes_with_any_source(sources, tmp_path):
    settings = data(*sources)
    check_files(settings)
    assert is_here(settings)
    before = source_stamp(settings)
    (tmp_path / "places.conll").write_text("Bern B-LOC\n")
    assert source_stamp(settings) != before
    (tmp_path / "places.conll").unlink()
    assert not is_here(settings)
    with pytest.raises(UserError, match="no such file"):
        check_files(settings)


class TestTheRecipe:
    def test_it_is_read_back_as_it_was(self, sources):
        settings = data(*sources)
        assert settings.path == f"{sources[0]['path']} + {sources[1]['path']}"
        assert Data.model_validate(settings.model_dump(mode="json")) == settings

    @pytest.mark.parametrize(
        ("values", "complaint"),
        [
            ({"path": "x"}, "path and sources exclude each other"),
            ({"language": "en"}, "language says how to read one data set; write it in each of sources"),
            ({"split": {"test": 0.1}}, "split says how to read one data set"),
        ],
    )
    def test_keys_of_one_data_set_beside_sources_are_refused(self, values, complaint):
        with pytest.raises(ValidationError, match=complaint):
            Data.model_validate({"sources": [{"path": "a"}], **values})

    @pytest.mark.parametrize(
        ("line", "complaint"),
        [
            (
                "{path: a, maap: {}}",
                r"unknown key `data\.sources\.0\.maap`; did you mean `data\.sources\[\]\.map`",
            ),
            ("{path: a, weight: 0}", r"`data\.sources"),
            ("{map: {a: b}}", r"key `data\.sources\.0\.path` is missing"),
        ],
    )
    def test_a_mistake_in_a_source_is_named(self, tmp_path, line, complaint):
        path = Path(tmp_path / "r.yaml")
        path.write_text(f"name: a\noutput_dir: a\ndata:\n  sources:\n  - {line}\n")
        with pytest.raises(UserError, match=complaint):
            load_recipe(path)

    def test_a_recipe_may_extend_one_of_a_single_data_set(self, tmp_path):
        (tmp_path / "base.yaml").write_text("name: a\noutput_dir: a\ndata: {path: synthetic}\n")
        (tmp_path / "r.yaml").write_text(
            "extends: base.yaml\ndata: {path: null, sources: [{path: a}, {path: b}]}\n"
        )
        assert load_recipe(tmp_path / "r.yaml").data.path == "a + b"
        assert data_section([], path="a").sources == []
