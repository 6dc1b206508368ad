"""From `data` in a recipe to a corpus: finding splits, naming labels, filtering, counting what repeats."""

from __future__ import annotations

import http.server
import json
import logging
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_dist.data.corpus import Corpus, Split, offsets_of
from ner_dist.data.duplicates import first_occurrence, shared, with_other_tags
from ner_dist.data.hub import open_hub, rows_of
from ner_dist.data.sources import load_corpus, source_stamp
from ner_dist.errors import UserError
from ner_dist.labels import MULTINERD_TYPES, LabelSet
from ner_dist.recipe_data import Data, SplitNames, Synthetic

MULTINERD_TAGS = LabelSet.from_types(MULTINERD_TYPES).tags
Sentence = tuple[list[str], list]


def data(path: Path | str, **values) -> Data:
    return Data(path=str(path), **values)


def only_train(path: Path | str, **values) -> Data:
    return data(path, splits=SplitNames(validation=None, test=None), **values)


def write(path: Path, pairs: list[Sentence], **columns: list) -> Path:
    """JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"tokens": words, "ner_tags": tags} for words, tags in pairs]
    for name, cells in columns.items():
        for row, cell in zip(rows, cells, strict=True):
            row[name] = cell
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def sentences(corpus: Corpus, split: str) -> list[Sentence]:
    part = corpus.splits[split]
    tags = [corpus.labels.tags[label] for label in part.tags]
    return [
        (words, tags[a:b]) for words, a, b in zip(part.tokens, part.offsets, part.offsets[1:], strict=False)
    ]


def refused(settings: Data, folder: Path | None = None, **arguments) -> str:
    with pytest.raises(UserError) as caught:
        load_corpus(settings, **arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{folder}/", "").replace(str(folder), "FOLDER") if folder else message


A = (["Ann", "sings"], ["B-PER", "O"])
B = (["Bern", "."], ["B-LOC", "O"])
C = (["Rain", "."], ["O", "O"])


class TestFindingFiles:
    @pytest.mark.parametrize(
        "names",
        [
            ("train.jsonl", "validation.jsonl", "test.jsonl"),
            ("train.jsonl", "dev.jsonl", "test.jsonl"),
            ("en-train.jsonl", "en-valid.jsonl", "en-test.jsonl"),
            ("data/train.jsonl", "data/val.jsonl", "data/test.jsonl"),
            ("train/0000.jsonl", "validation/0000.jsonl", "test/0000.jsonl"),
            ("data/train-00000-of-00001.jsonl", "data/validation-00000-of-00001.jsonl", "data/test_en.jsonl"),
        ],
    )
    def test_by_the_split_name(self, tmp_path, names):
        for name, pair in zip(names, (A, B, C), strict=True):
            write(tmp_path / name, [pair])
        (tmp_path / "README.md").write_text("train, validation and test")
        corpus = load_corpus(data(tmp_path))
        assert list(corpus.splits) == ["train", "validation", "test"]
        assert [sentences(corpus, split) for split in corpus.splits] == [[A], [B], [C]]

    def test_shards_come_in_order(self, tmp_path):
        for shard, pair in enumerate((A, B, C)):
            write(tmp_path / "data" / f"train-0000{shard}-of-00003.jsonl", [pair])
        corpus = load_corpus(only_train(tmp_path))
        assert sentences(corpus, "train") == [A, B, C]
        assert corpus.splits["train"].origin[2] == f"{tmp_path}/data/train-00002-of-00003.jsonl:1"
        (tmp_path / "data/train-00001-of-00003.jsonl").unlink()
        assert refused(only_train(tmp_path), tmp_path).endswith("2 of 3 parts are there; add the others")

    def test_named_splits_files_and_configurations(self, tmp_path):
        write(tmp_path / "gold" / "eng.a", [A])
        write(tmp_path / "silver" / "train.jsonl", [B])
        assert sentences(load_corpus(only_train(tmp_path, name="silver")), "train") == [B]
        named = only_train(tmp_path, files={"train": "gold/eng.a"}, format="jsonl")
        assert sentences(load_corpus(named), "train") == [A]
        write(tmp_path / "testb.jsonl", [C])
        assert sentences(
            load_corpus(data(tmp_path, splits=SplitNames(test="testB")), splits=["test"]), "test"
        ) == [C]

    def test_the_format_decides_between_files(self, tmp_path):
        write(tmp_path / "train.jsonl", [A])
        (tmp_path / "train.conll").write_text("Bern B-LOC\n. O\n")
        assert sentences(load_corpus(only_train(tmp_path, format="jsonl")), "train") == [A]
        assert sentences(load_corpus(only_train(tmp_path, format="conll")), "train") == [B]
        assert refused(only_train(tmp_path), tmp_path) == (
            "FOLDER: train.conll, train.jsonl could each be train; set data.files.train"
        )

    @pytest.mark.parametrize("split", ["train", "validation", "test"])
    def test_one_file_is_the_split_that_is_asked_for(self, tmp_path, split):
        path = write(tmp_path / "anything.jsonl", [A, B])
        no_test = data(path, splits=SplitNames(test=None))
        assert sentences(load_corpus(no_test, splits=[split]), split) == [A, B]

    def test_errors(self, tmp_path):
        path = write(tmp_path / "train.jsonl", [A])
        assert refused(data(tmp_path), tmp_path) == (
            "FOLDER: no file is named 'validation'; the files are train.jsonl; "
            "set data.files.validation, or data.splits.validation to null"
        )
        assert refused(only_train(tmp_path, files={"train": "a.jsonl"}), tmp_path) == (
            "a.jsonl: no such file; the files are train.jsonl; set data.files.train"
        )
        assert refused(data(path), tmp_path).startswith(
            "data.path: train.jsonl is one file, but the splits train, validation, test are needed; "
            "name a folder"
        )
        assert (
            refused(only_train(tmp_path / "none"), tmp_path) == "none: no such file or folder; set data.path"
        )
        assert refused(data("none.jsonl")) == "none.jsonl: no such file or folder; set data.path"
        assert refused(data(tmp_path), splits=["dev"]) == (
            "unknown split `dev`; splits are train, validation, test"
        )
        assert refused(only_train(tmp_path), splits=["test"]) == (
            "data.splits.test: the recipe sets this split to null; set the name of the split"
        )

    @pytest.mark.parametrize("content", ["", "\n\n", '{"tokens": [], "ner_tags": []}\n'])
    def test_nothing_in_it(self, tmp_path, content):
        (tmp_path / "train.jsonl").write_text(content)
        assert refused(only_train(tmp_path), tmp_path) == "train.jsonl: it has no words for train"


class TestLabels:
    def test_multinerd_types_keep_multinerd_order(self, tmp_path):
        write(tmp_path / "train.jsonl", [(["a", "b"], ["B-VEHI", "B-LOC"])])
        write(tmp_path / "test.jsonl", [(["a", "b"], ["B-BIO", "I-BIO"])])
        corpus = load_corpus(data(tmp_path, splits=SplitNames(validation=None)))
        assert corpus.labels == LabelSet.from_types(["LOC", "BIO", "VEHI"])

    def test_other_types_are_sorted(self, tmp_path):
        write(
            tmp_path / "train.jsonl", [(["a", "b"], ["B-PER", "B-MISC"]), (["c"], ["I-Medication/Vaccine"])]
        )
        corpus = load_corpus(only_train(tmp_path))
        assert corpus.labels == LabelSet.from_types(["MISC", "Medication/Vaccine", "PER"])
        assert sentences(corpus, "train")[1] == (["c"], ["I-Medication/Vaccine"])

    def test_label_names_of_the_recipe(self, tmp_path):
        write(tmp_path / "train.jsonl", [(["a", "b"], [2, 0])])
        named = only_train(tmp_path, label_names=["B-X", "I-X", "O"])
        assert sentences(load_corpus(named), "train") == [(["a", "b"], ["O", "B-X"])]
        write(tmp_path / "train.jsonl", [(["a", "b"], ["O", "B-X"])])
        assert load_corpus(named).splits["train"].tags.tolist() == [2, 0]

    def test_ids_in_conll(self, tmp_path):
        (tmp_path / "train.conll").write_text("Ann 1\nsings 0\n")
        corpus = load_corpus(only_train(tmp_path, label_names=["O", "B-PER"]))
        assert sentences(corpus, "train") == [A]
        assert corpus.labels.tags == ("O", "B-PER", "I-PER")

    def test_multinerd_by_the_path(self, tmp_path):
        folder = tmp_path / "MultiNERD_en"
        write(folder / "train.jsonl", [(["Bern", "x"], [5, 30])])
        assert sentences(load_corpus(only_train(folder)), "train") == [(["Bern", "x"], ["B-LOC", "I-VEHI"])]

    def test_errors(self, tmp_path):
        path = tmp_path / "train.jsonl"
        write(path, [A, (["a"], ["PER"])])
        assert refused(only_train(tmp_path), tmp_path) == (
            "train.jsonl:2: tag `PER` is not BIO (O, B-TYPE or I-TYPE), as others are; "
            "see data.tags_column, or write each tag as O, B-TYPE or I-TYPE"
        )
        write(path, [A])
        named = only_train(tmp_path, label_names=["O", "B-X"])
        assert refused(named, tmp_path) == (
            "train.jsonl:1: tag `B-PER` is not among the 2 tags of data.label_names; "
            "fix the tag or data.label_names"
        )
        write(path, [(["a"], [0]), (["a", "b"], [0, 2])])
        assert refused(named, tmp_path).startswith(
            "train.jsonl:2: tag id 2 is not in the range 0 to 1; fix the tag"
        )
        write(path, [(["a"], [-1])])
        assert refused(named, tmp_path).startswith("train.jsonl:1: tag id -1 is not in the range 0 to 1")
        write(path, [(["a"], [10**30])])
        assert refused(named, tmp_path).startswith(
            f"train.jsonl:1: tag id {10**30} is not in the range 0 to 1"
        )
        assert refused(only_train(tmp_path), tmp_path) == (
            "train.jsonl:1: tags are numbers without names; "
            "set data.label_names to the tag of each id, from 0"
        )
        assert refused(only_train(tmp_path, label_names=["O", "B-LOC", "PER"])) == (
            "data.label_names: tag `PER` is not BIO (O, B-TYPE or I-TYPE), as others are"
        )
        assert refused(only_train(tmp_path, label_names=["B-LOC", "I-LOC"])) == (
            "data.label_names: there is no label `O`"
        )
        write(tmp_path / "test.jsonl", [A])
        assert refused(data(tmp_path, splits=SplitNames(validation=None)), tmp_path) == (
            "train.jsonl: tags are ids here but text in test.jsonl"
        )

    def test_the_line_of_a_bad_tag_in_conll(self, tmp_path):
        (tmp_path / "train.conll").write_text("# id 3\nAnn B-PER\nLee PER\n")
        assert refused(only_train(tmp_path), tmp_path).startswith("train.conll:3: tag `PER` is not BIO")


class TestLanguage:
    def test_only_one_is_kept(self, tmp_path, caplog):
        write(tmp_path / "train.jsonl", [A, B, C], lang=["en", "de", "en"])
        with caplog.at_level(logging.INFO):
            corpus = load_corpus(only_train(tmp_path, language="en"))
        assert sentences(corpus, "train") == [A, C]
        assert (corpus.counts["train_rows"], corpus.counts["train_other_language"]) == (3, 1)
        assert "train: 2 of 3 rows are in en" in caplog.text

    def test_none_is_left(self, tmp_path):
        write(tmp_path / "train.jsonl", [A, B, C], lang=["en", "de", "en"])
        assert refused(only_train(tmp_path, language="fr"), tmp_path) == (
            "train.jsonl: no sentence of train has lang = fr; the languages are en (2), de (1); "
            "set data.language to one of these, or to null"
        )


class TestRepeats:
    @pytest.fixture
    def folder(self, tmp_path) -> Path:
        other = (A[0], ["O", "O"])
        write(tmp_path / "train.jsonl", [A, B, A, ([], []), other])
        write(tmp_path / "validation.jsonl", [C, C])
        write(tmp_path / "test.jsonl", [other, C, (["new"], ["O"])])
        return tmp_path

    def test_are_dropped_and_counted(self, folder, caplog):
        with caplog.at_level(logging.INFO):
            corpus = load_corpus(data(folder))
        assert sentences(corpus, "train") == [A, B]
        assert corpus.splits["train"].origin == [f"{folder}/train.jsonl:1", f"{folder}/train.jsonl:2"]
        assert corpus.counts == {
            **{"train_rows": 5, "train_other_language": 0, "train_without_words": 1},
            **{"train_duplicates": 2, "train_duplicates_with_other_tags": 1},
            **{"train_sentences": 2, "train_words": 4},
            **{"validation_rows": 2, "validation_other_language": 0, "validation_without_words": 0},
            **{"validation_duplicates": 1, "validation_duplicates_with_other_tags": 0},
            **{"validation_sentences": 1, "validation_words": 2},
            **{"test_rows": 3, "test_other_language": 0, "test_without_words": 0},
            **{"test_duplicates": 0, "test_duplicates_with_other_tags": 0},
            **{"test_sentences": 3, "test_words": 5},
            **{"train_entities": 2, "validation_entities": 0, "test_entities": 0},
            **{"validation_entities_of_types_not_in_train": 0, "test_entities_of_types_not_in_train": 0},
            **{"validation_in_train": 0, "test_in_train": 1, "test_in_validation": 1},
            **{f"{name}_scheme": "IOB2" for name in ("train", "validation", "test")},
            **{f"{name}_stray_i{of}": 0 for name in ("train", "validation", "test") for of in ("", "_words")},
        }
        assert "train: 2 of 4 sentences are exact repeats (1 with different tags): dropped" in caplog.text
        assert (
            "test: 1 of 3 sentences also occur in train; data.drop_test_sentences_from_train=true"
            in caplog.text
        )

    def test_may_be_kept(self, folder, caplog):
        with caplog.at_level(logging.INFO):
            corpus = load_corpus(data(folder, deduplicate=False))
        assert len(corpus.splits["train"]) == 4
        assert corpus.counts["train_duplicates"] == 2
        assert "kept (data.deduplicate is false)" in caplog.text

    @pytest.mark.parametrize("splits", [None, ["train"]])
    def test_held_out_sentences_can_be_dropped_from_training(self, folder, splits):
        corpus = load_corpus(data(folder, drop_test_sentences_from_train=True), splits=splits)
        assert sentences(corpus, "train") == [B]
        assert corpus.counts["train_dropped_as_held_out"] == 1
        assert list(corpus.splits) == (splits or ["train", "validation", "test"])

    @given(st.lists(st.tuples(st.text("ab", max_size=2), st.integers(0, 1)), max_size=12), st.data())
    @settings(max_examples=60, deadline=None)
    def test_counts_are_those_of_a_plain_count(self, drawn, more):
        split = self.split(drawn)
        first = first_occurrence(split)
        words = [tuple(sentence) for sentence in split.tokens]
        assert first.tolist() == [words.index(sentence) for sentence in words]
        tags = [tag for _, tag in drawn]
        differing = [i for i, j in enumerate(first) if words[i] and tags[i] != tags[j]]
        assert with_other_tags(split, first) == len(differing)
        other = self.split(more.draw(st.lists(st.tuples(st.text("ab", max_size=2), st.just(0)), max_size=4)))
        assert shared(split, other).tolist() == [list(sentence) in other.tokens for sentence in words]

    @staticmethod
    def split(drawn: list[tuple[str, int]]) -> Split:
        """Each letter is a word; all words of a sentence bear one tag."""
        lengths = np.array([len(text) for text, _ in drawn], dtype=np.int64)
        tags = np.repeat(np.array([tag for _, tag in drawn], dtype=np.int16), lengths)
        return Split([list(text) for text, _ in drawn], tags, offsets_of(lengths))


class TestIdentity:
    def test_fingerprint_is_of_words_and_tags(self, tmp_path):
        def fingerprint(*pairs) -> str:
            write(tmp_path / "train.jsonl", list(pairs))
            return load_corpus(only_train(tmp_path)).fingerprint

        same = fingerprint(A, B)
        assert len(same) == 64
        assert fingerprint(A, B, A) == same
        others = [
            fingerprint(B, A),
            fingerprint(A, (B[0], ["O", "B-LOC"])),
            fingerprint(A, (["Bern", "!"], B[1])),
        ]
        assert len({same, *others, fingerprint((["Ann s", "ings"], A[1]), B)}) == 5

    def test_stamp_follows_local_contents(self, tmp_path):
        write(tmp_path / "train.jsonl", [A])
        before = source_stamp(data(tmp_path))
        (tmp_path / "notes.md").write_text("not data")
        assert source_stamp(data(tmp_path)) == before
        write(tmp_path / "train.jsonl", [B])
        changed = source_stamp(data(tmp_path))
        write(tmp_path / "test.jsonl", [A])
        assert (
            len({before, changed, source_stamp(data(tmp_path)), source_stamp(data(tmp_path / "test.jsonl"))})
            == 4
        )

    def test_stamp_of_what_is_not_local(self):
        stamps = [source_stamp(data("user/set", revision=revision)) for revision in (None, "main", "main")]
        stamps += [source_stamp(data("synthetic", synthetic=Synthetic(seed=seed))) for seed in (0, 1, 1)]
        assert len(set(stamps)) == 4


def test_the_embedded_corpus(caplog):
    small = Synthetic(train=60, validation=10, test=20)
    corpus = load_corpus(data("synthetic", synthetic=small, language="en"))
    assert [corpus.counts[f"{split}_rows"] for split in corpus.splits] == [60, 10, 20]
    assert corpus.splits["test"].origin[0] == "synthetic test:sentence 1"
    assert set(corpus.labels.types) <= set(MULTINERD_TYPES)
    assert "data.language has no effect on the embedded corpus" in caplog.text
    assert load_corpus(data("synthetic", synthetic=small), splits=["test"]).splits["test"].tokens == (
        corpus.splits["test"].tokens
    )


def test_importing_is_cheap():
    code = "import sys, ner_dist.data.sources; print({'datasets', 'pyarrow', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


# The layout of the hub's MultiNERD: Parquet, ids, a `lang` column, every row twice.

HUB = {
    "train": [(["Ann", "Lee"], [1, 2]), (["Bern"], [5]), (["Regen"], [0]), (["Rain"], [0])],
    "validation": [(["Oak", "."], [25, 0])],
    "test": [(["Bern"], [5]), (["Mars", "."], [11, 0])],
}
LANGUAGES = {"Regen": "de"}
NAMES = ["B-LOC", "I-LOC", *[tag for tag in MULTINERD_TAGS if tag not in ("B-LOC", "I-LOC")]]


def write_hub_folder(folder: Path, *, names: list[str] | None) -> Path:
    (folder / "data").mkdir(parents=True)
    for split, pairs in HUB.items():
        pairs = [pair for pair in pairs for _ in range(2)]
        table = pa.table(
            {
                "tokens": [words for words, _ in pairs],
                "ner_tags": [tags for _, tags in pairs],
                "lang": [LANGUAGES.get(words[0], "en") for words, _ in pairs],
            }
        )
        if names is not None:
            stated = {"feature": {"names": names, "_type": "ClassLabel"}, "_type": "List"}
            features = {
                "tokens": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"},
                "ner_tags": stated,
                "lang": {"dtype": "string", "_type": "Value"},
            }
            table = table.replace_schema_metadata(
                {"huggingface": json.dumps({"info": {"features": features}})}
            )
        cut = len(pairs) // 2
        for shard, part in enumerate((table[:cut], table[cut:])):
            pq.write_table(part, folder / "data" / f"{split}-0000{shard}-of-00002.parquet")
    return folder


@pytest.fixture
def offline_hub(tmp_path, monkeypatch):
    """`datasets` in offline mode, with a cache of its own."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


class TestHubLayout:
    @pytest.mark.parametrize("names", [None, list(MULTINERD_TAGS), NAMES])
    def test_a_local_copy(self, tmp_path, names):
        folder = write_hub_folder(tmp_path / "multinerd", names=names)
        corpus = load_corpus(data(folder, language="en"))
        tags = tuple(names or MULTINERD_TAGS)
        assert corpus.labels.tags == tags
        assert sentences(corpus, "train") == [
            (["Ann", "Lee"], [tags[1], tags[2]]),
            (["Bern"], [tags[5]]),
            (["Rain"], [tags[0]]),
        ]
        counts = ("rows", "other_language", "duplicates", "sentences")
        assert [corpus.counts[f"train_{what}"] for what in counts] == [8, 2, 3, 3]
        assert corpus.counts["test_in_train"] == 1

    @pytest.mark.parametrize("names", [None, NAMES])
    def test_through_the_hub_s_library(self, tmp_path, offline_hub, names):
        folder = write_hub_folder(tmp_path / "multinerd", names=names)
        settings = data(folder, language="en")
        found = open_hub(settings)
        rows = {name: [rows_of(found, name, settings, name)] for name in ("train", "test")}
        assert rows["train"][0].tokens == [["Ann", "Lee"]] * 2 + [["Bern"]] * 2 + [["Rain"]] * 2
        assert rows["train"][0].names == (tuple(names) if names else None)
        assert rows["train"][0].origin()[-1] == f"{folder} train:row 8"
        assert [rows["test"][0].values[code] for code in rows["test"][0].tags] == [5, 5, 11, 0, 11, 0]

    def test_a_split_that_is_not_there(self, tmp_path, offline_hub):
        folder = write_hub_folder(tmp_path / "multinerd", names=None)
        with pytest.raises(
            UserError, match=r"has no split 'exam'; it has train, validation, test$"
        ) as caught:
            settings = data(folder, splits=SplitNames(test="exam"))
            rows_of(open_hub(settings), "exam", settings, "test")
        assert caught.value.where == "data.splits.test"

    def test_a_configuration_that_is_not_there(self, tmp_path, offline_hub):
        folder = write_hub_folder(tmp_path / "multinerd", names=None)
        with pytest.raises(
            UserError, match=r"'gold' not found.*; see data.path, data.name and data.revision$"
        ):
            open_hub(data(folder, name="gold"))

    def test_splits_that_name_their_ids_differently(self, tmp_path):
        write_hub_folder(tmp_path / "one", names=NAMES)
        write_hub_folder(tmp_path / "two", names=list(MULTINERD_TAGS))
        files = {
            "train": "one/data/train-00000-of-00002.parquet",
            "test": "two/data/test-00000-of-00002.parquet",
        }
        mixed = data(tmp_path, files=files, splits=SplitNames(validation=None))
        assert refused(mixed, tmp_path) == (
            f"{files['test']}: tag ids have different names in {files['train']}; set data.label_names"
        )

    def test_an_id_out_of_range(self, tmp_path):
        folder = write_hub_folder(tmp_path / "hub", names=["O", "B-PER", "I-PER"])
        assert refused(data(folder), tmp_path).startswith(
            "hub/data/train-00000-of-00002.parquet:row 3: tag id 5 is not in the range 0 to 2"
        )


@pytest.fixture
def online(monkeypatch):
    """The hub's libraries in online mode; the tests block the network themselves."""
    for name in ("datasets.config", "huggingface_hub.constants"):
        monkeypatch.setattr(f"{name}.HF_HUB_OFFLINE", False)


class TestHub:
    def test_out_of_reach(self, monkeypatch, online):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{port}")
        import datasets  # noqa: F401  (its import is not what is timed)

        begin = time.perf_counter()
        message = refused(data("user/set"))
        assert time.perf_counter() - begin < 5
        assert message.startswith(
            "data.path: there is no file or folder 'user/set' here, and the hub cannot be reached ("
        )
        assert message.endswith(
            "; correct the path; without a network, set data.path to a folder with the data set's files, "
            "or set HF_HUB_OFFLINE=1 if this machine has loaded it before"
        )

    def test_not_in_the_cache(self, offline_hub):
        message = refused(data("user/set"))
        assert message == (
            "data.path: there is no file or folder 'user/set' here, and no data set of that name in the "
            "hub's cache; correct the path; for a data set on the hub, unset HF_HUB_OFFLINE"
        )

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            (
                "RepoNotFound",
                "data.path: 'user/set' is neither a local file or folder nor a data set on the hub; ",
            ),
            ("RevisionNotFound", "data.revision: user/set has no revision 'v9'"),
            (
                "GatedRepo",
                "data.path: access to user/set must be requested; accept its terms on the hub, and ",
            ),
        ],
    )
    def test_what_the_hub_answers(self, monkeypatch, online, code, message):
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(404)
                self.send_header("X-Error-Code", code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
            monkeypatch.setattr(
                "huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.server_port}"
            )
            threading.Thread(target=server.serve_forever, daemon=True).start()
            assert refused(data("user/set", revision="v9")).startswith(message)
            server.shutdown()


@pytest.mark.real_data
class TestRealData:
    def test_multiconer(self, real_data):
        corpus = load_corpus(data(real_data / "multiconer_v2_en"))
        assert [corpus.counts[f"{split}_words"] for split in corpus.splits] == [226214, 25269, 13323]
        assert len(corpus.labels) == 67
        assert corpus.labels.types[14] == "Medication/Vaccine"

    def test_crossner_repeats_itself(self, real_data):
        counts = load_corpus(data(real_data / "crossner_science")).counts
        assert [counts[f"{split}_sentences"] for split in ("train", "validation", "test")] == [199, 446, 532]
        assert (counts["validation_in_train"], counts["test_in_train"], counts["test_in_validation"]) == (
            4,
            1,
            11,
        )

    def test_wikineural_as_conll_is_the_same_corpus(self, real_data, tmp_path):
        source = data(real_data / "wikineural_en_resplit")
        corpus = load_corpus(source)
        assert corpus.labels.types == ("LOC", "MISC", "ORG", "PER")
        for split in corpus.splits:
            blocks = (
                "".join(f"{a}\t{b}\n" for a, b in zip(*pair, strict=True))
                for pair in sentences(corpus, split)
            )
            (tmp_path / f"{split}.conll").write_text("\n".join(blocks), encoding="utf-8")
        assert load_corpus(data(tmp_path, separator="\t")).fingerprint == corpus.fingerprint
