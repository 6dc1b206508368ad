"""The plan as a result: what `ner-dist plan --json` prints, by `dataclasses.asdict`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ner_dist.sizing.advise import Sized
    from ner_dist.sizing.step_time import StepTime
    from ner_dist.sizing.workload import Workload


@dataclass(frozen=True)
class PlannedModel:
    """The encoder with its output layer."""

    name: str
    parameters: int
    layers: int


@dataclass(frozen=True)
class MemoryBytes:
    """Bytes of one rank at its peak. `host` is main memory, and `scoring` all that the final scoring holds:
    neither is part of `total`."""

    weights: int
    gradients: int
    optimiser: int
    activations: int
    buffers: int
    total: int
    host: int
    scoring: int


@dataclass(frozen=True)
class StepSeconds:
    """Seconds of an optimiser step."""

    compute: float
    update: float
    communication: float
    exposed_communication: float
    """The part of communication that computation does not hide."""
    host: float
    """The host's time to start kernels; `compute` is no less."""
    step: float
    limited_by: str
    """`device`, `host` or `network`."""


@dataclass(frozen=True)
class RefusedConfig:
    """A launch config that cannot run on the hardware."""

    config: str
    ranks: int
    refused: str
    """Why it cannot run."""


@dataclass(frozen=True)
class PlannedConfig:
    """Memory and time under a launch config; `seconds` and `sent_bytes` are None if time is not modelled."""

    config: str
    ranks: int
    precision: str
    fits: bool
    memory_bytes: MemoryBytes
    largest_micro_batch_tokens: int
    micro_batch_tokens: int
    turns: int
    empty_turns: int
    seconds: StepSeconds | None
    sent_bytes: int | None
    """Sent by each rank in a step."""
    words_per_second: float
    steps: int
    start_seconds: float
    scoring_seconds: float
    """Of all evaluations, and of the final scoring."""
    hours: float
    """From the command to the results, without preparing data."""
    hours_range: tuple[float, float]
    """The least and the most that is to be expected."""


@dataclass(frozen=True)
class Plan:
    """Every launch config sized for a recipe, and the one to use."""

    model: PlannedModel
    data: Workload
    configs: list[PlannedConfig | RefusedConfig]
    take: str | None
    """Name of the launch config to use; None if nothing fits."""
    command: str | None
    remarks: list[str]


def planned(sized: Sized) -> PlannedConfig | RefusedConfig:
    """The figures of one launch config."""
    memory = sized.memory
    if memory is None:
        return RefusedConfig(sized.launch.name, sized.world, sized.refused or "")
    parts = (memory.weights, memory.gradients, memory.optimiser, memory.activations, memory.buffers)
    return PlannedConfig(
        config=sized.launch.name,
        ranks=sized.world,
        precision=sized.precision,
        fits=sized.fits,
        memory_bytes=MemoryBytes(*map(round, (*parts, memory.total, memory.host, memory.scoring))),
        largest_micro_batch_tokens=sized.largest,
        micro_batch_tokens=sized.micro_batch_tokens,
        turns=sized.turns,
        empty_turns=sized.idle_turns,
        seconds=_seconds(sized.time),
        sent_bytes=None if sized.time is None else round(sized.time.sent_bytes),
        words_per_second=sized.words_per_second,
        steps=sized.steps,
        start_seconds=sized.start_seconds,
        scoring_seconds=sized.scoring_seconds,
        hours=sized.hours,
        hours_range=sized.hours_range,
    )


def _seconds(time: StepTime | None) -> StepSeconds | None:
    if time is None:
        return None
    return StepSeconds(
        *(time.compute, time.update, time.communication, time.exposed, time.host, time.total), time.limit
    )
