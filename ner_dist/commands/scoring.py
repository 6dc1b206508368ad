"""`ner-dist evaluate`, `compare` and `report`: what trained models are worth."""

from __future__ import annotations

import json
import logging
import re
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from ner_dist.commands.options import (
    BiasOption,
    DataSettings,
    DecodeOption,
    JsonOption,
    MapOption,
    ModelArgument,
    TargetPrecisionOption,
    TargetRecallOption,
    ThresholdOption,
)
from ner_dist.errors import UserError
from ner_dist.outside import shown


def evaluate(
    model: ModelArgument,
    data: Annotated[
        str | None,
        typer.Option(help="Data to score on: a file, a folder or a hub data set; a run's own if not given."),
    ] = None,
    split: Annotated[Literal["train", "validation", "test"], typer.Option(help="Split to score.")] = "test",
    out: Annotated[
        str | None, typer.Option(help="Folder to write results.json and the predictions to.")
    ] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        typer.Option(help="Number format to compute in; auto chooses what suits the device."),
    ] = "auto",
    decode: DecodeOption = None,
    threshold: ThresholdOption = None,
    bias: BiasOption = None,
    target_precision: TargetPrecisionOption = None,
    target_recall: TargetRecallOption = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="TAGS",
            help="Tags of the model's ids in order, e.g. O,B-PER,I-PER, or a file of them; those of the "
            "model's config if not given.",
        ),
    ] = None,
    renamed: MapOption = None,
    settings: DataSettings = None,
) -> None:
    """Score a model on labelled data, on the entity types that both know."""
    from ner_dist.runtime.accelerator import set_up_logging
    from ner_dist.runtime.ranks import is_main_process, leave

    set_up_logging(main=is_main_process())
    logging.getLogger("ner_dist").info("scoring %s on %s, %s", model, data or "its own data", split)
    # These imports take seconds.
    from ner_dist.data.renaming import parse
    from ner_dist.evaluation.command import evaluate as evaluate_model
    from ner_dist.evaluation.command import print_figures
    from ner_dist.evaluation.operating_point import PerType

    figures = evaluate_model(
        model,
        data=data,
        split=split,
        settings=settings or [],
        precision=precision,
        decode=decode,
        out=out,
        tags=labels,
        renaming=parse(renamed or []),
        threshold=PerType.parse(threshold or [], "--threshold"),
        bias=PerType.parse(bias or [], "--bias"),
        target_precision=target_precision,
        target_recall=target_recall,
    )
    if is_main_process():
        print_figures(figures)
    leave()


def predict(
    model: ModelArgument,
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="File, folder, or - for standard input: text (each line is a text of its own), JSON lines "
            "with a text or a list of words, CoNLL, Parquet.",
        ),
    ],
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="File to write; standard output if not given.")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Format of the output: jsonl, conll, doccano or label-studio (tasks with the entities, to "
            "correct them); by the ending of the file if not given.",
        ),
    ] = None,
    input_format: Annotated[
        Literal["auto", "lines", "jsonl", "csv", "conll", "parquet"],
        typer.Option(help="Format of the input; auto goes by the ending of the file."),
    ] = "auto",
    text_column: Annotated[
        str | None, typer.Option(help="Field that holds the text or the words; found if not given.")
    ] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        typer.Option(help="Number format to compute in; auto is that in which the run was scored."),
    ] = "auto",
    decode: DecodeOption = None,
    backend: Annotated[
        Literal["auto", "torch", "onnx"],
        typer.Option(help="Refuse a model of the other kind: a run (torch), or an exported folder (onnx)."),
    ] = "auto",
    threshold: ThresholdOption = None,
    bias: BiasOption = None,
    target_precision: TargetPrecisionOption = None,
    target_recall: TargetRecallOption = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Number of processes to start on this machine, one for each GPU.")
    ] = 1,
) -> None:
    """Tag text with a trained model: ner-dist predict RUN article.txt -o tagged.jsonl

    Texts may have any length. The result is in the order of the input. The same command continues a
    prediction that was interrupted.
    """
    from ner_dist.evaluation.operating_point import PerType
    from ner_dist.evaluation.point_options import PointOptions
    from ner_dist.prediction.command import Prediction, check, output_format
    from ner_dist.prediction.command import predict as run
    from ner_dist.runtime.accelerator import set_up_logging
    from ner_dist.runtime.ranks import is_main_process, leave
    from ner_dist.runtime.signals import EXIT_RESUME, exit_on_signals

    set_up_logging(main=is_main_process())
    output = None if out in (None, "-") else Path(str(out))
    prediction = Prediction(
        model=model,
        input=source,
        output=output,
        output_format=output_format(output, form),
        input_format=input_format,
        text_column=text_column,
        precision=precision,
        decode=decode,
        backend=backend,
        point=PointOptions.of(
            PerType.parse(threshold or [], "--threshold"),
            PerType.parse(bias or [], "--bias"),
            target_precision,
            target_recall,
        ),
    )
    check(prediction, processes=processes)
    if processes > 1:
        from ner_dist.runtime.launcher import launch

        sys.exit(launch("ner_dist.cli", ["predict", *prediction.arguments()], processes=processes))
    exit_on_signals()
    try:
        run(prediction)
    except SystemExit:
        if is_main_process() and output is not None:
            print("stopped: repeat the command to continue", file=sys.stderr)
        sys.exit(EXIT_RESUME)
    leave()


def compare(
    out: Annotated[str, typer.Option(help="Folder to write compare.json, report.md and report.html to.")],
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN_A RUN_B [RUN]...", help="Runs, or files of predictions (JSONL, CoNLL)."),
    ] = None,
    grouped: Annotated[
        list[str] | None,
        typer.Option(
            "--runs",
            metavar="B=FILE,FILE",
            help="Files of predictions (or runs) that are seeds of one model, by its letter; other arguments "
            "have the other letters. May be given several times.",
        ),
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=100, help="Number of bootstrap resamples behind every interval.")
    ] = 10_000,
    names: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A=NAME", help="Name to show for a model, e.g. A=full. May be given several times."
        ),
    ] = None,
    renamed: MapOption = None,
    repair: Annotated[
        Literal["none", "begin"],
        typer.Option(
            help="Reading of a gold I- that continues no entity: `none` keeps it, `begin` begins an entity, "
            "as data.repair does."
        ),
    ] = "none",
    seed_sd: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Standard deviation of F1 between seeds, if known, for models of one run each."
        ),
    ] = None,
    seed_sd_from: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIR",
            help="Folder of earlier runs of several seeds, which show this deviation. May be given several "
            "times.",
        ),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Compare even if that is on less than half of the sentences.")
    ] = False,
    split: Annotated[
        Literal["test", "validation"],
        typer.Option(help="Split of the runs to compare on; files are taken as they are."),
    ] = "test",
    require: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'B >= A - 0.005'",
            help="End with exit code 1 unless the interval of the difference in F1 is within this, and where "
            "whose gold is right decides who leads. May be given several times.",
        ),
    ] = None,
    no_html: Annotated[bool, typer.Option("--no-html", help="Write no report.html.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare models: each on its own labels, all on the types and sentences they share, with error bars.

    Of more than two runs, those whose recipes differ in nothing but train.seed are seeds of one model, and
    those that differ in data.resample too are its refits, which show how it varies with the training set.
    """
    from ner_dist.comparison.compare import COMPARED, REPORTS
    from ner_dist.comparison.compare import compare as compare_models
    from ner_dist.comparison.requirements import Requirement
    from ner_dist.data.renaming import parse
    from ner_dist.files import printable
    from ner_dist.report.terminal import print_tables
    from ner_dist.report.write import reports
    from ner_dist.runtime.accelerator import set_up_logging

    set_up_logging()
    requirements = [Requirement.parse(text) for text in require or []]
    comparison = compare_models(
        *(runs or []),
        out=out,
        grouped=_grouped(grouped or []),
        resamples=resamples,
        names=_named(names or []),
        renaming=parse(renamed or []),
        repair=repair,
        seed_sd=seed_sd,
        seed_sd_from=seed_sd_from or [],
        partial=partial,
        split=split,
        requirements=requirements,
        pages=lambda comparison: reports(comparison, html=not no_html),
    )
    if as_json:
        print(json.dumps(comparison.figures, indent=1, allow_nan=False))
    else:
        print_tables(comparison)
        for name in (COMPARED, *REPORTS[: 1 if no_html else 2]):
            print(f"written to {printable(Path(out) / name)}")
    for each in comparison.requirements:
        print(shown(each.sentence), file=sys.stdout if each.holds and not as_json else sys.stderr)
    if not all(each.holds for each in comparison.requirements):
        sys.exit(1)


def _grouped(words: list[str]) -> dict[str, list[str]]:
    """The paths of `--runs A=a1.jsonl,a2.jsonl`, by letter."""
    groups: dict[str, list[str]] = {}
    for word in words:
        letter, equals, paths = word.partition("=")
        if not (equals and re.fullmatch("[A-Z]", letter) and all(paths.split(","))):
            fix = "write --runs A=a.jsonl,b.jsonl"
            raise UserError(f"'{word}' is not LETTER=PATH,PATH", where="--runs", fix=fix)
        if letter in groups:
            raise UserError(f"{letter} is named twice", where="--runs", fix="list its runs in one option")
        groups[letter] = paths.split(",")
    return groups


def _named(words: list[str]) -> dict[str, str]:
    """The names of `--names A=full,B=subset`, by letter."""
    from ner_dist.files import printable

    names = {}
    for word in [part for each in words for part in each.split(",")]:
        letter, equals, name = word.partition("=")
        if not (equals and letter and name):
            raise UserError(f"'{word}' is not LETTER=NAME", where="--names", fix="write --names A=full")
        names[letter] = printable(name)
    return names


def report(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="Directory of a run, which may still be training.")
    ],
    out: Annotated[
        str | None, typer.Option(help="Folder to write report.html to; the run's own if not given.")
    ] = None,
) -> None:
    """Write a page on one run: its state, settings, curves, scores and errors; also while it trains."""
    from ner_dist.files import printable
    from ner_dist.report.write import write_run_report
    from ner_dist.run.directory import Run
    from ner_dist.runtime.accelerator import set_up_logging

    set_up_logging()
    for path in write_run_report(Run(Path(run)), None if out is None else Path(out)):
        print(f"written to {printable(path)}")
