"""Recommend a launch config: size every one of them, and choose the fastest that fits."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ner_dist.errors import UserError
from ner_dist.formatting import duration
from ner_dist.launch import LaunchConfig, launch_command, shipped_configs
from ner_dist.runtime.precision import Device, resolve_precision
from ner_dist.sizing import devices
from ner_dist.sizing.memory import Memory, dtypes_of, largest_micro_batch, memory_of
from ner_dist.sizing.step_time import (
    Rates,
    StepTime,
    host_seconds,
    micro_batch_seconds,
    passes_of,
    rates_of,
    step_time,
    turns_of,
)
from ner_dist.training.auto import MOST_EVALUATIONS

if TYPE_CHECKING:
    from ner_dist.recipe import FixedRecipe
    from ner_dist.sizing.communication import Network
    from ner_dist.sizing.devices import Gpu
    from ner_dist.sizing.model_shape import ModelShape
    from ner_dist.sizing.workload import Workload

WORTH_IT = 0.9
"""A config that is more involved has to take less than this share of a simpler one's time,"""
WORTH_SECONDS = 60.0
"""and to save so many seconds."""
MUCH_TO_LOAD = 64 * 2**30
"""Bytes of main memory worth a remark."""


@dataclass(frozen=True)
class Hardware:
    """The hardware to plan for."""

    gpus: int
    memory: float
    """Bytes of each GPU, or of each process where there is none."""
    gpu: Gpu
    network: Network
    flops: float | None = None
    """Operations per second that a GPU reaches, where the user knows it."""
    rates: Rates | None = None
    """Measured rates; they replace those of the data sheet and `flops`."""

    @property
    def machines(self) -> int:
        return math.ceil(self.gpus / self.network.per_machine)


@dataclass(frozen=True)
class Sized:
    """One launch config on the hardware."""

    launch: LaunchConfig
    world: int
    refused: str | None = None
    """Why it cannot run; all that follows is then absent."""
    precision: str = ""
    memory: Memory | None = None
    fits: bool = False
    largest: int = 0
    """Subwords of the largest micro-batch that fits."""
    micro_batch_tokens: int = 0
    """Subwords of the micro-batch that is planned: the recipe's, or one that suits the ranks better."""
    turns: int = 0
    idle_turns: int = 0
    """Of all ranks' forward passes of a step."""
    time: StepTime | None = None
    device_seconds: float = 0.0
    """Seconds of a step in which the device computes."""
    words_per_second: float = 0.0
    start_seconds: float = 0.0
    scoring_seconds: float = 0.0
    hours: float = 0.0
    """From the command to the results."""
    hours_range: tuple[float, float] = (0.0, 0.0)
    steps: int = 0

    @property
    def seconds(self) -> float:
        """Of the whole run; infinite where it cannot run."""
        return 3600 * self.hours if self.fits and self.time is not None else math.inf


def size_all(recipe: FixedRecipe, shape: ModelShape, workload: Workload, hardware: Hardware) -> list[Sized]:
    """Size every shipped launch config that suits the number of machines, the simplest first."""
    launches = _suiting(shipped_configs(), machines=hardware.machines)
    return [size(launch, recipe, shape, workload, hardware) for launch in launches]


def _suiting(launches: list[LaunchConfig], *, machines: int) -> list[LaunchConfig]:
    """On one machine the configs written for one; on several, one written for several replaces its equal."""
    if machines == 1:
        return [launch for launch in launches if launch.machines == 1]
    replaced = {_kind(launch) for launch in launches if launch.machines > 1}
    return [launch for launch in launches if launch.machines > 1 or _kind(launch) not in replaced]


def _kind(launch: LaunchConfig) -> tuple[str, int, bool, str | None]:
    return launch.strategy, launch.stage, launch.offload, launch.precision


def size(
    launch: LaunchConfig, recipe: FixedRecipe, shape: ModelShape, workload: Workload, hardware: Hardware
) -> Sized:
    """Memory and time of one launch config, with the micro-batch that suits its ranks."""
    gpu = hardware.gpu
    on_gpu = gpu.is_gpu and launch.for_gpus
    world = 1 if launch.strategy == "one" else hardware.gpus if launch.for_gpus or not gpu.is_gpu else 2
    nothing = Sized(launch, world)
    device = Device(gpu.name, is_gpu=on_gpu, native_bf16=gpu.native_bf16)
    try:
        precision, _ = resolve_precision(
            recipe.precision, launch.precision, device, model_type=shape.model_type
        )
    except UserError as error:
        return replace(nothing, refused=error.what)
    if launch.offload and not on_gpu:
        return replace(
            nothing,
            precision=precision,
            refused="offload has no effect: everything is in main memory already",
        )

    longest = longest_example(recipe, shape, workload)
    dtypes = dtypes_of(launch, precision)
    cost = shape.cost(dtypes, length=longest, fused_attention=on_gpu)
    checkpointing = recipe.model.gradient_checkpointing

    def memory(tokens: int) -> Memory:
        return memory_of(
            launch, shape, cost, precision=precision, world=world, tokens=tokens, on_gpu=on_gpu,
            checkpointing=checkpointing, scored_tokens=recipe.evaluation.batch_tokens,
            freed=recipe.checkpoint.every is not None,
        )  # fmt: skip

    largest = largest_micro_batch(hardware.memory, memory)
    batch = recipe.train.batch_tokens
    tokens = suitable_micro_batch(recipe, world=world, longest=longest, largest=largest)
    turns = turns_of(batch, tokens, world)
    sized = replace(
        nothing,
        precision=precision,
        memory=memory(tokens),
        fits=tokens <= largest and memory(tokens).scoring <= hardware.memory,
        largest=largest,
        micro_batch_tokens=tokens,
        turns=turns,
        idle_turns=turns * world - math.ceil(batch / tokens),
    )
    if gpu.is_gpu and not on_gpu:
        return sized
    return _timed(sized, recipe, shape, workload, hardware)


def _timed(
    sized: Sized, recipe: FixedRecipe, shape: ModelShape, workload: Workload, hardware: Hardware
) -> Sized:
    rates = hardware.rates or rates_of(hardware.gpu, precision=sized.precision, flops=hardware.flops)
    train, checkpointing = recipe.train, recipe.model.gradient_checkpointing
    dtypes = dtypes_of(sized.launch, sized.precision)
    cost = shape.cost(
        dtypes,
        length=max(2, round(workload.mean_length)),
        fused_attention=hardware.gpu.is_gpu,
    )
    # A micro-batch of the plan is cut to an equal share of the step.
    tokens = train.batch_tokens / math.ceil(train.batch_tokens / sized.micro_batch_tokens)
    micro_batch = micro_batch_seconds(shape, cost, tokens=tokens, rates=rates, checkpointing=checkpointing)
    host = host_seconds(sized.launch, shape, cost, rates=rates, checkpointing=checkpointing)
    time = step_time(
        sized.launch, shape, micro_batch=micro_batch, host=host, turns=sized.turns, world=sized.world,
        half=dtypes == "half",
        rates=rates, network=hardware.network,
    )  # fmt: skip
    steps_per_epoch = max(1, math.ceil(workload.subwords / train.batch_tokens))
    steps = train.max_steps or train.epochs * steps_per_epoch
    # A forward pass is a third of a micro-batch, and no gradients are exchanged.
    passes = passes_of(checkpointing)
    forward = max(micro_batch, host) / passes / tokens if rates.overlap else micro_batch / passes / tokens
    evaluations = _evaluations(recipe, steps=steps, steps_per_epoch=steps_per_epoch)
    subwords = (evaluations + 1) * workload.validation_subwords + workload.test_subwords
    scoring = subwords * forward / sized.world
    start = devices.START_SECONDS + devices.DEEPSPEED_START_SECONDS * (sized.launch.strategy == "zero")
    seconds = start + steps * time.total + scoring
    least, most = devices.TIME_RANGE[hardware.gpu.is_gpu]
    return replace(
        sized,
        time=time,
        device_seconds=sized.turns * micro_batch,
        steps=steps,
        words_per_second=workload.words / steps_per_epoch / time.total,
        start_seconds=start,
        scoring_seconds=scoring,
        hours=seconds / 3600,
        hours_range=(least * seconds / 3600, most * seconds / 3600),
    )


def _evaluations(recipe: FixedRecipe, *, steps: int, steps_per_epoch: int) -> int:
    """Evaluations during training, the one at its end included."""
    every = recipe.evaluation.every
    interval = every if isinstance(every, int) else steps_per_epoch
    number = max(1, math.ceil(steps / interval))
    return min(number, MOST_EVALUATIONS) if every == "auto" else number


def longest_example(recipe: FixedRecipe, shape: ModelShape, workload: Workload) -> int:
    """Subwords of the longest row that a micro-batch has to hold."""
    train = recipe.train
    # Preparing the data cuts windows to what a micro-batch holds.
    limit = min(shape.max_length, train.batch_tokens // train.micro_batches)
    return min(limit, recipe.data.max_length or limit, workload.longest or limit)


def suitable_micro_batch(recipe: FixedRecipe, *, world: int, longest: int, largest: int) -> int:
    """The micro_batch_tokens that keeps all ranks busy in as few turns as memory allows.

    The recipe's own stays where it does so as well. A micro-batch holds at least the longest example, so that
    a step has at most batch_tokens / longest of them: where there are more ranks, some idle.
    """
    own, batch = recipe.train.micro_batch_tokens, recipe.train.batch_tokens
    if own <= largest and math.ceil(batch / own) % world == 0:
        return own
    least = min(longest, batch)
    for turns in range(1, max(1, batch // (least * world)) + 1):
        tokens = math.ceil(batch / (turns * world))
        if least <= tokens <= largest:
            return tokens
    if batch // world < least:
        # More ranks than a step has room for: the smallest micro-batch gives work to the most of them.
        return math.ceil(batch / (batch // least))
    return max(least, math.ceil(batch / (world * (batch // (least * world)))))


def choose(sized: list[Sized]) -> Sized | None:
    """Choose the fastest config that fits, or a simpler one (earlier in the list) that is nearly as fast."""
    best: Sized | None = None
    for candidate in sized:
        if best is None or best.seconds == math.inf:
            best = candidate if candidate.seconds < math.inf else best
        elif candidate.seconds < min(WORTH_IT * best.seconds, best.seconds - WORTH_SECONDS):
            best = candidate
    return best


def _enough_gpus(
    chosen: Sized, recipe: FixedRecipe, shape: ModelShape, workload: Workload, hardware: Hardware
) -> Sized | None:
    """The choice for the fewest GPUs, by halves, that are nearly as quick; None if all are needed."""
    enough, gpus = None, hardware.gpus // 2
    while gpus >= 1 and chosen.world > 1:
        fewer = choose(size_all(recipe, shape, workload, replace(hardware, gpus=gpus)))
        if fewer is None or fewer.seconds > max(chosen.seconds / WORTH_IT, chosen.seconds + WORTH_SECONDS):
            break
        enough, gpus = fewer, gpus // 2
    return enough


def overrides_for(sized: Sized, recipe: FixedRecipe, given: list[str]) -> list[str]:
    """The user's overrides, and what the choice adds to them."""
    own = recipe.train.micro_batch_tokens
    if sized.micro_batch_tokens == own:
        return given
    kept = [text for text in given if not text.startswith("train.micro_batch_tokens=")]
    return [*kept, f"train.micro_batch_tokens={sized.micro_batch_tokens}"]


def command_for(sized: Sized, recipe: FixedRecipe, *, path: str, given: list[str], hardware: Hardware) -> str:
    """The command that trains under a config."""
    machines = 1 if sized.launch.strategy == "one" else hardware.machines
    return launch_command(
        sized.launch, path, overrides_for(sized, recipe, given), world=sized.world, machines=machines
    )


def _host_bound(chosen: Sized, recipe: FixedRecipe) -> str:
    """What a GPU that waits for its host would need."""
    assert chosen.time is not None
    busy = chosen.device_seconds / chosen.time.compute
    larger = min(chosen.largest, math.ceil(recipe.train.batch_tokens / chosen.world))
    note = f"host-bound: starting kernels takes longer than they run; a GPU computes {busy:.0%} of the time"
    if larger > chosen.micro_batch_tokens:
        return f"{note}; train.micro_batch_tokens={larger} fits, and makes fewer passes (over other batches)"
    return (
        f"{note}; fewer GPUs, or a larger train.batch_tokens (which changes what is trained), use them better"
    )


def why(chosen: Sized, sized: list[Sized]) -> str:
    """The reason for a choice, in half a sentence."""
    usable = [other for other in sized if other.time is not None]
    reasons = []
    if simpler := [other for other in usable[: usable.index(chosen)] if not other.fits]:
        names = list(dict.fromkeys(re.sub("_(bf|fp)16$", "", other.launch.name) for other in simpler))
        reasons.append(f"{', '.join(names)} {'do' if len(names) > 1 else 'does'} not fit")
    quickest = min(usable, key=lambda other: other.seconds)
    if quickest.seconds < 0.995 * chosen.seconds:
        saved = duration(chosen.seconds - quickest.seconds)
        reasons.append(f"{quickest.launch.name} would save only {saved} of {duration(chosen.seconds)}")
        return "; ".join(reasons)
    second = min(
        (other.seconds for other in usable if other.seconds > 1.005 * chosen.seconds), default=math.inf
    )
    if second < math.inf:
        named = next(other.launch.name for other in usable if other.seconds == second)
        reasons.append(f"{second / chosen.seconds:.2f} times as fast as the next, {named}")
    else:
        reasons.append("no other that fits is faster")
    return "; ".join(reasons)


def remarks(
    chosen: Sized | None,
    recipe: FixedRecipe,
    shape: ModelShape,
    workload: Workload,
    hardware: Hardware,
) -> list[str]:
    """Notes for the user: idle ranks, memory of the host, what to try if nothing fits."""
    train, notes = recipe.train, []
    longest = longest_example(recipe, shape, workload)
    if chosen is None:
        steps = ["more GPUs"]
        if not recipe.model.gradient_checkpointing:
            steps.insert(0, "model.gradient_checkpointing=true")
        notes.append(
            f"nothing fits: try {', '.join(steps)}, GPUs with more memory, or a shorter data.max_length"
        )
        return notes
    world, own = chosen.world, train.micro_batch_tokens
    if chosen.micro_batch_tokens != own:
        batches = train.micro_batches
        idle = turns_of(train.batch_tokens, own, world) * world - batches
        reason = (
            f"leaves {idle} of {idle + batches} forward passes of a step empty" if idle else "does not fit"
        )
        notes.append(
            f"the recipe's micro_batch_tokens {own} ({batches} micro-batches a step) {reason} on {world} "
            f"rank{'s' * (world > 1)}; {chosen.micro_batch_tokens} is used instead"
        )
    if chosen.idle_turns:
        room = train.batch_tokens // min(longest, train.batch_tokens)
        notes.append(
            f"a step of {train.batch_tokens} subwords holds at most {room} micro-batches of the longest "
            f"example ({longest}): {chosen.idle_turns} of {chosen.turns * world} forward passes are empty; "
            f"raise train.batch_tokens to {longest * world} (which changes what is trained), lower "
            f"data.max_length, or take {room} GPUs"
        )
    fewer = _enough_gpus(chosen, recipe, shape, workload, hardware)
    if fewer is not None:
        notes.append(
            f"a step of {train.batch_tokens} subwords is small for {hardware.gpus} GPUs: {fewer.world} would "
            f"take {fewer.seconds / chosen.seconds:.2f} times the time of the whole run ({fewer.launch.name})"
        )
    elif chosen.launch.strategy == "one" and hardware.gpus > 1:
        notes.append(f"{hardware.gpus - 1} of the {hardware.gpus} GPUs stay unused")
    if chosen.time is not None and chosen.time.limit == "host":
        notes.append(_host_bound(chosen, recipe))
    ranks = min(world, hardware.network.per_machine)
    if chosen.memory and chosen.memory.host:
        host = chosen.memory.host * ranks / 2**30
        notes.append(f"offloaded state takes {host:.0f} GiB of each machine's main memory")
    loading = 4 * shape.parameters * ranks
    if loading > MUCH_TO_LOAD:
        notes.append(
            f"every rank loads the whole model in fp32: {loading / 2**30:.0f} GiB of a machine's main memory"
        )
    return notes
