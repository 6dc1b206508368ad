"""Seconds of an optimiser step: computing, updating the weights, and the communication that neither hides.

    step = turns * micro-batch + update + exposed communication

Computing. A backward pass takes twice the forward pass's matrix products (arXiv:2104.04473, section 3), and
about twice its kernels and bytes; checkpointing runs the forward pass once more. So it counts 3 or 4 times:
matrix products over the rate that the device reaches, then the other operators' bytes over the memory's rate.
It never takes less than the host takes to start its kernels, and to run DeepSpeed's hooks on every parameter.

Updating. Clipping and AdamW touch memory and compute next to nothing. Bytes moved for each of P parameters:
clipping reads the gradients, then reads and writes them (12); AdamW reads four fp32 numbers and writes three
(28). ZeRO does so for P / W of them, and copies gradients: into the bucket, into a flat tensor, and the share
of the rank out of it (arXiv:1910.02054; DeepSpeed's stage_1_and_2.py and stage3.py).

Overlap. DDP sends a bucket while the backward pass of the last micro-batch computes the next
(arXiv:2006.15704): all but the last bucket hides behind it. DeepSpeed does not overlap below stage 3 unless
told to; stage 3 gathers and scatters beside the computation. A CPU's ranks compute and send with the same
cores: nothing hides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ner_dist.sizing import devices
from ner_dist.sizing.communication import Network, transfers

if TYPE_CHECKING:
    from ner_dist.launch import LaunchConfig
    from ner_dist.sizing.devices import Gpu
    from ner_dist.sizing.forward_cost import ForwardCost
    from ner_dist.sizing.model_shape import ModelShape


HOOK_SECONDS = (0.0, 5e-5, 1e-4, 5e-4)
"""Seconds of Python that DeepSpeed's stage 0 to 3 adds to a micro-batch for each parameter tensor: a training
whose computation is negligible, against the same under DDP (benchmarks/plan_check.py --hooks)."""


@dataclass(frozen=True)
class Rates:
    """Rates that a device reaches, per second."""

    flops: float
    """Operations of matrix products, in the precision that is trained in."""
    memory: float
    """Bytes of element-wise work."""
    fresh: float = math.inf
    """Bytes of newly allocated memory: a CPU's pages have to be mapped and cleared, a GPU's are cached."""
    elements: float = math.inf
    """Bytes of the operators between matrix products; infinite where `flops` includes them."""
    kernel: float = 0.0
    """Seconds of the host to start one operator."""
    step: float = 0.0
    """Seconds of the host for the rest of a step."""
    overlap: bool = True
    """Whether communication overlaps with computation."""
    host_link: float = 12e9
    """Bytes between a GPU and main memory: PCIe."""
    host_memory: float = 20e9
    """Bytes of Adam on the host, for each rank."""


@dataclass(frozen=True)
class StepTime:
    """Seconds of one step."""

    compute: float
    update: float
    communication: float
    """All of it, hidden or not."""
    exposed: float
    """The part of communication that computation does not hide."""
    sent_bytes: float
    """By each rank."""
    host: float = 0.0
    """Seconds in which the host starts kernels; `compute` is no less."""

    @property
    def limit(self) -> str:
        """What takes most of the step: `network`, `host` or `device`."""
        if self.exposed > self.compute + self.update:
            return "network"
        return "host" if self.host >= self.compute > 0 else "device"

    @property
    def total(self) -> float:
        return self.compute + self.update + self.exposed


def rates_of(gpu: Gpu, *, precision: str, flops: float | None = None) -> Rates:
    """Rates that a listed device is assumed to reach.

    Args:
        gpu: the device.
        precision: `fp32`, `bf16` or `fp16`.
        flops: operations per second that it reaches, if that is known better.
    """
    peak = 1e12 * (gpu.fp32_tflops if precision == "fp32" else gpu.half_tflops)
    memory = 1e9 * gpu.memory_gbps * devices.MEMORY_SHARE
    if not gpu.is_gpu:
        return Rates(flops=flops or peak * devices.CPU_SHARE, memory=memory, overlap=False)
    return Rates(
        flops=flops or peak * devices.MATRIX_SHARE,
        memory=memory,
        elements=math.inf if flops else memory,
        kernel=devices.KERNEL_SECONDS,
        step=devices.STEP_SECONDS,
    )


def passes_of(checkpointing: bool) -> int:
    """Forward passes that a forward and a backward pass cost; checkpointing adds one."""
    return 4 if checkpointing else 3


def micro_batch_seconds(
    shape: ModelShape, cost: ForwardCost, *, tokens: float, rates: Rates, checkpointing: bool = False
) -> float:
    """Seconds of one micro-batch's forward and backward pass on the device."""
    passes = passes_of(checkpointing)
    return passes * (cost.flops(tokens) / rates.flops + tokens * cost.moved_per_token / rates.elements)


def host_seconds(
    launch: LaunchConfig, shape: ModelShape, cost: ForwardCost, *, rates: Rates, checkpointing: bool = False
) -> float:
    """Seconds of the host for one micro-batch: to start kernels, and DeepSpeed's Python at every tensor."""
    hooks = HOOK_SECONDS[launch.stage] * len(shape.sizes)
    return passes_of(checkpointing) * cost.kernels * rates.kernel + hooks


def step_time(
    launch: LaunchConfig,
    shape: ModelShape,
    *,
    micro_batch: float,
    host: float,
    turns: int,
    world: int,
    half: bool,
    rates: Rates,
    network: Network,
) -> StepTime:
    """The time of a step.

    Args:
        launch: the strategy.
        shape: the model.
        micro_batch: seconds of one micro-batch on the device.
        host: seconds of one micro-batch on the host; a GPU computes meanwhile, a CPU does not.
        turns: micro-batches of each rank.
        world: number of ranks.
        half: 16-bit weights and gradients, as under DeepSpeed unless in fp32.
        rates: of the device.
        network: between the ranks.
    """
    sent = transfers(launch, shape, half=half, turns=turns, gloo=not rates.overlap)
    calls = [transfer.seconds(world, network) for transfer in sent]
    communication = sum(calls)
    micro_batch = max(micro_batch, host) if rates.overlap else micro_batch + host
    compute = turns * micro_batch + rates.step
    exposed = communication
    if rates.overlap and launch.strategy == "ddp" and sent:
        # The gradient of the embeddings, the largest of all, comes last: nothing is left to hide it behind.
        last = max(1 / sent[0].calls, shape.largest / shape.parameters)
        exposed = max(communication - micro_batch * 2 / 3, communication * last)
    elif rates.overlap and launch.stage == 3:
        # The first gather has nothing to hide behind.
        exposed = max(
            communication - compute, communication / max(1, sum(transfer.calls for transfer in sent))
        )
    update = _update_seconds(launch, shape, turns=turns, world=world, half=half, rates=rates)
    sent_bytes = sum(transfer.sent(world) for transfer in sent)
    on_host = turns * host + rates.step if rates.overlap else 0.0
    return StepTime(compute, update, communication, exposed, sent_bytes, on_host)


def _update_seconds(
    launch: LaunchConfig, shape: ModelShape, *, turns: int, world: int, half: bool, rates: Rates
) -> float:
    e = 2 if half else 4
    if launch.strategy == "one":
        return 40 * shape.parameters / rates.memory
    if launch.strategy == "ddp":
        # Gradients stay in the buckets, and are set to zero there.
        return (40 + 4 * (world > 1)) * shape.parameters / rates.memory
    reductions = turns if launch.stage > 1 else 1
    copies = reductions * (e + 28) * shape.parameters + 2 * e * shape.parameters
    mine = shape.parameters / world
    # Allocated every time: bucket and flat copy; under stage 3 gathered weights, flat copy, gloo's copy.
    fresh_bytes = 8 + (e if launch.stage == 3 else 0)
    allocated = reductions * fresh_bytes * shape.parameters / rates.fresh
    if not launch.offload:
        return (copies + 40 * mine) / rates.memory + allocated
    moved = (turns * 4 + e + turns * e) * mine
    return copies / rates.memory + moved / rates.host_link + 40 * mine / rates.host_memory


def turns_of(batch_tokens: int, micro_batch_tokens: int, world: int) -> int:
    """Forward passes of each rank in a step of M = ceil(batch / micro-batch) micro-batches: ceil(M / W)."""
    return math.ceil(math.ceil(batch_tokens / micro_batch_tokens) / world)
