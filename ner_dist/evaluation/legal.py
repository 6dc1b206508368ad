"""Decode legal tag sequences: an I- follows the B- or I- of its type, as IOB2 has it.

A tagger chooses the most probable tag of each word on its own, so that an I- may continue nothing; strict
scoring counts no entity there. The Viterbi algorithm (Viterbi 1967, https://doi.org/10.1109/TIT.1967.1054010)
finds the sequence that is the most probable of all legal ones, the tags taken as independent. Where the most
probable tags are legal they are that sequence, so that only the other sentences are decoded again: their
logits are kept during the forward passes, and no others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ner_dist.data.encoding import Encoded
    from ner_dist.labels import LabelSet

# As `LabelSet.coded` has it.
_INSIDE = 2


class Transitions:
    """Which tag may follow which in a label set."""

    def __init__(self, labels: LabelSet) -> None:
        self._kind, self._type = labels.coded()
        places = np.arange(len(self._kind))
        self._inside = places[self._kind == _INSIDE]
        # The tags that may precede each I-: its B- and itself.
        before = (self._type[None, :] == self._type[self._inside][:, None]) & (self._kind != 0)
        self._lower = before.argmax(axis=1)
        self._upper = before.shape[1] - 1 - before[:, ::-1].argmax(axis=1)

    def __len__(self) -> int:
        """Number of labels."""
        return len(self._kind)

    def illegal(self, tags: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Words whose I- continues nothing, bool [n].

        Args:
            tags: label ids of words that follow each other, int [n].
            first: bool [n]: no word of the same sentence precedes.
        """
        kind, types = self._kind[tags], self._type[tags]
        continues = np.zeros(len(tags), dtype=bool)
        continues[1:] = (kind[:-1] != 0) & (types[1:] == types[:-1]) & ~first[1:]
        result: np.ndarray = (kind == _INSIDE) & ~continues
        return result

    def best_paths(self, scores: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """The most probable legal tags of sentences, int16 [n].

        Args:
            scores: log-probabilities or logits of each word, float [n, labels].
            offsets: int64 [S+1]: sentence i holds the words offsets[i]:offsets[i + 1], at least one.
        """
        # All sentences advance together, the longest first, so that those that go on are the first ones.
        lengths = np.diff(offsets)
        order = np.argsort(-lengths, kind="stable")
        starts, lengths = offsets[:-1][order], lengths[order]
        came_from = np.zeros(scores.shape, dtype=np.int16)
        # Logits of a word differ from its log-probabilities by a constant, which no path avoids.
        best = scores[starts].astype(np.float64)
        best[:, self._inside] = -np.inf
        going_on = [int(np.searchsorted(-lengths, -step)) for step in range(lengths.max(initial=0))]
        for step, number in enumerate(going_on[1:], start=1):
            words, before = starts[:number] + step, best[:number]
            origin = np.repeat(before.argmax(axis=1)[:, None], scores.shape[1], axis=1)
            upper = before[:, self._upper] > before[:, self._lower]
            origin[:, self._inside] = np.where(upper, self._upper, self._lower)
            best[:number] = np.take_along_axis(before, origin, axis=1) + scores[words]
            came_from[words] = origin
        path = np.empty(len(scores), dtype=np.int16)
        tags = best.argmax(axis=1)
        for step in range(len(going_on) - 1, -1, -1):
            number = going_on[step]
            words = starts[:number] + step
            path[words] = tags[:number]
            tags[:number] = came_from[words, tags[:number]]
        return path


class LegalTags:
    """Collects what legal tags need during the forward passes of an evaluation."""

    def __init__(
        self, encoded: Encoded, offsets: np.ndarray, labels: LabelSet, *, bias: np.ndarray | None = None
    ) -> None:
        """Prepare for the passes of a split.

        Args:
            encoded: its examples.
            offsets: int64 [N+1]: sentence i holds the words offsets[i]:offsets[i + 1].
            labels: what the model's ids mean.
            bias: float32 [labels], added to the logits before tags are chosen.
        """
        self._transitions = Transitions(labels)
        self._bias = bias
        self._offsets = offsets
        # Of a sentence with several windows, one pass alone does not show whether its tags are legal.
        self._in_windows = np.bincount(encoded.sentence, minlength=len(offsets) - 1) > 1
        self._words: list[np.ndarray] = []
        self._logits: list[np.ndarray] = []

    def keep(self, words: np.ndarray, tags: np.ndarray, logits: np.ndarray) -> None:
        """Keep the logits of sentences that may have to be decoded again.

        Args:
            words: index of each word of a pass in the split, int [n]; those of a sentence rise.
            tags: the best label id of each, with the bias, int [n].
            logits: float32 [n, labels], without it.
        """
        sentence = self._sentence_of(words)
        wrong = self._transitions.illegal(tags, self._first(sentence))
        chosen = self._in_windows[sentence] | np.isin(sentence, sentence[wrong])
        if chosen.any():
            self._words.append(words[chosen])
            self._logits.append(logits[chosen])

    def decode(self, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Replace illegal tags by the most probable legal ones, in place.

        Args:
            predicted: label id of every word of the split, int16 [W]; only words that were kept change.

        Returns:
            The words of sentences that were decoded again, int64 [n], and their logits, float32 [n, labels].
        """
        labels = len(self._transitions)
        if not self._words:
            return np.empty(0, dtype=np.int64), np.empty((0, labels), dtype=np.float32)
        words, logits = np.concatenate(self._words), np.concatenate(self._logits)
        order = np.argsort(words, kind="stable")
        words, logits = words[order], logits[order]
        sentence = self._sentence_of(words)
        wrong = self._transitions.illegal(predicted[words], self._first(sentence))
        chosen = np.isin(sentence, sentence[wrong])
        words, logits = words[chosen], logits[chosen]
        offsets = np.append(np.flatnonzero(self._first(sentence[chosen])), len(words))
        scores = logits if self._bias is None else logits + self._bias
        predicted[words] = self._transitions.best_paths(scores, offsets)
        return words, logits

    def _sentence_of(self, words: np.ndarray) -> np.ndarray:
        result: np.ndarray = np.searchsorted(self._offsets, words, side="right") - 1
        return result

    @staticmethod
    def _first(sentence: np.ndarray) -> np.ndarray:
        """Words before which the sentence changes; words without subwords lie between others like nothing."""
        result: np.ndarray = np.diff(sentence, prepend=-1) != 0
        return result
