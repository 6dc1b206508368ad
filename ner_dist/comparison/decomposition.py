"""Decompose the gap between two headline scores into label set, sentences and model.

The headline of a model is its F1 on its own labels and sentences. A path of five steps leads from the
headline of A to that of B, and each step changes one thing:

    A own -> A on the shared types -> A on the shared types and sentences
          -> B on the shared types and sentences -> B on the shared types -> B own

The first and the last step belong to the label set, the second and the fourth to the sentences, the third to
the model. The sum telescopes, so the parts add up to the gap exactly.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ner_dist.comparison.scores import strict_scores
from ner_dist.evaluation.json_form import key
from ner_dist.labels import look_up

if TYPE_CHECKING:
    from ner_dist.comparison.aligned import AlignedPredictions
    from ner_dist.comparison.predictions import Predictions


@dataclass(frozen=True)
class DecompositionStep:
    """F1 after one step of the path from one headline to the other."""

    what: str
    f1: float


@dataclass(frozen=True)
class Decomposition:
    """Parts of the gap between a model's headline F1 and that of `base`; the three parts add up to `gap`."""

    base: str = field(metadata=key("from"))
    """The first model."""
    gap: float
    label_set: float
    sentences: float
    """Includes the effect of gold tags that differ between the models."""
    model: float
    steps: list[DecompositionStep]


def decomposition(own: dict[str, list[Predictions]], aligned: AlignedPredictions) -> dict[str, Decomposition]:
    """By further model: its gap to the first model in F1 (micro, strict IOB2, means over runs), in parts."""
    first, *others = aligned.models
    ways = {model: _way(own[model], aligned, model) for model in aligned.models}
    return {model: _gap(first, ways[first], model, ways[model]) for model in others}


def _way(own: list[Predictions], aligned: AlignedPredictions, model: str) -> list[float]:
    """A model's F1 on its own labels and sentences, on the shared types, on the shared sentences too."""
    whole = [run.scores for run in own]
    projected = []
    for run in own:
        onto = run.labels.projection(aligned.labels)
        gold = look_up(onto, run.gold)
        projected.append(strict_scores(gold, onto[run.predicted], run.offsets, aligned.labels))
    return [statistics.fmean(run.f1 for run in runs) for runs in (whole, projected, aligned.scores[model])]


def _gap(a: str, way_of_a: list[float], b: str, way_of_b: list[float]) -> Decomposition:
    a_own, a_projected, a_shared = way_of_a
    b_own, b_projected, b_shared = way_of_b
    grounds = ("on its own labels and sentences", "on the shared types", "on the shared types and sentences")
    path = [(a, aligned, f1) for aligned, f1 in zip(grounds, way_of_a, strict=True)]
    path += [(b, aligned, f1) for aligned, f1 in zip(grounds, way_of_b, strict=True)][::-1]
    return Decomposition(
        base=a,
        gap=b_own - a_own,
        label_set=(a_projected - a_own) + (b_own - b_projected),
        sentences=(a_shared - a_projected) + (b_projected - b_shared),
        model=b_shared - a_shared,
        steps=[DecompositionStep(f"{model} {aligned}", f1) for model, aligned, f1 in path],
    )
