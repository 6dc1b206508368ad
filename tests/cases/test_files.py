"""Words and tags of files, and the choice of a file for each split."""

from __future__ import annotations

import logging
import shutil

from ner_dist.data.sources import load_corpus
from ner_dist.recipe_data import Data
from tests.cases.reading import CASES, check, read, refused, sentence, words_of
from tests.command_line import ner_dist


def test_tab_words_with_space():
    corpus = read("tab_words_with_space")
    check(corpus)
    words = [word for split in corpus.splits.values() for sentence in split.tokens for word in sentence]
    assert "27 000" in words
    assert corpus.fingerprint == read("tab_words_with_space", separator="\\t").fingerprint


def test_labelstudio_multiword():
    assert refused("labelstudio_multiword") == (
        "train.conll:5: 5 columns in 'Halden Works -X- _ B-ORG', 4 in the lines before; "
        "fix the line; if a word contains a space, put tabs between the columns of all lines"
    )


def test_what_the_message_on_labelstudio_s_export_advises_works(tmp_path):
    for path in (CASES / "labelstudio_multiword").iterdir():
        lines = (line.rsplit(" ", 3) for line in path.read_text().split("\n"))
        (tmp_path / path.name).write_text("\n".join(map("\t".join, lines)))
    corpus = load_corpus(Data(path=str(tmp_path)))
    assert sentence(corpus, "train", 0)[0][3:5] == ["Halden Works", "opened"]


def test_conllu_plus(caplog):
    with caplog.at_level(logging.INFO):
        corpus = read("conllu_plus")
    check(corpus)
    assert not any(word.isdecimal() and word in "1234567" for word in corpus.splits["train"].tokens[1])
    assert (
        "train.conllu: skipped ranges (3-4), keeping their words: 5; skipped empty nodes (3.1): 5"
        in caplog.text
    )
    assert "train.conllu: tags are read from column NER" in caplog.text
    assert read("conllu_plus", tokens_column=1, tags_column="NER").fingerprint == corpus.fingerprint


def test_train_dev_as_validation(tmp_path):
    corpus = read("train_dev_as_validation")
    assert words_of(corpus) == {"train": 360, "validation": 166, "test": 173}
    assert corpus.splits["validation"].origin[0].endswith("devel.tsv:1")
    folder = shutil.copytree(CASES / "train_dev_as_validation", tmp_path / "other")
    (folder / "devel.tsv").rename(folder / "held-out.tsv")
    assert refused(str(folder)) == (
        f"{folder}: no file is named 'validation'; "
        "the files are held-out.tsv, test.tsv, train.tsv, train_dev.tsv; "
        "train_dev.tsv holds more than validation, by its name; "
        "set data.files.validation, or data.splits.validation to null"
    )
    assert words_of(read(str(folder), files={"validation": "held-out.tsv"})) == words_of(corpus)


def test_zero_types():
    assert refused("zero_types") == (
        "train.tsv:29: no word in '2 O O', and every tag of the file is O. Its columns: "
        "0 (1, 2, 3), 1 (In, Quessa, ,), 2 (B-LOC, B-ORG, I-ORG), 3 (O); "
        "set data.tags_column=2, and write the word, remove the line, or set data.tokens_column"
    )
    assert refused("zero_types", tags_column=2).startswith("train.tsv:29: no word in '2 O O'; write the word")


def test_zero_types_where_every_line_has_its_word(tmp_path, capsys):
    for path in (CASES / "zero_types").iterdir():
        kept = [line for line in path.read_text().split("\n") if "\t\t" not in line]
        (tmp_path / path.name).write_text("\n".join(kept))
    # No encoder is called so: the data is looked at before a model is asked for.
    settings = [f"data.path={tmp_path}", "data.language=null", "labels=all", "model.name=scratch"]
    arguments = [f"output_dir={tmp_path}/run", f"data.cache_dir={tmp_path}/cache", *settings]
    assert ner_dist("train", "recipes/full.yaml", *arguments) == 2
    assert capsys.readouterr().err.split("error: ")[1] == (
        f"{tmp_path}/train.tsv:1: no entity in train: every tag is O. "
        "Its first words and tags were read as: `In O`, `Quessa O`, `, O`, `Halden O`. Its columns: "
        "0 (1, 2, 3), 1 (In, Quessa, ,), 2 (B-LOC, B-ORG, I-ORG), 3 (O); "
        "set data.tags_column=2, which holds tags of entities\n"
    )
    assert not (tmp_path / "cache" / "prepared").exists() or not list(
        (tmp_path / "cache" / "prepared").glob("*/meta.json")
    )
    assert set(load_corpus(Data(path=str(tmp_path), tags_column=2)).labels.types) == {"PER", "LOC", "ORG"}


def test_unseen_label(tmp_path, caplog):
    corpus = read("unseen_label")
    assert corpus.counts["test_entities_of_types_not_in_train"] == 1
    settings = ["data.language=null", "model.name=scratch", f"data.cache_dir={tmp_path}/cache"]
    arguments = ["recipes/full.yaml", f"data.path={CASES / 'unseen_label'}", *settings]
    warning = (
        "test: 1 of 45 entities are of types that train does not contain, so no model can find them: "
        "DATE (1); check data.files.test if the files should have the same types, or exclude these "
        "with `labels`"
    )
    for _ in range(2):  # prepared, and from the cache
        caplog.clear()
        assert ner_dist("prepare", *arguments) == 0
        assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [warning]
    caplog.clear()
    assert ner_dist("prepare", *arguments, "labels=[PER,LOC,ORG]") == 0
    assert "no model can find them" not in caplog.text
