"""`ner-dist doctor` and `convert`: what is wrong with data, and data in other formats."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ner_dist.commands.options import DataSettings, JsonOption, Overrides
from ner_dist.errors import UserError


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
    Folds that were trained before are not trained again.
    """
    from ner_dist.commands.explore_data import explore
    from ner_dist.doctor.command import diagnose, is_recipe, names_model, review
    from ner_dist.doctor.examine import quiet
    from ner_dist.doctor.page import terminal
    from ner_dist.evaluation.json_form import as_json as to_json
    from ner_dist.files import printable
    from ner_dist.recipe_file import bare_recipe, load_recipe
    from ner_dist.runtime.accelerator import set_up_logging

    if folds is not None and out is None:
        raise UserError("the folds need a folder", where="--folds", fix="name one with --out")
    changed = overrides or []
    set_up_logging()
    if is_recipe(data):
        recipe = load_recipe(data, changed)
    else:
        recipe = bare_recipe(data, changed)
        # What is dropped from train is not to be looked for in splits that may not be there.
        drop = "drop_test_sentences_from_train"
        settings = [text for text in changed if text.startswith("data.") and drop not in text]
        with quiet():
            found_data = explore(data, settings).data
        kept = {drop: getattr(recipe.data, drop)}
        recipe = recipe.model_copy(update={"data": found_data.model_copy(update=kept)})
    folder = None if out is None else Path(out)
    found, written = diagnose(recipe, with_encoder=is_recipe(data) or names_model(changed), out=folder)
    if folds is not None and folder is not None:
        written += review(recipe, folds=folds, out=folder, train=not no_train)
    if as_json:
        print(json.dumps(to_json(found), indent=1))
    else:
        for line in terminal(found):
            print(line)
        for path in written:
            print(f"written to {printable(path)}")
    sys.exit(1 if found.must_be_fixed else 0)


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

    if not source.is_file():
        raise UserError("no such file", where=str(source))
    set_up_logging()
    print(f"written: {converted(source, target, data_section(settings or [], path=str(source)), to)}")
