"""One run's test sentences with gold and predicted tags, flat."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.data.renaming import new_names, places
from ner_dist.data.schemes import renamed
from ner_dist.data.tags import label_ids
from ner_dist.evaluation import metrics
from ner_dist.labels import LabelSet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ner_dist.data.renaming import Renaming


@dataclass(frozen=True)
class Predictions:
    """Sentence i has the words `offsets[i]:offsets[i + 1]` of the flat arrays."""

    source: str
    """The path it was read from, as users typed it; what of it is not UTF-8 is replaced."""
    labels: LabelSet
    gold: np.ndarray
    """int16 [W]: ids in `labels`."""
    predicted: np.ndarray
    """int16 [W]"""
    offsets: np.ndarray = field(repr=False)
    """int64 [N+1]"""
    ids: list[str] | None = None
    """One a sentence, unique; None where the file has none."""
    tokens: list[list[str]] | None = None
    """The words of each sentence; None where the file has none."""
    confidence: np.ndarray | None = None
    """float32 [W]: the probability of each word's predicted tag; None where the file has none."""
    before: Predictions | None = field(default=None, repr=False)
    """The same under the types' own names, if they were renamed."""

    def __len__(self) -> int:
        """Number of sentences."""
        return len(self.offsets) - 1

    @cached_property
    def scores(self) -> dict[str, Any]:
        """The figures of all of it, under the types' own names, as `scoring.strict_scores` has them."""
        if self.before is not None:
            return self.before.scores
        return strict_scores(self.gold, self.predicted, self.offsets, self.labels)

    def rename(self, renaming: Renaming) -> Predictions:
        """The same with other names for types; what has none any more is O."""
        names = new_names(self.labels.types, renaming)
        labels = LabelSet.from_types(names)
        to = places(self.labels.types, renaming, names)
        part_of, type_of = self.labels.coded()
        gold, predicted = (
            label_ids(*renamed(part_of[tags], type_of[tags], self.offsets, to), names, labels)
            for tags in (self.gold, self.predicted)
        )
        return replace(self, labels=labels, gold=gold, predicted=predicted, before=self)

    def take(self, sentences: np.ndarray, labels: LabelSet) -> Predictions:
        """Some sentences, in the order given (int64 [n]), with their tags projected onto `labels`."""
        words, offsets = words_of(sentences, self.offsets)
        projection = self.labels.projection(labels)
        return Predictions(
            source=self.source,
            labels=labels,
            gold=projection[self.gold[words]],
            predicted=projection[self.predicted[words]],
            offsets=offsets,
            ids=None if self.ids is None else [self.ids[i] for i in sentences],
            tokens=None if self.tokens is None else [self.tokens[i] for i in sentences],
            confidence=None if self.confidence is None else self.confidence[words],
        )


def words_of(sentences: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of the words of some sentences, int64 [w], and the offsets of these sentences alone."""
    lengths = np.diff(offsets)[sentences]
    own = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.repeat(offsets[:-1][sentences] - own[:-1], lengths) + np.arange(own[-1]), own


def strict_scores(
    gold: np.ndarray, predicted: np.ndarray, offsets: np.ndarray, labels: LabelSet
) -> dict[str, Any]:
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
