"""docs/formats.md describes results.json with every key that the types have, and no other."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from typing import get_args, get_type_hints

from ner_dist.evaluation.figures import FORMAT, ModelFigures
from ner_dist.evaluation.json_form import INLINE
from ner_dist.training.results import RunResults
from tests.conftest import REPOSITORY


def described() -> set[str]:
    """The paths of the page's section, `{a,b}` expanded."""
    page = (REPOSITORY / "docs" / "formats.md").read_text(encoding="utf-8")
    section = page.split("## results.json")[1].split("\n## ")[0]
    assert f"`format` is {FORMAT}" in section
    found = set()
    for row in re.findall(r"^\| `([^`]+)` \|", section, flags=re.M):
        head, _, inner = row.partition("{")
        found |= {head + name for name in inner.rstrip("}").split(",")} if inner else {row}
    return found


def paths(cls: type, prefix: str = "") -> set[str]:
    """The paths of a type's JSON."""
    hints, found = get_type_hints(cls), set()
    for field in fields(cls):
        kinds = [hints[field.name], *get_args(hints[field.name])]
        inner = next((kind for kind in kinds if is_dataclass(kind)), None)
        alias = next(
            (kind.__origin__ for kind in kinds if is_dataclass(getattr(kind, "__origin__", None))), None
        )
        mapping = next(
            (get_args(kind)[1] for kind in kinds if getattr(kind, "__origin__", None) is dict), None
        )
        place = f"{prefix}{'SPLIT' if field.name in ('validation', 'test') else field.name}"
        if is_dataclass(mapping):
            found |= paths(mapping, f"{place}.TYPE.")
        elif mapping is not None and prefix == "":
            found |= {f"{place}.NAME", f"{place}.fingerprint"}
        elif (inner or alias) is not None:
            found |= paths(inner or alias, prefix if field.metadata == INLINE else f"{place}.")
        else:
            found.add(place)
    return found


def test_the_page_and_the_types_have_the_same_keys():
    assert described() == paths(RunResults)


def test_an_evaluation_has_the_keys_of_a_split_and_those_that_the_page_names():
    page = (REPOSITORY / "docs" / "formats.md").read_text(encoding="utf-8")
    of_split = {path.removeprefix("SPLIT.") for path in paths(RunResults) if path.startswith("SPLIT.")}
    own = {path for path in paths(ModelFigures) if path not in of_split}
    own = {path.split(".")[0] for path in own}
    assert own == {
        "format",
        "model",
        "data",
        "split",
        "labels",
        "predicted_scheme",
        "map",
        "threshold",
        "bias",
    }
    assert all(f"`{name}`" in page for name in own)
