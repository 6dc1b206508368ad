"""Files of every format give the same rows; errors name file and line."""

from __future__ import annotations

import gzip
import json
import re
import string
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ner_dist.data.readers import read_rows
from ner_dist.errors import UserError
from ner_dist.recipe_data import Data

SENTENCES = [
    (["Ann", "Lee", "sings", "."], ["B-PER", "I-PER", "O", "O"]),
    (["Rain"], ["O"]),
    (["In", "São\u00a0Paulo"], ["O", "B-LOC"]),
]


def data(**settings) -> Data:
    return Data(path="unused", **settings)


def read(path: Path, **settings):
    return read_rows(path, data(**settings))


def sentences(rows) -> list[tuple[list[str], list]]:
    """Words and tags as written, sentence by sentence."""
    tags = [rows.values[code] for code in rows.tags]
    bounds = zip(rows.offsets[:-1], rows.offsets[1:], strict=True)
    return [(words, tags[a:b]) for words, (a, b) in zip(rows.tokens, bounds, strict=True)]


def write(path: Path, content: str | bytes) -> Path:
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def json_lines(pairs) -> str:
    return "".join(json.dumps({"tokens": words, "ner_tags": tags}) + "\n" for words, tags in pairs)


def json_document(pairs) -> str:
    return json.dumps([{"tokens": words, "ner_tags": tags} for words, tags in pairs])


def conll(pairs, separator: str = " ") -> str:
    lines = ("".join(f"{word}{separator}{tag}\n" for word, tag in zip(*pair, strict=True)) for pair in pairs)
    return "\n".join(lines)


def parquet(pairs) -> bytes:
    table = pa.table({"tokens": [words for words, _ in pairs], "ner_tags": [tags for _, tags in pairs]})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


WRITERS = {"jsonl": json_lines, "json": json_document, "parquet": parquet, "conll": conll}


def refused(path: Path, **settings) -> str:
    """The error message of reading, without the folder."""
    with pytest.raises(UserError) as caught:
        read(path, **settings)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{path.parent}/", "")


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_gives_the_same_sentences(tmp_path, kind, ending):
    path = write(tmp_path / f"train.{kind}{ending}", WRITERS[kind](SENTENCES))
    rows = read(path)
    assert sentences(rows) == SENTENCES
    assert rows.read == 3
    expected = {"conll": [":1", ":6", ":8"], "jsonl": [":1", ":2", ":3"]}
    assert rows.origin() == [f"{path}{place}" for place in expected.get(kind, [":row 1", ":row 2", ":row 3"])]


word = st.text(alphabet=string.ascii_letters + "#-.ß日\u00a0\u2028\u200b", min_size=1, max_size=5)
sentence = st.lists(
    st.tuples(word, st.sampled_from(["O", "B-PER", "I-PER", "B-a/b-c"])), min_size=1, max_size=6
)


@settings(max_examples=40, deadline=None)
@given(st.lists(sentence, min_size=1, max_size=8))
@example([[("#", "O")], [("#", "B-PER"), ("#", "I-PER")]])
@example([[("B", "O")]])
def test_formats_agree_on_any_words(tmp_path_factory, drawn):
    pairs = [([word for word, _ in pairs], [tag for _, tag in pairs]) for pairs in drawn]
    folder = tmp_path_factory.mktemp("drawn")
    for kind, writer in WRITERS.items():
        assert sentences(read(write(folder / f"train.{kind}", writer(pairs)))) == pairs


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet", "conll"])
def test_ids_stay_numbers(tmp_path, kind):
    pairs = [(["Ann", "sings"], [1, 0]), (["Bern"], [5])]
    assert sentences(read(write(tmp_path / f"a.{kind}", WRITERS[kind](pairs)))) == pairs


def test_other_shapes_of_json(tmp_path):
    objects = [{"tokens": words, "ner_tags": tags} for words, tags in SENTENCES]
    columns = {"tokens": [words for words, _ in SENTENCES], "ner_tags": [tags for _, tags in SENTENCES]}
    for content in (json.dumps({"data": objects}, indent=2), json.dumps(columns), json_lines(SENTENCES)):
        assert sentences(read(write(tmp_path / "a.json", content))) == SENTENCES
    assert sentences(read(write(tmp_path / "a.json", json.dumps(objects[0])))) == SENTENCES[:1]


@pytest.mark.parametrize("kind", ["json", "jsonl"])
def test_json_that_python_cannot_hold(tmp_path, kind):
    for text, why in (("[" * 100_000, "nested too deeply"), ("1" * 5_000, "thousands of digits")):
        with pytest.raises(UserError, match=f"not readable as JSON .*{why}"):
            read(write(tmp_path / f"a.{kind}", text))


def test_columns_by_other_names(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"words": ["Ann"], "tags": ["B-PER"]}\n')
    assert sentences(read(path, tokens_column="words", tags_column="tags")) == [(["Ann"], ["B-PER"])]


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet"])
def test_language_filter_keeps_places(tmp_path, kind):
    rows = [{"tokens": [lang], "ner_tags": ["O"], "lang": lang} for lang in ("de", "en", "de", "en")]
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text(json.dumps(rows) if kind == "json" else "\n".join(map(json.dumps, rows)))
    found = read(path, language="en")
    assert sentences(found) == [(["en"], ["O"])] * 2
    assert (found.read, dict(found.languages)) == (4, {"de": 2, "en": 2})
    assert [place.split(":")[1] for place in found.origin()] == (
        ["2", "4"] if kind == "jsonl" else ["row 2", "row 4"]
    )


class TestConll:
    @pytest.mark.parametrize("separator", [" ", "\t", "  ", ",", "|||"])
    def test_separators(self, tmp_path, separator):
        path = write(tmp_path / "a.txt", conll(SENTENCES, separator))
        assert sentences(read(path, separator=separator)) == SENTENCES

    def test_a_tab_may_be_written_as_backslash_t(self, tmp_path):
        path = write(tmp_path / "a.tsv", "New York\tB-LOC\n")
        assert sentences(read(path, separator="\\t")) == [(["New York"], ["B-LOC"])]

    def test_columns_are_chosen(self, tmp_path):
        path = write(tmp_path / "a.conll", "1 Ann B-PER NNP\n2 sings O VBZ\n")
        expected = [(["Ann", "sings"], ["B-PER", "O"])]
        assert sentences(read(path, tokens_column="1", tags_column="2")) == expected
        assert sentences(read(path, tokens_column="-3", tags_column="-2")) == expected

    def test_what_is_no_word_is_skipped_and_lines_are_kept(self, tmp_path):
        text = "-DOCSTART- -X- O O\r\n\r\n# id 1\tdomain=en\r\n# text = Ann O\r\n"
        text += "Ann _ _ B-PER\r\n \t\r\n\r\nb _ _ O\r\n"
        rows = read(write(tmp_path / "a.conll", text))
        assert sentences(rows) == [(["Ann"], ["B-PER"]), (["b"], ["O"])]
        assert [place.rsplit(":")[1] for place in rows.origin()] == ["5", "8"]

    def test_a_hash_may_be_a_word(self, tmp_path):
        text = "# id 7 domain=en\n# _ _ O\n1 _ _ B-X\n# _ _ I-X\n\n# _ _ O\n"
        assert sentences(read(write(tmp_path / "a.conll", text))) == [
            (["#", "1", "#"], ["O", "B-X", "I-X"]),
            (["#"], ["O"]),
        ]

    def test_documents_end_sentences(self, tmp_path):
        path = write(tmp_path / "a.conll", "a O\n-DOCSTART- O\nb O\n")
        assert sentences(read(path)) == [(["a"], ["O"]), (["b"], ["O"])]

    def test_byte_order_mark_is_no_part_of_a_word(self, tmp_path):
        assert read(write(tmp_path / "a.conll", "\ufeffAnn B-PER\n")).tokens == [["Ann"]]

    def test_the_place_of_a_word_is_its_own_line(self, tmp_path):
        rows = read(write(tmp_path / "a.conll", "a O\n\nb O\nc X\n"))
        assert rows.place(2) == f"{tmp_path}/a.conll:4"

    def test_errors(self, tmp_path):
        path = write(tmp_path / "a.conll", "Ann B-PER\nsings\n")
        assert refused(path) == (
            "a.conll:2: 1 column in 'sings', 2 in the lines before; "
            "fix the line; if a word contains a space, put tabs between the columns of all lines"
        )
        write(path, "Ann B-PER\nsings O\n")
        assert refused(path, tags_column="3").startswith("a.conll:1: 2 columns in 'Ann B-PER', not 4 or more")
        assert refused(path, tags_column="tag") == (
            "data.tags_column: 'tag' is not a column number; count CoNLL columns from 0; -1 is the last"
        )
        assert refused(path, language="en") == (
            "a.conll: CoNLL files have no language column; set data.language to null"
        )


GOOD = '{"tokens": ["a"], "ner_tags": ["O"]}\n'
BAD_LINES = {
    "{tokens: []}": "not JSON (Expecting property name enclosed in double quotes at column 2)",
    "[1, 2]": "[1, 2] is not a JSON object",
    '{"tokens": ["a"], "tags": ["O"]}': (
        "no column 'ner_tags'; the columns are tokens, tags; set data.tags_column"
    ),
    '{"ner_tags": ["O"]}': "no column 'tokens'; the columns are ner_tags; set data.tokens_column",
    '{"tokens": ["a", "b"], "ner_tags": ["O"]}': "2 words but 1 tags; give every word exactly one tag",
    '{"tokens": "a b", "ner_tags": ["O"]}': "'a b' is not a list of words",
    '{"tokens": ["a"], "ner_tags": null}': "None is not a list of tags",
    '{"tokens": ["a", 7], "ner_tags": ["O", "O"]}': "7 is not a word; write words as text",
    '{"tokens": ["a", "b"], "ner_tags": ["O", 3]}': "tag 3 is not text; write all tags as",
    '{"tokens": ["\\ud800"], "ner_tags": ["O"]}': "half of a surrogate pair (\\ud800), which is no character",
}


class TestErrors:
    @pytest.mark.parametrize("line", BAD_LINES)
    def test_bad_lines(self, tmp_path, line):
        path = write(tmp_path / "a.jsonl", GOOD + "\n" + line + "\n" + GOOD)
        assert refused(path).startswith(f"a.jsonl:3: {BAD_LINES[line]}")

    def test_ids_that_are_no_whole_numbers(self, tmp_path):
        path = write(tmp_path / "a.jsonl", '{"tokens": ["a"], "ner_tags": [1.0]}\n')
        assert refused(path).startswith("a.jsonl:1: tag 1.0 is not text or whole numbers; write all")

    def test_missing_language_column(self, tmp_path):
        assert refused(write(tmp_path / "a.jsonl", GOOD), language="en") == (
            "a.jsonl:1: no column 'lang'; the columns are tokens, ner_tags; set data.language_column"
        )

    def test_json_documents(self, tmp_path):
        path = write(tmp_path / "a.json", '[{"tokens": ["a"],\n "ner_tags" ["O"]}]')
        assert (
            refused(path) == "a.json:2: not JSON (Expecting ':' delimiter at column 13); fix the JSON there"
        )
        path = write(
            tmp_path / "a.json", '[{"tokens": ["a"], "ner_tags": ["O"]}, {"tokens": ["a"], "ner_tags": []}]'
        )
        assert refused(path).startswith("a.json:row 2: 1 words but 0 tags")
        path = write(tmp_path / "a.json", '{"words": 3}')
        assert refused(path).startswith("a.json: no column 'tokens'; the columns are words")
        path = write(tmp_path / "a.json", '{"tokens": [["a"], ["b"]], "ner_tags": [["O"]]}')
        assert refused(path) == "a.json: columns of different lengths: tokens 2, ner_tags 1"
        path = write(tmp_path / "a.json", "3")
        assert refused(path) == "a.json: neither a list of objects nor a list for each column"

    def test_bytes_that_are_no_text(self, tmp_path):
        path = write(tmp_path / "a.conll", b"a O\nM" + "ü".encode("latin-1") + b" O\n")
        assert refused(path).startswith("a.conll:2: byte 0xfc is not UTF-8; save the file as UTF-8: `iconv ")

    def test_gzip(self, tmp_path):
        whole = gzip.compress(GOOD.encode() * 50)
        path = tmp_path / "a.jsonl.gz"
        for damaged in (whole[:-12], whole[:12] + b"\xff" * 9 + whole[21:]):
            path.write_bytes(damaged)
            assert re.match(
                r"a\.jsonl\.gz: damaged gzip file \(.+\); copy or create it again$", refused(path)
            )
        path.write_text(GOOD)
        assert refused(path) == "a.jsonl.gz: not a gzip file, despite its name; rename it or create it again"

    def test_files(self, tmp_path):
        assert refused(tmp_path / "a.jsonl") == "a.jsonl: the file cannot be read: No such file or directory"
        assert refused(write(tmp_path / "a.dat", b"\0\1")) == (
            "a.dat: the format of a '.dat' file is unknown; "
            "set data.format to jsonl, json, parquet, csv or conll"
        )


class TestParquet:
    def table(self, tmp_path, **columns) -> Path:
        pq.write_table(pa.table(columns), tmp_path / "a.parquet")
        return tmp_path / "a.parquet"

    def test_large_lists_and_categories(self, tmp_path):
        words = pa.array([["a", "b"], ["a"]], pa.large_list(pa.large_string()))
        tags = pa.ListArray.from_arrays([0, 2, 3], pa.array(["O", "B-X", "O"]).dictionary_encode())
        rows = read(self.table(tmp_path, tokens=words, ner_tags=tags))
        assert sentences(rows) == [(["a", "b"], ["O", "B-X"]), (["a"], ["O"])]

    def test_several_row_groups(self, tmp_path):
        pairs = [([f"w{i}", "x"], [i % 3, 0]) for i in range(50)]
        table = pa.table({"tokens": [words for words, _ in pairs], "ner_tags": [tags for _, tags in pairs]})
        pq.write_table(table, tmp_path / "a.parquet", row_group_size=7)
        assert sentences(read(tmp_path / "a.parquet")) == pairs

    def test_errors(self, tmp_path):
        assert refused(write(tmp_path / "a.parquet", b"PAR?")).startswith(
            "a.parquet: not a readable Parquet file ("
        )
        path = self.table(tmp_path, tokens=[["a"], ["b"]], tags=[["O"], ["O"]])
        assert refused(path) == (
            "a.parquet: no column 'ner_tags'; the columns are tokens, tags; set data.tags_column"
        )
        path = self.table(tmp_path, tokens=[["a"], ["b", "c"]], ner_tags=[[0], [0]])
        assert refused(path).startswith("a.parquet:row 2: 2 words but 1 tags")
        path = self.table(tmp_path, tokens=["a b"], ner_tags=[[0, 0, 0]])
        assert refused(path) == "a.parquet:row 1: 'a b' is not a list of words"
        path = self.table(tmp_path, tokens=[["a"]], ner_tags=[[0.5]])
        assert (
            refused(path)
            == "a.parquet: column 'ner_tags' holds lists of double, not of text or whole numbers"
        )
        path = self.table(tmp_path, tokens=[["a"], None], ner_tags=[[0], [0]])
        assert refused(path) == "a.parquet:row 2: column 'tokens' is empty"
        path = self.table(tmp_path, tokens=[["a"], [], ["b", None]], ner_tags=[[0], [], [0, 0]])
        assert refused(path) == "a.parquet:row 3: an item in column 'tokens' is missing"
