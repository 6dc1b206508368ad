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
JsonOption = Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")]
