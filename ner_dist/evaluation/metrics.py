"""Counting entities: exact, vectorised, and equal to seqeval in both of its modes.

Tags come flat: `tags` holds the label ids of all words of all sentences, and sentence i has the words
`offsets[i]:offsets[i + 1]`. The two schemes are named in every table:

- strict IOB2 (seqeval `mode="strict", scheme=IOB2`): an entity is a B- and the I- of its type that follow;
  an I- that continues nothing is no entity.
- lenient (seqeval's default, after CoNLL's `conlleval`): an I- that continues nothing starts an entity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from ner_dist.labels import UNLABELLED, LabelSet, Spans, extract_spans

STRICT = "strict IOB2"
LENIENT = "lenient (seqeval default)"


@dataclass(frozen=True)
class Counts:
    """Entities found and right, predicted, and in the gold; int64 [types], in the label set's order."""

    true_positive: np.ndarray
    predicted: np.ndarray
    gold: np.ndarray

    def __add__(self, other: Counts) -> Counts:
        return Counts.from_array(self.as_array() + other.as_array())

    def as_array(self) -> np.ndarray:
        """int64 [3, types]: true positives, predicted, gold."""
        return np.stack([self.true_positive, self.predicted, self.gold])

    @classmethod
    def from_array(cls, array: np.ndarray) -> Counts:
        return cls(*np.asarray(array, dtype=np.int64))


def sentence_of(words: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The sentence in which each word stands; words are counted over all sentences."""
    return np.searchsorted(offsets, words, side="right") - 1


Figure = TypeVar("Figure")


@dataclass(frozen=True)
class PrecisionRecallF1(Generic[Figure]):
    """The three figures of a set of entities: numbers, or what is known of each number."""

    precision: Figure
    recall: Figure
    f1: Figure


@dataclass(frozen=True)
class TypeScores:
    """Scores of one entity type; `support` is the number of its gold entities."""

    precision: float
    recall: float
    f1: float
    support: float


@dataclass(frozen=True)
class EntityScores:
    """Scores of entities: micro averages, macro averages, and type by type."""

    precision: float
    recall: float
    f1: float
    macro: PrecisionRecallF1[float]
    per_type: dict[str, TypeScores]


def matches(gold: Spans, predicted: Spans) -> np.ndarray:
    """Mask of the gold entities that were predicted with the same words and type, bool [n]."""
    if not len(predicted.start):
        return np.zeros(len(gold.start), dtype=bool)
    # At most one entity starts at a word.
    nearest = np.minimum(np.searchsorted(predicted.start, gold.start), len(predicted.start) - 1)
    result: np.ndarray = (
        (predicted.start[nearest] == gold.start)
        & (predicted.end[nearest] == gold.end)
        & (predicted.type[nearest] == gold.type)
    )
    return result


def labelled_only(
    gold: np.ndarray, predicted: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gold and predicted tags, int [w] each, and offsets, of the words that have a gold label."""
    kept = gold != UNLABELLED
    if kept.all():
        return gold, predicted, offsets
    return gold[kept], predicted[kept], np.concatenate([[0], np.cumsum(kept)])[offsets]


def count(
    gold: np.ndarray, predicted: np.ndarray, offsets: np.ndarray, labels: LabelSet, *, strict: bool
) -> Counts:
    """Compare predicted with gold tags, both int [W]; words whose gold is `UNLABELLED` are left out."""
    gold, predicted, offsets = labelled_only(gold, predicted, offsets)
    of_gold = extract_spans(gold, offsets, labels, strict=strict)
    of_predicted = extract_spans(predicted, offsets, labels, strict=strict)
    right = of_gold.type[matches(of_gold, of_predicted)]
    by_kind = (right, of_predicted.type, of_gold.type)
    return Counts(*(np.bincount(types, minlength=len(labels.types)) for types in by_kind))


def count_per_sentence(
    gold: np.ndarray, predicted: np.ndarray, offsets: np.ndarray, labels: LabelSet, *, strict: bool
) -> np.ndarray:
    """The counts of each sentence, int32 [N, 3, types]: true positives, predicted, gold.

    Their sum over any choice of sentences gives that choice's scores, which is what resampling needs.
    """
    gold, predicted, offsets = labelled_only(gold, predicted, offsets)
    of_gold = extract_spans(gold, offsets, labels, strict=strict)
    of_predicted = extract_spans(predicted, offsets, labels, strict=strict)
    right = matches(of_gold, of_predicted)
    by_kind = (
        (of_gold.start[right], of_gold.type[right]),
        (of_predicted.start, of_predicted.type),
        (of_gold.start, of_gold.type),
    )
    counts = np.zeros((len(offsets) - 1, 3, len(labels.types)), dtype=np.int32)
    for row, (start, types) in enumerate(by_kind):
        cells: Any = (sentence_of(start, offsets), row, types)  # numpy's stubs know no such tuple
        np.add.at(counts, cells, 1)
    return counts


def scores(counts: Counts, types: Sequence[str]) -> EntityScores:
    """Precision, recall and F1: micro, macro, and per type with its support.

    0/0 is 0. The macro average is over the types that occur in gold or prediction. Both as in seqeval, but
    where no type occurs at all: there seqeval's macro average is NaN, and this one 0.

    Args:
        counts: of the types of a label set.
        types: their names, in the same order.
    """
    each = precision_recall_f1(*counts.as_array())
    total = precision_recall_f1(*counts.as_array().sum(axis=1, keepdims=True))
    # In the order of seqeval, by name, which decides the last digit of an average.
    by_name = sorted(range(len(types)), key=types.__getitem__)
    occurring = [i for i in by_name if counts.gold[i] + counts.predicted[i] > 0]
    macro = {name: float(values[occurring].mean()) if occurring else 0.0 for name, values in each.items()}
    per_type = {
        type_name: TypeScores(
            **{name: float(values[i]) for name, values in each.items()}, support=int(counts.gold[i])
        )
        for i, type_name in enumerate(types)
    }
    micro = {name: float(value[0]) for name, value in total.items()}
    return EntityScores(**micro, macro=PrecisionRecallF1(**macro), per_type=per_type)


def standing(f1: float, loss: float | None) -> tuple[float, float]:
    """The key by which evaluations of one training are ordered: F1, and at equal F1 the lower loss.

    A loss that is NaN, or not known, is worse than any other. Of evaluations that stand alike the later one,
    which has been trained longer, counts as the better.
    """
    return f1, -math.inf if loss is None or math.isnan(loss) else -loss


def token_accuracy(gold: np.ndarray, predicted: np.ndarray) -> float:
    """Share of the labelled words with the right tag."""
    gold, predicted = gold[gold != UNLABELLED], predicted[gold != UNLABELLED]
    return float((gold == predicted).mean()) if len(gold) else 0.0


def precision_recall_f1(
    true_positive: np.ndarray, predicted: np.ndarray, gold: np.ndarray
) -> dict[str, np.ndarray]:
    """Of counts of any one shape, each by itself; 0/0 is 0."""
    precision, recall = _ratio(true_positive, predicted), _ratio(true_positive, gold)
    # From the rounded ratios, not from the counts: seqeval does so, and the last digit would differ.
    f1 = _ratio(2 * precision * recall, precision + recall)
    return {"precision": precision, "recall": recall, "f1": f1}


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.divide(part, whole, out=np.zeros(np.shape(part)), where=whole > 0)
    return result
