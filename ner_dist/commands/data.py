"""`ner-dist convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ner_dist.commands.options import DataSettings
from ner_dist.errors import UserError


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
