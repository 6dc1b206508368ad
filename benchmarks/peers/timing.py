"""The watch of `worker.py` in the hands of transformers' Trainer, whatever its version."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback
from worker import Watch


class Timing(TrainerCallback):
    """An epoch begins before its first batch is fetched and ends after its last step."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        self.watch.start()

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        self.watch.stop()
