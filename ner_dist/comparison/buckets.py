"""Scores of subsets of the entities: by length, by length of the sentence, by presence in training."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.comparison.matching import CORRECT
from ner_dist.data.training_text import entities
from ner_dist.evaluation.json_form import OPTIONAL
from ner_dist.evaluation.metrics import precision_recall_f1, sentence_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ner_dist.comparison.aligned import AlignedPredictions
    from ner_dist.comparison.matching import Outcome
    from ner_dist.labels import Spans

# Upper ends of the buckets, in words; a last bucket holds everything longer.
_ENTITY_LENGTHS = (1, 2, 3, 4)
_SENTENCE_LENGTHS = (10, 20, 30, 50)
SEEN = ("seen", "seen with another type", "unseen")


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Scores of a subset of the entities; only recall for subsets by presence in training."""

    bucket: str
    precision: float | None = field(default=None, metadata=OPTIONAL)
    recall: float
    f1: float | None = field(default=None, metadata=OPTIONAL)
    support: int
    """Gold entities."""
    predicted: int | None = field(default=None, metadata=OPTIONAL)
    """Predicted entities."""


def by_entity_length(outcomes: Sequence[Outcome]) -> list[Bucket]:
    """Scores by the number of words: recall by those of the gold entity, precision by the predicted one's."""
    return _scores(
        _names(_ENTITY_LENGTHS),
        outcomes,
        lambda spans: np.searchsorted(_ENTITY_LENGTHS, spans.end - spans.start),
    )


def by_sentence_length(outcomes: Sequence[Outcome], offsets: np.ndarray) -> list[Bucket]:
    """Scores by the number of words in an entity's sentence."""
    bucket = np.searchsorted(_SENTENCE_LENGTHS, np.diff(offsets))
    return _scores(
        _names(_SENTENCE_LENGTHS),
        outcomes,
        lambda spans: bucket[sentence_of(spans.start, offsets)],
    )


def by_seen(
    outcomes: Sequence[Outcome], aligned: AlignedPredictions, seen: Mapping[str, frozenset[str]]
) -> list[Bucket]:
    """Recall by whether the words of a gold entity are an entity in the training split, and of which type.

    There is no precision: a spurious entity has no counterpart in the gold to look up. All types of the data
    count, including those that the model did not learn. So for a model of fewer types, "seen with another
    type" may mean that training labelled the words as no entity. Entities missing from `seen`, because the
    gold tags of the model's own file lack them, are left out.

    Args:
        outcomes: of a model's runs, all on the aligned gold tags.
        aligned: must have tokens.
        seen: by the words of an entity, its types in the training split.
    """
    bucket = _seen(aligned, seen)
    known = bucket >= 0
    right = sum(
        np.bincount(bucket[known & (each.kind_of_gold == CORRECT)], minlength=len(SEEN)) for each in outcomes
    )
    support = np.bincount(bucket[known], minlength=len(SEEN)) * len(outcomes)
    recall = precision_recall_f1(np.asarray(right), support, support)["recall"]
    return [
        Bucket(bucket=name, recall=float(recall[i]), support=int(support[i])) for i, name in enumerate(SEEN)
    ]


def _seen(aligned: AlignedPredictions, seen: Mapping[str, frozenset[str]]) -> np.ndarray:
    """Index in `SEEN` of every gold entity, int64 [gold]; -1 if unknown."""
    assert aligned.tokens is not None
    of_gold = entities(aligned.tokens, aligned.gold, aligned.offsets, aligned.labels)
    buckets = []
    for form, name in chain.from_iterable(of_gold):
        types = seen.get(form)
        buckets.append(-1 if types is None else 0 if name in types else 1 if types else 2)
    return np.array(buckets, dtype=np.int64)


def _names(ends: Sequence[int]) -> list[str]:
    """`1`, `2`, ..., `5+` or `1-10`, `11-20`, ..., `51+`."""
    begins = [1, *(end + 1 for end in ends)]
    ranges = [
        str(end) if begin == end else f"{begin}-{end}" for begin, end in zip(begins, ends, strict=False)
    ]
    return [*ranges, f"{begins[-1]}+"]


def _scores(
    names: Sequence[str], outcomes: Sequence[Outcome], bucket_of: Callable[[Spans], np.ndarray]
) -> list[Bucket]:
    """Scores of each bucket, from counts summed over the outcomes.

    A correct entity is in the same bucket as a gold and as a predicted entity.
    """
    counts = np.zeros((3, len(names)), dtype=np.int64)
    for each in outcomes:
        gold, predicted = bucket_of(each.gold), bucket_of(each.predicted)
        for row, buckets in enumerate((gold[each.kind_of_gold == CORRECT], predicted, gold)):
            counts[row] += np.bincount(buckets, minlength=len(names))
    figures = precision_recall_f1(*counts)
    return [
        Bucket(
            bucket=name,
            precision=float(figures["precision"][i]),
            recall=float(figures["recall"][i]),
            f1=float(figures["f1"][i]),
            support=int(counts[2, i]),
            predicted=int(counts[1, i]),
        )
        for i, name in enumerate(names)
    ]
