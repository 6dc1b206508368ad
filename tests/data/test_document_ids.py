"""Documents of sentences: from marks and columns to the split, the cache and the predictions."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_dist.data.readers import read_rows
from ner_dist.data.sources import load_corpus
from ner_dist.errors import UserError
from ner_dist.recipe_data import Data, SplitNames
from tests import small
from tests.comparison.test_training_overlap import documented


def read(path: Path, text: str | None = None, **settings):
    if text is not None:
        path.write_text(text)
    return read_rows(path, Data(path="unused", **settings))


CONLL_2003 = """-DOCSTART- -X- O O

EU NNP I-NP B-ORG

Peter NNP I-NP B-PER
sings VB I-VP O

-DOCSTART- -X- O O

Rain NN I-NP O
"""


def test_docstart_lines_name_documents_by_their_line(tmp_path):
    assert read(tmp_path / "eng.testa", CONLL_2003).documents == ["eng.testa:1", "eng.testa:1", "eng.testa:8"]


@pytest.mark.parametrize(
    ("mark", "name"),
    [
        ("-DOCSTART- (1 EU)", "1 EU"),
        ("# newdoc id = w01", "w01"),
        ("# newdoc", "a.conll:4"),
        ("# hipe2022:document_id = NZZ-1798", "NZZ-1798"),
        ("#begin document (bc/cctv/00); part 000", "(bc/cctv/00); part 000"),
    ],
)
def test_every_mark_begins_a_document(tmp_path, mark, name):
    text = f"Ann\tB-PER\nsings\tO\n\n{mark}\nBern\tB-LOC\n\nRain\tO\n"
    assert read(tmp_path / "a.conll", text).documents == ["a.conll:1", name, name]


@pytest.mark.parametrize("comment", ["# sent_id = 7", "# newpar id = p1", "# newdocument", "# document"])
def test_other_comments_name_no_document(tmp_path, comment):
    assert read(tmp_path / "a.conll", f"{comment}\nAnn\tB-PER\nsings\tO\n").documents is None


def test_a_named_column_holds_the_document(tmp_path):
    rows = [
        {"tokens": ["Ann"], "ner_tags": ["B-PER"], "doc": "a", "lang": "en"},
        {"tokens": ["Rain"], "ner_tags": ["O"], "doc": "b", "lang": "de"},
        {"tokens": ["Bern"], "ner_tags": ["B-LOC"], "doc": 7, "lang": "en"},
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    assert read(tmp_path / "a.jsonl", lines, document_column="doc").documents == ["a", "b", "7"]
    assert read(tmp_path / "a.jsonl", document_column="doc", language="en").documents == ["a", "7"]
    assert read(tmp_path / "a.jsonl").documents is None
    table = pa.Table.from_pylist([row | {"doc": str(row["doc"])} for row in rows])
    pq.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", document_column="doc", language="en").documents == ["a", "7"]
    conll = "word doc tag\nAnn a B-PER\nsings a O\n\nBern b B-LOC\n"
    assert read(tmp_path / "a.conll", conll, document_column="doc").documents == ["a", "b"]
    assert read(tmp_path / "a.conll", document_column=1).documents == ["a", "b"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.conll"])
def test_a_document_column_that_is_not_there_is_an_error(tmp_path, name):
    text = '{"tokens": ["Ann"], "ner_tags": ["O"]}\n' if name == "a.jsonl" else "Ann O\n"
    with pytest.raises(UserError, match=r"doc"):
        read(tmp_path / name, text, document_column="doc")


def test_dropped_sentences_take_their_document_along(tmp_path):
    for name in ("train", "validation"):
        (tmp_path / f"{name}.conll").write_text(CONLL_2003 + "\nPeter NNP I-NP B-PER\nsings VB I-VP O\n")
    corpus = load_corpus(Data(path=str(tmp_path), splits=SplitNames(test=None)))
    split = corpus.splits["validation"]
    assert [words[0] for words in split.tokens] == ["EU", "Peter", "Rain"]
    assert split.documents == ["validation.conll:1", "validation.conll:1", "validation.conll:8"]
    assert split.repeats.of.tolist() == [1]


def test_a_split_has_documents_if_all_of_its_files_have(tmp_path, caplog):
    for name, text in (("00000", CONLL_2003), ("00001", "Ann B-PER\nsings O\n")):
        (tmp_path / f"train-{name}-of-00002.conll").write_text(text)
    settings = Data(path=str(tmp_path), splits=SplitNames(validation=None, test=None))
    with caplog.at_level("INFO"):
        assert load_corpus(settings).splits["train"].documents is None
    assert "train-00001-of-00002.conll does not name documents, other files do" in caplog.text


def test_documents_and_offsets_come_back_from_the_cache_and_reach_the_predictions(tmp_path):
    lines = []
    for number in range(40):
        kind, name = (("PER", "Anna"), ("LOC", "Bern"))[number % 2]
        row = {"text": f"{name} w{number:03}", "label": [[0, 4, kind]]}
        lines.append(json.dumps(row) + "\n")
    for name, part in (("train", lines[:20]), ("validation", lines[20:30]), ("test", lines[30:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(part))
    recipe = small.recipe(tmp_path, f"data.path={tmp_path}", "train.max_steps=1", "labels=all")
    run = small.train(recipe)
    written = [json.loads(line) for line in (run / "predictions/test.jsonl").read_text().splitlines()]
    places = [f"test.jsonl:{number}" for number in range(1, 11)]
    assert [line["document"] for line in written] == places
    assert all(line["offsets"] == [[0, 4], [5, 9]] for line in written)
    assert all(list(line) == documented() for line in written)
