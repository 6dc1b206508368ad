"""Scores of some of the entities: by length, by their sentence's length, by whether training showed them."""

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

# The longest that still belongs to each bucket; the last has no end.
_ENTITY_LENGTHS = (1, 2, 3, 4)
_SENTENCE_LENGTHS = (10, 20, 30, 50)
SEEN = ("seen", "seen with another type", "unseen")


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Scores of some of the entities; by what training has shown there is only recall."""

    bucket: str
    precision: float | None = field(default=None, metadata=OPTIONAL)
    recall: float
    f1: float | None = field(default=None, metadata=OPTIONAL)
    support: int
    """Gold entities."""
    predicted: int | None = field(default=None, metadata=OPTIONAL)
    """Predicted entities."""


def by_entity_length(outcomes: Sequence[Outcome]) -> list[Bucket]:
    """Scores by the number of words in an entity: of the gold for recall, of the predicted for precision."""
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
    """Recall by whether the training split shows a gold entity's words as an entity, and of which type.

    Precision has no place here: what is predicted where nothing is was not shown by anything. All types of
    the data count, also those that the model was not taught: for a model of fewer types, "seen with another
    type" may mean that it was taught to see no entity there. Entities of which
    `seen` says nothing, as the gold of the model's own file lacks them, are left out.

    Args:
        outcomes: of a model's runs, all on the aligned gold.
        aligned: has tokens.
        seen: by the words of an entity, the types that training showed for them.
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
    """Place in `SEEN` of every gold entity, int64 [gold]; -1 where it is not known."""
    assert aligned.tokens is not None
    of_gold = entities(aligned.tokens, aligned.gold, aligned.offsets, aligned.labels)
    found = []
    for form, name in chain.from_iterable(of_gold):
        types = seen.get(form)
        found.append(-1 if types is None else 0 if name in types else 1 if types else 2)
    return np.array(found, dtype=np.int64)


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
    """Scores of each bucket, counts summed over the outcomes.

    An entity that is found right lies in the same bucket on both sides.
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
