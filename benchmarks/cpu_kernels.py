"""Measure the gain from each part of `runtime/cpu_kernels.py` on this CPU, and profile a step.

    python benchmarks/cpu_kernels.py --model FOLDER [--data FOLDER|synthetic] [--precision bf16] [--rounds 5]

In one process, training goes on while the parts are switched on one by one, all of them, and off again, in
turns; printed are medians of subwords/s and their ratio to none. Then the operators that took most of the
time of ten steps, without and with all parts, by PyTorch's profiler.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from torch.profiler import ProfilerActivity, profile

from ner_dist.model.encoder import load_config
from ner_dist.recipe import Recipe
from ner_dist.run.directory import Run
from ner_dist.runtime import cpu_kernels
from ner_dist.runtime.accelerator import start
from ner_dist.training.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ner_dist.training.loop import Step

# glibc's defaults, and the number of mallopt's parameter for it.
MMAP_MAX, TRIM_THRESHOLD, MMAP_THRESHOLD = (-4, 65536), (-1, 131072), (-3, 131072)


def main() -> None:
    """Print a Markdown table and two profiles."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", default="synthetic")
    parser.add_argument("--precision", default="bf16", choices=("fp32", "bf16"))
    parser.add_argument("--batch-tokens", type=int, default=1024)
    parser.add_argument("--micro-batch-tokens", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10, help="of a turn")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        steps = training(options, folder)
        parts = ["memory", "dropout"] + ["products"] * (options.precision == "fp32")
        next(steps)
        compare(steps, parts, options)
        for name, chosen in (("none", []), ("all", parts)):
            switch(chosen)
            print(f"\n{name}\n{shares(steps)}")


def training(options: argparse.Namespace, folder: str) -> Iterator[Step]:
    """Steps of a training that lasts longer than the measurement."""
    recipe = Recipe.model_validate(
        {
            "name": "kernels",
            "output_dir": folder,
            "model": {"name": options.model},
            "data": {"path": options.data, "cache_dir": folder},
            "precision": options.precision,
            "train": {
                "epochs": 1000,
                "batch_tokens": options.batch_tokens,
                "micro_batch_tokens": options.micro_batch_tokens,
            },
        }
    )
    config = load_config(recipe.model)
    accelerator = start(recipe, model_type=config.model_type)
    trainer = Trainer.from_recipe(recipe, config, run=Run(Path(folder)), accelerator=accelerator)
    return trainer.steps()


def compare(steps: Iterator[Step], parts: list[str], options: argparse.Namespace) -> None:
    """Subwords/s of every choice of parts."""
    choices = {"none": [], **{part: [part] for part in parts}, "all": parts}
    speeds: dict[str, list[float]] = {name: [] for name in choices}
    for _ in range(options.rounds):
        for name, chosen in choices.items():
            switch(chosen)
            next(steps)
            began = time.perf_counter()
            subwords = sum(step.subwords for step in itertools.islice(steps, options.steps))
            speeds[name].append(subwords / (time.perf_counter() - began))
    print(f"| {options.precision} | subwords/s | lowest–highest | × none |\n|---|---|---|---|")
    none = statistics.median(speeds["none"])
    for name, values in speeds.items():
        middle = statistics.median(values)
        print(f"| {name} | {middle:,.0f} | {min(values):,.0f}–{max(values):,.0f} | {middle / none:.2f} |")


def switch(parts: list[str]) -> None:
    """Switch these parts on and all others off."""
    for part in cpu_kernels.KERNELS:
        (cpu_kernels.install_kernel if part in parts else cpu_kernels.use_torch_kernel)(part)
    if "memory" in parts:
        cpu_kernels.keep_memory()
    else:
        libc = ctypes.CDLL(None)
        for parameter, value in (MMAP_MAX, TRIM_THRESHOLD, MMAP_THRESHOLD):
            libc.mallopt(parameter, value)
        libc.malloc_trim(0)


def shares(steps: Iterator[Step]) -> str:
    """The operators that took most of the time, and their share of all of it."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in itertools.islice(steps, 10):
            pass
    took = {event.key: event.self_cpu_time_total for event in seen.key_averages()}
    total = sum(took.values())
    rows = sorted(took.items(), key=lambda row: -row[1])[:14]
    return ", ".join(
        f"{name.removeprefix('aten::')} {microseconds / total:.1%}" for name, microseconds in rows
    )


if __name__ == "__main__":
    main()
