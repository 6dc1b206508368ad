"""`ner-dist doctor` and `convert`: what is wrong with data, and data in other formats."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ner_dist.commands.options import DataSettings, JsonOption, Overrides
from ner_dist.errors import UserError
from ner_dist.runtime import signals

if TYPE_CHECKING:
    from ner_dist.recipe import Recipe


def doctor(
    data: Annotated[
        str, typer.Argument(metavar="DATA_OR_RECIPE", help="A recipe, or a file, folder or hub data set.")
    ],
    overrides: Overrides = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Train this number of folds with the recipe, and rank the spans that models contradict.",
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(help="Folder to write doctor.json, doctor.html, the folds and the review to."),
    ] = None,
    no_train: Annotated[
        bool,
        typer.Option("--no-train", help="Write the folds and print how to train them, also under Slurm."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find faults of data: in its tags, types, splits, words and characters, each with its remedy.

    Ends with exit code 1 if something must be fixed. With --folds it also finds wrong labels, and writes a
    page (review.html) in which they are accepted or rejected; data.corrections applies what was accepted.
    Folds that were trained before are not trained again. Ctrl-C saves the training and ends with exit code
    75; the same command continues it.
    """
    from ner_dist.doctor.command import diagnose, is_recipe, names_model, review
    from ner_dist.doctor.page import terminal
    from ner_dist.evaluation.json_form import as_json as to_json
    from ner_dist.files import printable
    from ner_dist.runtime.accelerator import set_up_logging

    if folds is not None and out is None:
        raise UserError("the folds need a folder", where="--folds", fix="name one with --out")
    set_up_logging()
    recipe = recipe_of(data, overrides or [])
    folder = None if out is None else Path(out)
    found, written = diagnose(
        recipe, with_encoder=is_recipe(data) or names_model(overrides or []), out=folder
    )
    if folds is not None and folder is not None:
        signals.exit_on_signals()
        try:
            # With --json, standard output holds nothing but the JSON.
            with contextlib.redirect_stdout(sys.stderr if as_json else sys.stdout):
                written += review(recipe, folds=folds, out=folder, train=not no_train)
        except signals.Stopped as stopped:
            print(f"{stopped}: repeat the command to resume", file=sys.stderr)
            sys.exit(signals.EXIT_RESUME)
    if as_json:
        print(json.dumps(to_json(found), indent=1))
    else:
        for line in terminal(found):
            print(line)
        for path in written:
            print(f"written to {printable(path)}")
    sys.exit(1 if found.must_be_fixed else 0)


def recipe_of(data: str, overrides: list[str]) -> Recipe:
    """The recipe that an argument names, or one for the data that it names.

    Args:
        data: a recipe's file, or data.
        overrides: `key=value`, of any section.
    """
    from ner_dist.commands.explore_data import explore
    from ner_dist.doctor.command import is_recipe
    from ner_dist.doctor.examine import quiet
    from ner_dist.recipe_file import bare_recipe, load_recipe

    if is_recipe(data):
        return load_recipe(data, overrides)
    recipe = bare_recipe(data, overrides)
    # What is dropped from train is not to be looked for in splits that may not be there.
    drop = "drop_test_sentences_from_train"
    settings = [text for text in overrides if text.startswith("data.") and drop not in text]
    with quiet():
        found = explore(data, settings).data
    kept = {drop: getattr(recipe.data, drop)}
    return recipe.model_copy(update={"data": found.model_copy(update=kept)})


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="Data in any format, or predictions/*.jsonl of a run.")
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File to write.")],
    to: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="Format to write: jsonl, conll, doccano, label-studio or spacy. "
            "By the ending of OUT if not given.",
        ),
    ] = None,
    settings: DataSettings = None,
) -> None:
    """Convert data or predictions: ner-dist convert export.json train.jsonl

    IN may be an export of Label Studio, doccano, Prodigy, Argilla or spaCy, a file of words and tags, and
    whatever else `ner-dist train` reads. jsonl and conll hold words and tags, the others texts with spans.

    Predictions become tasks of Label Studio with the model's entities, for people to correct.
    """
    from ner_dist.data.convert import convert as converted
    from ner_dist.recipe_file import data_section
    from ner_dist.runtime.accelerator import set_up_logging

    if source.is_dir():
        fix = "convert its files one by one"
        raise UserError("is a folder", where=str(source), fix=fix)
    if not source.is_file():
        raise UserError("no such file", where=str(source), fix="correct the name")
    set_up_logging()
    print(f"written: {converted(source, target, data_section(settings or [], path=str(source)), to)}")
