"""Files of other tools, broken in any way, give data or one error with file and line, never a crash."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_dist.data.readers import read_rows
from ner_dist.errors import UserError
from ner_dist.recipe_data import Data

FILES = sorted((Path(__file__).parent / "files").glob("*.json*"))
KEYS = st.sampled_from(["start", "end", "label", "text", "value", "tokens"])
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-2, 90), st.floats(), st.sampled_from(["", "a", "7", "LOC"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["start", "end", "label", "text", "value", "tokens"]), inner, max_size=3
        ),
    ),
    max_leaves=5,
)


def places(value, path=()):
    """The path of every value in a JSON document."""
    yield path
    for key, inner in (
        value.items() if isinstance(value, dict) else enumerate(value if type(value) is list else ())
    ):
        yield from places(inner, (*path, key))


def changed(value, path, new, drop):
    if not path:
        return new
    value = copy.copy(value)
    if len(path) == 1 and drop:
        del value[path[0]]
    else:
        value[path[0]] = changed(value[path[0]], path[1:], new, drop)
    return value


@pytest.mark.parametrize("source", FILES, ids=[path.name for path in FILES])
def test_one_change_anywhere(tmp_path_factory, source):
    text = source.read_text(encoding="utf-8")
    lines = source.suffix == ".jsonl"
    document = [json.loads(line) for line in text.splitlines()] if lines else json.loads(text)
    paths = [path for path in places(document) if path]
    target = tmp_path_factory.mktemp("any") / source.name

    @settings(max_examples=60, deadline=None)
    @given(st.sampled_from(paths), VALUES, st.booleans(), st.sampled_from(["characters", "utf16", "bytes"]))
    def check(path, new, drop, offsets):
        broken = changed(document, path, new, drop)
        written = "".join(json.dumps(row) + "\n" for row in broken) if lines else json.dumps(broken)
        target.write_text(written, encoding="utf-8")
        try:
            rows = read_rows(target, Data(path="unused", offsets=offsets))
        except UserError as error:
            assert re.match(rf"{re.escape(str(target))}(:(row )?\d+)?$", error.where or ""), error
            return
        assert rows.offsets[-1] == len(rows.tags) == sum(map(len, rows.tokens))

    check()
