"""Scores of tags on one gold, and their mean and deviation over the runs of a model."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ner_dist.evaluation import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from ner_dist.labels import LabelSet

Tree = TypeVar("Tree")


@dataclass(frozen=True)
class Scores(metrics.EntityScores):
    """Scores in strict IOB2: micro averages, macro averages, and type by type."""

    accuracy: float
    """Share of words with the correct tag."""

    def overall(self) -> dict[str, float]:
        """The figures over all types by name; `macro_f1` is the mean of the types' F1."""
        return {
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "macro_f1": self.macro.f1,
            "accuracy": self.accuracy,
        }


def strict_scores(gold: np.ndarray, predicted: np.ndarray, offsets: np.ndarray, labels: LabelSet) -> Scores:
    """Score predicted tags in strict IOB2.

    Args:
        gold: label ids, int [W].
        predicted: label ids, int [W].
        offsets: int64 [N+1]: first words of the sentences.
        labels: the label set of the ids.
    """
    counts = metrics.count(gold, predicted, offsets, labels, strict=True)
    return scores_of(counts, labels, metrics.token_accuracy(gold, predicted))


def scores_of(counts: metrics.Counts, labels: LabelSet, accuracy: float) -> Scores:
    """Scores from entity counts by type."""
    return Scores(**vars(metrics.scores(counts, labels.types)), accuracy=accuracy)


def mean(trees: Sequence[Tree]) -> Tree:
    """The means of figures in trees of one shape; None where any figure is unknown.

    A tree is a dataclass or a dictionary of figures and trees.
    """
    averaged: Tree = _over(trees, _mean)
    return averaged


def std(trees: Sequence[Tree]) -> Tree | None:
    """The sample standard deviations of figures in trees; None for a single tree."""
    return _over(trees, _deviation) if len(trees) > 1 else None


def _over(trees: Sequence[Any], figure: Callable[[list[Any]], Any]) -> Any:
    first = trees[0]
    if is_dataclass(first):
        names = [field.name for field in fields(first)]
        made = {name: _over([getattr(tree, name) for tree in trees], figure) for name in names}
        return first.__class__(**made)
    if isinstance(first, dict):
        return {key: _over([tree[key] for tree in trees], figure) for key in first}
    return None if None in trees else figure(list(trees))


def _mean(values: list[Any]) -> Any:
    # Equal values are returned unchanged: a support stays a whole number, and a single run keeps its figures.
    return values[0] if values.count(values[0]) == len(values) else statistics.fmean(values)


def _deviation(values: list[Any]) -> float:
    return float(statistics.stdev(values))
