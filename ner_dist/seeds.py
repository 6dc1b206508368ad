"""Several runs of each of two models: which are seeds of one model, and figures as a mean and a spread.

A difference between two single runs may be luck of the seed. Runs whose recipes differ in nothing but
`train.seed` are seeds of one model; a run of A is paired with that of B of the same seed, and the differences
are taken within pairs.
"""

from __future__ import annotations

import logging
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ner_dist.errors import UserError
from ner_dist.recipe_file import differing_keys, load_recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ner_dist.recipe import Recipe
    from ner_dist.run import Run

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seeds:
    """The runs of one model."""

    recipe: Recipe
    """Of its first run; the others have another seed."""
    runs: dict[int, Run]

    @property
    def folders(self) -> str:
        return ", ".join(str(run.folder) for run in self.runs.values())


def two_models(runs: Sequence[Run]) -> tuple[Seeds, Seeds]:
    """The runs as seeds of two models, A being that of the first run.

    Raises:
        UserError: there are fewer or more than two models, a seed of one stands twice, or no seed in both.
    """
    models: list[Seeds] = []
    for run in runs:
        recipe = load_recipe(run.recipe)
        seed = recipe.train.seed
        model = next((model for model in models if _same_but_for_seed(model.recipe, recipe)), None)
        if model is None:
            models.append(Seeds(recipe, {seed: run}))
        elif seed in model.runs:
            raise UserError(
                f"has seed {seed} of {recipe.name}, as has {model.runs[seed].folder}",
                where=str(run.folder),
                fix="name one of them",
            )
        else:
            model.runs[seed] = run
    if len(models) != 2:
        raise UserError(
            f"the runs are of {len(models)} model{'s' * (len(models) > 1)}, not two: {_listed(models)}",
            fix="name the runs of two recipes; runs of one model differ in train.seed only",
        )
    a, b = models
    if not a.runs.keys() & b.runs.keys():
        raise UserError(
            f"the models share no seed: {a.recipe.name} has {_numbers(a.runs)}, "
            f"{b.recipe.name} has {_numbers(b.runs)}",
            fix="train both with the same seeds",
        )
    return a, b


def _same_but_for_seed(one: Recipe, other: Recipe) -> bool:
    return set(differing_keys(one, other)) <= {"train.seed"}


def _listed(models: list[Seeds]) -> str:
    """Every model with its runs, and in what it differs from the first."""
    texts = []
    for model in models:
        keys = [key for key in differing_keys(models[0].recipe, model.recipe) if key != "train.seed"]
        apart = f" (differs in {', '.join(keys[:4])}{', …' if len(keys) > 4 else ''})" if keys else ""
        texts.append(f"{model.recipe.name}{apart} in {model.folders}")
    return "; ".join(texts)


def _numbers(seeds: Any) -> str:
    return ", ".join(map(str, seeds))


def pairs(a: Seeds, b: Seeds) -> list[int]:
    """The seeds that both models were trained with; those of one alone are named in the log."""
    shared = [seed for seed in a.runs if seed in b.runs]
    for name, model in (("A", a), ("B", b)):
        if alone := [seed for seed in model.runs if seed not in shared]:
            log.warning(
                "only %s has seed %s: used for its own figures, not for the difference", name, _numbers(alone)
            )
    return shared


def summary(
    comparisons: dict[int, dict[str, Any]], headlines: dict[str, list[dict[str, Any]]], keys: Sequence[str]
) -> dict[str, Any]:
    """Means and spreads over seeds.

    Args:
        comparisons: of each pair, by seed, as `compare` makes it for two runs.
        headlines: of every run of each model, paired or not.
        keys: the figures that B - A is taken of.

    Returns:
        `mean` and `spread`, each with `headline` and `shared` as in one comparison, `shared` also with the
        paired `difference` B - A. A spread is the sample standard deviation; None of a single value.
    """
    shared = {name: [pair["shared"][name] for pair in comparisons.values()] for name in ("A", "B")}
    shared["difference"] = [
        {key: b[key] - a[key] for key in keys} for a, b in zip(shared["A"], shared["B"], strict=True)
    ]
    groups = {"headline": headlines, "shared": shared}
    return {
        word: {
            group: {name: _over(trees, figure) for name, trees in sides.items()}
            for group, sides in groups.items()
        }
        for word, figure in (("mean", statistics.fmean), ("spread", _deviation))
    }


def _deviation(values: list[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def _over(trees: list[Any], figure: Callable[[list[float]], float | None]) -> Any:
    """One tree of the same shape, with `figure` of the values at each place."""
    if isinstance(trees[0], dict):
        return {key: _over([tree[key] for tree in trees if key in tree], figure) for key in trees[0]}
    known = [value for value in trees if value is not None]
    return figure(known) if known else None
