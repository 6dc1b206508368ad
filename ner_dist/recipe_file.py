"""Reading recipes: YAML, `extends`, command-line overrides, and errors that name key, file and line.

A recipe is a YAML file with the keys of `recipe.Recipe`. It may extend another recipe
(`extends: full.yaml`, relative to its own folder) and every key can be overridden on the command line
with `dotted.key=value`, the value being YAML. An unknown key, a wrong type or a value out of range is a
`UserError` that names the key, where it stands and the nearest valid key.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from ner_dist.errors import UserError
from ner_dist.recipe import Recipe

# Keys that may differ between two starts of one run: where it writes, what it reports, how fast it scores.
_NOT_THE_MATHS = (
    "output_dir",
    "overwrite",
    "logging",
    "checkpoint",
    "data.cache_dir",
    "evaluation.batch_tokens",
)


def load_recipe(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> Recipe:
    """Read a recipe, what it extends, and `dotted.key=value` overrides, in this order of precedence.

    The `provenance` that a run writes into its `recipe.yaml` is ignored, so that such a file is a recipe too.
    """
    values, origin = _read_with_parents(Path(path), seen=())
    values.pop("provenance", None)
    for text in overrides:
        _override(values, origin, text)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise _as_user_error(error, origin=origin, recipe=str(path)) from None


def data_settings(overrides: list[str], *, path: str | None) -> dict[str, Any]:
    """The keys of `data` that `data.key=value` overrides name, checked; `path` stands for `data.path`."""
    values: dict[str, Any] = {"data": {"path": path or "."}}
    origin: dict[str, str] = {}
    for text in overrides:
        _override(values, origin, text)
    values |= {"name": "evaluation", "output_dir": "."}
    try:
        data = Recipe.model_validate(values).data
    except ValidationError as error:
        raise _as_user_error(error, origin=origin, recipe="the command line") from None
    return {key: getattr(data, key) for key in values["data"] if key != "path"}


def to_yaml(recipe: Recipe, **extra: Any) -> str:
    """The recipe with every default written out, and `extra` top-level keys, as YAML."""
    values = recipe.model_dump(mode="json") | extra
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)


def differing_keys(one: Recipe, other: Recipe) -> list[str]:
    """Dotted keys in which two recipes differ and that change what is learnt or how it is scored."""
    a, b = (_flatten(recipe.model_dump(mode="json")) for recipe in (one, other))
    keys = sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key))
    return [key for key in keys if not any(f"{key}.".startswith(f"{free}.") for free in _NOT_THE_MATHS)]


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars: `1e-5` is a number and `no` (a language code) is a string."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rsplit(":", 1)[1] not in ("bool", "float")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$", re.I), list("tTfF"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.\d*([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?|\d+[eE][-+]?\d+|\.(inf|nan))$"),
    list("-+.0123456789"),
)


def _read_with_parents(path: Path, *, seen: tuple[Path, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    """The merged mapping of a recipe file and its ancestors, and the `file:line` of every dotted key."""
    path = path.resolve() if path.exists() else path
    if path in seen:
        raise UserError("the recipe extends itself", where=str(path), fix="remove one `extends`")
    values, origin = _read_yaml(path)
    parent = values.pop("extends", None)
    if parent is None:
        return values, origin
    if not isinstance(parent, str):
        raise UserError("`extends` must be the name of one file", where=origin["extends"])
    base, base_origin = _read_with_parents(path.parent / parent, seen=(*seen, path))
    return _merge(base, values), base_origin | origin


def _read_yaml(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    shown = _shown(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError("there is no such recipe", where=shown, fix=_recipes_nearby(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the recipe cannot be read: {error}", where=shown) from None
    try:
        root = yaml.compose(text, Loader=_Loader)
        values = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{shown}:{mark.line + 1}" if mark else shown
        raise UserError(f"not valid YAML: {getattr(error, 'problem', error)}", where=where) from None
    if not isinstance(values, dict):
        raise UserError("a recipe is a mapping of keys to values", where=shown)
    origin: dict[str, str] = {}
    _note_lines(root, "", shown, origin)
    return values, origin


def _note_lines(node: yaml.Node | None, prefix: str, shown: str, origin: dict[str, str]) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        dotted, where = f"{prefix}{key.value}", f"{shown}:{key.start_mark.line + 1}"
        if dotted in origin:
            raise UserError(f"key `{dotted}` stands twice", where=where, fix=f"first at {origin[dotted]}")
        origin[dotted] = where
        _note_lines(value, f"{dotted}.", shown, origin)


def _merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merge(base[key], value) if both else value
    return merged


def _override(values: dict[str, Any], origin: dict[str, str], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"`{text}` is not an override", fix="write dotted.key=value, such as train.epochs=1")
    try:
        parsed = yaml.load(value, Loader=_Loader)
    except yaml.YAMLError as error:
        raise UserError(
            f"the value is not valid YAML: {getattr(error, 'problem', error)}", where=f"override {text}"
        ) from None
    *parents, leaf = key.split(".")
    node = values
    for depth, name in enumerate(parents, start=1):
        below = node.setdefault(name, {})
        if not isinstance(below, dict):
            raise UserError(
                f"`{'.'.join(parents[:depth])}` has no keys below it",
                where=f"override {text}",
                fix=_nearest(key),
            )
        node = below
    node[leaf] = parsed
    for name in (key, *_ancestors(key)):
        origin.setdefault(name, f"override {text}")
    origin[key] = f"override {text}"


def _as_user_error(error: ValidationError, *, origin: dict[str, str], recipe: str) -> UserError:
    """The first problem that pydantic found, said in the words of the recipe."""
    first = error.errors()[0]
    known = _known_keys()
    parts = [str(part) for part in first["loc"]]
    # Pydantic adds the branches of a union to the location; the user knows only the keys.
    depth = max((i for i in range(len(parts) + 1) if ".".join(parts[:i]) in known), default=0)
    if first["type"] == "extra_forbidden":
        depth = len(parts)
    key = ".".join(parts[:depth])
    where = origin.get(key) or next(
        (origin[parent] for parent in _ancestors(key) if parent in origin), recipe
    )
    if first["type"] == "extra_forbidden":
        return UserError(f"unknown key `{key}`", where=where, fix=_nearest(key))
    if first["type"] == "missing":
        return UserError(f"key `{key}` is missing", where=recipe, fix=f"add it or pass {key}=VALUE")
    about = [problem for problem in error.errors() if problem["loc"][:depth] == first["loc"][:depth]]
    message = " or ".join(dict.fromkeys(_message(problem) for problem in about))
    given = "" if isinstance(first["input"], dict) else f" (it is {first['input']!r})"
    return UserError(f"`{key}` {message}{given}" if key else message, where=where)


def _message(problem: Any) -> str:
    text = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return text[0].lower() + text[1:]


def _ancestors(key: str) -> list[str]:
    parts = key.split(".")
    return [".".join(parts[:depth]) for depth in range(len(parts) - 1, 0, -1)]


def _known_keys(section: type[BaseModel] = Recipe, prefix: str = "") -> set[str]:
    keys = set()
    for name, field in section.model_fields.items():
        keys.add(f"{prefix}{name}")
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys |= _known_keys(field.annotation, f"{prefix}{name}.")
    return keys


def _nearest(key: str) -> str:
    known = sorted(_known_keys())
    leaf = key.rsplit(".", 1)[-1]
    same_leaf = [name for name in known if name.rsplit(".", 1)[-1] == leaf]
    close = same_leaf or difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if not close:
        leaves = {name.rsplit(".", 1)[-1]: name for name in known}
        close = [leaves[name] for name in difflib.get_close_matches(leaf, leaves, n=1, cutoff=0.6)]
    return f"did you mean `{close[0]}`?" if close else "see ner_dist/recipe.py for the keys there are"


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _shown(path: Path) -> str:
    """The path as the user would type it: relative to where they are, if it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _recipes_nearby(path: Path) -> str:
    folder = path.parent if path.parent.is_dir() else Path("recipes")
    names = sorted(item.name for item in folder.glob("*.yaml"))
    return f"{folder} holds {', '.join(names)}" if names else "name a YAML file, such as recipes/full.yaml"
