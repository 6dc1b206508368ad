"""Measure the cost of a checkpoint: seconds and bytes to save and to load, and the share of training time.

    python benchmarks/checkpoint.py [--small] [--interval 500]
    accelerate launch --config_file launch/cpu.yaml benchmarks/checkpoint.py
    accelerate launch --config_file launch/zero2_bf16.yaml --num_processes 2 benchmarks/checkpoint.py

A RoBERTa-base from random weights (124 M parameters, 31 labels) trains 3 steps on the embedded corpus; then
its whole state is saved three times and loaded once. Columns: strategy, processes; bytes; seconds of a save;
of these, seconds that training stands still, the rest being written in the background; seconds to check every
byte; to set weights and moments; seconds of a step; share of the training time that goes into saves.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path

import torch

from ner_dist.model.encoder import load_config
from ner_dist.recipe import Recipe
from ner_dist.run.directory import Run
from ner_dist.runtime.accelerator import describe, start
from ner_dist.training.checkpoint_files import CheckpointReader, find_corruption
from ner_dist.training.checkpoints import Checkpoints
from ner_dist.training.state_dict import restore
from ner_dist.training.task import load_task
from ner_dist.training.trainer import Trainer

BASE = {"hidden_size": 768, "layers": 12, "heads": 12, "vocab_size": 50265, "max_length": 512}
SMALL = {"hidden_size": 128, "layers": 2, "heads": 2, "vocab_size": 4000, "max_length": 128}


def main() -> None:
    """Print one line of a Markdown table, on rank 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a model of 1 M parameters, to try the script")
    parser.add_argument("--interval", type=int, default=500, help="steps between checkpoints")
    parser.add_argument("--folder", help="where to write; a temporary folder if not given")
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=settings.folder) as folder:
        recipe = Recipe.model_validate(
            {
                "name": "cost",
                "output_dir": folder,
                "model": {"name": "scratch", "scratch": SMALL if settings.small else BASE},
                "data": {"path": "synthetic"},
                "precision": "fp32",
            }
        )
        measure(recipe, interval=settings.interval)


def measure(recipe: Recipe, *, interval: int) -> None:
    """Train a little, save and load."""
    accelerator = start(recipe, model_type="roberta")
    folder = _shared_folder(recipe)
    task = load_task(recipe, load_config(recipe.model), accelerator=accelerator)
    if recipe.model.scratch.layers == BASE["layers"]:
        # The embedded corpus has fewer words than RoBERTa's vocabulary: give its table the full size.
        data = dataclasses.replace(task.data, vocab_size=BASE["vocab_size"])
        task = dataclasses.replace(task, data=data)
    checkpoints = Checkpoints(folder, accelerator=accelerator, keep_last=1)
    trainer = Trainer(task, run=Run(folder), accelerator=accelerator, checkpoints=checkpoints)
    step_seconds = [step.seconds for _, step in zip(range(3), trainer.steps(), strict=False)]
    saves = []
    with trainer.open_metrics_log() as metrics_log:
        for number in range(3):
            trainer.checkpoints = Checkpoints(folder, accelerator=accelerator, keep_last=1)
            trainer.saved_step, trainer.loop.step = -1, number + 1
            trainer.save_checkpoint(metrics_log)
            trainer.checkpoints.wait()
            saves += trainer.checkpoints.take_events()
    seconds = _load(trainer, folder / "step-000003")
    if accelerator.is_main_process:
        total, blocked = (
            statistics.median(save[key] for save in saves) for key in ("seconds", "blocked_seconds")
        )
        step = statistics.median(step_seconds[1:])
        share = blocked / (interval * step + blocked)
        print(
            f"| {describe(accelerator)}, {accelerator.num_processes} | {saves[0]['bytes'] / 1e9:.2f} GB "
            f"| {total:.1f} s | {blocked:.2f} s | {seconds['check']:.1f} s | {seconds['restore']:.1f} s "
            f"| {step:.1f} s | {100 * share:.3f} % |"
        )
    accelerator.wait_for_everyone()


def _shared_folder(recipe: Recipe) -> Path:
    """Rank 0's temporary folder, on all ranks."""
    name = [recipe.output_dir]
    if torch.distributed.is_initialized():
        torch.distributed.broadcast_object_list(name)
    return Path(name[0])


def _load(trainer: Trainer, folder: Path) -> dict[str, float]:
    began = time.perf_counter()
    assert find_corruption(folder) is None
    checked = time.perf_counter()
    saved = CheckpointReader(folder)
    restore(
        saved,
        accelerator=trainer.accelerator,
        model=trainer.loop.model,
        optimizer=trainer.loop.optimizer,
    )
    return {"check": checked - began, "restore": time.perf_counter() - checked}


if __name__ == "__main__":
    main()
