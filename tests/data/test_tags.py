"""Data sets in any scheme are read as IOB2; what was read, counted or refused is logged."""

from __future__ import annotations

import json
import logging
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_dist.data.sources import load_corpus
from ner_dist.errors import UserError
from ner_dist.recipe_data import Data, SplitNames
from tests.data.schemes import some_sentences, written

ONLY_TRAIN = SplitNames(validation=None, test=None)


@pytest.fixture
def load(tmp_path, caplog):
    """Write splits of tags and read them; return the corpus and the log lines about its tags."""

    def load(**options):
        splits = {name: options.pop(name) for name in ("train", "validation", "test") if name in options}
        for name, sentences in splits.items():
            lines = [
                {"tokens": [f"{name}{i}.{j}" for j in range(len(tags))], "ner_tags": tags}
                for i, tags in enumerate(sentences)
            ]
            (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        names = SplitNames(**{name: name if name in splits else None for name in ("validation", "test")})
        caplog.clear()
        with caplog.at_level(logging.INFO, "ner_dist"):
            corpus = load_corpus(Data(path=str(tmp_path), splits=names, **options))
        records = [record for record in caplog.records if record.name == "ner_dist.data.tags"]
        said = [(record.levelname, record.getMessage().replace(f"{tmp_path}/", "")) for record in records]
        return corpus, said

    return load


def tags(corpus, split="train"):
    part = corpus.splits[split]
    names = [corpus.labels.tags[tag] for tag in part.tags]
    return [names[start:end] for start, end in pairwise(part.offsets)]


def test_sound_iob2_is_read_without_a_word(load):
    sentences = [["B-PER", "B-PER", "I-PER", "O"], ["O"]]
    corpus, said = load(train=sentences)
    assert (tags(corpus), said) == (sentences, [])
    keys = ("train_scheme", "train_stray_i", "train_stray_i_words")
    assert [corpus.counts[key] for key in keys] == ["IOB2", 0, 0]


def test_iob1(load):
    corpus, said = load(train=[["I-PER", "I-PER", "B-PER"], ["I-LOC"]])
    assert tags(corpus) == [["B-PER", "I-PER", "B-PER"], ["B-LOC"]]
    assert said == [
        (
            "INFO",
            "train.jsonl: tags are IOB1 (2 entities begin with I-, none with a B- that IOB1 would not write)"
            ": read as IOB2",
        )
    ]
    assert (corpus.counts["train_scheme"], corpus.counts["train_stray_i"]) == ("IOB1", 0)


def test_iob1_that_is_damaged_keeps_every_entity(load):
    corpus, said = load(train=[["I-PER", "O", "I-LOC"], ["I-PER"], ["B-LOC"]])
    assert tags(corpus) == [["B-PER", "O", "B-LOC"], ["B-PER"], ["B-LOC"]]
    assert said == [
        (
            "WARNING",
            "train.jsonl: tags are IOB1 (3 entities begin with I-, but 1 (the first at train.jsonl:3) with a "
            "B- that IOB1 would not write): read as IOB2",
        )
    ]


def test_iob2_that_is_damaged_is_counted_and_can_be_repaired(load):
    sentences = [["B-PER", "I-PER"], ["I-LOC", "I-LOC", "O"], ["B-LOC"]]
    corpus, said = load(train=sentences)
    assert tags(corpus) == sentences
    count = (
        "train.jsonl: 1 of 3 entities (33.3 %, 2 words) begin with an I- that continues no entity, the first "
        "at train.jsonl:2: "
    )
    assert said == [
        ("WARNING", count + "strict scoring ignores them; data.repair=begin reads them as entities")
    ]
    assert (corpus.counts["train_stray_i"], corpus.counts["train_stray_i_words"]) == (1, 2)

    repaired, said = load(train=sentences, repair="begin")
    assert tags(repaired) == [["B-PER", "I-PER"], ["B-LOC", "I-LOC", "O"], ["B-LOC"]]
    assert said == [("INFO", count + "read as entities (data.repair=begin)")]
    assert repaired.counts["train_stray_i"] == 1


def test_iobes_and_its_kin(load):
    corpus, said = load(train=[["B-PER", "L-PER", "U-PER", "O"]], test=[["U-PER"], ["B-LOC", "I-LOC"]])
    assert tags(corpus) == [["B-PER", "I-PER", "B-PER", "O"]]
    assert tags(corpus, "test") == [["B-PER"], ["B-LOC", "I-LOC"]]
    assert said == [
        ("INFO", "train.jsonl: tags are BILOU (2 entities): read as IOB2"),
        ("INFO", "test.jsonl: tags are BILOU (2 entities): read as IOB2"),
        (
            "WARNING",
            "test.jsonl: 1 of 2 entities have no L- or U- at their end, the first at test.jsonl:2: read as "
            "ending there",
        ),
    ]


def test_types_alone(load):
    corpus, said = load(train=[["PER", "PER", "O", "LOC"]])
    assert tags(corpus) == [["B-PER", "I-PER", "O", "B-LOC"]]
    assert said == [
        (
            "INFO",
            "train.jsonl: tags are IO, types alone (2 entities): read as IOB2, neighbouring words of one "
            "type as one entity",
        )
    ]
    one, _ = load(train=[["O", "PER"]])  # a single entity is one, too
    assert tags(one) == [["O", "B-PER"]]


def test_each_file_is_read_in_its_own_scheme(load):
    corpus, said = load(
        train=[["B-PER", "I-PER"], ["B-LOC"]], validation=[["I-PER"], ["I-LOC"]], test=[["O", "LOC"]]
    )
    assert [tags(corpus, name) for name in corpus.splits] == [
        [["B-PER", "I-PER"], ["B-LOC"]],
        [["B-PER"], ["B-LOC"]],
        [["O", "B-LOC"]],
    ]
    assert [corpus.counts[f"{name}_scheme"] for name in corpus.splits] == ["IOB2", "IOB1", "IO"]
    assert said[-1] == (
        "INFO",
        "tags are in different schemes (train.jsonl IOB2, validation.jsonl IOB1, test.jsonl IO): each file "
        "was read in its own",
    )


def test_a_single_entity_follows_the_other_files(load):
    corpus, said = load(train=[["B-PER"], ["B-LOC"]], test=[["I-PER", "O"]])
    assert tags(corpus, "test") == [["I-PER", "O"]]
    assert said == [
        (
            "WARNING",
            "test.jsonl: 1 of 1 entities (100.0 %, 1 word) begin with an I- that continues no entity, the "
            "first at test.jsonl:1: strict scoring ignores them; data.repair=begin reads them as entities",
        )
    ]


def test_other_spellings(load):
    corpus, said = load(train=[["PER-B", "PER-I", "0"]])
    assert tags(corpus) == [["B-PER", "I-PER", "O"]]
    assert said == [
        ("INFO", "train.jsonl: tags are written as TYPE-B: read as B-TYPE"),
        ("INFO", "train.jsonl: the tags of 1 word are read as O ('0', the first at train.jsonl:1)"),
    ]
    corpus, said = load(train=[["B", "I", "O"]])
    assert tags(corpus) == [["B-ENTITY", "I-ENTITY", "O"]]
    assert said == [("INFO", "train.jsonl: tags are written as B: read as B-TYPE of one type, ENTITY")]


def test_blanks_and_doubles(load):
    corpus, said = load(train=[["O", "B-LOC", "I-LOC "], ["B-LOC ", "O "], ["B-X;B-X"]])
    assert tags(corpus) == [["O", "B-LOC", "I-LOC"], ["B-LOC", "O"], ["B-X"]]
    assert said == [
        (
            "INFO",
            "train.jsonl: the tags of 3 words have blanks around them: trimmed ('I-LOC ', the first at "
            "train.jsonl:1)",
        ),
        (
            "INFO",
            "train.jsonl: the tags of 1 word are doubled: read as one ('B-X;B-X', the first at "
            "train.jsonl:3)",
        ),
    ]
    with pytest.raises(UserError) as refused:
        load(train=[["O", "B-LOC"], ["O", "B-X;B-Y"]])
    assert str(refused.value).endswith(
        "train.jsonl:2: tag `B-X;B-Y` holds 2 tags; a word has one tag: keep one of them, such as the "
        "outermost entity's"
    )


def test_types_that_look_the_same(load):
    _, said = load(train=[["B-PER", "B-PER", "I-PER"]], test=[["B-Per", "B-LOC"]])
    assert said == [
        (
            "WARNING",
            "entities of types `PER` (2) and `Per` (1): the names differ only in case, blanks or hyphens, "
            "but count as different types; spell them alike in the data if they mean the same",
        )
    ]


def test_names_of_ids_in_other_schemes(load):
    ids = [[1, 1, 0], [2]]
    for names, expected, scheme in (
        (["O", "PER", "LOC"], [["B-PER", "I-PER", "O"], ["B-LOC"]], "IO"),
        (["O", "I-PER", "I-LOC"], [["B-PER", "I-PER", "O"], ["B-LOC"]], "IOB1"),
        (["O", " S-PER", "E-LOC", "B-LOC"], [["B-PER", "B-PER", "O"], ["I-LOC"]], "IOBES"),
    ):
        corpus, _ = load(train=ids, label_names=names)
        assert (tags(corpus), corpus.counts["train_scheme"]) == (expected, scheme)
    corpus, said = load(train=[[1, 2, 0], [1]], label_names=["O", "I-PER", "B-PER"])
    assert corpus.labels.tags == ("O", "I-PER", "B-PER")  # ids stay what they are
    assert tags(corpus) == [["B-PER", "B-PER", "O"], ["B-PER"]]
    assert "tags are IOB1 (2 entities begin with I-" in said[0][1]


def test_names_in_a_table_of_the_datasets_library(tmp_path):
    feature = {"feature": {"names": ["O", "PER", "LOC"], "_type": "ClassLabel"}, "_type": "Sequence"}
    table = pa.table({"tokens": [["a", "b", "c"]], "ner_tags": [[1, 1, 2]]})
    info = json.dumps({"info": {"features": {"ner_tags": feature}}})
    pq.write_table(table.replace_schema_metadata({"huggingface": info}), tmp_path / "train.parquet")
    corpus = load_corpus(Data(path=str(tmp_path), splits=ONLY_TRAIN))
    assert tags(corpus) == [["B-PER", "I-PER", "B-LOC"]]


def test_the_line_of_a_word_is_told_in_conll(tmp_path, caplog):
    (tmp_path / "train.conll").write_text("a B-X\nb O\n\nc B-X\nd O\ne I-X\n")
    load_corpus(Data(path=str(tmp_path), splits=ONLY_TRAIN))
    assert f"the first at {tmp_path}/train.conll:6: strict" in caplog.text


@given(some_sentences(), st.sampled_from(["IOB1", "IOBES", "BILOU", "BMES"]))
@settings(max_examples=20)
def test_a_corpus_is_the_same_in_every_scheme(tmp_path_factory, sentences, scheme):
    found = []
    for name in ("IOB2", scheme):
        folder = tmp_path_factory.mktemp("scheme")
        lines = [
            json.dumps({"tokens": [f"w{i}"] * len(tags), "ner_tags": tags})
            for i, tags in enumerate(written([*sentences, (2, [("PER", 1, 2)])], name))
        ]
        (folder / "train.jsonl").write_text("\n".join(lines))
        found.append(load_corpus(Data(path=str(folder), splits=ONLY_TRAIN)).fingerprint)
    assert found[0] == found[1]


@pytest.mark.real_data
def test_stray_words_of_real_data_stay_as_they_are(real_data, caplog):
    corpus = load_corpus(Data(path=str(real_data / "wikineural_en_resplit")), splits=["validation", "test"])
    counts = [corpus.counts[f"{name}_stray_i"] for name in ("validation", "test")]
    assert counts == [240, 319]
    assert corpus.counts["test_scheme"] == "IOB2"
    assert "test.jsonl: 319 of 9,912 entities (3.2 %, 578 words) begin with an I-" in caplog.text
