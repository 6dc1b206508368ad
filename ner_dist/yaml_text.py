"""YAML from outside: read within bounds of size, depth and aliases, and written so that it is read back.

Scalars of recipes are those of YAML 1.2: `1e-5` is a number and `no` (a language code) is a string.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

_MOST_NODES = 100_000
"""Values of a file; a few hundred bytes of aliases to aliases stand for billions."""
_LONGEST = 1 << 20
"""Characters of a file."""
_MOST_DIGITS = 100
"""Digits of a whole number; Python refuses to print those of thousands."""


_ENDLESS = f"a whole number of more than {_MOST_DIGITS} digits"


class _Bounded(yaml.SafeLoader):
    """YAML 1.1, as other tools read it. Names the value in every error."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep=deep)
        except (ValueError, LookupError, AttributeError, TypeError):
            # The 31st of June, `0b_`, or `!!bool foo`.
            raise _problem(_not_what_it_is_marked_as(node), node) from None
        if isinstance(value, int) and value.bit_length() > _MOST_DIGITS * 10 // 3:
            raise _problem(_ENDLESS, node)
        if isinstance(value, str) and re.search("[\0\ud800-\udfff]", value):
            what = "NUL" if "\0" in value else "half of a surrogate pair (\\ud800 to \\udfff)"
            raise _problem(f"{what} in a text", node)
        return value


def _not_what_it_is_marked_as(node: yaml.Node) -> str:
    kind = node.tag.rpartition(":")[2]
    if kind == "int" and len(str(node.value)) > _MOST_DIGITS:
        return _ENDLESS
    names = {"int": "a whole number", "float": "a number", "bool": "true or false", "timestamp": "a date"}
    return f"`{node.value!s:.40}` is read as {names.get(kind, node.tag)}, which it is not"


class _Loader(_Bounded):
    """YAML 1.2's scalars."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rsplit(":", 1)[1] not in ("bool", "float")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$", re.I), list("tTfF"))


class _Dumper(yaml.SafeDumper):
    """Quotes a text that either version of YAML would read as something else."""


for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(\d+\.\d*([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?|\d+[eE][-+]?\d+|\.(inf|nan))$"),
        list("-+.0123456789"),
    )


def _problem(what: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=what, problem_mark=node.start_mark)


def read_bounded(path: Path) -> str:
    """The text of a file.

    Raises:
        OSError, UnicodeDecodeError: it cannot be read.
        yaml.YAMLError: it is longer than anything that people write.
    """
    with path.open(encoding="utf-8") as file:
        text = file.read(_LONGEST + 1)
    if len(text) > _LONGEST:
        raise yaml.YAMLError(f"it holds more than {_LONGEST:,} characters")
    return text


def parsed(text: str, loader: type[yaml.SafeLoader] = _Loader) -> tuple[yaml.Node | None, Any]:
    """The tree of a YAML text, and its value.

    Raises:
        yaml.YAMLError: it is not valid, or would be endless. A fault of a value names its key.
    """
    root = None
    try:
        root = yaml.compose(text, Loader=loader)
        if root is None:
            return None, None
        if _size(root, {}, ()) > _MOST_NODES:
            raise yaml.YAMLError(f"its aliases stand for more than {_MOST_NODES:,} values")
        return root, loader("").construct_document(root)
    except RecursionError:
        raise yaml.YAMLError("its values are nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        if root is not None and error.problem_mark and (key := _key_at(root, error.problem_mark)):
            error.problem = f"`{key:.100}`: {error.problem}"
        raise


def problem_of(error: yaml.YAMLError) -> tuple[str, int | None]:
    """What is wrong with a YAML text, and its line from 1 where that is known."""
    mark = getattr(error, "problem_mark", None)
    return str(getattr(error, "problem", None) or error), mark.line + 1 if mark else None


def load(text: str) -> Any:
    """The value of a YAML text, with the scalars of YAML 1.1.

    Raises:
        yaml.YAMLError: as `parsed`.
    """
    return parsed(text, _Bounded)[1]


def _size(node: yaml.Node, known: dict[int, int], above: tuple[int, ...]) -> int:
    """The number of values in a tree, every alias counted as the values it stands for.

    Args:
        node: the root of the tree.
        known: sizes of trees that were counted before, by `id`.
        above: `id` of the nodes that hold this one.

    Raises:
        yaml.YAMLError: the tree holds itself.
    """
    if id(node) in above:
        raise _problem("an alias stands for itself", node)
    if id(node) not in known:
        inside = node.value if isinstance(node, yaml.SequenceNode) else ()
        if isinstance(node, yaml.MappingNode):
            inside = [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_size(part, known, (*above, id(node))) for part in inside)
    return known[id(node)]


def _key_at(node: yaml.Node, mark: yaml.Mark, prefix: str = "", depth: int = 6) -> str | None:
    """The dotted key of the value at a mark."""
    if not isinstance(node, yaml.MappingNode) or not depth:
        return None
    for key, value in node.value:
        named = f"{prefix}{key.value}"
        if value.start_mark.index <= mark.index < max(value.end_mark.index, value.start_mark.index + 1):
            return _key_at(value, mark, f"{named}.", depth - 1) or named
    return None


def dump(values: Any, **style: Any) -> str:
    """Values as YAML, in their order."""
    text: str = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, **style)
    return text


def flow(value: Any) -> str:
    """A value as YAML on one line."""
    text = dump([value], default_flow_style=True, width=10**9).strip()[1:-1]
    if re.search("[\n\x85\u2028\u2029]", text):
        # YAML folds ends of lines inside its quotes. JSON, which is YAML too, escapes them, or is helped to.
        text = json.dumps(value, ensure_ascii=False)
        text = re.sub("[\x7f-\x9f\u2028\u2029\ufeff]", lambda match: f"\\u{ord(match[0]):04x}", text)
    return text
