"""Build the padded tensors of one forward pass from flat arrays of subwords."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from ner_dist.data.padding import pad

if TYPE_CHECKING:
    from ner_dist.data.annotation import Annotation
    from ner_dist.data.encoding import Encoded


@dataclass(frozen=True)
class Batch:
    """One micro-batch, padded on the right.

    Only first subwords of the words that an example owns have a target; `positions` points at them.
    """

    input_ids: torch.Tensor
    """int64 [examples, longest]"""
    attention_mask: torch.Tensor | None
    """int64 [examples, longest], or None where nothing is padding: attention is faster without a mask."""
    positions: torch.Tensor
    """int64 [n]: index of each labelled subword in the flattened [examples * longest]."""
    words: np.ndarray
    """int [n]: index of the word in its split."""
    sources: torch.Tensor | None
    """int64 [n]: source of each word; None where all words are annotated in one way."""
    targets: torch.Tensor
    """int64 [n]: label id of each word; `UNLABELLED`, which cross-entropy leaves out, where there is none."""

    def inputs(self) -> dict[str, torch.Tensor | None]:
        """Arguments of the model."""
        return {"input_ids": self.input_ids, "attention_mask": self.attention_mask}

    def of_targets(self, logits: torch.Tensor) -> torch.Tensor:
        """The logits, [examples, longest, labels], that `targets` belong to, [n, labels]."""
        return logits.flatten(0, 1)[self.positions]

    def to(self, device: torch.device) -> Batch:
        """Copy the batch to another device, asynchronously to the work queued there."""
        moved = {
            name: tensor.to(device, non_blocking=True)
            for name in ("input_ids", "attention_mask", "positions", "sources", "targets")
            if (tensor := getattr(self, name)) is not None
        }
        return replace(self, **moved)


def collate(
    encoded: Encoded,
    examples: np.ndarray,
    tags: np.ndarray,
    *,
    pad_id: int,
    annotation: Annotation | None = None,
    pin: bool = False,
) -> Batch:
    """Build one micro-batch. No examples give the smallest forward pass there is, with no labelled words.

    Such empty work keeps the ranks in step: every parameter still gets a gradient, of zeros.

    Args:
        encoded: the split's subwords.
        examples: ids of the examples, int [examples].
        tags: label id of every word of the split, int [W].
        pad_id: subword id for padding.
        annotation: what the words' sources annotate, if that is not everything.
        pin: put the tensors into page-locked memory, for asynchronous copies to a GPU.
    """
    empty = len(examples) == 0
    if empty:
        examples = np.array([int(np.argmin(encoded.lengths))])
    padded = pad(encoded, examples, pad_id=pad_id)
    labelled = slice(0, 0) if empty else slice(None)
    positions, words = padded.positions[labelled], padded.words[labelled]

    def tensor(array: np.ndarray) -> torch.Tensor:
        made = torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64))
        return made.pin_memory() if pin else made

    return Batch(
        input_ids=tensor(padded.input_ids),
        attention_mask=None if padded.filled.all() else tensor(padded.filled),
        positions=tensor(positions),
        words=words,
        sources=None if annotation is None else tensor(annotation.source[words]),
        targets=tensor(tags[words]),
    )
