"""Worker of `throughput.py`: ner_dist, with all that `ner-dist train` does in a step."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from worker import Watch, now, run

if TYPE_CHECKING:
    from ner_dist.training.metrics_log import MetricsLogger
    from ner_dist.training.trainer import Trainer


def measure(settings: SimpleNamespace) -> dict[str, Any]:
    """Train one epoch after the warm-up, then score the test split."""
    from ner_dist.model.encoder import load_config
    from ner_dist.recipe import Recipe
    from ner_dist.run.directory import Run
    from ner_dist.runtime.accelerator import start
    from ner_dist.training import trainer as trainer_module
    from ner_dist.training.trainer import Trainer

    if not settings.copies:
        trainer_module.copies_suit = lambda *_, **__: False
    micro_batch = settings.micro_batch_tokens["packed" if settings.packing else "padded"]
    recipe = Recipe.model_validate(
        {
            "name": "throughput",
            "output_dir": settings.scratch,
            "model": {"name": settings.model},
            "data": {
                "path": settings.data,
                "splits": {"validation": None},
                "deduplicate": False,
                "cache_dir": settings.scratch,
                "max_length": settings.max_length,
            },
            "precision": settings.precision,
            "train": {
                "epochs": 1,
                "batch_tokens": micro_batch * settings.micro_batches,
                "micro_batch_tokens": micro_batch,
                "packing": settings.packing,
                "learning_rate": settings.learning_rate,
                "seed": settings.seed,
            },
        }
    )
    config = load_config(recipe.model)
    accelerator = start(recipe, model_type=config.model_type)
    run = Run(Path(settings.scratch))
    trainer = Trainer.from_recipe(recipe, config, run=run, accelerator=accelerator)
    watch = Watch(trainer.loop.model)
    for _ in itertools.islice(trainer.steps(), settings.warmup):
        pass
    trainer.loop.step = 0
    with trainer.open_metrics_log() as metrics_log:
        watch.start()
        for step in trainer.steps():
            metrics_log.add(step)
            trainer.stop.agreed()
        watch.stop()
        metrics_log.flush()
        evaluations = _evaluate(trainer, metrics_log)
    return watch.measured | {"steps": step.number, "evaluations": evaluations}


def _evaluate(trainer: Trainer, metrics_log: MetricsLogger) -> list[dict[str, Any]]:
    """Score as a training does while it runs, and as it does at its end with the model as saved."""
    from ner_dist.model.tagger import load_tagging_model
    from ner_dist.runtime.accelerator import precision_of

    folder = trainer.run.folder / "saved"
    trainer.accelerator.unwrap_model(trainer.loop.model).save_pretrained(folder)
    tagger, _ = load_tagging_model(
        folder, precision=precision_of(trainer.accelerator), device=trainer.accelerator.device
    )
    evaluations = []
    for how, model in (("while it trains", trainer.loop.model), ("the saved model", tagger)):
        began = now()
        f1 = trainer.evaluate_split(model, "test", metrics_log).figures.lenient.f1
        evaluations.append({"how": how, "seconds": now() - began, "f1": f1})
    return evaluations


if __name__ == "__main__":
    run(measure, packages=("accelerate",))
