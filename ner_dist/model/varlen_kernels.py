"""Kernels of torch for attention in packed rows on GPUs, and the check that one computes what it should.

`torch.nn.attention.varlen` has no dropout; these operators below it have, with a gradient. They are torch's
own, but no public interface: none is used before it has computed a small row as `grouped_attention` does.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import torch

from ner_dist.model.packed_attention import Segments, grouped_attention

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformers import PretrainedConfig

    from ner_dist.model.packed_attention import Kernel

log = logging.getLogger(__name__)

_TOLERANCE = {torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 4e-2}
_LENGTHS = np.array([70, 33, 16, 5, 2])


def flash(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    segments: Segments,
    *,
    scale: float,
    dropout: float = 0.0,
    window: int | None = None,
) -> torch.Tensor:
    """FlashAttention, for 16 bits on compute capability 8.0 and newer."""
    reach = None if window is None else window - 1
    result: torch.Tensor = torch.ops.aten._flash_attention_forward(
        *(query, key, value, segments.bounds, segments.bounds, segments.longest, segments.longest),
        *(dropout, False, False),
        scale=scale,
        window_size_left=reach,
        window_size_right=reach,
    )[0]
    return result


def efficient(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    segments: Segments,
    *,
    scale: float,
    dropout: float = 0.0,
    window: int | None = None,
) -> torch.Tensor:
    """Memory-efficient attention, for fp32 and for older GPUs. It has no window to both sides."""
    if window is not None:
        raise NotImplementedError("no window to both sides")
    result: torch.Tensor = torch.ops.aten._efficient_attention_forward(
        *(query[None], key[None], value[None], None, segments.bounds, segments.bounds),
        *(segments.longest, segments.longest, dropout, 0, True),
        scale=scale,
    )[0][0]
    return result


KERNELS: dict[str, Kernel] = {"flash": flash, "efficient": efficient}
"""By name, the fastest first."""


def choose_kernel(
    config: PretrainedConfig,
    *,
    device: torch.device,
    dtype: torch.dtype,
    kernels: Mapping[str, Kernel] = KERNELS,
) -> Kernel:
    """The first kernel that passes the check, else `grouped_attention`; a GPU's choice is logged.

    Args:
        config: of the encoder.
        device: of the training; on CPUs there are no such kernels.
        dtype: type to compute in.
        kernels: by name, to be tried in their order.
    """
    if device.type == "cpu" and kernels is KERNELS:
        return grouped_attention
    reasons = []
    for name, kernel in kernels.items():
        reason = _fault(kernel, config, device=device, dtype=dtype)
        if reason is None:
            log.info("attention of packed rows: the %s kernel", name)
            return kernel
        reasons.append(f"{name}: {reason}")
    log.info("attention of packed rows in groups, since no kernel passed the check (%s)", "; ".join(reasons))
    return grouped_attention


def _fault(
    kernel: Kernel, config: PretrainedConfig, *, device: torch.device, dtype: torch.dtype
) -> str | None:
    """Why a kernel cannot be used; None if it computes a small row as the groups do, gradient included."""
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    total = int(_LENGTHS.sum())
    segments = Segments.of(_LENGTHS, row_length=total + 2, longest=int(_LENGTHS[0]), most=8).to(device)
    # On the host, so that the random state of the training's device stays as it is.
    generator = torch.Generator().manual_seed(0)
    q, k, v, weight = (
        torch.randn(total + 2, heads, size, generator=generator).to(device, dtype) for _ in range(4)
    )
    weight[total:] = 0
    windows = [None] if getattr(config, "sliding_window", None) is None else [None, config.sliding_window + 1]
    try:
        for window in windows:
            expected = _values(grouped_attention, (q, k, v), weight, segments, window=window)
            got = _values(kernel, (q, k, v), weight, segments, window=window)
            for one, other in zip(got, expected, strict=True):
                if not torch.allclose(one[:total], other[:total], rtol=0, atol=_TOLERANCE[dtype]):
                    return "other values than in groups"
            with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                dropped = _values(kernel, (q, k, v), weight, segments, window=window, dropout=0.1)
            if not all(part[:total].isfinite().all() for part in dropped):
                return "not finite with dropout"
            if torch.equal(dropped[0], got[0]):
                return "no dropout"
    # Whatever an operator raises that is not there for this device, type or size.
    except Exception as error:
        return (str(error).strip().splitlines() or [type(error).__name__])[0]
    return None


def _values(
    kernel: Kernel,
    inputs: tuple[torch.Tensor, ...],
    weight: torch.Tensor,
    segments: Segments,
    *,
    window: int | None,
    dropout: float = 0.0,
) -> list[torch.Tensor]:
    """Result and gradients, in fp32."""
    q, k, v = leaves = [each.clone().requires_grad_() for each in inputs]
    out = kernel(q, k, v, segments, scale=q.shape[-1] ** -0.5, dropout=dropout, window=window)
    gradients = torch.autograd.grad((out * weight).float().sum(), leaves)
    return [out.detach().float(), *(each.float() for each in gradients)]
