"""The logits of words, from torch or from an exported model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ner_dist.data.padding import pad

if TYPE_CHECKING:
    import torch

    from ner_dist.data.encoding import Encoded
    from ner_dist.model.exported import OnnxSession


class Place(Protocol):
    """Where a model computes, as a `torch.device` says it."""

    @property
    def type(self) -> str:
        """`cpu` or `cuda`."""


class Scorer(Protocol):
    """A model that gives each word a logit for each of its labels."""

    @property
    def device(self) -> Place:
        """Where it computes."""

    def word_logits(
        self, encoded: Encoded, micro_batches: Sequence[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Run forward passes; yield the words of each, int [n], with their logits, float32 [n, labels].

        Args:
            encoded: the examples.
            micro_batches: the examples of each forward pass.
        """


@dataclass(frozen=True)
class TorchScorer:
    """A model of transformers."""

    model: torch.nn.Module
    """Called as `model(input_ids=, attention_mask=).logits`."""
    device: torch.device
    pad_id: int
    """Subword id for padding."""

    def word_logits(
        self, encoded: Encoded, micro_batches: Sequence[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """See `Scorer`."""
        from ner_dist.evaluation.forward import word_logits

        no_tags = np.zeros(int(encoded.word_index.max(initial=-1)) + 1, dtype=np.int16)
        passes = word_logits(
            *(self.model, encoded, no_tags, micro_batches), pad_id=self.pad_id, device=self.device
        )
        for batch, logits in passes:
            yield batch.words, logits.cpu().numpy()


@dataclass(frozen=True)
class _Cpu:
    type: str = "cpu"


@dataclass(frozen=True)
class OnnxScorer:
    """An exported model."""

    session: OnnxSession
    pad_id: int
    """Subword id for padding."""
    device: Place = _Cpu()

    def word_logits(
        self, encoded: Encoded, micro_batches: Sequence[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """See `Scorer`."""
        for examples in micro_batches:
            padded = pad(encoded, examples, pad_id=self.pad_id)
            logits = self.session.logits(padded.input_ids, padded.filled)
            yield padded.words, logits.reshape(-1, logits.shape[-1])[padded.positions]
