"""Worker of `sizes.py`: transformers' Trainer, set up as its example `run_ner.py`, trained to the end.

Writes its predictions on the held-out splits, a JSON line a sentence. They are those of the last weights, as
in the example, or with `settings.best` of the best of twenty evaluations on validation. A word beyond the
longest input is `O`.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from hf_trainer import training_arguments
from tagging import IGNORED, Tagging
from transformers import Trainer
from worker import read, run

from ner_dist.runtime.cpu_kernels import speed_up


def measure(settings: SimpleNamespace) -> dict[str, Any]:
    """Train, and write the predictions into `settings.out`."""
    if not torch.cuda.is_available():
        # The same computation in half the time.
        speed_up(fp32=settings.precision == "fp32")
    torch.set_num_threads(settings.threads)
    tagging = Tagging(settings)
    validation = tagging._tokenised(read(f"{settings.data}/validation.jsonl"))
    trainer = Trainer(
        tagging.model,
        _arguments(settings),
        data_collator=tagging.collator,
        train_dataset=tagging.train,
        eval_dataset=validation,
        processing_class=tagging.tokenizer,
        compute_metrics=tagging.scores,
    )
    trainer.train()
    for split in ("validation", "test"):
        rows = read(f"{settings.data}/{split}.jsonl")
        outcome = trainer.predict(tagging._tokenised(rows))
        _write(Path(settings.out) / f"{split}.jsonl", rows, outcome, tagging.tags)
    return {"steps": trainer.state.global_step}


def _arguments(settings: SimpleNamespace) -> Any:
    kept: dict[str, Any] = {}
    if settings.best:
        kept = {
            "eval_strategy": "steps",
            "save_strategy": "steps",
            # Twenty times over the training, as `evaluation.every: auto` does it at most.
            "eval_steps": 0.05,
            "save_steps": 0.05,
            "load_best_model_at_end": True,
            "metric_for_best_model": "f1",
            "save_total_limit": 1,
            "save_only_model": True,
        }
    return training_arguments(
        settings,
        num_train_epochs=settings.epochs,
        warmup_steps=settings.warmup_ratio,
        per_device_eval_batch_size=32,
        disable_tqdm=True,
        **kept,
    )


def _write(path: Path, rows: list[dict[str, Any]], outcome: Any, tags: list[str]) -> None:
    guesses = outcome.predictions.argmax(-1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as lines:
        for row, labels, guess in zip(rows, outcome.label_ids, guesses, strict=True):
            predicted = [tags[tag] for tag in guess[labels != IGNORED]]
            predicted += ["O"] * (len(row["tokens"]) - len(predicted))
            line = {"tokens": row["tokens"], "gold": row["ner_tags"], "predicted": predicted}
            lines.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    run(measure, packages=("accelerate",))
