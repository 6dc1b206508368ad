"""The recipes that come with ner_dist: listed, and printed to be changed."""

from __future__ import annotations

import difflib
from itertools import takewhile
from pathlib import Path

from ner_dist.errors import UserError
from ner_dist.recipe_file import values_as_yaml
from ner_dist.shipped import shipped_recipes


def overview() -> str:
    """The shipped recipes, one on each line: its name and the first line of its comment."""
    recipes = shipped_recipes()
    width = max(map(len, recipes), default=0)
    lines = [f"{name:{width}}  {_comment(path)[0].removeprefix('# ')}" for name, path in recipes.items()]
    return "\n".join([*lines, "", "Copy one and change it: ner-dist recipes full > mine.yaml"])


def recipe_text(name: str) -> str:
    """A shipped recipe as the text of a file that needs no other: what it extends is written out.

    Raises:
        UserError: there is none of this name.
    """
    recipes = shipped_recipes()
    path = recipes.get(name.removesuffix(".yaml"))
    if path is None:
        close = difflib.get_close_matches(name, recipes, n=1)
        fix = f"did you mean {close[0]}?" if close else f"there are {', '.join(recipes)}"
        raise UserError(f"no recipe of ner_dist is called {name}", fix=fix)
    text = path.read_text(encoding="utf-8")
    if not any(line.startswith("extends:") for line in text.splitlines()):
        return text
    return "\n".join([*_comment(path), values_as_yaml(path)])


def _comment(path: Path) -> list[str]:
    """The lines of comment that a recipe begins with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return list(takewhile(lambda line: line.startswith("#"), lines))
