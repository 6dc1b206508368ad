"""`ner-dist export` and `push`: a trained model in other people's hands."""

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


def push(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Directory of a complete run.")],
    repo: Annotated[str, typer.Argument(metavar="REPO", help="Name on the hub, e.g. my_name/my_model.")],
    private: Annotated[
        bool, typer.Option("--private", help="Only you, or your organisation, can see the model.")
    ] = False,
    comparison: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="What `ner-dist compare --out` named: the model card gets its verdict."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be uploaded, and send nothing.")
    ] = False,
) -> None:
    """Upload the model of a run to the Hugging Face hub, with its card: ner-dist push RUN my_name/my_model

    Checkpoints, metrics and predictions stay here. You may change the card,
    RUN/model/README.md, before.
    """
    from ner_dist.publish.push import push as push_model
    from ner_dist.runtime.accelerator import set_up_logging

    set_up_logging()
    files, address = push_model(run, repo, private=private, comparison=comparison, dry_run=dry_run)
    for file in files:
        print(f"{_size(file.size):>10}  {file.name}")
    total = _size(sum(file.size for file in files))
    if address is None:
        print(f"dry run: {total} would go to {repo}, nothing was sent")
    else:
        print(f"{total} uploaded: {address}")


def _size(size: int) -> str:
    """Bytes in decimal units, as the hub shows them."""
    number, units = float(size), iter(("B", "kB", "MB", "GB"))
    unit = next(units)
    while number >= 1000 and unit != "GB":
        number, unit = number / 1000, next(units)
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
