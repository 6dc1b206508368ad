"""Attention masks of padded batches, built without a question to the device.

For each mask that a model is given, transformers asks whether it masks anything, to leave it out if not. On a
GPU the host waits for that answer. A batch without padding has no mask here (`data/collate.py`), so that the
answer is known: it does. Some models also look for padding where they were given no mask, to warn of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_WARNING = "warn_if_padding_and_no_attention_mask"
"""The method of transformers' models that reads subwords back from the device."""


def build_masks_without_waiting(model: PreTrainedModel) -> None:
    """Have a model use the mask that it is given, or none, without looking at its values."""
    from transformers import AttentionMaskInterface

    AttentionMaskInterface.register("sdpa", _sdpa_mask)
    for module in model.modules():
        if hasattr(module, _WARNING):
            setattr(module, _WARNING, _no_warning)


def _no_warning(*_: Any) -> None:
    """A batch without a mask has no padding."""


def _sdpa_mask(*, attention_mask: torch.Tensor | None = None, **options: Any) -> torch.Tensor | None:
    """The mask for scaled dot-product attention, bool [batch, 1, queries, keys]; None if all is seen."""
    from transformers.masking_utils import sdpa_mask

    if attention_mask is not None:
        options |= {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}
    mask: torch.Tensor | None = sdpa_mask(attention_mask=attention_mask, **options)
    return mask
