"""Random damage to files of every format gives data or one error: a few trials here, many in `make soak`."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ner_dist.prediction.inputs import items
from tests.data.hostile import seeds
from tests.data.hostile.reading import check, read, read_annotated

TRIALS = [pytest.param(15, id="few"), pytest.param(1500, id="many", marks=pytest.mark.soak)]
PIECES = st.sampled_from(
    [
        *(
            b"\0",
            b"\r",
            b"\n",
            b"\r\n",
            b"\t",
            b" ",
            b"\xff",
            b"\xef\xbb\xbf",
            b"\xed\xa0\x80",
            b"\x1f\x8b",
            b"\x85",
        ),
        *(
            b"{",
            b"}",
            b"[",
            b"]",
            b'"',
            b",",
            b":",
            b"\\",
            b"\\ud800",
            b"\\u0000",
            b"null",
            b"NaN",
            b"-1",
            b"1e999",
        ),
        *(
            b"9" * 30,
            b"B-",
            b"I-X",
            b"O",
            b"#",
            b"# global.columns = A NER\n",
            b"-DOCSTART- O\n\n",
            b"_",
            b"*",
            b"|",
        ),
        *(b"(", b")", b"'", b";", b"\xe2\x80\xa8", b"\xf0\x9f\x92\xa9", b"\x1b[31m", b"\xe2\x80\xae"),
    ]
)
BYTES = st.one_of(
    PIECES, st.binary(max_size=8), st.text(max_size=4).map(lambda text: text.encode("utf-8", "ignore"))
)
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), BYTES), min_size=1, max_size=4)
"""Changes to a file: where, how many bytes are taken out, and what is put in."""


def edited(contents: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    for place, length, new in edits:
        at = int(place * len(contents))
        contents = contents[:at] + new + contents[at + length :]
    return contents


def trials(number: int):
    return settings(
        max_examples=number, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )


@pytest.mark.parametrize("number", TRIALS)
@pytest.mark.parametrize("name", [*seeds.TEXTS, "train.parquet"])
def test_damaged_files(tmp_path, name, number):
    good = seeds.TEXTS[name].encode() if name in seeds.TEXTS else seeds.PARQUET
    path = tmp_path / name

    @trials(number)
    @given(EDITS, st.sampled_from(["characters", "utf16", "bytes"]))
    def check_one(edits, offsets):
        path.write_bytes(edited(good, edits))
        check(read(path, offsets=offsets), tmp_path)

    check_one()


@pytest.mark.parametrize("number", TRIALS)
def test_damaged_annotations_of_brat(tmp_path, number):
    @trials(number)
    @given(EDITS, st.booleans())
    def check_one(edits, in_text):
        ann, text = seeds.ANN.encode(), seeds.TEXT.encode()
        ann, text = (ann, edited(text, edits)) if in_text else (edited(ann, edits), text)
        check(read_annotated(tmp_path, text, ann), tmp_path)

    check_one()


@pytest.mark.parametrize("number", TRIALS)
@pytest.mark.parametrize("ending", ["jsonl", "json", "conll", "csv", "tsv", "unknown"])
def test_noise(tmp_path, ending, number):
    path = tmp_path / f"train.{ending}"

    @trials(number)
    @given(st.lists(BYTES, max_size=12).map(b"".join))
    def check_one(contents):
        path.write_bytes(contents)
        check(read(path), tmp_path)

    check_one()


JSON = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
        st.sampled_from(["B-PER", "O", "0", "['a' 'b']", "[f'a' 'b']", r"['\x' 'b']", "[1", "9" * 5000]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "tokens",
                        "ner_tags",
                        "text",
                        "label",
                        "spans",
                        "entities",
                        "start",
                        "end",
                        "data",
                        "result",
                    ),
                    *(
                        "annotations",
                        "completions",
                        "predictions",
                        "responses",
                        "values",
                        "value",
                        "fields",
                        "ents",
                    ),
                    *(
                        "suggestions",
                        "q.responses",
                        "q.responses.status",
                        "paragraphs",
                        "sentences",
                        "classes",
                    ),
                    *(
                        "annotation",
                        "prediction",
                        "tokenized_text",
                        "ner",
                        "labels",
                        "id",
                        "index",
                        "columns",
                    ),
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("number", TRIALS)
@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_any_json(tmp_path, ending, number):
    path = tmp_path / f"train.{ending}"

    @trials(number * 4)
    @given(st.lists(JSON, max_size=3))
    def check_one(rows):
        text = json.dumps(rows) if ending == "json" else seeds.lines(*rows)
        path.write_text(text, encoding="utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # Python's word about '\x' in a list
            check(read(path), tmp_path)

    check_one()


@pytest.mark.parametrize("number", TRIALS)
@pytest.mark.parametrize("kind", ["lines", "jsonl", "parquet", "conll"])
def test_what_is_to_be_tagged(tmp_path, kind, number):
    name = {"parquet": "train.parquet", "conll": "words.conll"}.get(kind, "doccano.jsonl")
    good = seeds.TEXTS[name].encode() if name in seeds.TEXTS else seeds.PARQUET
    path = tmp_path / name

    @trials(number)
    @given(EDITS)
    def check_one(edits):
        path.write_bytes(edited(good, edits))
        check_items(path, kind)

    check_one()


def check_items(path: Path, kind: str) -> None:
    from ner_dist.errors import UserError

    try:
        found = list(items(str(path), kind=kind))
    except UserError as error:
        assert str(error).isprintable()
        assert str(error).startswith(str(path)), error
        return
    for item in found:
        text = item.text if item.text is not None else " ".join(item.words or ())
        (text + json.dumps(item.fields, ensure_ascii=False, default=str)).encode()
