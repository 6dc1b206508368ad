"""Attention within each sentence of a packed row, for encoders with transformers' attention interface.

The sentences are taken in groups of similar lengths: a rectangle each, of which padding is masked. Only
attention sees these rectangles; everything else in the encoder runs on the row, without padding. GPUs have
kernels that take the row as it is (`varlen_kernels.py`).
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from ner_dist.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "ner_dist_packed"
"""Name of the attention in transformers' register."""

# Sentences are in one group down to this part of its longest, or this many subwords below it.
_SIMILAR, _NEARLY = 0.75, 6
# Score of what a subword does not see. Not infinite: a slot of padding may see nothing, and nothing uses it.
_NOT_SEEN = torch.finfo(torch.float32).min


class Kernel(Protocol):
    """Computes attention within the sentences of a row; see `grouped_attention`."""

    def __call__(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        segments: Segments,
        *,
        scale: float,
        dropout: float = 0.0,
        window: int | None = None,
    ) -> torch.Tensor: ...


@dataclass(frozen=True)
class Rectangle:
    """Sentences of similar lengths, as [sentences, longest] slots."""

    first: int
    """Index of its first slot among those of all rectangles."""
    sentences: int
    longest: int
    padding: torch.Tensor | None
    """bool [sentences, 1, 1, longest]: slots of padding; None if there are none."""


@dataclass(frozen=True)
class Groups:
    """The sentences of a row in groups of similar lengths."""

    slots: torch.Tensor
    """int64 [slots]: the subword in each slot of the rectangles; any in those of padding."""
    slot_of: torch.Tensor
    """int64 [T]: the slot of each subword; the last one, which is in no rectangle, for the tail."""
    unused: torch.Tensor
    """int64 [n]: slots of padding."""
    rectangles: tuple[Rectangle, ...]

    @classmethod
    def of(cls, lengths: np.ndarray, *, row_length: int) -> Groups:
        """Group sentences of descending lengths, int [n], in a row that may have a tail of padding."""
        ends = np.cumsum(lengths)
        rectangles, slots, slot_of, n_slots = [], [], np.empty(row_length, dtype=np.int64), 0
        for first, last in _similar(lengths):
            of_group, width = lengths[first:last], int(lengths[first])
            within = np.arange(width)
            filled = within < of_group[:, None]
            subwords = (ends[first:last] - of_group)[:, None] + np.where(filled, within, 0)
            slot_of[ends[first] - of_group[0] : ends[last - 1]] = n_slots + np.flatnonzero(filled)
            padding = None if filled.all() else torch.from_numpy(~filled[:, None, None])
            rectangles.append(Rectangle(n_slots, last - first, width, padding))
            slots.append(subwords.ravel())
            n_slots += filled.size
        slot_of[ends[-1] :] = n_slots
        used = np.zeros(n_slots, dtype=bool)
        used[slot_of[: ends[-1]]] = True
        return cls(
            slots=torch.from_numpy(np.concatenate(slots)),
            slot_of=torch.from_numpy(slot_of),
            unused=torch.from_numpy(np.flatnonzero(~used)),
            rectangles=tuple(rectangles),
        )

    def to(self, device: torch.device) -> Groups:
        """Copy to another device."""
        moved = {name: getattr(self, name).to(device) for name in ("slots", "slot_of", "unused")}
        rectangles = tuple(
            one if one.padding is None else replace(one, padding=one.padding.to(device))
            for one in self.rectangles
        )
        return replace(self, rectangles=rectangles, **moved)


@dataclass(frozen=True)
class Segments:
    """The sentences of a row: where they begin, for a kernel, or in groups, without one."""

    bounds: torch.Tensor
    """int32 [most examples + 2]: sentence i holds the subwords bounds[i]:bounds[i + 1]. The tail of padding
    is one more sentence, and the rest are empty, so that the size is always the same."""
    longest: int
    """Subwords of the longest sentence of the whole training, or of the tail if that is longer."""
    groups: Groups | None
    """None if a kernel is used."""

    @classmethod
    def of(
        cls, lengths: np.ndarray, *, row_length: int, longest: int, most: int, grouped: bool = True
    ) -> Segments:
        """
        Args:
            lengths: of the sentences in the row, descending, int [n].
            row_length: subwords of the row, its tail of padding included.
            longest: subwords of the longest sentence of any row.
            most: most sentences of any row.
            grouped: form the groups.
        """
        ends = np.cumsum(lengths)
        bounds = np.full(most + 2, row_length, dtype=np.int32)
        bounds[: len(lengths) + 1] = [0, *ends]
        return cls(
            bounds=torch.from_numpy(bounds),
            longest=max(longest, row_length - int(ends[-1])),
            groups=Groups.of(lengths, row_length=row_length) if grouped else None,
        )

    def to(self, device: torch.device) -> Segments:
        """Copy to another device, the bounds asynchronously to the work queued there."""
        if device.type == "cpu":
            return self
        groups = None if self.groups is None else self.groups.to(device)
        return replace(self, bounds=self.bounds.pin_memory().to(device, non_blocking=True), groups=groups)


def _similar(falling: np.ndarray) -> list[tuple[int, int]]:
    """Cut descending lengths into groups; first and behind the last of each."""
    cuts = [0]
    while cuts[-1] < len(falling):
        longest = int(falling[cuts[-1]])
        least = min(_SIMILAR * longest, longest - _NEARLY)
        cuts.append(int(np.searchsorted(-falling, -least, side="right")))
    return list(itertools.pairwise(cuts))


class _Grouped(torch.autograd.Function):
    """Attention in groups, as one function: autograd adds more to each small operation than it costs."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        groups: Groups,
        scale: float,
        dropout: float,
        window: int | None,
    ) -> torch.Tensor:
        """Query, key, value and result are [T, heads, d]."""
        q, k, v = (each.index_select(0, groups.slots).float() for each in (query, key, value))
        q *= scale
        n_slots, heads, size = q.shape
        out = q.new_zeros((n_slots + 1, heads, size))
        kept: list[torch.Tensor] = []
        for group in groups.rectangles:
            one_q, one_k, one_v = (_of(each, group) for each in (q, k, v))
            scores = one_q @ one_k.mT
            if group.padding is not None:
                scores.masked_fill_(group.padding, _NOT_SEEN)
            if window is not None and group.longest > window:
                scores.masked_fill_(_far_apart(group.longest, window, scores.device), _NOT_SEEN)
            weights = torch.softmax(scores, -1)
            used = weights
            if dropout:
                used, mask = torch.native_dropout(weights, dropout, True)
                kept.append(mask)
            kept += (weights, used)
            _of(out, group).copy_(used @ one_v)
        ctx.save_for_backward(q, k, v, *kept)
        ctx.groups, ctx.scale, ctx.dropout = groups, scale, dropout
        return out.index_select(0, groups.slot_of).to(query.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        q, k, v, *kept = ctx.saved_tensors
        groups, dropout = ctx.groups, ctx.dropout
        grad = gradient.index_select(0, groups.slots).float().index_fill_(0, groups.unused, 0.0)
        # The last slot is the tail's, which has no gradient.
        grads = [grad.new_zeros((len(q) + 1, *q.shape[1:])) for _ in range(3)]
        for group in groups.rectangles:
            mask = kept.pop(0) if dropout else None
            weights, used = kept.pop(0), kept.pop(0)
            of_out = _of(grad, group)
            of_q, of_k, of_v = (_of(each, group) for each in grads)
            of_v.copy_(used.mT @ of_out)
            of_weights = of_out @ _of(v, group).mT
            if mask is not None:
                of_weights = of_weights.mul_(mask).mul_(1 / (1 - dropout))
            scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            of_q.copy_(scores @ _of(k, group))
            of_k.copy_(scores.mT @ _of(q, group))
        grads[0] *= ctx.scale
        back = (each.index_select(0, groups.slot_of).to(gradient.dtype) for each in grads)
        return (*back, None, None, None, None)


def _of(slots: torch.Tensor, group: Rectangle) -> torch.Tensor:
    """A group's part of a tensor by slot, as [sentences, heads, longest, d]."""
    part = slots[group.first : group.first + group.sentences * group.longest]
    return part.view(group.sentences, group.longest, *slots.shape[1:]).transpose(1, 2)


def _far_apart(length: int, window: int, device: torch.device) -> torch.Tensor:
    """bool [length, length]: the pairs of subwords that a window of this many to each side does not reach."""
    place = torch.arange(length, device=device)
    return (place[:, None] - place).abs() >= window


def grouped_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    segments: Segments,
    *,
    scale: float,
    dropout: float = 0.0,
    window: int | None = None,
) -> torch.Tensor:
    """Attention within the sentences of a row, in groups of similar lengths, computed in fp32.

    Args:
        query: [T, heads, d].
        key: likewise.
        value: likewise.
        segments: the sentences, in groups.
        scale: factor on the scores.
        dropout: rate of dropout on the weights.
        window: a subword sees those fewer than this many away; None for all.

    Returns:
        [T, heads, d], zero in the tail.
    """
    assert segments.groups is not None
    with torch.autocast(query.device.type, enabled=False):
        result: torch.Tensor = _Grouped.apply(  # type: ignore[no-untyped-call]
            query, key, value, segments.groups, scale, dropout, window
        )
    return result


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    kernel: Kernel = grouped_attention,
    segments: Segments | None = None,
    **settings: Any,
) -> tuple[torch.Tensor, None]:
    """The attention function of transformers: query, key and value are [batch, heads, length, d]."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if segments is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **settings)
    q, k, v = (each.transpose(1, 2).squeeze(0) for each in (query, key, value))
    out = kernel(
        q,
        k,
        v,
        segments,
        scale=settings.get("scaling") or q.shape[-1] ** -0.5,
        dropout=settings.get("dropout", 0.0),
        window=settings.get("sliding_window"),
    )
    return out[None], None


def use_packed_attention(model: PreTrainedModel, kernel: Kernel = grouped_attention) -> None:
    """Let a model of one of `packed_plan.FAMILIES` take packed rows, besides padded batches.

    Args:
        model: with weights.
        kernel: what computes attention in packed rows, for this and every model prepared before.

    Raises:
        UserError: the model attends to earlier subwords alone.
    """
    if getattr(model.config, "is_decoder", False):
        raise UserError(
            "a model with is_decoder in its config cannot take packed rows",
            where="train.packing",
            fix="pass train.packing=false",
        )
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, functools.partial(_attend, kernel=kernel))
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
