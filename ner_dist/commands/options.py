"""Arguments and options that several commands take."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

RecipeArgument = Annotated[str, typer.Argument(metavar="RECIPE", help="YAML file of the recipe.")]
ModelArgument = Annotated[
    str, typer.Argument(metavar="RUN_OR_MODEL", help="Run, folder of a model, or hub name.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Recipe keys to change, e.g. train.epochs=1."),
]
DataSettings = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[DATA.KEY=VALUE]...", help="How to read the data, e.g. data.language=en; keys of a recipe."
    ),
]
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="OLD=NEW",
        help="Call an entity type by another name, or leave it out with OLD=O. May be given several times.",
    ),
]
LaunchConfigOption = Annotated[
    str | None,
    typer.Option(
        metavar="CONFIG",
        help="Launch config, which says how the processes share the model: a file, or the name of one of "
        "launch/, e.g. zero2_bf16.",
    ),
]
DecodeOption = Annotated[
    Literal["greedy", "viterbi"] | None,
    typer.Option(
        help="How tags are chosen: the most probable tag of each word (greedy), or the most probable tags of "
        "a sentence in which no I- continues nothing (viterbi); as the run was scored if not given."
    ),
]
ThresholdOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[TYPE=]P",
        help="Leave out entities whose probability is below P: of all types, or of one, e.g. PER=0.8. May be "
        "given several times.",
    ),
]
BiasOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[TYPE=]B",
        help="Add B to the logits of the tags of all types, or of one, e.g. PER=1; finds more entities. "
        "May be given several times.",
    ),
]
TargetPrecisionOption = Annotated[
    float | None,
    typer.Option(
        metavar="P", help="Take the smallest threshold that reached this precision on the validation split."
    ),
]
TargetRecallOption = Annotated[
    float | None,
    typer.Option(
        metavar="R", help="Take the smallest bias that reached this recall on the validation split."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")]
