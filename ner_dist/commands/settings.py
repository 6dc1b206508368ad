"""`ner-dist settings`: every key of a recipe with its type, default and meaning, from the schema."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ner_dist.errors import UserError
from ner_dist.recipe import Recipe
from ner_dist.recipe_errors import nearest_key

_INTRODUCTION = """\
# Settings

This page lists every key of a recipe. In the YAML file, indent each key below its section; on the command
line, use dots, as in `ner-dist train recipes/full.yaml train.epochs=3`. `ner-dist settings KEY` shows one
section or key.

Regenerate this page with `ner-dist settings --markdown`.
"""


@dataclass(frozen=True)
class Setting:
    """A key of a recipe that holds a value."""

    key: str
    type: str
    """The type in words, such as `whole number > 0 or null`."""
    default: str
    """The default as YAML, or `required`."""
    meaning: str


@dataclass(frozen=True)
class Group:
    """A section of a recipe, or the top-level keys."""

    key: str
    """Empty for the recipe itself."""
    meaning: str
    settings: list[Setting]


def groups() -> list[Group]:
    """All settings, in the order of the schema."""
    return list(_groups(Recipe, "", "All settings of one training run."))


def _groups(section: type[BaseModel], key: str, meaning: str) -> Iterator[Group]:
    types = get_type_hints(section, include_extras=True)
    settings, below = [], []
    for name, field in section.model_fields.items():
        dotted, meaning_below = f"{key}.{name}" if key else name, " ".join((field.description or "").split())
        if _is_section(types[name]):
            below.append((types[name], dotted, meaning_below))
        else:
            if get_origin(types[name]) is list and _is_section(get_args(types[name])[0]):
                item = get_args(types[name])[0]
                below.append((item, f"{dotted}[]", " ".join((item.__doc__ or "").split())))
            settings.append(Setting(dotted, type_in_words(types[name]), _default(field), meaning_below))
    yield Group(key, meaning, settings)
    for each in below:
        yield from _groups(*each)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def describe(key: str | None = None, *, markdown: bool = False, width: int = 100) -> str:
    """The settings as text: all of them, those of one section, or one.

    Args:
        key: a section (`train`) or a key (`train.epochs`).
        markdown: tables instead of plain lines.
        width: of plain lines, in characters.

    Raises:
        UserError: there is no such key.
    """
    chosen = list(_chosen(key))
    if markdown:
        return "\n".join([_INTRODUCTION, *map(_markdown, chosen)] if key is None else map(_markdown, chosen))
    return "\n".join(_plain(group, width=width) for group in chosen)


def _chosen(key: str | None) -> Iterator[Group]:
    found = False
    for group in groups():
        if key in (None, group.key) or group.key.startswith(f"{key}."):
            found = True
            yield group
        elif one := [setting for setting in group.settings if setting.key == key]:
            found = True
            yield Group(key or "", "", one)
    if not found:
        raise UserError(f"there is no key `{key}`", fix=nearest_key(str(key)))


def _plain(group: Group, *, width: int) -> str:
    lines = []
    if group.meaning:
        lines += [f"{group.key}: {group.meaning}" if group.key else group.meaning, ""]
    for setting in group.settings:
        default = setting.default if setting.default == "required" else f"default {setting.default}"
        lines.append(f"{setting.key}  ({setting.type}; {default})")
        lines += textwrap.wrap(setting.meaning, width, initial_indent="    ", subsequent_indent="    ")
    return "\n".join([*lines, ""])


def _markdown(group: Group) -> str:
    lines = [f"## {group.key}" if group.meaning and group.key else "", group.meaning, ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    for setting in group.settings:
        default = setting.default if setting.default == "required" else f"`{setting.default}`"
        cells = (f"`{setting.key}`", setting.type, default, setting.meaning)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join([*lines, ""]).lstrip()


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def type_in_words(annotation: Any, *, several: bool = False) -> str:
    """A field's type as people say it: `whole number > 0 or null`, `list of names`.

    Args:
        annotation: a type hint with its constraints (`Annotated[int, Field(gt=0)] | None`).
        several: say it in the plural, as what a list holds.
    """
    kind, arguments = get_origin(annotation), get_args(annotation)
    if kind is Annotated:
        bounds = [bound for each in arguments[1:] for bound in getattr(each, "metadata", [each])]
        return type_in_words(arguments[0], several=several) + _range(bounds)
    if kind in (Union, UnionType):
        return " or ".join(type_in_words(each) for each in arguments)
    if kind is Literal:
        return (
            arguments[0] if len(arguments) == 1 else f"{'' if several else 'one of '}{', '.join(arguments)}"
        )
    if kind is list:
        return f"list of {type_in_words(arguments[0], several=True)}"
    if kind is tuple:
        return f"list of {len(arguments)} {type_in_words(arguments[0], several=True)}"
    if kind is dict:
        names, values = (type_in_words(each, several=True) for each in arguments)
        return f"mapping of {names} to {values}"
    if _is_section(annotation):
        return "sections"
    if annotation is str:
        return "names" if several else "text"
    words = {int: "whole number", float: "number", bool: "true or false", NoneType: "null"}[annotation]
    return f"{words}s" if several else words


def _range(bounds: list[Any]) -> str:
    """` > 0` or ` in [0, 1)`; nothing for constraints that are no bounds of a number."""
    limits = {
        name: getattr(bound, name)
        for bound in bounds
        for name in ("gt", "ge", "lt", "le")
        if getattr(bound, name, None) is not None
    }
    low = [name for name in ("gt", "ge") if name in limits]
    high = [name for name in ("lt", "le") if name in limits]
    if low and high:
        opening, closing = "(" if low == ["gt"] else "[", ")" if high == ["lt"] else "]"
        return f" in {opening}{_bound(limits[low[0]])}, {_bound(limits[high[0]])}{closing}"
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    return "".join(f" {signs[name]} {_bound(limits[name])}" for name in low + high)


def _bound(value: float) -> str:
    if value >= 2**31 and value == 2 ** (int(value).bit_length() - 1):
        return f"2^{int(value).bit_length() - 1}"
    return f"{value:g}"
