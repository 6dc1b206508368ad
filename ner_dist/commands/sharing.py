"""`ner-dist export`: a trained model in other people's hands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ner_dist.commands.options import ModelArgument


def export(
    model: ModelArgument,
    out: Annotated[str, typer.Argument(metavar="OUT", help="Folder to write; it must not exist.")],
    form: Annotated[Literal["onnx"], typer.Option("--format", help="Format of the exported model.")] = "onnx",
    quantise: Annotated[
        Literal["int8"] | None,
        typer.Option(help="Store the weights of matrix products as int8: smaller and faster."),
    ] = None,
    allow_loss: Annotated[
        float,
        typer.Option(metavar="F1", min=0.0, help="F1 on validation that int8 may lose."),
    ] = 0.005,
    data: Annotated[
        str | None,
        typer.Option(help="Data whose validation split int8 is scored on; a run's own if not given."),
    ] = None,
) -> None:
    """Write a trained model as a folder that predicts without torch: ner-dist export RUN OUT

    Its logits are compared with torch's at every export, and int8 is scored on validation. `ner-dist predict`
    takes the folder in place of a run; transformers.js reads it too.
    """
    from ner_dist.runtime.accelerator import set_up_logging

    set_up_logging()
    # These imports take seconds.
    from ner_dist.export.command import export as write

    write(model, Path(out), quantise=quantise, allow_loss=allow_loss, data=data)
