"""Malformed files of every format: each is read right, or refused in one line with its place and reason."""

from __future__ import annotations

import gzip
import json
import os
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from ner_dist.data.sources import source_stamp
from ner_dist.errors import UserError
from ner_dist.recipe_data import Data
from tests.data.hostile import seeds
from tests.data.hostile.reading import check, read

SOUND = "sound"
"""The file is read, to the same words and tags as the undamaged one."""
ANY = ""
"""The file may be read, as it may be meant; or it is refused."""


def of_any_text(name: str) -> Iterator[tuple[str, str, bytes, str, dict]]:
    """Damages that make the same sense in every text format.

    Yields:
        What was done, the name of the file, its contents, what is expected (`SOUND`, `ANY` or the error
        behind the file's name), and settings of the recipe.
    """
    text = seeds.TEXTS[name]
    good, last = text.encode(), text.count("\n") + 1
    packed = gzip.compress(good)
    as_text = f":{last}: byte 0x.. is not UTF-8"
    plain = {
        "latin-1": (good + b"Z\xfcrich", as_text),
        "half of a character": (good + b"\xe2\x82", as_text),
        "overlong": (good + b"\xc0\xaf", as_text),
        "utf-16 at the end": (good + "ÿ".encode("utf-16-le"), as_text),
        "surrogate in UTF-8": (good + b"\xed\xa0\x80", as_text),
        "utf-16": (text.encode("utf-16"), ":1: byte 0xff is not UTF-8.*iconv -f UTF-16"),
        "utf-16 without a mark": (text.encode("utf-16-le"), ANY),
        "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", ": .*Git LFS"),
        "a web page": (b"<!DOCTYPE html><html></html>", ": .*web page"),
        "XML": (b"<?xml version='1.0'?><a/>", ": .*XML"),
        "empty": (b"", ": "),
        "blank": (b"\n \n\t\n", ": "),
        "NULs": (b"\0" * 5000, ": "),
        "NULs at the end": (good + b"\0\0\0\n", ANY),
        "brackets": (b"[" * 100_000, ": "),
        "braces": (b'{"a":' * 100_000, ": "),
        "half": (good[: len(good) // 2], ANY),
        "one byte less": (good[:-1], ANY),
        "a mark before it": (b"\xef\xbb\xbf" + good, SOUND),
        "CR LF": (good.replace(b"\n", b"\r\n"), SOUND),
        "CR": (good.replace(b"\n", b"\r"), SOUND),
        "packed": (packed, SOUND),
        "packed in two": (gzip.compress(good[:9]) + gzip.compress(good[9:]), SOUND),
        "packed and cut": (packed[: len(packed) // 2], ": damaged gzip"),
        "packed with another sum": (packed[:-8] + bytes(4) + packed[-4:], ": damaged gzip"),
        "packed and more": (packed + b"more", ": damaged gzip"),
        "packed noise": (b"\x1f\x8b" + bytes(range(256)), ": damaged gzip"),
        "packed twice": (gzip.compress(packed), ":1: byte 0x8b is not UTF-8"),
    }
    for what, (contents, expected) in plain.items():
        yield what, name, contents, expected, {}
    yield "a false ending", f"{name}.gz", good, ": not a gzip file", {}
    bomb = gzip.compress(good + b"\n" * 200_000)
    for what, contents, most in (("too large", good, 3e-8), ("a bomb", bomb, 1e-4)):
        yield what, name, contents, r": the \w+ holds .*raise data.max_file_gb", {"max_file_gb": most}


ROWS = {
    "a list": ("[1, 2]", "is not a JSON object"),
    "a number": ("5", "is not a JSON object"),
    "a text": ('"x"', "is not a JSON object"),
    "null": ("null", "is not a JSON object"),
    "NaN": ("NaN", "is not a JSON object"),
    "no tags": ('{"tokens": ["a"]}', "no column 'ner_tags'"),
    "nothing": ("{}", "no column 'tokens'"),
    "words null": ('{"tokens": null, "ner_tags": []}', "None is not a list of words"),
    "words an object": ('{"tokens": {"a": 1}, "ner_tags": ["O"]}', "is not a list of words"),
    "tags null": ('{"tokens": ["a"], "ner_tags": null}', "None is not a list of tags"),
    "a word a number": ('{"tokens": [1], "ner_tags": ["O"]}', "1 is not a word"),
    "a word null": ('{"tokens": [null], "ner_tags": ["O"]}', "None is not a word"),
    "tags of two kinds": ('{"tokens": ["a", "b"], "ner_tags": ["O", 1]}', "tag 1 is not text"),
    "a tag true": ('{"tokens": ["a"], "ner_tags": [true]}', "tag True is not text"),
    "a tag a fraction": ('{"tokens": ["a"], "ner_tags": [1.5]}', "tag 1.5 is not text"),
    "a tag infinite": ('{"tokens": ["a"], "ner_tags": [1e999]}', "tag inf is not text"),
    "a tag a list": ('{"tokens": ["a"], "ner_tags": [["O"]]}', r"tag \['O'\] is not text"),
    "one tag more": ('{"tokens": ["a"], "ner_tags": ["O", "O"]}', "1 words but 2 tags"),
    "a comma more": ('{"tokens": ["a",], "ner_tags": ["O"]}', r"not JSON \("),
    "two objects": ('{"a": 1}{"b": 2}', r"not JSON \(Extra data"),
    "cut": ('{"tokens": ["a', r"not JSON \("),
    "a raw NUL": ('{"tokens": ["a\0"], "ner_tags": ["O"]}', r"not JSON \(Invalid control"),
    "words twice": ('{"tokens": ["a"], "tokens": ["b"], "ner_tags": ["O"]}', "holds the key 'tokens' twice"),
    "a key twice inside": ('{"a": [{"b": 1, "b": 2}]}', "holds the key 'b' twice"),
    "half a pair in a word": (r'{"tokens": ["\ud800"], "ner_tags": ["O"]}', "half of a surrogate pair"),
    "half a pair in a tag": (r'{"tokens": ["a"], "ner_tags": ["B-\udfff"]}', "half of a surrogate pair"),
    "half a pair in a key": (r'{"\ud800": 1}', "half of a surrogate pair"),
    "a pair in two words": (r'{"tokens": ["\ud83d", "\ude00"], "ner_tags": ["O", "O"]}', "half of a surr"),
    "halves the wrong way": (r'{"tokens": ["\ude00\ud83d"], "ner_tags": ["O"]}', "half of a surrogate pair"),
    "digits": ('{"tokens": ["a"], "ner_tags": [' + "9" * 5000 + "]}", "thousands of digits"),
    "deep lists": ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
    "deep objects": ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
    "an endless word": (json.dumps({"tokens": ["a" * 1_000_001], "ner_tags": ["O"]}), "a word of 1,000,001"),
    "a tag without a type": ('{"tokens": ["a"], "ner_tags": ["B-"]}', ANY),
    "an empty tag": ('{"tokens": ["a"], "ner_tags": [""]}', ANY),
    "an empty word": ('{"tokens": [""], "ner_tags": ["O"]}', ANY),
    "a tag with a line": (r'{"tokens": ["a"], "ner_tags": ["B-a\nb"]}', ANY),
    "a tag for a terminal": (r'{"tokens": ["a"], "ner_tags": ["\u001b[31mX"]}', ANY),
    "a tag written back": (r'{"tokens": ["a"], "ner_tags": ["\u202eX"]}', ANY),
    "a long tag": (json.dumps({"tokens": ["a"], "ner_tags": ["X" * 100_000]}), ANY),
}
"""A second line of JSON lines, and the error that names it."""

COLUMNS = {
    "one column": ("a\nb\n", ":1: 1 column in 'a'"),
    "a column less": ("a O\nb\nc O\n", ":2: 1 column in 'b', 2 in the"),
    "a column more": ("a O\nb O O\nc O\n", ":2: 3 columns"),
    "columns in the end": ("a O\n" * 20 + "w " * 100_000 + "O\n", ":21: 100001 columns"),
    "columns first": ("w " * 100_000 + "O\n\n" + "a O\n" * 20, ":1: 100,?001 columns"),
    "columns alone": ("w " * 100_000 + "O\n", ":1: 100,?001 columns"),
    "an endless word": ("a" * 1_000_001 + " O\n", ":1: a word of 1,000,001"),
    "documents only": ("-DOCSTART- O\n\n", ": it has no words"),
    "comments only": ("# a\n# b\n", ANY),
    "columns named twice": ("# global.columns = FORM FORM\na B-X\n", ANY),
    "no columns named": ("# global.columns = \na B-X\n", ANY),
    "NULs as columns": ("a\0O\nb\0B-X\n", ANY),
    "a vertical tab": ("a\x0bb O\nc B-X\n", ANY),
    "long ids": ("a 0\nb " + "1" * 5000 + "\n", ANY),
    "lines of CR and LF": ("a O\rb O\nc B-X\n", ":2: 2 columns in 'c B-X', 4 in the lines before"),
}


def _nested(value: object, *keys: str) -> str:
    for key in reversed(keys):
        value = {key: value}
    return json.dumps(value)


METADATA = [
    *("not json", "[1]", "null", '"x"', "5", "[" * 100_000, "\udcff"),
    *(_nested(value, "info") for value in (None, [])),
    *(_nested(value, "info", "features") for value in (None, [])),
    *(_nested(value, "info", "features", "ner_tags") for value in (None, 5, {"feature": None})),
    *(
        _nested(value, "info", "features", "ner_tags", "feature", "names")
        for value in (5, "ab", [1, None], [], {})
    ),
]
"""What a table says about its columns, in the place of the `datasets` library."""


def tables() -> Iterator[tuple[str, bytes, str, dict]]:
    """What was done to a Parquet file, its contents, what is expected, and settings."""
    good = seeds.PARQUET
    behind = {
        "cut": good[: len(good) // 2],
        "marks alone": b"PAR1PAR1",
        "a long footer": good[:-8] + struct.pack("<I", 0x7FFFFFFF) + b"PAR1",
        "a footer of 4 GB": good[:-8] + struct.pack("<I", 0xFFFFFFFF) + b"PAR1",
        "no footer": good[:-8] + struct.pack("<I", 0) + b"PAR1",
        "zeros in the footer": good[:-108] + bytes(100) + good[-8:],
        "another footer": good[:-300] + good[-200:],
        "encrypted": good[:-4] + b"PARE",
        "another end": good[:-4] + b"XXXX",
        "text": b"Ada B-PER\n",
        "empty": b"",
    }
    for what, contents in behind.items():
        yield what, contents, ": not a readable Parquet file", {}
    yield "packed", gzip.compress(good), SOUND, {}
    yield "too large", good, ": the file holds .*raise data.max_file_gb", {"max_file_gb": 1e-7}
    runs = pa.table({"tokens": [["a"] * 300_000], "ner_tags": [["O"] * 300_000]})
    yield "a bomb", seeds.parquet(runs), ": the table holds .*raise data.max_file_gb", {"max_file_gb": 2e-4}
    for stated in METADATA:
        ids = pa.table({"tokens": [["a", "b"]], "ner_tags": [[0, 1]]})
        meta = {b"huggingface": stated.encode("utf-8", "surrogateescape")}
        contents = seeds.parquet(ids.replace_schema_metadata(meta))
        yield f"metadata {stated!a:.60}", contents, ":row 1: tags are numbers without names", {}
    as_text = pa.array([["O"]])
    spoken = {"language": "en"}
    bad = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(struct.pack("<2i", 0, 2)), pa.py_buffer(b"\xff\xfe")]
    )
    not_text = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), bad)
    each = {
        "words numbers": ([[1]], "holds lists of int64", {}),
        "words objects": ([{"a": 1}], ANY, {}),
        "words bytes": ([[b"\xff"]], "holds lists of binary", {}),
        "words not UTF-8": (not_text, "not a readable Parquet file", {}),
        "a word missing": ([["a", None]], ":row 1: an item in column 'tokens' is missing", {}),
        "a row missing": (pa.array([None], pa.list_(pa.string())), ":row 1: column 'tokens' is empty", {}),
        "words of fixed number": (pa.array([["a", "b"]], pa.list_(pa.string(), 2)), ANY, {}),
        "words a text": (["a"], ANY, {}),
        "an endless word": ([["a" * 1_000_001]], ":row 1: a word of 1,000,001", {}),
        "language an object": ([["a"]], "not text; set data.language_column", spoken | {"lang": [{"a": 1}]}),
        "language a list": ([["a"]], "not text; set data.language_column", spoken | {"lang": [["en"]]}),
        "language bytes": ([["a"]], ANY, spoken | {"lang": [b"\xff"]}),
    }
    for what, (words, expected, more) in each.items():
        columns = {"tokens": words, "ner_tags": as_text} | {k: v for k, v in more.items() if k == "lang"}
        yield what, seeds.parquet(pa.table(columns)), expected, {k: v for k, v in more.items() if k != "lang"}
    for kind in (pa.date32(), pa.float64(), pa.uint64(), pa.duration("s"), pa.bool_(), pa.timestamp("ns")):
        values = [True] if pa.types.is_boolean(kind) else [1]
        tags = pa.array([values], pa.list_(kind))
        expected = ANY if kind == pa.uint64() else f"holds lists of {re.escape(str(kind))}"
        yield f"tags {kind}", seeds.parquet(pa.table({"tokens": [["a"]], "ner_tags": tags})), expected, {}
    twice = pa.Table.from_arrays(
        [pa.array([["a"]]), pa.array([["b"]]), as_text], ["tokens", "tokens", "ner_tags"]
    )
    yield "words twice", seeds.parquet(twice), "2 columns are called 'tokens'", {}
    texts = {"text": ["Ada"], "label": ["[[0, 3, 'PER']]"]}
    yield "text twice", seeds.parquet(pa.Table.from_arrays([pa.array(["a"])] * 2, ["text", "text"])), ": ", {}
    for kind, value in ((pa.timestamp("ms"), 2**60), (pa.date32(), 2**30), (pa.binary(), b"\xff")):
        table = pa.table(texts | {"when": pa.array([value], kind)})
        yield f"a cell of {kind}", seeds.parquet(table), ANY, {}


def cases() -> Iterator:
    for name in seeds.TEXTS:
        for what, file, contents, expected, settings in of_any_text(name):
            yield pytest.param(file, contents, expected, settings, id=f"{name}-{what}")
    for what, (row, expected) in ROWS.items():
        contents = (seeds.lines(seeds.ROW) + row + "\n").encode()
        expected = f":2: .*{expected}" if expected else ANY
        yield pytest.param("rows.jsonl", contents, expected, {}, id=f"row-{what}")
    for what, (text, expected) in COLUMNS.items():
        yield pytest.param("words.conll", text.encode(), expected, {}, id=f"columns-{what}")
    for what, contents, expected, settings in tables():
        yield pytest.param("train.parquet", contents, expected, settings, id=f"parquet-{what}")


CASES = list(cases())


def test_there_are_hundreds():
    assert len(CASES) >= 300


@pytest.mark.parametrize(("name", "contents", "expected", "settings"), CASES)
def test_data_or_one_error(tmp_path, name, contents, expected, settings):
    path = tmp_path / name
    path.write_bytes(contents)
    outcome = read(path, **settings)
    check(outcome, tmp_path)
    if expected == SOUND:
        assert not isinstance(outcome, UserError), outcome
        good = tmp_path / "good" / name
        good.parent.mkdir()
        text = seeds.TEXTS.get(name)
        good.write_bytes(seeds.PARQUET if text is None else text.encode())
        same = read(good)
        assert not isinstance(same, UserError)
        assert outcome.fingerprint == same.fingerprint
    elif expected:
        assert isinstance(outcome, UserError)
        assert re.search(expected, str(outcome).removeprefix(str(path))), outcome


def test_types_that_no_id_can_tell_apart(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text(seeds.lines(*({"tokens": ["a"], "ner_tags": [f"B-T{i}"]} for i in range(16_384))))
    with pytest.raises(UserError, match="16,384 entity types, and 16,383 at most"):
        raise read(path)


def test_types_without_end(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text(seeds.lines(*({"tokens": ["a"], "ner_tags": [f"B-T{i}"]} for i in range(40_000))))
    with pytest.raises(UserError, match=":32769: more than 32,767 entity types, of which this is one"):
        raise read(path)


@pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes are Linux's")
def test_a_name_that_is_not_utf_8(tmp_path):
    path = tmp_path / os.fsdecode(b"train-\xff.jsonl")
    path.write_text(seeds.TEXTS["rows.jsonl"])
    sound = read(tmp_path)
    assert not isinstance(sound, UserError)
    assert len(source_stamp(Data(path=str(tmp_path)))) == 64
    path.write_text(seeds.TEXTS["rows.jsonl"] + "5\n")
    assert "5 is not a JSON object" in str(read(tmp_path))
    assert str(read(tmp_path)).isprintable()


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="/proc is Linux's")
def test_a_file_that_fails_while_it_is_read():
    with pytest.raises(UserError, match="/proc/self/mem: the file cannot be read: Input/output error"):
        source_stamp(Data(path="/proc/self/mem", format="jsonl"))
