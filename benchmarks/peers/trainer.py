"""Worker of `throughput.py`: transformers' Trainer, set up as its example `run_ner.py`, with nothing saved.

`settings.by_length` turns on the Trainer's own grouping of sentences by length.
"""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import torch
from tagging import Tagging
from transformers import Trainer, TrainerCallback, TrainingArguments
from worker import Watch, autocast, now, run


class Timing(TrainerCallback):
    """An epoch begins before its first batch is fetched and ends after its last step."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        self.watch.start()

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        self.watch.stop()


def measure(settings: SimpleNamespace) -> dict[str, Any]:
    """Train one epoch after the warm-up, then evaluate."""
    tagging = Tagging(settings)
    watch = Watch(tagging.model)
    _trainer(tagging, settings, max_steps=settings.warmup).train()
    trainer = _trainer(tagging, settings, num_train_epochs=1)
    trainer.add_callback(Timing(watch))
    trainer.train()
    evaluations = _evaluate(tagging, settings)
    return watch.measured | {"steps": trainer.state.global_step, "evaluations": evaluations}


def _trainer(tagging: Tagging, settings: SimpleNamespace, **schedule: Any) -> Trainer:
    arguments = TrainingArguments(
        output_dir=settings.scratch,
        per_device_train_batch_size=settings.sentences,
        learning_rate=settings.learning_rate,
        seed=settings.seed,
        save_strategy="no",
        report_to="none",
        # Without it the Trainer refuses bf16 on a CPU.
        use_cpu=not torch.cuda.is_available(),
        **autocast(settings),
        **_grouping(settings),
        **schedule,
    )
    return Trainer(
        tagging.model,
        arguments,
        data_collator=tagging.collator,
        train_dataset=tagging.train,
        processing_class=tagging.tokenizer,
        compute_metrics=tagging.scores,
    )


def _grouping(settings: SimpleNamespace) -> dict[str, Any]:
    if not settings.by_length:
        return {}
    # Renamed in transformers 5.
    if "train_sampling_strategy" in inspect.signature(TrainingArguments).parameters:
        return {"train_sampling_strategy": "group_by_length"}
    return {"group_by_length": True}


def _evaluate(tagging: Tagging, settings: SimpleNamespace) -> list[dict[str, Any]]:
    """By default as `run_ner.py` does; with sentences by length also in larger batches and low precision."""
    test = tagging.test(settings)
    ways: dict[str, dict[str, Any]] = {"batch 8, its default": {}}
    if settings.by_length:
        ways = {"batch 64, by length": {"per_device_eval_batch_size": 64}}
        if settings.precision != "fp32":
            whole = {f"{settings.precision}_full_eval": True}
            ways[f"batch 64, by length, {settings.precision} weights"] = whole | {
                "per_device_eval_batch_size": 64
            }
    evaluations = []
    for how, options in ways.items():
        trainer = _trainer(tagging, settings, **options)
        began = now()
        figures = trainer.evaluate(test)
        evaluations.append({"how": how, "seconds": now() - began, "f1": figures["eval_f1"]})
    return evaluations


if __name__ == "__main__":
    run(measure, packages=("accelerate",))
