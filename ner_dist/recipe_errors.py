"""Describe a wrong recipe to its author: the first problem that pydantic found, in the recipe's own terms.

An error names the key, its location (`file:line`, or the override) and, for an unknown key, the nearest one.
"""

from __future__ import annotations

import difflib
import json
import re
from datetime import date
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from ner_dist.errors import UserError
from ner_dist.recipe import Recipe

_WORDS = {
    "bool_type": "should be true or false",
    "dict_type": "should be a mapping of keys to values",
    "float_type": "should be a number",
    "int_type": "should be a whole number",
    "invalid_key": "has a key that is not text",
    "list_type": "should be a list",
    "missing": "has too few values",
    "model_type": "should hold keys of its own",
    "string_pattern_mismatch": "may hold letters, digits, `_`, `.` and `-` only",
    "string_too_short": "should not be empty",
    "string_type": "should be text",
    "too_long": "has too many values",
    "tuple_type": "should be a list",
}


def as_user_error(error: ValidationError, *, origin: dict[str, str], recipe: str) -> UserError:
    """The first problem that pydantic found, in the recipe's terms.

    Args:
        error: of `Recipe.model_validate`.
        origin: location of every dotted key that is set.
        recipe: the recipe's path, for keys that are not set anywhere.
    """
    problems = error.errors()
    key = _key_of(problems[0])
    # Of a union, pydantic reports every branch; the one that got furthest is the one that was meant.
    about = [problem for problem in problems if _key_of(problem) == key]
    depth = max(len(problem["loc"]) for problem in about)
    about = [problem for problem in about if len(problem["loc"]) == depth]
    first = about[0]
    where = _where(key, first, origin) or recipe
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][-1])
        flat = "." in name and key in known_keys()
        advice = as_nested(key) if flat else nearest_key(key)
        return UserError(f"unknown key `{key}`", where=where, fix=advice)
    if first["type"] == "missing" and ".".join(map(str, first["loc"])) == key:
        return UserError(f"key `{key}` is missing", where=recipe, fix=f"add it or pass {key}=VALUE")
    if first["type"] == "missing" and isinstance(first["loc"][-1], str):  # of a section in a list
        return UserError(f"key `{'.'.join(map(str, first['loc']))}` is missing", where=where, fix="add it")
    if first["type"] == "value_error":
        return UserError(f"`{key}`: {first['msg'].removeprefix('Value error, ')}", where=where)
    texts = list(dict.fromkeys(_message(problem) for problem in about))
    message = " or ".join([texts[0], *(text.removeprefix("should be ") for text in texts[1:])])
    given = first["input"]
    shown = (
        "" if isinstance(given, dict) else f" (it is {json.dumps(given, default=str, ensure_ascii=False)})"
    )
    fixes = [fix for problem in about if (fix := _fix(key, problem))]
    subject = f"`{key}{_item(first)}`" if key else "the recipe"
    return UserError(f"{subject} {message}{shown}", where=where, fix=fixes[0] if fixes else None)


def _key_of(problem: Any) -> str:
    """The recipe's key in a problem's location, which may continue with the branch of a union or an item."""
    parts = [str(part) for part in problem["loc"]]
    if problem["type"] == "extra_forbidden":
        return ".".join(parts)
    known = known_keys()
    return next((key for depth in range(len(parts), 0, -1) if (key := ".".join(parts[:depth])) in known), "")


def _where(key: str, problem: Any, origin: dict[str, str]) -> str | None:
    parts = [str(part) for part in problem["loc"]]
    places = [".".join(parts), f"{key}.{parts[-1] if parts else ''}", key, *ancestors(key)]
    if problem["type"] == "value_error":
        # A check of a section's keys against each other names them; an override is the likelier mistake.
        named = [f"{key}.{word}" for word in problem["msg"].split()]
        places = sorted(named, key=lambda name: not origin.get(name, "").startswith("override")) + places
    return next((origin[place] for place in places if place in origin), None)


def _message(problem: Any) -> str:
    text = problem["msg"].removeprefix("Input ")
    return _WORDS.get(problem["type"]) or text[0].lower() + text[1:]


def _item(problem: Any) -> str:
    last = problem["loc"][-1]
    in_a_list = isinstance(last, int) and problem["type"] not in ("missing", "invalid_key")
    return f"[{last}]" if in_a_list else ""


def _fix(key: str, problem: Any) -> str | None:
    given = problem["input"]
    if problem["type"] == "model_type":
        return f"write them below it, such as {key}.{_keys_in(key)[0]}"
    if problem["type"] == "list_type" and isinstance(given, str):
        return f"write [{given}]"
    if problem["type"] == "string_type" and isinstance(given, int | float | date):
        return "put it in quotes"
    return None


def as_nested(key: str) -> str:
    """Advice for a dotted key in a recipe file, which only the command line takes."""
    *sections, leaf = key.split(".")
    return f"write it nested: {': {'.join(sections)}: {{{leaf}: …{'}' * len(sections)}"


def nearest_key(key: str) -> str:
    """Advice for an unknown key: the most similar known key, or else a list of the keys."""
    section, _, leaf = re.sub(r"\.\d+\.", "[].", key).rpartition(".")
    while section and not _keys_in(section):  # in a file, a key may hold dots of its own
        section = section.rpartition(".")[0]
    siblings = _keys_in(section)
    leaves: dict[str, str] = {}
    for name in (*(f"{section}.{leaf}" for leaf in siblings), *known_keys()):
        leaves.setdefault(name.rpartition(".")[2], name)
    if leaf in leaves:
        return f"did you mean `{leaves[leaf]}`?"
    if close := difflib.get_close_matches(leaf, siblings, n=1):
        return f"did you mean `{section}{'.' if section else ''}{close[0]}`?"
    if close := difflib.get_close_matches(leaf, leaves, n=1):
        return f"did you mean `{leaves[close[0]]}`?"
    return f"the keys are {', '.join(siblings)}"


def known_keys(section: type[BaseModel] = Recipe, prefix: str = "") -> list[str]:
    """The dotted keys of a recipe, sections included."""
    keys = []
    for name, field in section.model_fields.items():
        keys.append(f"{prefix}{name}")
        (item, *_) = get_args(field.annotation) or (None,)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += known_keys(field.annotation, f"{prefix}{name}.")
        elif isinstance(item, type) and issubclass(item, BaseModel):
            keys += [f"{prefix}{name}[]", *known_keys(item, f"{prefix}{name}[].")]
    return keys


def _keys_in(section: str) -> list[str]:
    """Names of the keys of a section, or of the recipe itself if it is called ``."""
    prefix = f"{section}." if section else ""
    below = [key.removeprefix(prefix) for key in known_keys() if key.startswith(prefix)]
    return [name for name in below if "." not in name and not name.endswith("[]")]


def ancestors(key: str) -> list[str]:
    """The sections that hold a dotted key, the innermost first."""
    parts = key.split(".")
    return [".".join(parts[:depth]) for depth in range(len(parts) - 1, 0, -1)]
