"""Decompose the gap between two headline scores: other labels, other sentences, or a better model.

A headline is a model's F1 on its own labels and its own sentences. From A's to B's leads a path that changes
one thing a step: A's labels to the shared types, A's sentences to the shared ones, A to B on this same
ground, then B's sentences and B's labels back to its own. The steps add up to the gap whatever the scores
are; each part is the sum of the steps that change its thing.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from ner_dist.comparison.results import Decomposition, DecompositionStep
from ner_dist.comparison.scores import strict_scores
from ner_dist.labels import look_up

if TYPE_CHECKING:
    from ner_dist.comparison.aligned import AlignedPredictions
    from ner_dist.comparison.predictions import Predictions


def decomposition(own: dict[str, list[Predictions]], aligned: AlignedPredictions) -> dict[str, Decomposition]:
    """By further model, its gap to the first in F1 (micro, strict IOB2; means over runs), taken apart."""
    first, *others = aligned.models
    ways = {model: _way(own[model], aligned, model) for model in aligned.models}
    return {model: _gap(first, ways[first], model, ways[model]) for model in others}


def _way(own: list[Predictions], aligned: AlignedPredictions, model: str) -> list[float]:
    """A model's F1 on its own labels and sentences, on the shared types, and on the same ground."""
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
