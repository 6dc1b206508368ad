"""Files that are read in pieces give the same data as files that are read at once."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from ner_dist.data import file_text, json_files
from ner_dist.data.gathered import cache_root
from ner_dist.data.sentences import Sentences
from ner_dist.data.sources import load_corpus
from ner_dist.errors import UserError
from ner_dist.recipe_data import Data

WORDS = [["Ann", "saw", "Rome"], ["Rome"], ["is", "ünï", "old", "."], ["Ann", "saw", "Rome"], ["日本", "x"]]
TAGS = [["B-PER", "O", "B-LOC"], ["B-LOC"], ["O"] * 4, ["B-PER", "O", "O"], ["B-LOC", "O"]]


def conll(between: str = "\n", line: str = "{word} {tag}", before: str = "") -> str:
    sentences = (
        "".join(line.format(word=word, tag=tag, number=at + 1) + "\n" for at, (word, tag) in enumerate(pairs))
        for pairs in (list(zip(words, tags, strict=True)) for words, tags in zip(WORDS, TAGS, strict=True))
    )
    return before + between.join(sentences) + "\n"


ROWS = "".join(
    f'{{"tokens": {words}, "ner_tags": {tags}, "doc": "d{len(words)}", "lang": "en"}}\n'.replace("'", '"')
    for words, tags in zip(WORDS, TAGS, strict=True)
)
FILES = {
    "plain": ("train.conll", conll(), {}),
    "CR LF": ("train.conll", conll().replace("\n", "\r\n"), {}),
    "tabs": ("train.conll", conll(line="{word}\t_\t{tag}"), {}),
    "header": ("train.conll", conll(before="token pos tag\n", line="{word} _ {tag}"), {}),
    "comments": ("train.conll", conll(between="\n# sent_id = 1\n# a text\n"), {}),
    "documents": ("train.conll", conll(between="\n-DOCSTART- O\n\n"), {}),
    "named documents later": ("train.conll", conll() + "\n# newdoc id = late\n\n" + conll(), {}),
    "CoNLL-U": (
        "train.conllu",
        conll(line="{number}\t{word}" + "\t_" * 7 + "\tNER={tag}", before="1-2\tAnn's" + "\t_" * 8 + "\n"),
        {},
    ),
    "no empty lines": ("train.conll", conll(between=""), {}),
    "words without a label": ("train.conll", conll().replace("Ann B-PER", "Ann ?"), {}),
    "IOB1": ("train.conll", conll().replace("B-", "I-"), {}),
    "gzip": ("train.conll.gz", conll(), {}),
    "JSON lines": ("train.jsonl", ROWS, {"document_column": "doc"}),
    "JSON lines of a language": ("train.jsonl", ROWS.replace('"en"', '"de"', 1), {"language": "en"}),
}


def read(folder, monkeypatch=None, **settings):
    """All that is known of the data, with small pieces if `monkeypatch` is given."""
    lines: list[str] = []
    if monkeypatch is not None:
        monkeypatch.setattr(file_text, "_PART", 8)
        monkeypatch.setattr(file_text, "_PIECE", 16)
        monkeypatch.setattr(json_files, "_GROUP", 2)
    splits = {"splits": {"train": "train", "validation": None, "test": None}, "deduplicate": False}
    corpus = load_corpus(Data(path=str(folder), **splits, **settings))
    split = corpus.splits["train"]
    known = [list(split.tokens), split.tags.tolist(), split.offsets.tolist(), list(split.origin or ())]
    return [*known, split.documents, corpus.counts, corpus.labels, corpus.fingerprint, lines]


def write(path, text: str) -> None:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


@pytest.mark.parametrize("kind", FILES)
def test_pieces_give_the_data_of_the_whole(kind, tmp_path, monkeypatch, log_lines):
    name, text, settings = FILES[kind]
    write(tmp_path / name, text)
    whole, said = read(tmp_path, **settings), sorted(log_lines)
    log_lines.clear()
    assert read(tmp_path, monkeypatch, **settings) == whole
    assert sorted(log_lines) == said


BROKEN = {
    "a column too many": ("train.conll", conll() + "\nx y z O\n"),
    "no tag": ("train.conll", conll(line="{word}\t{tag}") + "\nx\t\n"),
    "no UTF-8": ("train.conll", conll() + "\n\udcff O\n"),
    "no JSON": ("train.jsonl", ROWS + "{\n"),
    "no column": ("train.jsonl", ROWS + '{"tokens": ["a"]}\n'),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_errors_are_the_same(kind, tmp_path, monkeypatch):
    name, text = BROKEN[kind]
    (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError) as whole:
        read(tmp_path)
    with pytest.raises(UserError) as pieces:
        read(tmp_path, monkeypatch)
    assert str(pieces.value) == str(whole.value)
    assert f"{name}:{text.count(chr(10))}: " in str(whole.value)


def test_no_file_of_the_reading_is_left(tmp_path, monkeypatch):
    write(tmp_path / "train.conll", conll())
    data = Data(path=str(tmp_path), cache_dir=str(tmp_path / "cache"))
    read(tmp_path, monkeypatch, cache_dir=data.cache_dir)
    assert list(cache_root(data).iterdir()) == []


WITH_COPIES = [["a", "bc"], [], ["ab", "c"], ["é", ""], ["a", "bc"]]


class TestSentences:
    def test_they_are_the_lists_that_they_are_made_of(self):
        made = Sentences.of(WITH_COPIES)
        assert made == WITH_COPIES and [made[i] for i in range(-5, 5)] == 2 * WITH_COPIES
        assert made[1:4] == WITH_COPIES[1:4] and made[3:3] == []
        assert [len(words) for words in made] == [2, 0, 2, 2, 2]

    def test_some_are_kept_and_joined(self):
        kept = Sentences.of(WITH_COPIES).keep(np.array([True, False, True, True, False]))
        assert kept == [["a", "bc"], ["ab", "c"], ["é", ""]]
        joined = Sentences.joined([kept, WITH_COPIES, kept[1:]])
        assert joined == [*kept, *WITH_COPIES, ["ab", "c"], ["é", ""]]
        assert joined[4] == [] and joined[2:4] == [["é", ""], ["a", "bc"]]

    def test_equal_sentences_alone_have_equal_keys(self):
        keys = Sentences.joined([WITH_COPIES, Sentences.of(WITH_COPIES)[2:]]).keys().tolist()
        assert [keys.index(key) for key in keys] == [0, 1, 2, 3, 0, 2, 3, 0]
