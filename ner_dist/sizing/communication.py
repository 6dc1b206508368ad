"""Bytes that a strategy sends in a step and their time: the alpha-beta model of collectives.

A message of n bytes costs alpha + n / bandwidth. On a ring of W ranks (Thakur, Rabenseifner and Gropp,
"Optimization of Collective Communication Operations in MPICH", 2005) each rank sends

    all-gather, reduce-scatter    (W - 1) / W * n bytes in W - 1 messages
    all-reduce                    twice that: a reduce-scatter and an all-gather

of a tensor of n bytes in all, which no algorithm undercuts. An all-reduce may also go over a tree, in
2 log2(W) messages (Sanders, Speck and Traeff, 2009, which NCCL has); the faster of the two counts.

With several machines every ring passes through every machine's network, so that the slower of the two
bandwidths carries it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ner_dist.launch import LaunchConfig
    from ner_dist.sizing.model_shape import ModelShape

Operation = Literal["all_reduce", "all_gather", "reduce_scatter"]

DDP_BUCKET = 25 * 2**20
"""DDP's default bucket, bytes."""
LIVE_PARAMETERS = 10**9
"""DeepSpeed's stage3_max_live_parameters and stage3_max_reuse_distance: a smaller model, once gathered for
the forward pass, stays whole until its backward pass."""


@dataclass(frozen=True)
class Network:
    """How the ranks are connected."""

    intra: float
    """Bytes per second of a ring within a machine, as collectives reach them; one direction."""
    inter: float
    """The same from one machine into the network, all its adapters together."""
    alpha: float
    """Seconds that a message takes however short it is."""
    per_machine: int
    """Ranks of one machine."""

    def bandwidth(self, world: int) -> float:
        return self.intra if world <= self.per_machine else min(self.intra, self.inter)


@dataclass(frozen=True)
class Transfer:
    """Collectives of one kind in a step."""

    operation: Operation
    size: float
    """Bytes of all the tensors in all, whole."""
    calls: int

    def sent(self, world: int) -> float:
        """Bytes that each rank sends."""
        return (2 if self.operation == "all_reduce" else 1) * (world - 1) / world * self.size

    def seconds(self, world: int, network: Network) -> float:
        """Time of all the calls, one after the other."""
        if world == 1:
            return 0.0
        bandwidth = network.bandwidth(world)
        rounds = 2 if self.operation == "all_reduce" else 1
        ring = self.calls * rounds * (world - 1) * network.alpha + self.sent(world) / bandwidth
        if self.operation != "all_reduce":
            return ring
        tree = self.calls * 2 * math.log2(world) * network.alpha + 2 * self.size / bandwidth
        return min(ring, tree)


def transfers(
    launch: LaunchConfig, shape: ModelShape, *, half: bool, turns: int, gloo: bool = False
) -> list[Transfer]:
    """The collectives of a step of `turns` micro-batches a rank, under ner_dist's own settings.

    With P parameters of e bytes (2 in 16 bits, else 4), in units of (W - 1) / W:

        DDP      8 P          all-reduce of fp32 gradients with the last micro-batch
        ZeRO-1   (8 + e) P    all-reduce of gradients once, all-gather of weights
        ZeRO-2   (8 t + e) P  DeepSpeed reduces gradients with every micro-batch, and by all-reduce
                              (`use_multi_rank_bucket_allreduce`), where the paper (arXiv:1910.02054, section
                              7.2) has a reduce-scatter
        ZeRO-3   t (4 + (1 or 2) e) P    weights gathered once or, in a model of more than 1e9 parameters,
                              twice for every micro-batch, and gradients scattered

    Gradients are added up in fp32 whatever the precision.

    Args:
        launch: the strategy.
        shape: the model.
        half: weights in 16 bits, as bf16 and fp16 have them under DeepSpeed.
        turns: t, micro-batches of each rank.
        gloo: as on CPUs, where a reduce-scatter is an all-reduce of which most is thrown away.
    """
    size, gradients = shape.parameters * (2 if half else 4), 4 * shape.parameters
    if launch.strategy == "one":
        return []
    if launch.strategy == "ddp":
        return [Transfer("all_reduce", gradients, math.ceil(gradients / DDP_BUCKET))]
    if launch.stage < 3:
        reductions = turns if launch.stage == 2 else 1
        return [Transfer("all_reduce", reductions * gradients, reductions), Transfer("all_gather", size, 1)]
    sharded = size * shape.sharded / shape.parameters
    passes = turns * (1 if shape.parameters <= LIVE_PARAMETERS else 2)
    return [
        Transfer("all_gather", passes * sharded, passes * shape.sharded_tensors),
        Transfer("all_reduce" if gloo else "reduce_scatter", turns * gradients, turns),
    ]
