"""Small trainings inside the test's own process, on the recipe that the distributed tests launch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ner_dist.recipe import FixedTrain, Recipe
from ner_dist.recipe_file import load_recipe
from ner_dist.run.directory import Run
from tests.distributed.launching import RECIPE

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ner_dist.training.trainer import Trainer


def recipe(folder: Path, *overrides: str) -> Recipe:
    """The tiny recipe with overrides; its run is to lie in `folder`/run."""
    path = folder / "tiny.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return load_recipe(path, [f"output_dir={folder / 'run'}", *overrides])


def fixed_train(**settings) -> FixedTrain:
    """How to train, with numbers that `auto` would have chosen unless they are given."""
    return FixedTrain(
        **{"epochs": 2, "batch_tokens": 8192, "learning_rate": 5e-5, "packing": True} | settings
    )


def one_process(*, precision: str = "no", **settings) -> Accelerator:
    """A process group of this process alone, on the CPU; whatever was there before is forgotten."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(cpu=True, mixed_precision=precision, **settings)


def trainer(settings: Recipe, *, accelerator: Accelerator | None = None) -> Trainer:
    """A training that is ready for its next step."""
    from ner_dist.model.encoder import load_config
    from ner_dist.training.trainer import Trainer

    return Trainer.from_recipe(
        settings,
        load_config(settings.model),
        run=run_of(settings),
        accelerator=accelerator or one_process(),
    )


def run_of(settings: Recipe) -> Run:
    """The recipe's run; its directory is there, as after `run_lock`."""
    run = Run(Path(settings.output_dir))
    run.folder.mkdir(parents=True, exist_ok=True)
    return run


def train(settings: Recipe) -> Path:
    """Train to the end and return the run's folder."""
    from accelerate.state import AcceleratorState

    from ner_dist.train import train as run

    AcceleratorState._reset_state(reset_partial_state=True)
    return run(settings).folder


def weights_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of every parameter by name."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
