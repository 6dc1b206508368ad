"""How much F1 varies between seeds, borrowed from earlier runs for models with one run each.

Runs whose recipes differ in nothing but `train.seed` are seeds of one recipe. Their variances are pooled over
the recipes, weighted by their degrees of freedom, runs less one each. The spread of few runs is itself
uncertain: its degrees of freedom make intervals wider.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.comparison.claims import SeedSpread
from ner_dist.errors import UserError
from ner_dist.files import printable
from ner_dist.formatting import counted, known
from ner_dist.recipe_file import differing_keys, load_recipe
from ner_dist.run.directory import Run, read_results

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ner_dist.recipe import Recipe

log = logging.getLogger(__name__)

_WHERE = "--seed-sd-from"


def earlier_spread(folders: Sequence[str | Path], split: str, recipes: Collection[Recipe]) -> SeedSpread:
    """The standard deviation of F1 between seeds in all complete runs at and below some folders.

    Args:
        folders: runs, or folders of runs.
        split: split whose F1 is taken.
        recipes: those of the compared models. Earlier runs of other data or another encoder are warned of.

    Raises:
        UserError: a folder does not exist, or no recipe has runs of two seeds.
    """
    families: list[tuple[Recipe, dict[int, float]]] = []
    for run in _complete_runs(folders):
        recipe = load_recipe(run.recipe)
        f1 = (read_results(run).get(split) or {}).get("f1")
        if not known(f1):
            continue
        own = next((seeds for other, seeds in families if _one_recipe(other, recipe)), None)
        if own is None:
            families.append((recipe, own := {}))
        own[recipe.train.seed] = f1
    several = [(recipe, [*seeds.values()]) for recipe, seeds in families if len(seeds) > 1]
    if not several:
        raise UserError(
            "holds no recipe with complete runs of two seeds or more",
            where=f"{_WHERE} {', '.join(map(printable, map(Path, folders)))}",
            fix="name runs whose recipes differ in train.seed only, or give their --seed-sd",
        )
    squares = sum(float(np.var(f1)) * len(f1) for _, f1 in several)
    runs = sum(len(f1) for _, f1 in several)
    degrees = runs - len(several)
    _warn_of_others([recipe for recipe, _ in several], recipes)
    sd = float(np.sqrt(squares / degrees))
    log.info("F1 varies by %.4f between seeds, by %s", sd, counted(runs, "earlier run"))
    return SeedSpread(sd, degrees=degrees, runs=runs)


def _complete_runs(folders: Sequence[str | Path]) -> list[Run]:
    found: dict[Path, Run] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise UserError(
                "there is no such folder", where=f"{_WHERE} {printable(folder)}", fix="name a folder of runs"
            )
        for path in sorted(folder.rglob("results.json")):
            run = Run(path.parent)
            if run.complete and run.recipe.exists():
                found.setdefault(path.parent.resolve(), run)
    return [*found.values()]


def _one_recipe(one: Recipe, other: Recipe) -> bool:
    return {*differing_keys(one, other)} <= {"name", "train.seed"}


def _warn_of_others(earlier: Sequence[Recipe], compared: Collection[Recipe]) -> None:
    """Warn of earlier runs of data or encoders that no compared model has: their seeds may vary otherwise."""
    there, here = (
        {"data": {each.data.path for each in group}, "encoder": {each.model.name for each in group}}
        for group in (earlier, compared)
    )
    for what, names in there.items():
        if compared and (other := names - here[what]):
            log.warning(
                "%s: these runs have another %s than the models (%s): seeds may vary otherwise there",
                *(_WHERE, what, ", ".join(sorted(map(printable, other)))),
            )
