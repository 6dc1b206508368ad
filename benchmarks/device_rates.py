"""Measure the rates that `ner-dist plan` assumes, on this machine; plan_check.py plans with them.

As many processes as are planned for, or as this machine has room for, run at the same time, since they share
its memory and its cores. Each trains the recipe's encoder cut to one layer and to three; half the difference
is a layer, the rest embeddings and head. Then they clip and update what these models hold, and send each
other a short and a long tensor. Of several times the shortest counts: whatever else runs can only add to it.
A few seconds in all; no data is read.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
import mmap
import os
import socket
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from ner_dist.launch import LaunchConfig
    from ner_dist.recipe import FixedRecipe
    from ner_dist.sizing.advise import Hardware
    from ner_dist.sizing.forward_cost import Dtypes
    from ner_dist.sizing.model_shape import ModelShape
    from ner_dist.sizing.workload import Workload

REPEATS = 7
DEPTHS = (1, 3)
_SHORT, _LONG = 1024, 32 * 2**20


@dataclass(frozen=True)
class Measured:
    """What a rank reached."""

    device: str
    processes: int
    micro_batch: float
    """Seconds of the whole encoder's forward and backward pass over `tokens` subwords."""
    tokens: int
    memory: float
    """Bytes per second of clipping and AdamW."""
    fresh: float
    """Bytes per second of memory that is allocated and filled for the first time."""
    bandwidth: float | None
    """Bytes per second that a rank sends in an all-reduce; None for one process."""
    alpha: float | None
    """Seconds of a message however short."""


def measured_hardware(
    launch: LaunchConfig,
    recipe: FixedRecipe,
    shape: ModelShape,
    workload: Workload,
    hardware: Hardware,
    *,
    threads: int | None = None,
) -> Hardware:
    """The hardware with the rates that this machine reaches in the number formats of a launch config.

    Args:
        launch: the strategy to plan for.
        recipe: what is to be trained.
        shape: its model.
        workload: its training split.
        hardware: what is assumed of this machine.
        threads: of each process on a CPU; the cores are shared out if not given.
    """
    from ner_dist.sizing.advise import size
    from ner_dist.sizing.memory import dtypes_of
    from ner_dist.sizing.step_time import passes_of, rates_of

    assumed = size(launch, recipe, shape, workload, hardware)
    dtypes, length = dtypes_of(launch, assumed.precision), max(2, round(workload.mean_length))
    found = measure(
        shape,
        dtypes=dtypes,
        precision=assumed.precision,
        tokens=assumed.micro_batch_tokens,
        length=length,
        processes=assumed.world,
        threads=threads,
    )
    cost = shape.cost(dtypes, length=length, fused_attention=hardware.gpu.is_gpu)
    flops = passes_of(False) * cost.flops(found.tokens) / found.micro_batch
    rates = rates_of(hardware.gpu, precision=assumed.precision, flops=flops)
    rates = dataclasses.replace(rates, memory=found.memory, fresh=found.fresh)
    network = hardware.network
    if found.bandwidth is not None and found.alpha is not None:
        network = dataclasses.replace(network, intra=found.bandwidth, alpha=found.alpha)
    return dataclasses.replace(hardware, rates=rates, network=network)


def measure(
    shape: ModelShape,
    *,
    dtypes: Dtypes,
    precision: str,
    tokens: int,
    length: int,
    processes: int,
    threads: int | None = None,
) -> Measured:
    """Run the measurement; the slowest rank counts.

    Args:
        shape: the model.
        dtypes: the number formats of weights and arithmetic.
        precision: `fp32`, or the 16 bits of `dtypes`.
        tokens: of a micro-batch.
        length: of its rows.
        processes: to plan for; no more are started than the machine has GPUs, or cores if it has none.
        threads: of each process on a CPU; the cores are shared out if not given.
    """
    import torch
    from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

    from ner_dist.runtime.threads import cores

    on_gpu = torch.cuda.is_available()
    # Whole rows, and their subwords are what is timed.
    tokens = max(1, tokens // length) * length
    room = torch.cuda.device_count() if on_gpu else cores()
    started = min(processes, room)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        work = _Work(
            shape.config,
            dtypes,
            precision,
            tokens,
            length,
            started,
            on_gpu,
            threads or max(1, room // started),
            port,
            folder,
        )
        try:
            torch.multiprocessing.spawn(_rank, args=(work,), nprocs=started)
        except (ProcessExitedException, ProcessRaisedException) as error:
            last = str(error).strip().splitlines()[-1]
            raise SystemExit(f"the measurement failed: {last}") from None
        found = [torch.load(Path(folder) / f"{rank}.pt") for rank in range(started)]
    slowest = {name: max(values[name] for values in found) for name in found[0]}
    size = _LONG * 4 * 2 * (started - 1) / started
    rounds = 2 * (started - 1)
    return Measured(
        device=torch.cuda.get_device_name(0) if on_gpu else "CPU",
        processes=started,
        micro_batch=slowest["base"] + shape.layers * slowest["layer"],
        tokens=tokens,
        memory=40 / slowest["update"],
        fresh=math.inf if on_gpu else _LONG * 4 / slowest["fresh"],
        bandwidth=size / max(slowest["long"] - slowest["short"], 1e-9) if started > 1 else None,
        alpha=slowest["short"] / rounds if started > 1 else None,
    )


@dataclass(frozen=True)
class _Work:
    config: Any
    dtypes: Dtypes
    precision: str
    tokens: int
    length: int
    processes: int
    on_gpu: bool
    threads: int
    port: int
    folder: str


def _rank(rank: int, work: _Work) -> None:
    """One process: measure and leave the figures in a file."""
    import torch

    device = torch.device("cuda", rank) if work.on_gpu else torch.device("cpu")
    if work.on_gpu:
        torch.cuda.set_device(device)
    else:
        from ner_dist.runtime.cpu_kernels import speed_up

        speed_up(fp32=work.dtypes == "fp32")
        torch.set_num_threads(work.threads)
    torch.distributed.init_process_group(
        "nccl" if work.on_gpu else "gloo",
        init_method=f"tcp://127.0.0.1:{work.port}",
        rank=rank,
        world_size=work.processes,
    )
    passes, updates = zip(*(_train(work, layers=layers, device=device) for layers in DEPTHS), strict=True)
    layer = max(passes[1] - passes[0], 0.0) / (DEPTHS[1] - DEPTHS[0])
    found = {"layer": layer, "base": passes[0] - layer, "update": updates[1], "short": 0.0, "long": 0.0}
    found["fresh"] = 0.0 if work.on_gpu else _shortest(_fill_fresh, work)
    for name, size in (("short", _SHORT), ("long", _LONG)):
        if work.processes > 1:
            reduce = functools.partial(torch.distributed.all_reduce, torch.ones(size, device=device))
            found[name] = _shortest(reduce, work)
    torch.save(found, Path(work.folder) / f"{rank}.pt")
    torch.distributed.barrier()
    # Threads of the process group still run, and would abort an ordinary exit.
    os._exit(0)


def _train(work: _Work, *, layers: int, device: torch.device) -> tuple[float, float]:
    """Seconds of a forward and backward pass of the encoder cut short; of an update, for each parameter."""
    import torch
    from transformers import AutoModelForTokenClassification

    config = copy.deepcopy(work.config)
    config.num_hidden_layers = layers
    with torch.device(device):
        model = AutoModelForTokenClassification.from_config(config).train()
    if work.dtypes == "half":
        model.to(torch.bfloat16 if work.precision == "bf16" else torch.float16)
    dtype = torch.float16 if work.precision == "fp16" else torch.bfloat16
    ids = torch.randint(5, config.vocab_size, (work.tokens // work.length, work.length), device=device)

    def passes() -> None:
        with torch.autocast(device.type, dtype, enabled=work.dtypes == "autocast"):
            loss = model(input_ids=ids).logits.float().sum()
        loss.backward()

    seconds = _shortest(passes, work)
    parameters = list(model.parameters())
    masters = [parameter.detach().float().requires_grad_() for parameter in parameters]
    for master, parameter in zip(masters, parameters, strict=True):
        master.grad = parameter.grad.float()
    optimizer = torch.optim.AdamW(masters, fused=True)

    def update() -> None:
        torch.nn.utils.clip_grad_norm_(masters, 1.0)
        optimizer.step()

    return seconds, _shortest(update, work) / sum(master.numel() for master in masters)


def _fill_fresh() -> None:
    """Fill memory that comes from the operating system, whatever malloc keeps."""
    import torch

    torch.frombuffer(mmap.mmap(-1, 4 * _LONG), dtype=torch.float32).fill_(1.0)


def _shortest(action: Callable[[], Any], work: _Work) -> float:
    """Least seconds of an action, all ranks beginning it together; its first run warms up."""
    import torch

    seconds = []
    for _ in range(REPEATS + 1):
        torch.distributed.barrier()
        began = time.perf_counter()
        action()
        if work.on_gpu:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:])
