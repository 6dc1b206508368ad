"""The figures of one run's predictions, and of several runs together as mean and spread."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from ner_dist import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from ner_dist.labels import LabelSet


def score(gold: np.ndarray, predicted: np.ndarray, offsets: np.ndarray, labels: LabelSet) -> dict[str, Any]:
    """`metrics.scores` in strict IOB2, with `accuracy` over words. Tags are int [W], offsets int64 [N+1]."""
    counts = metrics.count(gold, predicted, offsets, labels, strict=True)
    return metrics.scores(counts, labels.types) | {"accuracy": metrics.token_accuracy(gold, predicted)}


def mean(trees: Sequence[Any]) -> Any:
    """One tree of figures of the same shape, with the mean at each place; None where any is not known."""
    return _over(trees, _mean)


def spread(trees: Sequence[Any]) -> Any:
    """The sample standard deviation at each place; None of a single tree."""
    return _over(trees, _deviation) if len(trees) > 1 else None


def _over(trees: Sequence[Any], figure: Callable[[list[Any]], Any]) -> Any:
    if isinstance(trees[0], dict):
        return {key: _over([tree[key] for tree in trees], figure) for key in trees[0]}
    return None if None in trees else figure(list(trees))


def _mean(values: list[Any]) -> Any:
    # Of equal values it is their value: a support stays a whole number, a single run's figures stay its own.
    return values[0] if values.count(values[0]) == len(values) else statistics.fmean(values)


def _deviation(values: list[Any]) -> float:
    return float(statistics.stdev(values))


def at(tree: Any, place: Sequence[str]) -> Any:
    """The figure at a place in nested dictionaries; None where there is none."""
    for name in place:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree
