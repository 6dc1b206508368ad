"""Worker of `throughput.py`: the plain Accelerate loop of transformers' example `run_ner_no_trainer.py`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from accelerate import Accelerator
from tagging import Tagging
from torch.utils.data import DataLoader
from transformers import get_scheduler
from worker import Watch, run

PRECISION = {"fp32": "no"}


def measure(settings: SimpleNamespace) -> dict[str, Any]:
    """Train one epoch after the warm-up."""
    tagging = Tagging(settings)
    watch = Watch(tagging.model)
    accelerator = Accelerator(mixed_precision=PRECISION.get(settings.precision, settings.precision))
    loader = DataLoader(
        tagging.train, shuffle=True, collate_fn=tagging.collator, batch_size=settings.sentences
    )
    optimizer = torch.optim.AdamW(_groups(tagging.model), lr=settings.learning_rate)
    schedule = get_scheduler("linear", optimizer, num_warmup_steps=0, num_training_steps=len(loader))
    parts = accelerator.prepare(tagging.model, optimizer, loader, schedule)
    _train(accelerator, *parts, steps=settings.warmup)
    watch.start()
    steps = _train(accelerator, *parts, steps=len(loader))
    watch.stop()
    return watch.measured | {"steps": steps}


def _groups(model: torch.nn.Module) -> list[dict[str, Any]]:
    """The example's two groups; its weight decay is 0 unless asked for."""
    exempt = ("bias", "LayerNorm.weight")
    named = list(model.named_parameters())
    return [
        {"params": [each for name, each in named if name.endswith(exempt) is chosen], "weight_decay": 0.0}
        for chosen in (False, True)
    ]


def _train(
    accelerator: Accelerator, model: Any, optimizer: Any, loader: Any, schedule: Any, *, steps: int
) -> int:
    model.train()
    for done, batch in enumerate(loader, start=1):
        accelerator.backward(model(**batch).loss)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if done == steps:
            break
    return done


if __name__ == "__main__":
    run(measure, packages=("accelerate",))
