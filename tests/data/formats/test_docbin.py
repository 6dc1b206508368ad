"""Binary files of spaCy are read by spaCy."""

from __future__ import annotations

import logging
import sys

import pytest

from ner_dist.data.sources import load_corpus
from ner_dist.recipe_data import Data
from tests.data.formats.reading import documents, refused, sentences, spans, words

WORDS = ["Ada", "Lund", "met", " ", "Bob", "in", "Bern", ".", "\n", "He", "left", "."]
SPACES = [True, True, True, False, True, True, False, True, False, True, False, True]
ENTITIES = ["B-PER", "I-PER", "O", "O", "B-PER", "O", "B-LOC", "O", "O", "O", "O", "O"]


@pytest.fixture
def spacy():
    return pytest.importorskip("spacy")


@pytest.fixture
def doc(spacy):
    starts = [index in (0, 8) for index in range(len(WORDS))]
    return spacy.tokens.Doc(spacy.blank("en").vocab, WORDS, SPACES, ents=ENTITIES, sent_starts=starts)


def by_hand() -> tuple[str, list[tuple[int, int]], list[tuple[int, int, str]]]:
    """Text, words and entities from what the document was made of."""
    text, places, found = "", [], []
    for word, space, tag in zip(WORDS, SPACES, ENTITIES, strict=True):
        start = len(text)
        text += word + " " * space
        if word.strip():
            places.append((start, start + len(word)))
        if tag.startswith("B-"):
            found.append((start, start + len(word), tag[2:]))
        elif tag.startswith("I-"):
            found[-1] = (found[-1][0], start + len(word), tag[2:])
    return text, places, found


def save(spacy, path, docs, **settings):
    spacy.tokens.DocBin(docs=docs, **settings).to_disk(path)
    return path


def test_words_sentences_and_entities(spacy, doc, tmp_path):
    attributes = ["ORTH", "SPACY", "ENT_IOB", "ENT_TYPE", "SENT_START"]
    path = save(spacy, tmp_path / "train.spacy", [doc, doc], attrs=attributes)
    found, _ = documents(path)
    text, places, entities = by_hand()
    assert (found.text, list(found.words), spans(found)) == (text, places, entities)
    assert sentences(found) == [["Ada", "Lund", "met", "Bob", "in", "Bern", "."], ["He", "left", "."]]


def test_without_sentences_and_without_entities(spacy, tmp_path):
    doc = spacy.blank("xx")("Nobody was there.")
    (found,) = documents(save(spacy, tmp_path / "train.spacy", [doc]))
    assert found.sentences is None
    assert found.spans == ()
    assert words(found) == ["Nobody", "was", "there", "."]


def test_groups_of_spans(spacy, doc, tmp_path, caplog):
    doc.spans["sc"] = [doc[0:2], spacy.tokens.Span(doc, 0, 1, label="FIRST")]
    path = save(spacy, tmp_path / "train.spacy", [doc], store_user_data=True)
    with caplog.at_level(logging.INFO):
        assert spans(documents(path)[0]) == by_hand()[2]
    assert "train.spacy: spans not read: sc (2); set data.tags_column to read one of them" in caplog.text
    assert (0, 3, "FIRST") in spans(documents(path, tags_column="sc")[0])
    assert refused(path, tags_column="other").startswith("train.spacy: no document has spans called 'other'")


def test_a_folder_of_splits(spacy, doc, tmp_path):
    for name in ("train", "dev", "test"):
        save(spacy, tmp_path / f"{name}.spacy", [doc])
    corpus = load_corpus(Data(path=str(tmp_path)))
    assert set(corpus.labels.types) == {"PER", "LOC"}
    assert [len(split.tokens) for split in corpus.splits.values()] == [2, 2, 2]


@pytest.mark.parametrize("raw", [b"", b"not spaCy's", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_damaged_files(spacy, tmp_path, raw):
    path = tmp_path / "train.spacy"
    path.write_bytes(raw)
    assert refused(path).startswith("train.spacy: not a readable file of spaCy (")


def test_without_spacy_the_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "spacy.tokens", None)
    monkeypatch.setitem(sys.modules, "spacy", None)
    (tmp_path / "train.spacy").write_bytes(b"")
    assert refused(tmp_path / "train.spacy") == (
        "train.spacy: this is a binary file of spaCy (DocBin), which spaCy has to read; "
        "pip install 'ner_dist[spacy]'"
    )
