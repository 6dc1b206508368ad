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
        same = self._type[None, :] == self._type[self._inside][:, None]
        self._before = same & (self._kind != 0)

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

    def best_path(self, scores: np.ndarray) -> np.ndarray:
        """The most probable legal tags of one sentence, int16 [n].

        Args:
            scores: log-probabilities or logits of each word, float [n, labels].
        """
        words, labels = scores.shape
        came_from = np.zeros((words, labels), dtype=np.int16)
        best = scores[0].astype(np.float64)
        # Logits of a word differ from its log-probabilities by a constant, which no path avoids.
        best[self._inside] = -np.inf
        for word in range(1, words):
            origin = np.full(labels, int(best.argmax()), dtype=np.int16)
            if len(self._inside):
                origin[self._inside] = np.where(self._before, best, -np.inf).argmax(axis=1)
            best = best[origin] + scores[word]
            came_from[word] = origin
        path = np.empty(words, dtype=np.int16)
        path[-1] = int(best.argmax())
        for word in range(words - 1, 0, -1):
            path[word - 1] = came_from[word, path[word]]
        return path


class LegalTags:
    """Collects what legal tags need during the forward passes of an evaluation."""

    def __init__(self, encoded: Encoded, offsets: np.ndarray, labels: LabelSet) -> None:
        """Prepare for the passes of a split.

        Args:
            encoded: its examples.
            offsets: int64 [N+1]: sentence i holds the words offsets[i]:offsets[i + 1].
            labels: what the model's ids mean.
        """
        self._transitions = Transitions(labels)
        self._offsets = offsets
        # Of a sentence with several windows, one pass alone does not show whether its tags are legal.
        self._in_windows = np.bincount(encoded.sentence, minlength=len(offsets) - 1) > 1
        self._words: list[np.ndarray] = []
        self._logits: list[np.ndarray] = []

    def keep(self, words: np.ndarray, tags: np.ndarray, logits: np.ndarray) -> None:
        """Keep the logits of sentences that may have to be decoded again.

        Args:
            words: index of each word of a pass in the split, int [n]; those of a sentence rise.
            tags: the most probable label id of each, int [n].
            logits: float32 [n, labels].
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
            The words of sentences that were decoded again, int64 [n], and the model's probability of their
            tags, float64 [n].
        """
        redone, probability = [np.empty(0, dtype=np.int64)], [np.empty(0)]
        if not self._words:
            return redone[0], probability[0]
        words, logits = np.concatenate(self._words), np.concatenate(self._logits)
        order = np.argsort(words, kind="stable")
        words, logits = words[order], logits[order]
        sentence = self._sentence_of(words)
        wrong = self._transitions.illegal(predicted[words], self._first(sentence))
        for number in np.unique(sentence[wrong]):
            part = slice(*np.searchsorted(sentence, (number, number + 1)))
            path = self._transitions.best_path(logits[part])
            predicted[words[part]] = path
            redone.append(words[part])
            probability.append(probabilities(logits[part], path))
        return np.concatenate(redone), np.concatenate(probability)

    def _sentence_of(self, words: np.ndarray) -> np.ndarray:
        result: np.ndarray = np.searchsorted(self._offsets, words, side="right") - 1
        return result

    @staticmethod
    def _first(sentence: np.ndarray) -> np.ndarray:
        """Words before which the sentence changes; words without subwords lie between others like nothing."""
        result: np.ndarray = np.diff(sentence, prepend=-1) != 0
        return result


def probabilities(logits: np.ndarray, tags: np.ndarray) -> np.ndarray:
    """The model's probability of the given tags, float64 [n]."""
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    share = np.exp(scores)
    result: np.ndarray = share[np.arange(len(tags)), tags] / share.sum(axis=1)
    return result
