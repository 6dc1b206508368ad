"""`ner-dist train` and what is typed before it: recipes, new, settings, prepare."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from ner_dist.commands.options import DataSettings, LaunchConfigOption, Overrides, RecipeArgument
from ner_dist.errors import UserError


def train(
    recipe: RecipeArgument,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of processes to start on this machine, one for each of its GPUs. "
            "Without this option and without a launch config, training runs in one process.",
        ),
    ] = None,
    launch_config: LaunchConfigOption = None,
    overrides: Overrides = None,
) -> None:
    """Train a recipe, score the model and save it.

    One process uses a GPU if there is one, else the CPU. Several compute the same training, only faster;
    without a launch config each holds the whole model (DDP).

    Ctrl-C, SIGTERM and SIGUSR1 save the training and end it with exit code 75. The same command continues it.

    Keys that are often changed: labels, output_dir, train.epochs, train.learning_rate, and logging.trackers,
    which sends the figures to tensorboard, wandb or mlflow too. `ner-dist settings` explains every key.

    For several machines see `ner-dist slurm` and `ner-dist launch-help`.
    """
    if launch_config is not None or (processes or 1) > 1:
        from ner_dist.recipe_file import load_recipe
        from ner_dist.runtime.launcher import launch

        load_recipe(recipe, overrides or [])  # report mistakes before anything is started
        words = [recipe, *(overrides or [])]
        sys.exit(launch("ner_dist.train", words, processes=processes, config=launch_config))
    from ner_dist.train import main

    sys.exit(main([recipe, *(overrides or [])]))


def prepare(recipe: RecipeArgument, overrides: Overrides = None) -> None:
    """Download and tokenise a recipe's data and model, before a job holds GPUs."""
    from ner_dist.recipe_file import load_recipe
    from ner_dist.runtime.accelerator import set_up_logging
    from ner_dist.training.inputs import fetch

    set_up_logging()
    print(f"prepared in {fetch(load_recipe(recipe, overrides or [])).folder}")


def new(
    data: Annotated[str, typer.Argument(metavar="DATA", help="File, folder or hub data set.")],
    model: Annotated[
        str, typer.Option(help="Encoder to fine-tune: a name on the hub, or a folder.")
    ] = "roberta-base",
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="File to write the recipe to; standard output if not given."),
    ] = None,
    settings: DataSettings = None,
) -> None:
    """Write a recipe for your own data, with what was found there: ner-dist new DATA > mine.yaml"""
    from ner_dist.commands.new_recipe import new_recipe
    from ner_dist.runtime.accelerator import set_up_logging

    if out is not None and Path(out).exists():
        raise UserError("exists already", where=f"--out {out}", fix="name another file, or delete it")
    set_up_logging()
    text = new_recipe(data, settings or [], model=model, file=out or "mine.yaml")
    if out is None:
        _print_file(text)
        return
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(out).write_text(text, encoding="utf-8")
    print(f"written to {out}; next: ner-dist train {out}")


def recipes(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Recipe to print; all are listed if not given.")
    ] = None,
) -> None:
    """List the recipes that come with ner_dist, or copy one: ner-dist recipes full > mine.yaml"""
    from ner_dist.commands.recipes import overview, recipe_text

    if name is None:
        print(overview())
    else:
        _print_file(recipe_text(name))


def _print_file(text: str) -> None:
    """Print what is to become a file: in UTF-8, whatever the terminal shows."""
    from ner_dist.runtime.screen import unchanged_output

    output = unchanged_output()
    if isinstance(output, io.TextIOWrapper):
        output.reconfigure(encoding="utf-8")
    print(text, end="", file=output)


def settings(
    key: Annotated[
        str | None,
        typer.Argument(metavar="[KEY]", help="A section, e.g. train, or a key, e.g. train.epochs."),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown tables.")] = False,
) -> None:
    """List every key of a recipe: its type, its default and what it means."""
    import shutil

    from ner_dist.commands.settings import describe

    width = min(110, shutil.get_terminal_size().columns)
    print(describe(key, markdown=markdown, width=width).rstrip())
