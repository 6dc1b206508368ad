"""Worker of `throughput.py`: SpanMarker, with its Trainer and its defaults.

It writes pairs of markers behind a sentence, one for each span that could be an entity. A sentence with more
of them than fit becomes several samples, and every sample has the same length.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from datasets import Dataset
from hf_trainer import Timing, training_arguments
from span_marker import SpanMarkerModel, Trainer
from worker import Watch, read, run


def measure(settings: SimpleNamespace) -> dict[str, Any]:
    """Train one epoch after the warm-up."""
    ids = {tag: number for number, tag in enumerate(settings.tags)}
    rows = read(f"{settings.data}/train.jsonl")[: settings.train_sentences]
    train = Dataset.from_list([row | {"ner_tags": [ids[tag] for tag in row["ner_tags"]]} for row in rows])
    torch.manual_seed(settings.seed)
    model = SpanMarkerModel.from_pretrained(
        settings.model, labels=settings.tags, model_max_length=settings.max_length
    )
    watch = Watch(model.encoder)
    _trainer(model, train, settings, max_steps=settings.warmup).train()
    trainer = _trainer(model, train, settings, num_train_epochs=1)
    trainer.add_callback(Timing(watch))
    trainer.train()
    return watch.measured | {"steps": trainer.state.global_step}


def _trainer(model: SpanMarkerModel, train: Dataset, settings: SimpleNamespace, **schedule: Any) -> Trainer:
    arguments = training_arguments(settings, **schedule)
    return Trainer(model, arguments, train_dataset=train)


if __name__ == "__main__":
    run(measure, packages=("span_marker", "accelerate"))
