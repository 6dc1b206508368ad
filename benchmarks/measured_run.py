"""A short training under one launch config, measured on every rank. The other benchmarks start it.

Each rank reports, as JSON in a file of its own:

- seconds of every step but the first two (ZeRO-3 records its trace in the first, allocations settle);
- bytes that the process wrote to its sockets in a step: /proc/self/io's `wchar`, which counts gloo's `writev`
  to the other ranks, headers included;
- the collectives of a step and the bytes they were called with, noted by wrapping torch.distributed;
- bytes of the tensors that the engine holds just before it updates the weights;
- the peak of resident memory above what the process held before the model was built (`VmHWM`, reset by
  /proc/self/clear_refs), libraries and data being loaded by then; on a GPU, the peak that PyTorch's allocator
  counted instead.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]

# Launch config of each strategy in fp32 (the recipe's precision wins over the config's) and in bf16.
CONFIGS = {
    "one": ("single_gpu", "single_gpu"),
    "DDP": ("cpu", "ddp_bf16"),
    "ZeRO-1": ("zero1_bf16", "zero1_bf16"),
    "ZeRO-2": ("zero2_bf16", "zero2_bf16"),
    "ZeRO-3": ("zero3_bf16", "zero3_bf16"),
}
MODELS = {
    "tiny": {"hidden_size": 64, "layers": 2, "heads": 2, "vocab_size": 2000, "max_length": 128},
    # The shape of all-MiniLM-L6: 22.6 M parameters, about half of them embeddings.
    "minilm": {"hidden_size": 384, "layers": 6, "heads": 12, "vocab_size": 30522, "max_length": 128},
    # The shape of DistilRoBERTa: 82 M parameters.
    "distil": {"hidden_size": 768, "layers": 6, "heads": 12, "vocab_size": 50265, "max_length": 512},
    "base": {"hidden_size": 768, "layers": 12, "heads": 12, "vocab_size": 50265, "max_length": 512},
}


def settings(
    model: str = "minilm",
    *,
    batch_tokens: int = 4096,
    micro_batch_tokens: int = 1024,
    precision: str = "fp32",
) -> dict[str, Any]:
    """The recipe of a measurement: a RoBERTa from random weights on the embedded corpus."""
    return {
        "name": "measured",
        "output_dir": "unset",
        "model": {"name": "scratch", "dropout": 0.1, "scratch": MODELS[model]},
        "data": {"path": "synthetic"},
        "precision": precision,
        "train": {"batch_tokens": batch_tokens, "micro_batch_tokens": micro_batch_tokens},
    }


def shape_of_recipe(recipe: dict[str, Any]) -> Any:
    """The planner's shape of a measurement's model."""
    from ner_dist.recipe import Recipe
    from ner_dist.sizing.model_shape import model_shape

    return model_shape(Recipe.model_validate(recipe).model, labels=31)


def run(recipe: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    """Train and return what each rank measured; the options are those of `started`."""
    with started(recipe, **options) as wait:
        return wait()


@contextlib.contextmanager
def started(
    recipe: dict[str, Any],
    *,
    strategy: str,
    processes: int,
    steps: int,
    cores: str | None = None,
    exact_memory: bool = False,
) -> Iterator[Any]:
    """Train in the background: yields a function that waits and returns what each rank measured.

    Args:
        recipe: as `settings` makes it.
        strategy: a key of `CONFIGS`.
        processes: number of ranks.
        steps: how many, the first two of which are not timed.
        cores: CPUs to stay on, as taskset takes them; None for all.
        exact_memory: have the C library give memory back as soon as it is freed, which costs time.
    """
    config = CONFIGS[strategy][recipe["precision"] != "fp32"]
    with tempfile.TemporaryDirectory() as folder:
        spec = {"recipe": recipe | {"output_dir": f"{folder}/run"}, "steps": steps}
        (Path(folder) / "spec.json").write_text(json.dumps(spec))
        launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file"]
        launch += [f"{REPOSITORY}/launch/{config}.yaml", "--num_processes", str(processes)]
        command = [*(["taskset", "-c", cores] if cores else []), *launch, __file__, folder]
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
        if exact_memory:
            environment["MALLOC_MMAP_THRESHOLD_"] = "65536"
        job = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )

        def wait() -> list[dict[str, Any]]:
            printed, _ = job.communicate()
            if job.returncode:
                raise SystemExit(f"{strategy} failed:\n{printed[-4000:]}")
            return [json.loads((Path(folder) / f"rank-{rank}.json").read_text()) for rank in range(processes)]

        try:
            yield wait
        finally:
            if job.poll() is None:
                job.terminate()
                job.wait()


def main() -> None:
    """The work of a rank: train, and write its figures into the folder that `run` made."""
    import torch

    from ner_dist.model.encoder import load_config
    from ner_dist.recipe import Recipe
    from ner_dist.run.directory import Run
    from ner_dist.runtime.accelerator import start
    from ner_dist.runtime.ranks import leave
    from ner_dist.training.checkpoints import Checkpoints
    from ner_dist.training.task import load_task
    from ner_dist.training.trainer import Trainer

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds spec.json")
    folder = parser.parse_args().folder
    spec = json.loads((folder / "spec.json").read_text())
    recipe = Recipe.model_validate(spec["recipe"])
    collectives = Collectives()
    accelerator = start(recipe, model_type="roberta")
    if accelerator.device.type == "cpu":
        torch.set_num_threads(1)
    task = load_task(recipe, load_config(recipe.model), accelerator=accelerator)
    data = dataclasses.replace(task.data, vocab_size=recipe.model.scratch.vocab_size)
    task = dataclasses.replace(task, data=data)
    run = Run(folder / "run")
    checkpoints = Checkpoints(run.checkpoints, accelerator=accelerator, keep_last=1)
    on_gpu = accelerator.device.type == "cuda"
    warm_up(recipe)
    memory = Memory(on_gpu)
    trainer = Trainer(task, run=run, accelerator=accelerator, checkpoints=checkpoints)
    held = Held(trainer)
    with trainer.open_metrics_log():
        steps = []
        written = bytes_written()
        for _, step in zip(range(spec["steps"]), trainer.steps(), strict=False):
            trainer.stop.agreed()
            if on_gpu:
                torch.cuda.synchronize()
            steps.append(
                {
                    "seconds": step.seconds,
                    "words": step.words,
                    "cells": step.padded_tokens,
                    "wire_bytes": bytes_written() - written,
                    "collectives": collectives.take(),
                }
            )
            written = bytes_written()
    report = {
        "steps": steps[2:],
        "parameters": held.parameters,
        "held": held.bytes,
        "peak_bytes": memory.peak(),
    }
    (folder / f"rank-{accelerator.process_index}.json").write_text(json.dumps(report))
    accelerator.wait_for_everyone()
    # Threads of the process groups still run, and would abort an ordinary exit.
    leave()


def warm_up(recipe: Any) -> None:
    """Have the libraries load what a training needs, so that it does not count as the training's memory."""
    import torch
    from transformers import AutoModelForTokenClassification

    from ner_dist.model.encoder import load_config, whole_models

    small = recipe.model.model_copy(
        update={"scratch": recipe.model.scratch.model_copy(update=MODELS["tiny"])}
    )
    with whole_models():
        model = AutoModelForTokenClassification.from_config(load_config(small))
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    for _ in range(2):
        model(input_ids=torch.ones(2, 16, dtype=torch.int64)).logits.sum().backward()
        optimizer.step()


def bytes_written() -> int:
    """Bytes that this process has given to write and writev so far, to files and sockets alike."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("wchar")).split()[1])


class Memory:
    """The peak of memory since the model was not there yet."""

    def __init__(self, on_gpu: bool) -> None:
        self.on_gpu = on_gpu
        if on_gpu:
            import torch

            torch.cuda.reset_peak_memory_stats()
        else:
            Path("/proc/self/clear_refs").write_text("5")
            self.before = self._high_water()

    def peak(self) -> int:
        if self.on_gpu:
            import torch

            return torch.cuda.max_memory_allocated()
        return self._high_water() - self.before

    def _high_water(self) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


class Held:
    """Bytes of the tensors that the engine holds, counted once each just before an update of the weights."""

    def __init__(self, trainer: Any) -> None:
        self.model, self.optimizer = trainer.loop.model, trainer.loop.optimizer
        self.parameters = sum(getattr(p, "ds_numel", p.numel()) for p in self.model.parameters())
        self.bytes: dict[str, int] = {}
        engine = getattr(self.model, "optimizer", None)
        self.zero = engine if type(engine).__module__.startswith("deepspeed") else None
        target = self.zero or self.optimizer.optimizer
        update = target.step

        def counted(*arguments: Any, **options: Any) -> Any:
            # The state exists from the first update on.
            self.bytes = self._count()
            return update(*arguments, **options)

        target.step = counted

    def _count(self) -> dict[str, int]:
        inner = self.zero.optimizer if self.zero else self.optimizer.optimizer
        parameters = list(self.model.parameters())
        weights = parameters + [p.ds_tensor for p in parameters if hasattr(p, "ds_tensor")]
        state = [value for values in inner.state.values() for value in values.values()]
        masters = [p for group in inner.param_groups for p in group["params"]] if self.zero else []
        masters += getattr(self.zero, "fp32_partitioned_groups_flat", [])
        gradients = [p.grad for p in parameters] + [getattr(p, "grad_accum", None) for p in parameters]
        gradients += [p.grad for p in masters]
        for name in ("fp32_groups_gradients_flat", "grad_partitions_flat_buffer", "averaged_gradients"):
            gradients += list(_tensors(getattr(self.zero, name, None)))
        counted: set[int] = set()
        return {
            "weights": _bytes(weights, counted),
            "optimiser": _bytes([*masters, *state], counted),
            "gradients": _bytes(gradients, counted),
        }


def _tensors(value: Any) -> Iterator[Any]:
    import torch

    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _bytes(tensors: list[Any], counted: set[int]) -> int:
    """Bytes of the storages below some tensors, each counted once."""
    import torch

    total = 0
    for tensor in tensors:
        if not isinstance(tensor, torch.Tensor):
            continue
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in counted and storage.nbytes():
            counted.add(storage.data_ptr())
            total += storage.nbytes()
    return total


class Collectives:
    """Notes every collective that goes through torch.distributed, with the bytes it was called with.

    DDP's own all-reduces are C++ and do not pass here.
    """

    NAMES = (
        "all_reduce",
        "reduce",
        "broadcast",
        "all_gather_into_tensor",
        "all_gather",
        "reduce_scatter_tensor",
        "reduce_scatter",
    )

    def __init__(self) -> None:
        import torch.distributed as dist

        self.noted: Counter[str] = Counter()
        for name in self.NAMES:
            setattr(dist, name, self._noting(name, getattr(dist, name)))

    def _noting(self, name: str, function: Any) -> Any:
        def noting(*arguments: Any, **options: Any) -> Any:
            given = [*arguments, *options.values()]
            size = max((sum(t.nbytes for t in _tensors(value)) for value in given), default=0)
            self.noted[name] += 1
            self.noted[f"{name}_bytes"] += size
            return function(*arguments, **options)

        return noting

    def take(self) -> dict[str, int]:
        """What was noted since the last call."""
        noted, self.noted = dict(self.noted), Counter()
        return noted


if __name__ == "__main__":
    main()
