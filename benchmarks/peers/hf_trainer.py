"""Shared by the workers around transformers' Trainer, in any version: its arguments, and the timer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from transformers import TrainerCallback, TrainingArguments
from worker import Watch


def training_arguments(settings: SimpleNamespace, **schedule: Any) -> TrainingArguments:
    """Arguments of every Trainer: the given precision, no reporting, no saving unless requested."""
    options: dict[str, Any] = {
        "output_dir": settings.scratch,
        "per_device_train_batch_size": settings.sentences,
        "learning_rate": settings.learning_rate,
        "seed": settings.seed,
        "save_strategy": "no",
        "report_to": "none",
        # Without it the Trainer refuses bf16 on a CPU.
        "use_cpu": not torch.cuda.is_available(),
        "bf16": settings.precision == "bf16",
        "fp16": settings.precision == "fp16",
    }
    return TrainingArguments(**(options | schedule))


class Timing(TrainerCallback):
    """An epoch begins before its first batch is fetched and ends after its last step."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        self.watch.start()

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        self.watch.stop()
