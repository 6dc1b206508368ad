"""The tags that a rank chooses for the words of a split, from the logits of forward passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ner_dist.evaluation.forward import HostCopy
from ner_dist.evaluation.legal import LegalTags
from ner_dist.evaluation.operating_point import tag_probabilities
from ner_dist.labels import OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Callable

    from ner_dist.data.labelled import LabelledSplit
    from ner_dist.evaluation.operating_point import OperatingPoint

# Confidence is kept in whole ten-thousandths: a sum over ranks is exact then, and 4 digits are written.
DIGITS = 4


@dataclass
class WordTags:
    """One way of choosing the tags of a split's words."""

    tags: np.ndarray
    """int16 [W]: label ids; O at words that this rank has not answered."""
    confidence: np.ndarray | None
    """int16 [W]: the model's probability of the tag at temperature 1, in ten-thousandths; None if not
    asked for."""
    probability: np.ndarray | None
    """float64 [W]: its calibrated probability; None if nothing depends on it."""

    def copy(self) -> WordTags:
        confidence, probability = (
            None if each is None else each.copy() for each in (self.confidence, self.probability)
        )
        return WordTags(self.tags.copy(), confidence, probability)


class Answers:
    """The tags of the words that one rank scores."""

    def __init__(
        self,
        split: LabelledSplit,
        device: torch.device,
        *,
        point: OperatingPoint,
        legal: bool,
        with_confidence: bool,
        keep: Callable[[np.ndarray, np.ndarray], None] | None,
    ) -> None:
        """Prepare for the passes of a split.

        Args:
            split: the sentences.
            device: that of the model.
            point: thresholds and biases.
            legal: `legal` will be called.
            with_confidence: whether the confidence is asked for.
            keep: called with the words of each pass, int [n], and their logits, float32 [n, labels].
        """
        self._split, self._point, self._keep = split, point, keep
        n, outside = len(split.tags), split.labels.label2id[OUTSIDE]
        self._outside = np.array([outside]) if point.outside is None else point.outside
        self.scored = np.zeros(n, dtype=np.int8)
        """How often each word was answered, int8 [W]."""
        self.greedy = WordTags(
            tags=np.full(n, outside, dtype=np.int16),
            confidence=np.full(n, 10**DIGITS, dtype=np.int16) if with_confidence else None,
            probability=None if point.threshold is None else np.ones(n),
        )
        """With the best tag of each word."""
        self._confidence_outside = None
        if with_confidence and point.threshold is not None:
            self._confidence_outside = np.zeros(n, dtype=np.int16)
        self._bias = None if point.bias is None else torch.from_numpy(point.bias).to(device)
        self._legal = None
        if legal:
            self._legal = LegalTags(split.encoded, split.offsets, split.labels, bias=point.bias)
        self._copies = legal or keep is not None or point.threshold is not None
        self._pending: tuple[np.ndarray, HostCopy, HostCopy | None] | None = None

    def take(self, words: np.ndarray, logits: torch.Tensor) -> None:
        """Choose the tags of a forward pass.

        They are stored with the next one, so that the device computes while the host stores.

        Args:
            words: index of each word in the split, int [n].
            logits: float32 [n, labels].
        """
        self.store()
        ids = (logits if self._bias is None else logits + self._bias).argmax(-1)
        chosen = [ids, *([] if self.greedy.confidence is None else [_confidence(logits, ids)])]
        copied = HostCopy(logits) if self._copies else None
        self._pending = (words, HostCopy(torch.stack(chosen)), copied)

    def store(self) -> None:
        """Store the tags of the last forward pass."""
        if self._pending is None:
            return
        (words, chosen, copied), self._pending = self._pending, None
        ids, *sure = chosen.wait()
        self.greedy.tags[words] = ids
        if self.greedy.confidence is not None:
            self.greedy.confidence[words] = sure[0]
        if copied is not None:
            self._rate(words, ids, copied.wait())
        np.add.at(self.scored, words, 1)

    def _rate(self, words: np.ndarray, ids: np.ndarray, logits: np.ndarray) -> None:
        """Take from the logits what later steps need."""
        if self._legal is not None:
            self._legal.keep(words, ids, logits)
        if self._keep is not None:
            self._keep(words, logits)
        if self.greedy.probability is not None:
            self.greedy.probability[words] = self._point.probabilities(logits, ids)
        if self._confidence_outside is not None:
            of_outside = [tag_probabilities(logits, np.full(len(ids), each)) for each in self._outside]
            self._confidence_outside[words] = _whole(np.sum(of_outside, axis=0))

    def legal(self) -> WordTags:
        """The same with the most probable legal tags of each sentence."""
        assert self._legal is not None
        found = self.greedy.copy()
        words, logits = self._legal.decode(found.tags)
        if found.confidence is not None:
            found.confidence[words] = _whole(tag_probabilities(logits, found.tags[words]))
        if found.probability is not None:
            found.probability[words] = self._point.probabilities(logits, found.tags[words])
        return found

    def settle(self, answers: WordTags) -> None:
        """Make O, in place, what is below its threshold or not annotated by the word's source."""
        split = self._split
        if answers.probability is not None:
            dropped = self._point.drop(
                answers.tags, answers.probability, self.scored == 0, split.offsets, split.labels
            )
            if answers.confidence is not None and self._confidence_outside is not None:
                answers.confidence[dropped] = self._confidence_outside[dropped]
        if split.annotation is not None:
            answers.tags = split.annotation.scored(answers.tags, split.labels.label2id[OUTSIDE])


def _confidence(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """The probability of one label of each row of [n, labels], in ten-thousandths; 0 if it is no number."""
    own = logits.gather(-1, ids[:, None])[:, 0]
    probability = (own - logits.logsumexp(-1)).exp().nan_to_num(0.0)
    result: torch.Tensor = (probability * 10**DIGITS).round().long()
    return result


def _whole(probability: np.ndarray) -> np.ndarray:
    """Probabilities in ten-thousandths."""
    result: np.ndarray = (probability * 10**DIGITS).round()
    return result
