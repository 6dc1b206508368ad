"""Compute in 16 bits with fp32 weights: copies of the weights, made once a step.

Autocast casts every weight in every forward pass, and keeps activations between matrix products in fp32.
Here the whole encoder runs on 16-bit copies of its weights, as under ZeRO, and its activations have 16 bits.
The parameters stay fp32: optimiser, DDP and checkpoints see nothing else, and gradients are added up in fp32
over micro-batches and ranks.

Tables of embeddings have no copies: their rows are cast when they are looked up, so that the gradient of a
frequent subword is summed in fp32.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ner_dist.data.packed_plan import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accelerate import Accelerator

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def copies_suit(accelerator: Accelerator, family: str, *, compiled: bool) -> bool:
    """Whether to train on 16-bit copies; otherwise autocast or DeepSpeed takes care of the precision.

    Args:
        accelerator: strategy and precision.
        family: `config.model_type` of the encoder; those that are tested have copies.
        compiled: the graph of a compiled encoder holds on to its parameters.
    """
    sixteen_bits = (
        accelerator.mixed_precision in ("bf16", "fp16") and accelerator.distributed_type != "DEEPSPEED"
    )
    return sixteen_bits and family in FAMILIES and not compiled


class WeightCopies:
    """The 16-bit copies of a model's weights."""

    def __init__(self, model: nn.Module, *, precision: str) -> None:
        """
        Args:
            model: fp32, on its device; its embeddings will return 16 bits while copies are in use.
            precision: `bf16` or `fp16`.
        """
        self._type, self._in_use = TYPES[precision], False
        self._places: list[tuple[nn.Module, str]] = []
        self._weights: list[torch.Tensor] = []
        for module in model.modules():
            if isinstance(module, nn.Embedding):
                module.register_forward_hook(self._narrow)
                continue
            for name, weight in module.named_parameters(recurse=False):
                self._places.append((module, name))
                self._weights.append(weight)
        self._copies = [torch.empty_like(weight, dtype=self._type) for weight in self._weights]

    def refresh(self) -> None:
        """Copy the weights as they are now."""
        with torch.no_grad():
            torch._foreach_copy_(self._copies, self._weights)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Put the copies in the places of the weights, for a forward pass and its backward pass."""
        for (module, name), weight, copy in zip(self._places, self._weights, self._copies, strict=True):
            module._parameters[name] = _Copy.apply(weight, copy)  # type: ignore[no-untyped-call]
        self._in_use = True
        try:
            yield
        finally:
            self._in_use = False
            for (module, name), weight in zip(self._places, self._weights, strict=True):
                module._parameters[name] = weight  # type: ignore[assignment]

    def _narrow(self, _module: nn.Module, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
        return output.to(self._type) if self._in_use else output


class _Copy(torch.autograd.Function):
    """A weight's copy, whose gradient goes to the weight."""

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
        ctx.type = weight.dtype
        return copy.view_as(copy)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient.to(ctx.type), None
