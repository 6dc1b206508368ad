"""`ner-dist plan`: from what the user typed to the table and the advice."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ner_dist.errors import UserError
from ner_dist.recipe_file import load_recipe
from ner_dist.sizing import devices
from ner_dist.sizing.advise import (
    Hardware,
    choose,
    command_for,
    longest_example,
    remarks,
    size_all,
    why,
)
from ner_dist.sizing.communication import Network
from ner_dist.sizing.model_shape import KNOWN, ModelShape, model_shape
from ner_dist.sizing.report import print_plan
from ner_dist.sizing.result import Plan, PlannedModel, planned
from ner_dist.sizing.workload import Workload, workload_of
from ner_dist.training.auto import settle

if TYPE_CHECKING:
    from ner_dist.recipe import FixedRecipe

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY_UNITS = {"": 1, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


@dataclass(frozen=True)
class PlanOptions:
    """The command's options, as typed."""

    gpus: int
    gpu_memory: str
    gpu: str = "a100"
    flops: float | None = None
    interconnect: float | None = None
    inter_node: float = devices.INTER_NODE_GBPS
    gpus_per_node: int = 8
    latency: float = 10.0
    sentences: int | None = None
    words: int | None = None
    json: bool = False


def plan(path: str, overrides: list[str], options: PlanOptions) -> None:
    """Size every launch config for a recipe and print the plan.

    Raises:
        UserError: an option or the recipe is wrong.
    """
    hardware = _hardware(options)
    recipe = load_recipe(path, overrides)
    workload = workload_of(recipe, sentences=options.sentences, words=options.words)
    shape = model_shape(recipe.model, labels=workload.labels)
    fixed = settle(recipe, subwords=workload.subwords, width=shape.hidden, family=shape.model_type)
    sized = size_all(fixed, shape, workload, hardware)
    chosen = choose(sized)
    notes = remarks(chosen, fixed, shape, workload, hardware)
    command = None
    if chosen is not None:
        command = command_for(chosen, fixed, path=path, given=overrides, hardware=hardware)
    if options.json:
        result = Plan(
            model=PlannedModel(shape.name, shape.parameters, shape.layers),
            data=workload,
            configs=[planned(one) for one in sized],
            take=None if chosen is None else chosen.launch.name,
            command=command,
            remarks=notes,
        )
        print(json.dumps(dataclasses.asdict(result), indent=1))
        return
    advice = [f"note: {note}" for note in notes]
    if chosen is not None:
        advice += [f"take {chosen.launch.name}: {why(chosen, sized)}", f"  {command}"]
    print_plan(
        sized,
        title=_title(fixed, shape, options),
        facts=_facts(fixed, shape, workload, hardware, options),
        advice=advice,
        chosen=chosen,
    )


def bytes_of(text: str, *, option: str) -> float:
    """A memory size such as `16GiB`, `80GB` or `24G` in bytes.

    Raises:
        UserError: it is none.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?|)b?\s*", text.lower())
    size = float(match[1]) * (_UNITS | _BINARY_UNITS)[match[2]] if match else 0.0
    if size < 2**20:
        raise UserError(f"`{text}` is no size of memory", where=option, fix="write one such as 16GiB or 80GB")
    return size


def _hardware(options: PlanOptions) -> Hardware:
    positive = {
        "--gpus": options.gpus,
        "--gpus-per-node": options.gpus_per_node,
        "--inter-node": options.inter_node,
        "--interconnect": options.interconnect,
        "--flops": options.flops,
        "--sentences": options.sentences,
        "--words": options.words,
    }
    for name, value in positive.items():
        if value is not None and not 0 < value < math.inf:
            raise UserError(f"{value} is out of range", where=name, fix="give a number above 0")
    if not 0 <= options.latency < math.inf:
        raise UserError(
            f"{options.latency} is out of range", where="--latency", fix="give microseconds, 0 or more"
        )
    gpu = devices.find_gpu(options.gpu)
    memory = bytes_of(options.gpu_memory, option="--gpu-memory")
    link = options.interconnect or gpu.link_gbps
    network = Network(
        intra=1e9 * link * devices.LINK_SHARE,
        inter=1e9 * options.inter_node * devices.LINK_SHARE,
        alpha=options.latency / 1e6,
        per_machine=options.gpus_per_node,
    )
    flops = None if options.flops is None else 1e12 * options.flops
    return Hardware(options.gpus, memory, gpu, network, flops=flops)


def _title(recipe: FixedRecipe, shape: ModelShape, options: PlanOptions) -> str:
    number = (
        f"{shape.parameters / 1e9:.1f} B" if shape.parameters >= 1e9 else f"{shape.parameters / 1e6:.1f} M"
    )
    what = f"{options.gpus} x {options.gpu}, {options.gpu_memory} each"
    return f"{recipe.name}: {recipe.model.name}, {number} parameters, on {what}"


def _facts(
    recipe: FixedRecipe, shape: ModelShape, workload: Workload, hardware: Hardware, options: PlanOptions
) -> list[str]:
    """Assumptions behind the figures, as lines below the table."""
    train, network = recipe.train, hardware.network
    length = longest_example(recipe, shape, workload)
    shape_source = "known to ner_dist" if recipe.model.name in KNOWN else "from its configuration"
    lines = [
        f"data: {workload.sentences:,} sentences, {workload.words:,} words, {workload.subwords:,} subwords "
        f"({workload.source}); a step holds {train.batch_tokens:,} subwords",
    ]
    rate = (
        f"{options.flops:.3g} TFLOP/s as given"
        if options.flops
        else f"matrix products at {_share(hardware):.0%} of the peak TFLOP/s"
    )
    if hardware.gpu.is_gpu:
        rate += f", {devices.KERNEL_SECONDS * 1e6:.3g} µs to start a kernel"
    between = f" and {network.inter / 1e9:.3g} GB/s between machines" if hardware.machines > 1 else ""
    links = f"links of {network.intra / 1e9:.3g} GB/s{between}"
    modelled = f"{rate}, {links}, {network.alpha * 1e6:.3g} µs a message"
    lines.append(
        f"counted: parameters, saved activations (rows of {length}), FLOPs and kernels of the model, "
        f"{shape_source}; modelled: {modelled}"
    )
    least, most = devices.TIME_RANGE[hardware.gpu.is_gpu]
    known = "nothing is measured on GPUs" if hardware.gpu.is_gpu else "as measured on two cores"
    lines.append(
        f"the time includes start and scoring, not the preparation of data; expect {least:g} to {most:g} "
        f"times as much ({known})"
    )
    return lines


def _share(hardware: Hardware) -> float:
    return devices.MATRIX_SHARE if hardware.gpu.is_gpu else devices.CPU_SHARE
