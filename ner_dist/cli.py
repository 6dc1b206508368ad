"""The `ner-dist` command. Heavy imports wait until a command needs them, so that `--help` answers at once."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from ner_dist import __version__
from ner_dist.commands import cluster, data, scoring, serving, sharing, training
from ner_dist.errors import UserError, disk_errors, show
from ner_dist.runtime.gpu import prepare_allocator
from ner_dist.runtime.screen import shown_output
from ner_dist.runtime.threads import wait_considerately

app = typer.Typer(pretty_exceptions_enable=False)

_COMMANDS: dict[str, Callable[..., None]] = {
    "train": training.train,
    "recipes": training.recipes,
    "new": training.new,
    "settings": training.settings,
    "doctor": data.doctor,
    "prepare": training.prepare,
    "convert": data.convert,
    "plan": cluster.plan,
    "launch-help": cluster.launch_help,
    "evaluate": scoring.evaluate,
    "predict": scoring.predict,
    "export": sharing.export,
    "serve": serving.serve,
    "compare": scoring.compare,
    "report": scoring.report,
    "push": sharing.push,
    "status": cluster.status,
    "slurm": cluster.slurm,
}
for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"ner-dist {__version__}")
        raise typer.Exit


@app.callback()
def ner_dist(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Fine-tune encoders for named-entity recognition, and compare the results honestly."""


def main() -> None:
    """Run the command line; a mistake of the user is one line and exit code 2."""
    wait_considerately()
    prepare_allocator()
    for stream in (sys.stdout, sys.stderr):
        # A terminal without a letter of a name, or without −, shows a ? for it.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    words = sys.argv[1:] or ["--help"]
    try:
        with disk_errors(), shown_output():
            app(words, standalone_mode=False)
    except UserError as error:
        sys.exit(show(error))
    except Exception as error:
        # typer's name for a wrong command line differs between its versions; anything else is a bug of ours.
        if not hasattr(error, "format_message"):
            raise
        what = error.format_message().replace("Value error, ", "").rstrip(".")
        # Not all of these errors know their command.
        command = f" {words[0]}" if words[0] in _COMMANDS else ""
        sys.exit(show(UserError(what, fix=f"see ner-dist{command} --help")))


if __name__ == "__main__":
    main()
