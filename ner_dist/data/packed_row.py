"""Build one row of whole sentences, the input of a packed forward pass, from flat arrays of subwords."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ner_dist.labels import UNLABELLED
from ner_dist.model.packed_attention import Segments

if TYPE_CHECKING:
    from ner_dist.data.annotation import Annotation
    from ner_dist.data.encoding import Encoded
    from ner_dist.data.packed_plan import PackedPlan


@dataclass(frozen=True)
class PackedRow:
    """One micro-batch of T subwords: whole examples one after the other, then padding."""

    input_ids: torch.Tensor
    """int64 [1, T]"""
    position_ids: torch.Tensor
    """int64 [1, T]: positions start over with every example."""
    segments: Segments
    """Where each example begins and ends, for attention."""
    targets: torch.Tensor
    """int64 [T]: label id at the first subword of each owned word, `UNLABELLED` elsewhere."""
    sources: torch.Tensor | None
    """int64 [T]: source of the word there, 0 elsewhere; None where all words are annotated in one way."""

    def inputs(self) -> dict[str, Any]:
        """Arguments of a model that `packed_attention.use_packed_attention` has prepared."""
        # Four dimensions: transformers hands such a mask on as it is. Attention goes by the segments.
        no_mask = self.input_ids.new_ones((1, 1, 1, 1), dtype=torch.bool)
        return {
            "input_ids": self.input_ids,
            "position_ids": self.position_ids,
            "attention_mask": no_mask,
            "segments": self.segments,
        }

    def of_targets(self, logits: torch.Tensor) -> torch.Tensor:
        """The logits, [1, T, labels], that `targets` belong to: all, since indexing them costs a sort."""
        return logits.flatten(0, 1)

    def to(self, device: torch.device) -> PackedRow:
        """Copy the row to another device, asynchronously to the work queued there."""
        moved = {
            name: part.to(device, non_blocking=True)
            for name in ("input_ids", "position_ids", "targets", "sources")
            if (part := getattr(self, name)) is not None
        }
        return replace(self, segments=self.segments.to(device), **moved)


def pack(
    encoded: Encoded,
    examples: np.ndarray,
    tags: np.ndarray,
    *,
    plan: PackedPlan,
    pad_id: int,
    first_position: int,
    grouped: bool = True,
    annotation: Annotation | None = None,
    pin: bool = False,
) -> PackedRow:
    """Build one row.

    Args:
        encoded: the split's subwords.
        examples: ids of the examples by descending length, int [examples], at least one.
        tags: label id of every word of the split, int [W].
        plan: the size of rows.
        pad_id: subword id for padding.
        first_position: position id of an example's first subword.
        grouped: form the groups that attention needs where it has no kernel.
        annotation: what the words' sources annotate, if that is not everything.
        pin: put the tensors into page-locked memory, for asynchronous copies to a GPU.
    """
    starts = encoded.example_offsets[examples]
    lengths = encoded.example_offsets[examples + 1] - starts
    total = int(lengths.sum())
    within = np.arange(total) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    source = np.repeat(starts, lengths) + within
    words = encoded.word_index[source]
    first = np.flatnonzero(words >= 0)
    words = words[first]

    def row(values: np.ndarray, *, at: np.ndarray | slice, fill: int) -> torch.Tensor:
        whole = np.full(plan.row_length, fill, dtype=np.int64)
        whole[at] = values
        made = torch.from_numpy(whole)
        return made.pin_memory() if pin else made

    filled = slice(0, total)
    return PackedRow(
        input_ids=row(encoded.input_ids[source], at=filled, fill=pad_id)[None],
        position_ids=row(within + first_position, at=filled, fill=first_position)[None],
        segments=Segments.of(
            lengths,
            row_length=plan.row_length,
            longest=plan.longest,
            most=plan.most_examples,
            grouped=grouped,
        ),
        targets=row(tags[words], at=first, fill=UNLABELLED),
        sources=None if annotation is None else row(annotation.source[words], at=first, fill=0),
    )
