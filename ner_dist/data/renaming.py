"""Rename entity types (`--map PERSON=PER`), and suggest names that may mean the same type."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ner_dist.errors import UserError
from ner_dist.labels import OUTSIDE

Renaming = Mapping[str, str | None]
"""The name to use for a type; None counts its entities as O. Types that are not named keep theirs."""

_DROP = (OUTSIDE, "null", "")
_OPTION = "--map"
_LEAST_ALIKE = 0.6


def parse(words: Iterable[str]) -> dict[str, str | None]:
    """Parse `--map` values such as `PERSON=PER,MISC=O`.

    Raises:
        UserError: a value is malformed, or a type has two new names.
    """
    names: dict[str, str | None] = {}
    for word in [part.strip() for each in words for part in each.split(",")]:
        old, equals, new = (part.strip() for part in word.partition("="))
        if not (equals and old):
            fix = "write --map PERSON=PER, or --map MISC=O to leave a type out"
            raise UserError(f"'{word}' is not OLD=NEW", where=_OPTION, fix=fix)
        name = None if new in _DROP else new
        if names.setdefault(old, name) != name:
            raise UserError(f"`{old}` has two new names", where=_OPTION, fix="give it one")
    return names


def check(renaming: Renaming, known: Mapping[str, Sequence[str]]) -> None:
    """Check that every renamed type is known; `known` has the types of each side.

    Raises:
        UserError: no side has a type of that name.
    """
    types = list(dict.fromkeys(name for names in known.values() for name in names))
    for old in renaming:
        if old not in types:
            close = difflib.get_close_matches(old, types, n=1)
            hint = f"did you mean `{close[0]}`? " if close else ""
            each = "; ".join(f"{side} {', '.join(names)}" for side, names in known.items())
            raise UserError(f"neither side has a type `{old}`", where=_OPTION, fix=f"{hint}there are: {each}")


def new_names(types: Sequence[str], renaming: Renaming) -> list[str]:
    """Names of the types after renaming, without repeats, in order of first appearance."""
    return list(dict.fromkeys(name for old in types if (name := renaming.get(old, old)) is not None))


def places(types: Sequence[str], renaming: Renaming, among: Sequence[str]) -> np.ndarray:
    """Index of each renamed type in another list of types, int16 [types]; -1 if absent."""
    place = {name: index for index, name in enumerate(among)}
    names = [renaming.get(old, old) for old in types]
    return np.array([-1 if name is None else place.get(name, -1) for name in names], dtype=np.int16)


def guessed(types: Sequence[str], others: Sequence[str]) -> list[str]:
    """Pairs of names that may mean one type, in the form of `--map`, the most likely first.

    Args:
        types: those that only one side knows.
        others: those that only the other side knows.
    """
    pairs = sorted(((-_alike(a, b), i, j) for i, a in enumerate(types) for j, b in enumerate(others)))
    found: dict[int, int] = {}
    for score, i, j in pairs:
        if -score >= _LEAST_ALIKE and i not in found and j not in found.values():
            found[i] = j
    return [f"{types[i]}={others[j]}" for i, j in found.items()]


def remedy(types: Sequence[str], others: Sequence[str]) -> str:
    """A hint at `--map` if two sides may name types differently."""
    pairs = guessed(types, others)
    if pairs:
        return f"{_OPTION} {','.join(pairs)} counts them as one"
    return f"{_OPTION} {types[0]}={others[0]} counts two types as one, if they are"


def _alike(one: str, other: str) -> float:
    """Similarity of two names, from 0 to 1."""
    a, b = (name.casefold().replace("_", "").replace("-", "") for name in (one, other))
    short, long = sorted((a, b), key=len)
    if a == b:
        return 1.0
    if len(short) >= 3 and long.startswith(short):
        return 0.9
    return difflib.SequenceMatcher(None, a, b, autojunk=False).ratio()
