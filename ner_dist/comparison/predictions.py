"""The test sentences of one run, with gold and predicted tags in flat arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.comparison.scores import strict_scores
from ner_dist.data.renaming import new_names
from ner_dist.data.tags import renamed_ids
from ner_dist.labels import OUTSIDE, LabelSet, look_up

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ner_dist.comparison.scores import Scores
    from ner_dist.data.renaming import Renaming


@dataclass(frozen=True)
class Predictions:
    """Predictions of one run; sentence i consists of words `offsets[i]:offsets[i + 1]` of the flat arrays."""

    source: str
    """The path it was read from, as typed, in printable characters."""
    labels: LabelSet
    gold: np.ndarray
    """int16 [W]: ids in `labels`; `UNLABELLED` where the file gives a word no label."""
    predicted: np.ndarray
    """int16 [W]"""
    offsets: np.ndarray = field(repr=False)
    """int64 [N+1]"""
    ids: list[str] | None = None
    """Unique ids of the sentences; None if the file has none."""
    tokens: list[list[str]] | None = None
    """The words of each sentence; None if the file has none."""
    documents: list[str] | None = None
    """The document of each sentence; None if the file has none."""
    confidence: np.ndarray | None = None
    """float32 [W]: the probability of each word's predicted tag; None if the file has none."""
    in_train: np.ndarray | None = None
    """bool [N]: whether the training split contains a sentence of the same words; None if unknown."""
    seen: Mapping[str, frozenset[str]] | None = field(default=None, repr=False)
    """By the words of a gold entity, joined with spaces: the types of the same words in the training split,
    empty if they are never an entity there. None if unknown."""
    before: Predictions | None = field(default=None, repr=False)
    """These predictions before their types were renamed."""

    def __len__(self) -> int:
        """Number of sentences."""
        return len(self.offsets) - 1

    @cached_property
    def scores(self) -> Scores:
        """Scores over all sentences, with the original names of the types."""
        if self.before is not None:
            return self.before.scores
        return strict_scores(self.gold, self.predicted, self.offsets, self.labels)

    def rename(self, renaming: Renaming) -> Predictions:
        """Rename types; those renamed to None become O."""
        names = new_names(self.labels.types, renaming)
        labels = LabelSet.from_types(names)
        gold, predicted = (
            renamed_ids(tags, self.offsets, known=self.labels, renaming=renaming, labels=labels)
            for tags in (self.gold, self.predicted)
        )
        seen = None
        if self.seen is not None:
            # A dropped type still counts as a type other than those kept.
            seen = {
                form: frozenset(renaming.get(name, name) or OUTSIDE for name in types)
                for form, types in self.seen.items()
            }
        return replace(self, labels=labels, gold=gold, predicted=predicted, seen=seen, before=self)

    def take(self, sentences: np.ndarray, labels: LabelSet) -> Predictions:
        """Select sentences by index, int64 [n], in this order, and project their tags onto `labels`."""
        words, offsets = words_of(sentences, self.offsets)
        projection = self.labels.projection(labels)
        return Predictions(
            source=self.source,
            labels=labels,
            gold=look_up(projection, self.gold[words]),
            predicted=projection[self.predicted[words]],
            offsets=offsets,
            ids=None if self.ids is None else [self.ids[i] for i in sentences],
            tokens=None if self.tokens is None else [self.tokens[i] for i in sentences],
            documents=None if self.documents is None else [self.documents[i] for i in sentences],
            confidence=None if self.confidence is None else self.confidence[words],
            in_train=None if self.in_train is None else self.in_train[sentences],
            seen=self.seen,
        )


def words_of(sentences: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the words of some sentences, int64 [w], and new offsets for these sentences alone."""
    lengths = np.diff(offsets)[sentences]
    own = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.repeat(offsets[:-1][sentences] - own[:-1], lengths) + np.arange(own[-1]), own
