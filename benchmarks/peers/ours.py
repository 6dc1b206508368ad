"""Worker of `throughput.py`: ner_dist, with all that `ner-dist train` does in a step."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from worker import Watch, now, run

if TYPE_CHECKING:
    from ner_dist.training.metrics_log import Recorder
    from ner_dist.training.trainer import Session


def measure(settings: SimpleNamespace) -> dict[str, Any]:
    """Train one epoch after the warm-up, then score the test split."""
    from ner_dist.model.encoder import load_config
    from ner_dist.recipe import Recipe
    from ner_dist.run.directory import Run
    from ner_dist.runtime.accelerator import start
    from ner_dist.training.trainer import Session

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
                "batch_tokens": settings.batch_tokens,
                "micro_batch_tokens": settings.micro_batch_tokens,
                "learning_rate": settings.learning_rate,
                "seed": settings.seed,
            },
        }
    )
    accelerator = start(recipe, model_type=load_config(recipe.model).model_type)
    session = Session(recipe, run=Run(Path(settings.scratch)), accelerator=accelerator)
    session.load_data()
    session.build_model()
    watch = Watch(session.training.model)
    for _ in itertools.islice(session.steps(), settings.warmup):
        pass
    session.training.position = 0
    with session.recording() as recorder:
        watch.start()
        for step in session.steps():
            recorder.add(step)
            session.stop.agreed()
        watch.stop()
        recorder.flush()
        evaluations = _evaluate(session, recorder)
    return watch.measured | {"steps": step.number, "evaluations": evaluations}


def _evaluate(session: Session, recorder: Recorder) -> list[dict[str, Any]]:
    """Score as a training does while it runs, and as it does at its end with the model as saved."""
    from ner_dist.model.tagger import load_tagger
    from ner_dist.runtime.accelerator import precision_of

    folder = session.run.folder / "saved"
    session.accelerator.unwrap_model(session.training.model).save_pretrained(folder)
    tagger, _ = load_tagger(
        folder, precision=precision_of(session.accelerator), device=session.accelerator.device
    )
    evaluations = []
    for how, model in (("while it trains", session.training.model), ("the saved model", tagger)):
        began = now()
        f1 = session.score(model, "test", recorder).as_dict()["lenient"]["f1"]
        evaluations.append({"how": how, "seconds": now() - began, "f1": f1})
    return evaluations


if __name__ == "__main__":
    run(measure, packages=("accelerate",))
