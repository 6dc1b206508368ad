"""How the compared models were trained: data, encoder, date, and the settings in which they differ."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from ner_dist.files import printable
from ner_dist.recipe_file import differing_keys
from ner_dist.run.provenance import provenance_of
from ner_dist.yaml_text import flow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ner_dist.recipe import Recipe
    from ner_dist.run.directory import Run

_SHOWN_ELSEWHERE = ("name", "train.seed")
"""Keys that the name and the seeds of a model show."""


@dataclass(frozen=True)
class TrainingInfo:
    """The recipe of a model's runs."""

    data: str
    """`data.path`"""
    language: str | None
    """`data.language`"""
    encoder: str
    """`model.name`"""
    dates: list[str | None]
    """The day on which each run was first started, such as 2026-11-30; None if unknown."""
    differing: dict[str, str]
    """Values as YAML, by dotted key, of the settings in which the models' recipes differ."""


def trainings(
    runs: Mapping[str, Sequence[Run | None]], recipes: Mapping[str, Recipe]
) -> dict[str, TrainingInfo | None]:
    """The training of each model; None for one without a recipe.

    Args:
        runs: by model: its runs, which differ in their seed only; None for a plain file.
        recipes: of the first run of each model that has one.
    """
    pairs = combinations(recipes.values(), 2)
    differing = sorted({key for pair in pairs for key in differing_keys(*pair)} - {*_SHOWN_ELSEWHERE})
    found: dict[str, TrainingInfo | None] = dict.fromkeys(runs)
    for model, recipe in recipes.items():
        found[model] = TrainingInfo(
            data=printable(recipe.data.path),
            language=recipe.data.language,
            encoder=printable(recipe.model.name),
            dates=[_date(run) for run in runs[model] if run is not None],
            differing={key: flow(_value(recipe, key)) for key in differing},
        )
    return found


def _date(run: Run) -> str | None:
    """The day of the first start, in UTC."""
    provenance = provenance_of(run) or {}
    first = next(iter(provenance.get("earlier_starts") or []), provenance)
    started = first.get("started")
    return None if started is None else str(started)[: len("2026-11-30")]


def _value(recipe: Recipe, key: str) -> Any:
    value: Any = recipe.model_dump(mode="json")
    for name in key.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
