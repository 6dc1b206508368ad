"""Recipes that an experiment trains besides those that are named: third models.

If two recipes differ in their labels and in their training, the third model has the training of the first and
the labels of the second, and the reverse model the other two (`comparison/third_models.py` says what for).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ner_dist.errors import UserError
from ner_dist.recipe_file import differ_in_labels_only, load_recipe
from ner_dist.yaml_text import flow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.recipe import Recipe

Third = Literal["one", "both"]
"""The third model, or the reverse one too."""


@dataclass(frozen=True)
class Variant:
    """A recipe with changes."""

    path: str
    """The recipe's file, as the user gave it."""
    changes: tuple[str, ...]
    """As `key=value`, besides those that the user wants in all recipes."""
    recipe: Recipe
    """All changes applied."""


def third_variants(named: Sequence[Variant], overrides: Sequence[str], third: Third) -> list[Variant]:
    """The third model of two recipes and, with `both`, the reverse one.

    Args:
        named: the two recipes.
        overrides: what the user changes in all recipes.
        third: which ones.

    Raises:
        UserError: there are not two recipes, or nothing for a third model to part.
    """
    if len(named) != 2:
        raise UserError(
            f"parts the difference of two recipes, and {len(named)} are named",
            where="--third",
            fix="name two",
        )
    if given := [text for text in overrides if text.startswith(("name=", "labels="))]:
        raise UserError(f"`{given[0]}` would be the same for all models", where="--third", fix="leave it out")
    first, second = (each.recipe for each in named)
    if first.labels == second.labels:
        raise UserError(
            "both recipes have the same `labels`, so there are no others to learn",
            where="--third",
            fix="leave out this option",
        )
    if differ_in_labels_only(first, second):
        raise UserError(
            "the recipes differ in their labels only, so their difference is that of the labels already",
            where="--third",
            fix="leave out this option",
        )
    if second.labels == "all":
        raise UserError(
            "`labels: all` names no types that another recipe could learn",
            where=named[1].path,
            fix="list the types in `labels`, or name this recipe first",
        )
    pairs = [(named[0], second)] + ([(named[1], first)] if third == "both" else [])
    return [_with_labels(trained, labelled, overrides) for trained, labelled in pairs]


def _with_labels(trained: Variant, labelled: Recipe, overrides: Sequence[str]) -> Variant:
    name = f"{trained.recipe.name}-labels-of-{labelled.name}"
    changes = (f"name={flow(name)}", f"labels={flow(labelled.labels)}")
    return Variant(trained.path, changes, load_recipe(trained.path, [*overrides, *changes]))
