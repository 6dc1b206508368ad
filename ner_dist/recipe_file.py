"""Read recipes: YAML, `extends` and command-line overrides, with the location of every key.

A recipe is a YAML file with the keys of `recipe.Recipe`. It may extend another recipe
(`extends: full.yaml`, relative to its own folder) and every key can be overridden on the command line
with `dotted.key=value`, the value being YAML. Either changes the keys that it names and no others, so that
an override does what the same key in a recipe that extends this one would do. An unknown key, a wrong type
or a value out of range is a `UserError` that names key and location (`recipe_errors.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import yaml
from pydantic import ValidationError

from ner_dist.errors import UserError
from ner_dist.outside import shown
from ner_dist.recipe import AUTO_KEYS, Recipe, as_begun
from ner_dist.recipe_data import Data
from ner_dist.recipe_errors import ancestors, as_user_error
from ner_dist.shipped import shipped_recipes
from ner_dist.yaml_text import dump, parsed, problem_of, read_bounded

log = logging.getLogger(__name__)

# Keys that may differ between two starts of one run: where it writes, what it reports, how fast it scores.
_RUNTIME_ONLY_KEYS = (
    "output_dir",
    "overwrite",
    "resume",
    "logging",
    "checkpoint",
    "model.compile",
    "model.gradient_checkpointing",
    "data.cache_dir",
    "data.max_file_gb",
    "evaluation.batch_tokens",
)


def load_recipe(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> Recipe:
    """Read a recipe, what it extends, and `dotted.key=value` overrides, in this order of precedence.

    The `provenance` that a run writes into its `recipe.yaml` is ignored, so that such a file is a recipe too.

    Args:
        path: the YAML file.
        overrides: such as `train.epochs=3`.

    Raises:
        UserError: a file cannot be read, or a key or value is wrong; says where.

    Example:
        >>> import ner_dist
        >>> ner_dist.load_recipe("tiny.yaml", ["train.learning_rate=3e-5"]).train.learning_rate
        3e-05
    """
    values, origin, tuned = _read_with_parents(Path(path), seen=())
    values.pop("provenance", None)
    values = _overridden(values, origin, overrides)
    recipe = _validated(values, origin, recipe=_relative(Path(path).resolve()))
    recipe._other_data = {
        key: data
        for key, data in tuned.items()
        if PurePath(data).name.lower() != PurePath(recipe.data.path).name.lower()
        and _at(values, key) != "auto"
        and not origin[key].startswith("override")
    }
    return recipe


def data_section(overrides: list[str], *, of: Path | None = None, path: str | None = None) -> Data:
    """The `data` of the recipe `of`, or of a bare `path`, with `data.key=value` overrides on top."""
    for text in overrides:
        if not text.startswith("data.") or text.startswith("data.path="):
            raise UserError(
                f"`{text}` is not a data setting",
                fix="write data.key=value, such as data.language=en, and name the data itself with --data",
            )
    if of is not None:
        return load_recipe(of, overrides).data
    return bare_recipe(path or "", overrides).data


def bare_recipe(path: str, overrides: list[str]) -> Recipe:
    """A recipe of the data at `path`, with `dotted.key=value` overrides on top of the defaults.

    Raises:
        UserError: an override is wrong.
    """
    values: dict[str, Any] = {"name": "data", "output_dir": ".", "data": {"path": path}}
    origin: dict[str, str] = {}
    values = _overridden(values, origin, overrides)
    return _validated(values, origin, recipe="the command line")


def to_yaml(recipe: Recipe, **extra: Any) -> str:
    """The recipe with every default written out, and `extra` top-level keys, as YAML."""
    values = recipe.model_dump(mode="json") | extra
    return dump(values, width=110)


def values_as_yaml(path: Path) -> str:
    """The keys that a recipe and what it extends set, merged, as YAML without defaults."""
    values, _, _ = _read_with_parents(path, seen=())
    return dump(values, default_flow_style=None, width=110)


def differing_keys(begun: Recipe, asked: Recipe) -> list[str]:
    """Dotted keys in which two recipes differ and that change what is learnt or how it is scored.

    Args:
        begun: that of a run.
        asked: another one; a key that it does not name may have been another one's default then.
    """
    a, b = (_flatten(recipe.model_dump(mode="json")) for recipe in (begun, as_begun(asked, begun)))
    keys = sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key))
    return [key for key in keys if not any(f"{key}.".startswith(f"{free}.") for free in _RUNTIME_ONLY_KEYS)]


def differ_in_labels_only(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes are of one training on different labels, whatever their names and seeds."""
    return {*differing_keys(one, other)} - {"name", "train.seed"} == {"labels"}


_MOST_PARENTS = 50
_DEEPEST = 20
"""Sections in sections of an override; there are three."""
_TUNED = tuple(f"train.{key}" for key in AUTO_KEYS)
"""Keys whose numbers are chosen for one data set."""


def _read_with_parents(
    path: Path, *, seen: tuple[Path, ...]
) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    """Merge a recipe file with its ancestors.

    Returns:
        The merged mapping, the `file:line` of every dotted key, and for each of `_TUNED` that is set the
        `data.path` that was in force in the file that sets it.
    """
    path = path.resolve() if path.exists() else path
    if path in seen:
        raise UserError("the recipe extends itself", where=_relative(path), fix="remove one `extends`")
    values, origin = _read_yaml(path)
    parent = values.pop("extends", None)
    base: dict[str, Any] = {}
    base_origin: dict[str, str] = {}
    tuned: dict[str, str] = {}
    if parent is not None:
        if not isinstance(parent, str):
            raise UserError("`extends` must be the name of one file", where=origin["extends"])
        _check_parent(path.parent / parent, where=origin["extends"], generations=len(seen))
        base, base_origin, tuned = _read_with_parents(path.parent / parent, seen=(*seen, path))
    merged = _merge(base, values)
    data = _at(merged, "data.path")
    here = {key: data for key in _TUNED if key in origin and isinstance(data, str)}
    return merged, base_origin | origin, tuned | here


def _check_parent(parent: Path, *, where: str, generations: int) -> None:
    """Refuse what a recipe cannot extend: a device or a pipe, and more parents than anybody follows."""
    if parent.exists() and not (parent.is_file() or parent.is_dir()):
        raise UserError(f"`extends`: {parent} is no file", where=where, fix="name a YAML file")
    if generations >= _MOST_PARENTS:
        raise UserError(f"the recipe extends more than {_MOST_PARENTS} others", where=where)


def _read_yaml(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    shown = _relative(path)
    try:
        root, values = parsed(read_bounded(path))
    except FileNotFoundError:
        raise UserError("there is no such recipe", where=shown, fix=_recipes_nearby(path)) from None
    except OSError as error:
        raise UserError(f"the recipe cannot be read: {error.strerror}", where=shown) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError("the recipe is not UTF-8", where=f"{shown}:{line}") from None
    except ValueError:  # a NUL in the name
        raise UserError("there is no such recipe", where=shown) from None
    except yaml.YAMLError as error:
        problem, at = problem_of(error)
        raise UserError(f"not valid YAML: {problem}", where=f"{shown}:{at}" if at else shown) from None
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
            raise UserError(f"key `{dotted}` appears twice", where=where, fix=f"first at {origin[dotted]}")
        origin[dotted] = where
        _note_lines(value, f"{dotted}.", shown, origin)


def _merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merge(base[key], value) if both else value
    return merged


def _overridden(values: dict[str, Any], origin: dict[str, str], overrides: Sequence[str]) -> dict[str, Any]:
    """The values with all overrides on top; of two of one key the last counts, and the log says so."""
    last = {text.partition("=")[0]: text for text in overrides}
    for text in overrides:
        values = _override(values, origin, text)
        if (other := last[text.partition("=")[0]]) != text:
            log.warning("override %s is not used: %s comes after it", shown(text), shown(other))
    return values


def _override(values: dict[str, Any], origin: dict[str, str], text: str) -> dict[str, Any]:
    """The values with one override on top; its keys are noted in `origin`."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"`{text}` is not an override", fix="write dotted.key=value, such as train.epochs=1")
    where = f"override {text}"
    if key.count(".") > _DEEPEST:
        raise UserError(f"unknown key `{key}`", where=where, fix="`ner-dist settings` lists all keys")
    try:
        root, tree = parsed(value)
    except yaml.YAMLError as error:
        raise UserError(f"the value is not valid YAML: {problem_of(error)[0]}", where=where) from None
    _note_lines(root, f"{key}.", where, {})  # which refuses a key that is there twice
    for name in reversed(key.split(".")):
        tree = {name: tree}
    for parent in reversed(ancestors(key)):
        if not isinstance(_at(values, parent), dict | None):
            raise UserError(f"`{parent}` has no keys below it", where=where, fix=f"write {parent}=VALUE")
    origin |= dict.fromkeys((key, *_keys_below(tree)), where)
    for parent in ancestors(key):
        origin.setdefault(parent, where)
    return _merge(values, tree)


def _at(values: Any, key: str) -> Any:
    for name in key.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values


def _keys_below(tree: dict[Any, Any], prefix: str = "") -> list[str]:
    """The dotted keys at the ends of a tree of mappings."""
    keys = []
    for name, value in tree.items():
        keys += _keys_below(value, f"{prefix}{name}.") if isinstance(value, dict) else [f"{prefix}{name}"]
    return keys


def _validated(values: dict[str, Any], origin: dict[str, str], *, recipe: str) -> Recipe:
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise as_user_error(error, origin=origin, recipe=recipe) from None


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _relative(path: Path) -> str:
    """The path as the user would type it: relative to where they are, if it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _recipes_nearby(path: Path) -> str:
    if path.stem in shipped_recipes():
        return f"write it with `ner-dist recipes {path.stem} > {path.stem}.yaml`"
    folder = path.parent if path.parent.is_dir() else Path("recipes")
    names = sorted(item.name for item in folder.glob("*.yaml"))
    return f"{folder} holds {', '.join(names)}" if names else "name a YAML file, such as recipes/full.yaml"
