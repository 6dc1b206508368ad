"""`ner-dist serve`: trained models for other programs and for people."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ner_dist.commands.options import ModelArgument
from ner_dist.serving.settings import TOKEN_VARIABLE, Limits, Service

_DEFAULT = Limits()


def serve(
    model: ModelArgument,
    model_b: Annotated[
        str | None, typer.Argument(metavar="MODEL_B", help="A second model, to compare on the page.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at; any but this machine's own needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 is any free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar=TOKEN_VARIABLE,
            help="Token that requests must carry. Others on this machine see it in the list of processes if "
            "it is not given through the environment.",
        ),
    ] = None,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Let other machines use the server without a token.")
    ] = False,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        typer.Option(help="Number format to compute in; auto is that in which the run was scored."),
    ] = "auto",
    max_texts: Annotated[
        int, typer.Option(min=1, help="Largest number of texts in a request.")
    ] = _DEFAULT.texts,
    max_characters: Annotated[
        int, typer.Option(min=1, help="Largest number of characters in a text.")
    ] = _DEFAULT.characters,
    max_bytes: Annotated[int, typer.Option(min=1, help="Largest body of a request.")] = _DEFAULT.bytes,
    max_waiting: Annotated[
        int, typer.Option(min=1, help="Requests that may wait at once; more are refused with 503.")
    ] = _DEFAULT.waiting,
    max_seconds: Annotated[
        float, typer.Option(min=0.001, help="Seconds after which a request is given up with 504.")
    ] = _DEFAULT.seconds,
    max_rate: Annotated[
        int, typer.Option(min=1, help="Requests a minute of one client; more are refused with 429.")
    ] = _DEFAULT.rate,
) -> None:
    """Serve one or two models over HTTP, with a page to try them: ner-dist serve RUN

    POST /predict tags texts, / is the page, /openapi.json describes the rest. Ctrl-C stops the server after
    the requests at hand.
    """
    from ner_dist.runtime.accelerator import set_up_logging
    from ner_dist.serving.command import serve as run

    set_up_logging()
    limits = Limits(max_texts, max_characters, max_bytes, max_waiting, max_seconds, max_rate)
    models = [model] if model_b is None else [model, model_b]
    run(Service(models, host, port, token, no_token, limits, precision))
