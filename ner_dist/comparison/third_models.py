"""Part the models' part of a gap by a third model: what other labels do, and what another training does.

A model that learns fewer types may learn them better or worse for it. If models A and B differ in their
labels and in their training (data, encoder, settings), their difference on the same ground mixes both. A
third model parts them: C has the training of one and the labels of the other. If C has A's training and B's
labels,

    F1(B) - F1(A) = [F1(C) - F1(A)] + [F1(B) - F1(C)]
                      other labels      other training

holds exactly. The reverse model, with B's training and A's labels, parts it in the other order, with other
results where labels and training act together. Which models these are follows from their recipes: C's recipe
is A's with the labels of B. If the recipes of A and B themselves differ in nothing but their labels, no third
model is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ner_dist.recipe_file import differ_in_labels_only

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ner_dist.comparison.claims import Uncertainty
    from ner_dist.recipe import Recipe


@dataclass(frozen=True)
class DifferencePart:
    """A part of the difference in F1 between two models: the F1 of `of` minus that of `to`."""

    of: str
    to: str
    difference: float
    low: float
    high: float
    significant: bool


@dataclass(frozen=True)
class ThirdModel:
    """What other labels and another training add to the difference of `of` and `to` on the same ground."""

    of: str
    to: str
    third: str | None
    """The model with the training of one and the labels of the other; None if the recipes differ in their
    labels only, so that there is nothing to part."""
    labels: DifferencePart
    training: DifferencePart | None
    """None without a third model."""


def third_models(
    recipes: Mapping[str, Recipe], learnt: Mapping[str, Sequence[str]], uncertainty: Uncertainty
) -> list[ThirdModel]:
    """The third models of each further model and the first one.

    Args:
        recipes: by model, of those that have one.
        learnt: by model: the types that it learns.
        uncertainty: the differences between each two models, with their intervals.
    """
    first, *others = learnt
    found: list[ThirdModel] = []
    for other in others:
        if first not in recipes or other not in recipes:
            continue
        if differ_in_labels_only(recipes[other], recipes[first]):
            if len(others) == 1:
                found.append(ThirdModel(other, first, None, _part(uncertainty, other, first), None))
            continue
        for third in recipes.keys() - {first, other}:
            for of_labels, trained in ((other, first), (first, other)):
                same = differ_in_labels_only(recipes[third], recipes[trained])
                if same and _same_labels(recipes, learnt, third, of_labels):
                    found.append(_parted(uncertainty, other, first, third, trained))
    # The model with the first one's training comes before the reverse model.
    found.sort(key=lambda each: (each.of, each.labels.to != each.to, each.third or ""))
    return found


def _same_labels(
    recipes: Mapping[str, Recipe], learnt: Mapping[str, Sequence[str]], one: str, other: str
) -> bool:
    asked = [recipes[model].labels for model in (one, other)]
    types = [{*learnt[model]} for model in (one, other)]
    # `all` types of one data set may be fewer than those of another.
    return asked[0] == asked[1] or types[0] == types[1]


def _parted(uncertainty: Uncertainty, of: str, to: str, third: str, trained: str) -> ThirdModel:
    """Part the difference by a model with the training of `trained`, one of the two."""
    to_third, from_third = _part(uncertainty, third, to), _part(uncertainty, of, third)
    labels, training = (to_third, from_third) if trained == to else (from_third, to_third)
    return ThirdModel(of, to, third, labels, training)


def _part(uncertainty: Uncertainty, of: str, to: str) -> DifferencePart:
    pair = next(each for each in uncertainty.differences if {each.of, each.to} == {of, to})
    cell = pair.figures.micro.f1
    sign = 1 if pair.of == of else -1
    low, high = sorted((sign * cell.decisive.low, sign * cell.decisive.high))
    return DifferencePart(of, to, sign * cell.difference, low, high, cell.significant)
