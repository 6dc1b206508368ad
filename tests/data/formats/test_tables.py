"""CSV tables, pandas' JSON, lists as text, structs in Parquet, and folders of save_to_disk."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import logging
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_dist.data.formats.cell_text import value_of
from ner_dist.data.formats.pandas_json import rows_of
from ner_dist.data.readers import read_rows
from ner_dist.data.sources import load_corpus, source_stamp
from ner_dist.errors import UserError
from ner_dist.recipe_data import Data
from tests.data.formats.reading import content, documents, refused, spans, tagged

SENTENCES = [
    [("Ann", "B-PER"), ("Lee", "I-PER"), ("says", "O"), (",", "O"), ('"', "O"), ("hi\u2028\u00a0!", "O")],
    [("[1]", "O")],
    [("In", "O"), ("São Paulo", "B-LOC")],
]


ONE = {"train": "train", "validation": None, "test": None}


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "train.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return write


def csv_text(rows, delimiter: str = ",") -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    return out.getvalue()


def word_rows(*, blanks: bool = True):
    """A row for each word, its sentence named at the first word only, or at all."""
    for number, sentence in enumerate(SENTENCES, start=1):
        for index, (word, tag) in enumerate(sentence):
            yield (f"Sentence: {number}" if index == 0 or not blanks else ""), word, "NN", tag


class TestARowForEachWord:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("blanks", [True, False])
    def test_as_on_kaggle(self, write, delimiter, blanks):
        rows = [("Sentence #", "Word", "POS", "Tag"), *word_rows(blanks=blanks)]
        found = content(write(csv_text(rows, delimiter)))
        assert tagged(found) == SENTENCES
        assert [origin.rpartition(":")[2] for origin in found.origin()] == ["2", "8", "9"]
        assert found.place(6).endswith("train.csv:8")

    @pytest.mark.parametrize("name", ["sentence_id", "sent_id", "sentence_idx", "SentenceNo", "sentence"])
    def test_other_names_and_orders(self, write, name):
        rows = [("", "tag", "lemma", "word", name)]
        rows += [("1", tag, "x", word, sentence) for sentence, word, _, tag in word_rows(blanks=False)]
        assert tagged(content(write(csv_text(rows)))) == SENTENCES

    def test_a_named_sentence_column(self, write):
        rows = [("word", "label", "s"), *((word, tag, s) for s, word, _, tag in word_rows())]
        path = write(csv_text(rows))
        assert refused(path) == (
            "train.csv: no column says where sentences start; the columns are word, label, s; "
            "set data.sentence_column, or leave a row empty after each sentence"
        )
        assert tagged(content(path, sentence_column="s")) == SENTENCES
        assert refused(path, sentence_column="x").startswith("train.csv:1: no column 'x'")

    def test_empty_rows_between_sentences(self, write):
        text = "word,tag\nIn,O\nBern,B-LOC\n,\n\nRome,B-LOC\n"
        assert tagged(content(write(text))) == [[("In", "O"), ("Bern", "B-LOC")], [("Rome", "B-LOC")]]

    def test_documents(self, write):
        text = "doc_id,sentence_id,word,tag\na,1,In,O\na,2,Bern,B-LOC\nb,2,Go,O\nb,2,on,O\n"
        found = content(write(text))
        assert tagged(found) == [[("In", "O")], [("Bern", "B-LOC")], [("Go", "O"), ("on", "O")]]
        assert found.documents == ["a", "a", "b"]

    def test_one_language(self, write):
        text = "lang,sentence_id,word,tag\nen,1,In,O\n,,Bern,B-LOC\nde,2,Nach,O\n"
        found = content(write(text), language="de")
        assert tagged(found) == [[("Nach", "O")]]
        assert (found.read, dict(found.languages)) == (2, {"en": 1, "de": 1})
        assert refused(write(text), language="de", language_column="l").startswith(
            "train.csv:1: no column 'l'"
        )

    def test_a_text_file_with_such_a_header(self, write):
        text = csv_text([("Sentence #", "Word", "POS", "Tag"), *word_rows()])
        assert tagged(content(write(text, "train.txt"))) == SENTENCES
        assert tagged(content(write(text, "train"), format="csv")) == SENTENCES

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "sentence,word,tag\n1,In,O\n1,Bern\n",
                "train.csv:3: 2 cells, but the first line names 3 columns",
            ),
            (
                'sentence,word,tag\n1,In,O\n1,"Bern\n,O\n',
                "train.csv:3: not CSV (unexpected end of data); put",
            ),
            ('sentence,word,tag\n1,"a"b,O\n', "train.csv:2: not CSV (',' expected after '\"'); put quotes"),
            ("sentence,word,tag\n1,In,O\n1,,O\n", "train.csv:3: no word in column 'word'; fill the cell"),
            ("sentence,word,tag\n1,In,O\n1,Bern, \n", "train.csv:3: no tag in column 'tag'; fill the cell"),
            (
                "sentence,word,pos\n1,In,IN\n",
                "train.csv:1: no column 'ner_tags'; the columns are sentence, word",
            ),
            (
                "word,tag,ner\nIn,O,O\n",
                "train.csv:1: several columns may be meant: tag, ner; set data.tags_column",
            ),
        ],
    )
    def test_errors_name_the_line(self, write, text, message):
        assert refused(write(text)).startswith(message)

    def test_a_wrong_column_of_tags_is_named(self, write):
        path = write("sentence,word,chunk,ner\n1,In,O,O\n1,Bern,O,B-LOC\n")
        with pytest.raises(UserError, match=r"every tag is O.*; set data.tags_column=ner, which holds tags"):
            load_corpus(Data(path=str(path), tags_column="chunk", splits=ONE))

    @settings(max_examples=100, deadline=None)
    @given(
        st.text(alphabet="word,tag;\"'\n\r\0 O[]1#\u2028", max_size=40),
        st.sampled_from(["", "sent,word,tag\n"]),
    )
    def test_any_text_is_rows_or_an_error(self, tmp_path_factory, text, header):
        path = tmp_path_factory.mktemp("drawn") / "a.csv"
        path.write_bytes((header + text).encode())
        try:
            rows = content(path)
        except UserError as error:
            assert error.where is not None and error.where.startswith(str(path))
        else:
            assert all(word == word.strip() and word for line in rows.tokens for word in line)

    def test_windows_encodings(self, tmp_path):
        path = tmp_path / "train.csv"
        path.write_bytes("sentence,word,tag\n1,It\u2019s,O\n".encode("cp1252"))
        assert refused(path) == (
            "train.csv:2: byte 0x92 is not UTF-8; save the file as UTF-8: "
            "`iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW` if it is from Windows"
        )
        path.write_bytes("sentence,word,tag\n1,Bern,B-LOC\n".encode("utf-16"))
        assert refused(path) == (
            "train.csv:1: byte 0xff is not UTF-8; save the file as UTF-8: "
            "`iconv -f UTF-16 -t UTF-8 OLD > NEW`"
        )


LISTS = [([word for word, _ in sentence], [tag for _, tag in sentence]) for sentence in SENTENCES]
DUMPS = {"python": str, "json": json.dumps, "numpy": lambda items: str(np.array(items, dtype=object))}


class TestListsAsText:
    @pytest.mark.parametrize("how", DUMPS)
    def test_csv(self, write, how):
        rows = [("id", "tokens", "ner_tags"), *((i, *map(DUMPS[how], pair)) for i, pair in enumerate(LISTS))]
        found = content(write(csv_text(rows)))
        assert tagged(found) == SENTENCES
        assert found.origin()[1].endswith("train.csv:3")

    @pytest.mark.parametrize("how", DUMPS)
    def test_json_and_parquet(self, write, tmp_path, how):
        rows = [{"tokens": DUMPS[how](words), "ner_tags": DUMPS[how](tags)} for words, tags in LISTS]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        assert tagged(content(write(lines, "a.jsonl"))) == SENTENCES
        assert tagged(content(write(json.dumps(rows), "a.json"))) == SENTENCES
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
        assert tagged(content(tmp_path / "a.parquet")) == SENTENCES

    def test_words_and_tags_with_blanks_between(self, write, caplog):
        settings = {"tokens_column": "text", "tags_column": "labels"}
        rows = [("text", "labels"), ("In Bern", "O B-LOC"), ("Hi", "O")]
        assert tagged(content(write(csv_text([*rows[:2]])), **settings)) == [[("In", "O"), ("Bern", "B-LOC")]]
        rows = [("Sentence #", "Sentence", "Tag"), (1, "In Bern", "['O', 'B-LOC']"), (2, "Hi", "['O']")]
        settings = {"tokens_column": "Sentence", "tags_column": "Tag"}
        wanted = [[("In", "O"), ("Bern", "B-LOC")], [("Hi", "O")]]
        with caplog.at_level(logging.INFO):
            assert tagged(content(write(csv_text(rows)), **settings)) == wanted
        assert caplog.text.count("train.csv: words are cut at the blanks in column Sentence") == 1
        path = write(csv_text([*rows, (3, "In New York", "['O', 'B-LOC']")]))
        assert refused(path, **settings) == "train.csv:4: 'In New York' is not a list of words"

    def test_numbers_and_other_columns(self, write):
        found = content(write("tokens,ner_tags,note\n\"['In', 'Bern']\",[0 5],[x\n"))
        assert tagged(found) == [[("In", 0), ("Bern", 5)]]
        found = content(
            write('words,labels\n"[""In""]","[""O""]"\n'), tokens_column="words", tags_column="labels"
        )
        assert tagged(found) == [[("In", "O")]]

    def test_a_text_in_brackets_is_no_list(self, write):
        rows = [{"text": "[Bern is quiet]", "label": "[[1, 5, 'LOC']]"}]
        (document,) = documents(write(json.dumps(rows), "a.json"))
        assert (document.text, spans(document)) == ("[Bern is quiet]", [(1, 5, "LOC")])

    def test_text_with_spans_in_a_column(self, write):
        items = json.dumps([{"start": 3, "end": 7, "label": "LOC"}])
        text = csv_text([("text", "entities"), ("In Bern,\nand Rome", items), ("Hi", "[]"), ("Yo", "")])
        found = documents(write(text))
        assert [document.text for document in found] == ["In Bern,\nand Rome", "Hi", "Yo"]
        assert [spans(document) for document in found] == [[(3, 7, "LOC")], [], []]
        assert [document.line for document in found] == [2, 4, 5]

    @pytest.mark.parametrize(
        ("cell", "why"),
        [
            ("['In', ...", "no list"),
            (
                "[__import__('os').getcwd()]",
                "is no list: neither JSON nor a Python list; write the list as JSON",
            ),
            ("[In Bern]", "is no list: neither JSON nor a Python list"),
            ("[" * 50_000 + "]" * 50_000, "is no list: "),
        ],
    )
    def test_errors_name_the_line(self, write, cell, why):
        text = csv_text([("tokens", "ner_tags"), ("['a']", "['O']"), ("['In', 'Bern']", cell)])
        message = refused(write(text))
        assert message.startswith("train.csv:3: ")
        if why != "no list":
            assert why in message

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.text(min_size=1, max_size=5), max_size=6))
    def test_lists_of_any_text_are_the_same_again(self, items):
        assert value_of(str(items)) == items
        assert value_of(json.dumps(items)) == items

    @settings(max_examples=100, deadline=None)
    @given(st.text(alphabet="[]'\", ab1\n\\{}:-", max_size=12))
    def test_any_text_is_a_value_or_a_value_error(self, inside):
        with contextlib.suppress(ValueError):
            value_of(f"[{inside}]")


TABLE = [{"tokens": ["In", "Bern"], "ner_tags": ["O", "B-LOC"]}, {"tokens": ["Rome"], "ner_tags": ["B-LOC"]}]
ORIENTS = {
    "columns": {name: {str(n): row[name] for n, row in enumerate(TABLE)} for name in TABLE[0]},
    "index": {str(n): row for n, row in enumerate(TABLE)},
    "split": {"columns": list(TABLE[0]), "index": [0, 1], "data": [list(row.values()) for row in TABLE]},
    "records": TABLE,
    "table": {"schema": {"fields": []}, "data": TABLE},
}


@pytest.mark.parametrize("orient", ORIENTS)
def test_tables_of_pandas(write, orient):
    found = content(write(json.dumps(ORIENTS[orient]), "a.json"))
    assert tagged(found) == [[("In", "O"), ("Bern", "B-LOC")], [("Rome", "B-LOC")]]
    assert found.origin()[1].endswith("a.json:row 2")


@pytest.mark.parametrize("orient", [name for name in ORIENTS if name != "records"])
def test_pandas_writes_them_so(orient):
    pandas = pytest.importorskip("pandas")
    written = json.loads(pandas.DataFrame(TABLE).to_json(orient=orient))
    assert (rows_of(written) or [{k: r[k] for k in TABLE[0]} for r in written["data"]]) == TABLE


def test_pandas_with_spans(write):
    table = {"text": {"0": "In Bern", "1": "Hi"}, "label": {"0": [[3, 7, "LOC"]], "1": []}}
    assert [spans(document) for document in documents(write(json.dumps(table), "a.json"))] == [
        [(3, 7, "LOC")],
        [],
    ]


TEXTS = [
    {"text": "In Bern 😊 and Rome", "entities": [{"start": 3, "end": 7, "label": "LOC"},
                                                {"start": 14, "end": 18, "label": "LOC"}]},
    {"text": "Ann left", "entities": [{"start": 0, "end": 3, "label": "PER"}]},
    {"text": "Nothing", "entities": []},
]  # fmt: skip
WANTED = [[(span["start"], span["end"], span["label"]) for span in row["entities"]] for row in TEXTS]


class TestArrow:
    def test_structs_over_a_text(self, tmp_path):
        pq.write_table(pa.Table.from_pylist(TEXTS), tmp_path / "a.parquet")
        found = documents(tmp_path / "a.parquet")
        assert [document.text for document in found] == [row["text"] for row in TEXTS]
        assert [spans(document) for document in found] == WANTED
        rows = read_rows(tmp_path / "a.parquet", Data(path="unused"))
        assert rows.origin()[1].endswith("a.parquet:row 2")

    def test_a_struct_of_lists_and_ids_of_types(self, tmp_path):
        """As `datasets` stores `Sequence({...})` before version 4, with ClassLabel."""
        names = ["LOC", "PER"]
        cells = [
            {key: [names.index(s[key]) if key == "label" else s[key] for s in row["entities"]]
             for key in ("start", "end", "label")}
            for row in TEXTS
        ]  # fmt: skip
        feature = {"feature": {"label": {"names": names, "_type": "ClassLabel"}}, "_type": "Sequence"}
        metadata = {"huggingface": json.dumps({"info": {"features": {"entities": feature}}})}
        table = pa.table({"text": [row["text"] for row in TEXTS], "entities": cells})
        pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "a.parquet")
        assert [spans(document) for document in documents(tmp_path / "a.parquet")] == WANTED

    def test_words_with_spans(self, tmp_path):
        row = {"tokens": ["In", "Bern"], "entities": [{"start": 1, "end": 2, "type": "LOC"}]}
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
        assert tagged(read_rows(tmp_path / "a.parquet", Data(path="unused"))) == [
            [("In", "O"), ("Bern", "B-LOC")]
        ]

    def test_neither(self, tmp_path):
        pq.write_table(pa.table({"text": ["In Bern"], "score": [1.0]}), tmp_path / "a.parquet")
        assert refused(tmp_path / "a.parquet") == (
            "a.parquet:row 1: no column 'tokens'; the columns are text, score; set data.tokens_column"
        )


class TestSavedToDisk:
    def save(self, folder: Path, rows=None) -> Path:
        datasets.Dataset.from_list(rows or TABLE).save_to_disk(str(folder))
        return folder

    def test_one_split_is_data_of_its_own(self, tmp_path):
        folder = self.save(tmp_path / "one")
        data = Data(path=str(folder), splits=ONE)
        corpus = load_corpus(data)
        assert corpus.splits["train"].tokens == [["In", "Bern"], ["Rome"]]
        assert corpus.splits["train"].origin == [f"{folder}:row 1", f"{folder}:row 2"]
        before = source_stamp(data)
        self.save(tmp_path / "other", TABLE[:1])
        for file in folder.iterdir():
            file.write_bytes((tmp_path / "other" / file.name).read_bytes())
        assert source_stamp(data) != before

    def test_folders_of_splits_without_their_list(self, tmp_path):
        for name in ("train", "dev", "test"):
            self.save(tmp_path / name, [{"tokens": [name, "Bern"], "ner_tags": ["O", "B-LOC"]}])
        corpus = load_corpus(Data(path=str(tmp_path)))
        assert [split.tokens[0][0] for split in corpus.splits.values()] == ["train", "dev", "test"]

    def test_spans_and_ids(self, tmp_path):
        features = datasets.Features(
            {
                "text": datasets.Value("string"),
                "entities": [
                    {
                        "start": datasets.Value("int32"),
                        "end": datasets.Value("int32"),
                        "label": datasets.ClassLabel(names=["LOC", "PER"]),
                    }
                ],
            }
        )
        whole = datasets.Dataset.from_list(TEXTS, features=features)
        datasets.DatasetDict(dict.fromkeys(("train", "validation", "test"), whole)).save_to_disk(
            str(tmp_path / "all")
        )
        assert [spans(d) for d in documents(tmp_path / "all" / "train")] == WANTED
        corpus = load_corpus(Data(path=str(tmp_path / "all"), deduplicate=False))
        assert set(corpus.labels.types) == {"LOC", "PER"}
        assert corpus.splits["test"].tokens[1] == ["Ann", "left"]

    def test_a_damaged_one(self, tmp_path):
        folder = self.save(tmp_path / "one")
        next(folder.glob("*.arrow")).write_bytes(b"ARROW1")
        with pytest.raises(
            UserError, match=r"one: a damaged data set of save_to_disk \(.*; copy or save it again$"
        ):
            load_corpus(Data(path=str(folder), splits=ONE))
