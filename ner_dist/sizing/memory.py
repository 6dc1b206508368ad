"""Memory of one rank at its peak, by what holds it.

With P parameters on W ranks, in bytes (arXiv:1910.02054, section 3, completed by what PyTorch and DeepSpeed
0.18 and 0.19 really hold; e is 2 for 16-bit weights, else 4):

                  weights        gradients      optimiser    communication
    one process   4 P            4 P            8 P
    DDP           4 P            4 P            8 P          4 P: the buckets, which gradients move into with
                                                             the first step's exchange
    ZeRO-1        e P            4 P, in 16     12 P / W     a bucket of 2.5e8 fp32 elements (none in bf16),
                                 bits 6 P                    and a flat copy of it while it is reduced
    ZeRO-2        e P            4 P / W        12 P / W     the same
    ZeRO-3        e P / W        4 P / W        12 P / W     the same; and the weights that are gathered

Under autocast, DDP and one process have fp32 weights, gradients and moments whatever the precision; the
16-bit copies that autocast makes of the weights count as activations. Under DeepSpeed the optimiser's share
is fp32 weights and two moments. ZeRO-3 keeps what it has gathered until the backward pass, up to 1e9
parameters; smaller tensors than 100,000 elements are never sharded. Offload moves weights, gradients and
optimiser to the host.

Three moments compete for the peak: the backward pass's start, when all activations are there; its end, when
the gradient of the largest tensor exists beside the one it is added to; and the reduction of gradients. On a
CPU the pages of a bucket count as they are filled, and gloo scatters by a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ner_dist.runtime.accelerator import REDUCE_BUCKET
from ner_dist.sizing.communication import LIVE_PARAMETERS
from ner_dist.sizing.forward_cost import Dtypes, ForwardCost

if TYPE_CHECKING:
    from ner_dist.launch import LaunchConfig
    from ner_dist.sizing.model_shape import ModelShape

GPU_OVERHEAD = 1.0 * 2**30
"""CUDA's context, cuBLAS's and NCCL's buffers, and what the allocator cannot use: an assumption."""


@dataclass(frozen=True)
class Memory:
    """Bytes of one rank at its peak. The parts add up to `total`."""

    weights: float
    gradients: float
    optimiser: float
    activations: float
    """Saved for the backward pass, and the gradients that flow through it."""
    buffers: float
    """Of communication and the device; and what another moment needs beyond the activations."""
    host: float = 0.0
    """In the machine's main memory, for each rank."""
    scoring: float = 0.0
    """In all while the finished model is scored: fp32 weights on every rank. Not part of `total`."""

    @property
    def total(self) -> float:
        return self.weights + self.gradients + self.optimiser + self.activations + self.buffers


@dataclass(frozen=True)
class _Held:
    """Bytes that a strategy holds throughout, and in addition during the backward pass and the reduction."""

    weights: float
    gradients: float
    optimiser: float
    always: float = 0.0
    backward: float = 0.0
    reduction: float = 0.0
    setup: float = 0.0
    """In all, while the weights are distributed at the start."""
    host: float = 0.0


def dtypes_of(launch: LaunchConfig, precision: str) -> Dtypes:
    """The number formats that a strategy computes in."""
    if precision == "fp32":
        return "fp32"
    return "half" if launch.strategy == "zero" else "autocast"


def memory_of(
    launch: LaunchConfig,
    shape: ModelShape,
    cost: ForwardCost,
    *,
    precision: str,
    world: int,
    tokens: int,
    on_gpu: bool = True,
    checkpointing: bool = False,
    scored_tokens: int = 0,
    freed: bool = True,
) -> Memory:
    """The peak of one rank that runs micro-batches of `tokens` padded subwords, several a step.

    Args:
        launch: the strategy.
        shape: the model.
        cost: of its forward pass, in the strategy's numbers, at the longest length.
        precision: `fp32`, `bf16` or `fp16`.
        world: number of ranks.
        tokens: of a micro-batch.
        on_gpu: whether buffers are allocated as asked; on a CPU their pages come when touched.
        checkpointing: recompute each layer's activations in the backward pass.
        scored_tokens: padded subwords of a forward pass of scoring.
        freed: whether the training is freed before its model is scored at the end.
    """
    held = _HELD[launch.strategy](launch, shape, precision=precision, world=world, on_gpu=on_gpu)
    e = 2 if dtypes_of(launch, precision) == "half" else 4
    layer_inputs = tokens * shape.layers * shape.hidden * e if checkpointing else None
    activations = _activations(shape, cost, tokens=tokens, layer_inputs=layer_inputs)
    fresh_gradient = e * shape.largest
    more = max(held.backward + activations, fresh_gradient, held.reduction)
    throughout = held.weights + held.gradients + held.optimiser + held.always
    more = max(more, held.setup - throughout)
    overhead = GPU_OVERHEAD if on_gpu else 0.0
    # A forward pass without gradients holds few of its largest tensors at a time.
    scoring = 4 * shape.parameters + 4 * scored_tokens * cost.largest_per_token + overhead
    return Memory(
        weights=held.weights,
        gradients=held.gradients,
        optimiser=held.optimiser,
        activations=activations,
        buffers=held.always + more - activations + overhead,
        host=held.host,
        scoring=scoring if freed else throughout + scoring,
    )


def _activations(shape: ModelShape, cost: ForwardCost, *, tokens: int, layer_inputs: float | None) -> float:
    """Saved tensors, and two gradients as large as the largest of them.

    With checkpointing every layer keeps its input, and one layer at a time all the rest (arXiv:1604.06174).
    """
    saved = cost.saved(tokens)
    if layer_inputs is not None:
        saved = cost.saved_fixed + layer_inputs + (saved - cost.saved_fixed) / shape.layers
    return saved + 2 * tokens * cost.largest_per_token


def largest_micro_batch(limit: float, memory_of_tokens: Callable[[int], Memory]) -> int:
    """The most subwords a micro-batch may hold within `limit` bytes; 0 if not even one fits.

    Memory rises with the number of subwords, so that halving the interval finds it.
    """
    fits, too_many = 0, 1
    while memory_of_tokens(too_many).total <= limit:
        fits, too_many = too_many, 2 * too_many
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if memory_of_tokens(middle).total <= limit:
            fits = middle
        else:
            too_many = middle
    return fits


def _one(launch: LaunchConfig, shape: ModelShape, *, precision: str, world: int, on_gpu: bool) -> _Held:
    return _Held(weights=4 * shape.parameters, gradients=4 * shape.parameters, optimiser=8 * shape.parameters)


def _ddp(launch: LaunchConfig, shape: ModelShape, *, precision: str, world: int, on_gpu: bool) -> _Held:
    size = 4 * shape.parameters
    # Gradients are the buckets from the first exchange on; until then they exist beside them.
    return _Held(weights=size, gradients=size, optimiser=2 * size, always=size if world > 1 else 0.0)


def _zero(launch: LaunchConfig, shape: ModelShape, *, precision: str, world: int, on_gpu: bool) -> _Held:
    parameters, e = shape.parameters, 4 if precision == "fp32" else 2
    whole, share = e * parameters, 12 * parameters / world
    touched = min(parameters, REDUCE_BUCKET)
    bucket = 4 * REDUCE_BUCKET if on_gpu else 0.0
    if launch.stage == 1 and precision == "bf16":
        # DeepSpeed's BF16_Optimizer: 16-bit gradients, their fp32 sum, and a flat copy of that to send.
        return _Held(
            weights=whole, gradients=whole + 4 * parameters, optimiser=share, reduction=4 * parameters
        )
    if launch.stage == 1:
        gradients = 4 * parameters + (whole if e == 2 else 0)
        return _Held(
            weights=whole, gradients=gradients, optimiser=share, always=bucket, reduction=4 * touched
        )
    reduction = float(4 * touched * (1 if on_gpu else 2))
    if launch.stage == 2:
        return _Held(
            weights=whole,
            gradients=4 * parameters / world,
            optimiser=share,
            always=bucket,
            reduction=reduction,
        )
    kept = e * (parameters - shape.sharded)
    sharded = e * shape.sharded / world
    gathered = e * min(shape.sharded, LIVE_PARAMETERS)
    if not on_gpu:
        # gloo has no reduce-scatter of its own: it all-reduces a copy.
        reduction += 4 * touched * (1 + 1 / world)
    on_device = _Held(
        weights=kept + sharded,
        gradients=4 * parameters / world,
        optimiser=share,
        always=bucket,
        backward=gathered,
        reduction=reduction,
        # The engine moves the whole model to the device before it shards it.
        setup=whole + sharded,
    )
    if not launch.offload:
        return on_device
    moved = sharded + on_device.gradients + share
    return replace(on_device, weights=kept, gradients=0.0, optimiser=0.0, host=moved)


_HELD = {"one": _one, "ddp": _ddp, "zero": _zero}
