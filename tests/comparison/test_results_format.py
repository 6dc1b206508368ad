"""docs/formats.md describes compare.json as the dataclasses define it and as it is written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import pytest

from ner_dist.comparison.compare import compare
from ner_dist.comparison.matching import KINDS
from ner_dist.comparison.results import FORMAT, Comparison
from tests.comparison.made_runs import A_LINES, A_TYPES, B_LINES, B_TYPES, write_run
from tests.conftest import REPOSITORY

SECTION = (REPOSITORY / "docs/formats.md").read_text().split("## compare.json\n")[1].split("\n## ")[0]
ROWS = re.findall(r"^\| `([^`]+)` \|", SECTION, flags=re.M)


def expanded(path: str) -> Iterator[str]:
    """Expand a path with braces; * stands for names that differ between files."""
    braces = re.search(r"\{([^}]*)\}", path)
    if braces is None:
        yield re.sub(r"\b[A-Z]+\b", "*", path)
        return
    for choice in braces[1].split(","):
        yield from expanded(path[: braces.start()] + choice + path[braces.end() :])


DESCRIBED = [path for row in ROWS for path in expanded(row)]


def keys(annotation: Any, path: str = "") -> Iterator[str]:
    """The paths of every figure in a dataclass, as `as_json` writes it."""
    if isinstance(annotation, UnionType):
        (annotation,) = (each for each in get_args(annotation) if each is not type(None))
    origin, arguments = get_origin(annotation), get_args(annotation)
    if is_dataclass(origin or annotation):
        hints = get_type_hints(origin or annotation, localns={"Run": object})
        for field in fields(origin or annotation):
            form, hint = field.metadata.get("json"), hints[field.name]
            if form == "internal":
                continue
            if isinstance(hint, TypeVar):
                hint = arguments[0]
            elif getattr(hint, "__parameters__", ()):
                hint = hint[arguments]
            name = field.metadata.get("key", field.name)
            yield from keys(hint, path if form == "inline" else f"{path}.{name}")
    elif origin is dict and arguments[0] is str:
        yield from keys(arguments[1], f"{path}.*")
    elif origin is list and is_dataclass(arguments[0]):
        yield from keys(arguments[0], f"{path}[]")
    else:
        yield path.removeprefix(".")


def written(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], bool]]:
    """The path of every figure in JSON, and whether there is something in its place."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from written(each, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for each in value:
            yield from written(each, path)
    else:
        yield path, value not in (None, [], {})


def fits(path: tuple[str, ...], described: str, *, whole: bool) -> bool:
    """Whether a path is one that is described or, unless it is to be a whole one, begins it."""
    names = described.replace("[]", "").split(".")
    same = all(own == name or name == "*" for own, name in zip(path, names, strict=False))
    return same and (len(path) == len(names) or (not whole and len(path) < len(names)))


def test_every_key_is_described_once_and_none_besides():
    assert sorted(DESCRIBED) == sorted(["format", *keys(Comparison)])


@pytest.fixture(params=[None, {"ORG": "LOC"}], ids=["own names", "renamed"])
def figures(request, tmp_path):
    runs = (
        write_run(tmp_path / name, types, lines)
        for name, types, lines in (("a", A_TYPES, A_LINES), ("b", B_TYPES, B_LINES))
    )
    compare(*runs, out=tmp_path / "out", resamples=100, renaming=request.param)
    return json.loads((tmp_path / "out/compare.json").read_text())


def test_a_file_holds_what_is_described(figures):
    for path, known in written(figures):
        assert any(fits(path, described, whole=known) for described in DESCRIBED), path


def test_the_format_comes_first(figures):
    assert next(iter(figures)) == "format" and figures["format"] == FORMAT
    assert f"| `format` | {FORMAT} |" in SECTION


def test_kinds_are_those_that_are_described():
    (row,) = (line for line in SECTION.splitlines() if "KIND`" in line)
    assert re.findall(r"`(\w+)`", row.split("|")[2]) == list(KINDS)
