"""The logits of some sentences of a scoring, for a temperature and an operating curve.

These need all logits of a word at once, which would be gigabytes for millions of words. So they are kept for
at most 200,000 words: of every k-th sentence of the split, with the smallest k that is enough. The choice
depends on positions alone, and the logits of a word do not depend on the number of ranks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.data.corpus import offsets_of
from ner_dist.data.words_without_subwords import join_entities
from ner_dist.evaluation import metrics
from ner_dist.evaluation.exchange import sum_over_ranks
from ner_dist.evaluation.legal import Transitions
from ner_dist.evaluation.operating_point import tag_probabilities
from ner_dist.labels import OUTSIDE, UNLABELLED

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ner_dist.data.labelled import LabelledSplit
    from ner_dist.labels import LabelSet
    from ner_dist.recipe import Decode

MOST_WORDS = 200_000


@dataclass(frozen=True)
class LogitSample:
    """The words of some sentences with their gold tags and logits."""

    labels: LabelSet
    gold: np.ndarray
    """int16 [n]: label ids; `UNLABELLED` where there is none."""
    offsets: np.ndarray
    """int64 [S+1]: sentence i holds the words offsets[i]:offsets[i + 1]."""
    logits: np.ndarray
    """float32 [n, labels]; zeros at `gaps`."""
    gaps: np.ndarray
    """The words without subwords, rising, int [g]."""
    annotated: np.ndarray | None = None
    """bool [n, labels]: whether a label is O or of a type that the word's source annotates; None if all
    are."""

    def words_with_loss(self) -> np.ndarray:
        """The labelled words that have logits, int [m]."""
        labelled = self.gold != UNLABELLED
        labelled[self.gaps] = False
        return np.flatnonzero(labelled)

    def allowed(self, words: np.ndarray) -> np.ndarray:
        """The labels that agree with the gold of some labelled words, bool [m, labels].

        The gold one; for an O, also those that the word's source does not annotate.
        """
        gold = self.gold[words]
        agreed: np.ndarray = np.arange(len(self.labels)) == gold[:, None]
        if self.annotated is not None:
            agreed |= ~self.annotated[words] & (gold == self.labels.label2id[OUTSIDE])[:, None]
        return agreed

    def tags(self, decode: Decode, bias: np.ndarray | None = None) -> np.ndarray:
        """The tags that are chosen, int16 [n]; O at `gaps`.

        Args:
            decode: `greedy` or `viterbi`.
            bias: float32 [labels], added to the logits.
        """
        scores: np.ndarray = self.logits if bias is None else self.logits + bias
        tags: np.ndarray = scores.argmax(axis=1).astype(np.int16)
        tags[self.gaps] = self.labels.label2id[OUTSIDE]
        if decode == "viterbi":
            there = np.delete(np.arange(len(tags)), self.gaps)
            transitions, sentence = Transitions(self.labels), metrics.sentence_of(there, self.offsets)
            wrong = transitions.illegal(tags[there], np.diff(sentence, prepend=-1) != 0)
            again = np.isin(sentence, sentence[wrong])
            words, starts = there[again], np.flatnonzero(np.diff(sentence[again], prepend=-1))
            tags[words] = transitions.best_paths(scores[words], np.append(starts, len(words)))
        return tags

    def probabilities(self, tags: np.ndarray, temperature: float) -> np.ndarray:
        """The probability of the tag of every word, float64 [n]; 1.0 at `gaps`."""
        found = tag_probabilities(self.logits, tags, temperature)
        found[self.gaps] = 1.0
        return found

    def comparable(self, tags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gold and predicted tags as they are scored, int [n] each; both are `UNLABELLED` together."""
        predicted = tags
        if self.annotated is not None:
            known = self.annotated[np.arange(len(tags)), tags]
            predicted = np.where(known, tags, np.int16(self.labels.label2id[OUTSIDE]))
        predicted = predicted.copy()
        join_entities(predicted, self.gaps, self.offsets, self.labels)
        return self.gold, np.where(self.gold == UNLABELLED, np.int16(UNLABELLED), predicted)

    def scores(self, tags: np.ndarray) -> metrics.PrecisionRecallF1[float]:
        """Strict scores of tags, micro-averaged."""
        gold, predicted = self.comparable(tags)
        counts = metrics.count(gold, predicted, self.offsets, self.labels, strict=True)
        found = metrics.scores(counts, self.labels.types)
        return metrics.PrecisionRecallF1(found.precision, found.recall, found.f1)


@dataclass
class LogitKeeper:
    """Keeps the logits of a sample while a rank scores its part of a split."""

    split: LabelledSplit
    most_words: int = MOST_WORDS
    _words: list[np.ndarray] = field(default_factory=list)
    _logits: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        offsets = self.split.offsets
        self.sentences = chosen_sentences(np.diff(offsets), self.most_words)
        lengths = np.diff(offsets)[self.sentences]
        self.offsets = offsets_of(lengths)
        self._row = np.full(offsets[-1], -1, dtype=np.int64)
        within = np.repeat(offsets[self.sentences] - self.offsets[:-1], lengths)
        self._row[within + np.arange(self.offsets[-1])] = np.arange(self.offsets[-1])

    def keep(self, words: np.ndarray, logits: np.ndarray) -> None:
        """Keep what belongs to the sample.

        Args:
            words: index of each word of a forward pass in the split, int [n].
            logits: float32 [n, labels].
        """
        rows = self._row[words]
        self._words.append(rows[rows >= 0])
        self._logits.append(logits[rows >= 0])

    def gather(self, accelerator: Accelerator) -> LogitSample:
        """The sample from the logits that all ranks have kept, on every rank."""
        split, total = self.split, int(self.offsets[-1])
        logits = np.zeros((total, len(split.labels)), dtype=np.float32)
        for rows, kept in zip(self._words, self._logits, strict=True):
            logits[rows] = kept
        own = np.flatnonzero(self._row >= 0)
        gaps = self._row[split.without_subwords()]
        known = split.annotation
        return LogitSample(
            labels=split.labels,
            gold=split.tags[own],
            offsets=self.offsets,
            # Each row is that of one rank, and zeros of all others.
            logits=sum_over_ranks(logits, accelerator),
            gaps=gaps[gaps >= 0],
            annotated=None if known is None else known.annotated[known.source[own]],
        )


def chosen_sentences(lengths: np.ndarray, most_words: int) -> np.ndarray:
    """Every k-th sentence, with the smallest k that leaves at most so many words; at least the first one.

    Args:
        lengths: words of each sentence, int [N].
        most_words: largest number of words.
    """
    every = max(1, -(-int(lengths.sum()) // most_words))
    while every < len(lengths) and lengths[::every].sum() > most_words:
        every += 1
    return np.arange(0, len(lengths), every)
