"""The speed checks of gpu_check.py: what the GPU reaches, what training reaches, and what would be faster.

The variants decide what docs/gpu.md leaves open. Each trains the same encoder on one fixed batch: as it is,
with compiled layers, with the passes as a CUDA graph, and with clipping inside AdamW.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from ner_dist.model.compiled import compile_layers
from ner_dist.sizing.devices import find_gpu
from ner_dist.sizing.model_shape import shape_of
from ner_dist.sizing.step_time import micro_batch_seconds, rates_of

LENGTH = 30
SIZES = ((2048, 8192), (8192, 8192), (32768, 32768))
VARIANTS = {
    "as it is": (),
    "clip in AdamW": ("clip",),
    "compiled layers": ("compiled",),
    "CUDA graph": ("graph",),
    "CUDA graph, compiled layers, clip in AdamW": ("graph", "compiled", "clip"),
}


def rates(bench: Any) -> tuple[str, Any]:
    """What matrix products and copies reach at most."""
    size = 256 if bench.smoke else 8192
    dtype = torch.float32 if bench.smoke else torch.bfloat16
    a, b = (torch.randn(size, size, device=bench.device, dtype=dtype) for _ in range(2))
    source = torch.empty((1 << 16) if bench.smoke else (1 << 30), device=bench.device)
    target = torch.empty_like(source)
    bench.rates = {
        "TFLOP/s": 2e-12 * size**3 / bench.seconds(lambda: a @ b),
        "TB/s": 2e-12 * source.nbytes / bench.seconds(lambda: target.copy_(source)),
    }
    return "INFO", bench.rates


def training(bench: Any) -> tuple[str, Any]:
    """Words/s of the training loop by size, its share of the rate above, and what the planner foretells."""
    rows = []
    for micro_batch, batch in ((64, 256),) if bench.smoke else SIZES:
        with bench.trainer(batch_tokens=batch, micro_batch_tokens=micro_batch) as trainer:
            steps = trainer.loop.steps()
            began = time.perf_counter()
            next(steps)
            bench.synchronise()
            first = time.perf_counter() - began
            for _ in range(4):
                next(steps)
            bench.synchronise()
            began, host, done = time.perf_counter(), 0.0, []
            for _ in range(2 if bench.smoke else 12):
                asked = time.perf_counter()
                done.append(next(steps))
                host += time.perf_counter() - asked
            bench.synchronise()
            seconds = (time.perf_counter() - began) / len(done)
            shape = shape_of(trainer.task.config, labels=len(trainer.task.labels))
        cost = shape.cost(
            "fp32" if bench.smoke else "autocast", length=LENGTH, fused_attention=not bench.smoke
        )
        subwords = sum(step.padded_tokens for step in done) / len(done)
        reached = 3e-12 * cost.flops(subwords) / seconds
        rows.append(
            {
                "micro_batch_tokens": micro_batch,
                "batch_tokens": batch,
                "words/s": sum(step.words for step in done) / len(done) / seconds,
                "TFLOP/s": reached,
                "share": reached / bench.rates.get("TFLOP/s", float("nan")),
                "step_ms": 1e3 * seconds,
                "host_ms": 1e3 * host / len(done),
                "first_step_s": first,
                "foretold_device_ms": 1e3 * _foretold(bench, shape, cost, subwords),
                "GiB": torch.cuda.max_memory_allocated() / 2**30 if bench.device.type == "cuda" else None,
            }
        )
        print("  ", rows[-1], flush=True)
    return "INFO", rows


def _foretold(bench: Any, shape: Any, cost: Any, subwords: float) -> float:
    name = "cpu" if bench.smoke else torch.cuda.get_device_name().split()[1].lower()
    try:
        device = find_gpu(name)
    except Exception:
        return float("nan")
    assumed = rates_of(device, precision="fp32" if bench.smoke else "bf16")
    return micro_batch_seconds(shape, cost, tokens=subwords, rates=assumed)


def variants(bench: Any) -> tuple[str, Any]:
    """Milliseconds of a step of one micro-batch, and seconds until the second step, by what is changed."""
    rows: dict[str, Any] = {}
    for tokens in (240,) if bench.smoke else (8192, 32768):
        for name, what in VARIANTS.items():
            if bench.left < 40 or (bench.smoke and {"graph", "compiled"} & set(what)):
                continue
            try:
                rows[f"{tokens}: {name}"] = _variant(bench, tokens, what)
            except Exception as error:
                rows[f"{tokens}: {name}"] = f"{type(error).__name__}: {str(error)[:200]}"
            print("  ", tokens, name, rows[f"{tokens}: {name}"], flush=True)
            torch._dynamo.reset()
    return "INFO", rows


def _variant(bench: Any, tokens: int, what: tuple[str, ...]) -> dict[str, float]:
    with bench.trainer(batch_tokens=max(tokens, 256), micro_batch_tokens=128) as trainer:
        model, optimizer, device = trainer.loop.model, trainer.loop.optimizer.optimizer, bench.device
        if "compiled" in what:
            compile_layers(model)
        model.train()
        ids = torch.randint(5, 300, (tokens // LENGTH, LENGTH), device=device)
        targets = torch.randint(0, 3, (ids.numel(),), device=device)
        parameters = list(model.parameters())

        def passes() -> None:
            logits = model(input_ids=ids).logits.flatten(0, 1).float()
            torch.nn.functional.cross_entropy(logits, targets).backward()

        def update() -> None:
            if "clip" in what:
                norm = torch.nn.utils.get_total_norm([one.grad for one in parameters])
                optimizer.grad_scale, optimizer.found_inf = (
                    norm.clamp(min=1.0),
                    (~torch.isfinite(norm)).float(),
                )
            else:
                torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()

        began = time.perf_counter()
        replay = _captured(model, passes) if "graph" in what else None

        def step() -> None:
            if replay is None:
                model.zero_grad(set_to_none=True)
                passes()
            else:
                replay()
            update()

        step()
        step()
        bench.synchronise()
        ready = time.perf_counter() - began
        began = time.perf_counter()
        step()
        host = time.perf_counter() - began
        return {
            "ms": 1e3 * bench.seconds(step, repeats=3 if bench.smoke else 12),
            "host_ms": 1e3 * host,
            "ready_s": ready,
        }


def _captured(model: torch.nn.Module, passes: Callable[[], None]) -> Callable[[], None]:
    """The passes as a CUDA graph, which writes gradients into the same memory each time."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            model.zero_grad(set_to_none=True)
            passes()
    torch.cuda.current_stream().wait_stream(side)
    model.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        passes()
    return graph.replay


SPEED: list[tuple[Callable[[Any], tuple[str, Any]], float, bool]] = [
    (rates, 5, False),
    (training, 60, False),
    (variants, 60, False),
]
