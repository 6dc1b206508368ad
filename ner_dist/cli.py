"""The command line. Heavy imports wait until a command needs them, so that `--help` answers at once."""

from __future__ import annotations

import io
import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from ner_dist.errors import UserError, disk_errors, show
from ner_dist.runtime.threads import wait_considerately

app = typer.Typer(
    help="Fine-tune encoders for named-entity recognition, and compare the results honestly.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


RecipeArgument = Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe's YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Recipe keys to change, as train.epochs=1."),
]
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map", metavar="OLD=NEW", help="Call a type by another name, or O to leave it out; any number."
    ),
]
LaunchConfigOption = Annotated[
    str | None, typer.Option(help="Accelerate's config file, such as launch/zero2_bf16.yaml.")
]


@app.command("train")
def train_command(
    recipe: RecipeArgument,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Start this many processes on this machine, one for each GPU if it has any. "
            "Without it, and without a launch config, training runs in one process.",
        ),
    ] = None,
    launch_config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Accelerate's config file, such as launch/zero2_bf16.yaml, which says how the processes "
            "share the model. Without it each holds the whole model (DDP).",
        ),
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Train, score and save what a recipe describes.

    One process uses a GPU if there is one, else the CPU. Several compute the same training, only faster.
    Ctrl-C, SIGTERM and SIGUSR1 save and end with exit code 75; the same command then goes on from there.

    Keys that are often changed: labels, output_dir, train.epochs, train.learning_rate, and logging.trackers,
    which sends the figures to tensorboard, wandb or mlflow too. `ner-dist settings` explains every key.

    For several machines see `ner-dist slurm` and `ner-dist launch-help`.
    """
    if launch_config is not None or (processes or 1) > 1:
        from ner_dist.runtime.launcher import launch

        sys.exit(launch(recipe, overrides or [], processes=processes, config=launch_config))
    from ner_dist.train import main as train

    sys.exit(train([recipe, *(overrides or [])]))


@app.command("new")
def new_command(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A file, a folder or a hub data set.")],
    model: Annotated[str, typer.Option(help="The encoder: a name on the hub, or a folder.")] = "roberta-base",
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="Where to write it; to standard output if not given.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[DATA.KEY=VALUE]...", help="Recipe keys of data.")
    ] = None,
) -> None:
    """Write a recipe for your own data, with what was found there: ner-dist new DATA > mine.yaml"""
    from ner_dist.commands.new_recipe import new_recipe
    from ner_dist.runtime.accelerator import set_up_logging

    if out is not None and Path(out).exists():
        raise UserError("exists already", where=f"--out {out}", fix="name another file, or delete it")
    set_up_logging()
    text = new_recipe(data, settings or [], model=model, file=out or "mine.yaml")
    if out is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # a file is read as that, whatever the terminal shows
        print(text, end="")
        return
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(out).write_text(text, encoding="utf-8")
    print(f"written to {out}; next: ner-dist train {out}")


@app.command("settings")
def settings_command(
    key: Annotated[
        str | None, typer.Argument(metavar="[KEY]", help="A section, as train, or a key, as train.epochs.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown tables.")] = False,
) -> None:
    """List every key of a recipe: its type, its default and what it means."""
    import shutil

    from ner_dist.commands.settings import describe

    width = min(110, shutil.get_terminal_size().columns)
    print(describe(key, markdown=markdown, width=width).rstrip())


@app.command("prepare")
def prepare_command(recipe: RecipeArgument, overrides: Overrides = None) -> None:
    """Download and tokenise, before a job holds GPUs."""
    from ner_dist.recipe_file import load_recipe
    from ner_dist.runtime.accelerator import set_up_logging
    from ner_dist.training.inputs import fetch

    set_up_logging()
    print(f"prepared in {fetch(load_recipe(recipe, overrides or [])).folder}")


@app.command("plan")
def plan_command(
    recipe: RecipeArgument,
    gpus: Annotated[int, typer.Option(help="GPUs over all machines; with --gpu cpu, processes.")],
    gpu_memory: Annotated[str, typer.Option(help="Of each, such as 16GiB or 80GB.")],
    gpu: Annotated[str, typer.Option(help="a100, v100, h100, ...; cpu for processes without one.")] = "a100",
    flops: Annotated[
        float | None, typer.Option(help="TFLOP/s that a GPU reaches in training, instead of an assumption.")
    ] = None,
    gpus_per_node: Annotated[int, typer.Option(help="GPUs of one machine.")] = 8,
    interconnect: Annotated[
        float | None, typer.Option(help="GB/s between GPUs of a machine; NVLink or PCIe by the GPU.")
    ] = None,
    inter_node: Annotated[float, typer.Option(help="GB/s from a machine into the network.")] = 25.0,
    latency: Annotated[float, typer.Option(help="Microseconds that a message takes at least.")] = 10.0,
    sentences: Annotated[int | None, typer.Option(help="Of the training split, if not prepared.")] = None,
    words: Annotated[int | None, typer.Option(help="Of the training split, if not prepared.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    overrides: Overrides = None,
) -> None:
    """Say what fits on given hardware, how long it takes, and which launch config to take."""
    import os

    # Nothing here needs a network: what is not on this machine is assumed, and said to be.
    os.environ["HF_HUB_OFFLINE"] = "1"
    from ner_dist.sizing.plan import PlanOptions, plan

    options = PlanOptions(
        gpus=gpus,
        gpu_memory=gpu_memory,
        gpu=gpu,
        flops=flops,
        interconnect=interconnect,
        inter_node=inter_node,
        gpus_per_node=gpus_per_node,
        latency=latency,
        sentences=sentences,
        words=words,
        json=as_json,
    )
    plan(recipe, overrides or [], options)


@app.command("launch-help")
def launch_help_command(
    recipe: RecipeArgument,
    hosts: Annotated[str, typer.Option(help="Names or addresses, as node1,node2; the first is rank 0.")],
    gpus_per_node: Annotated[int, typer.Option(min=0, help="GPUs of each machine; 0 for none.")] = 8,
    processes_per_node: Annotated[
        int | None, typer.Option(min=1, help="Processes on each machine without GPUs; 1 if not given.")
    ] = None,
    launch_config: LaunchConfigOption = None,
    port: Annotated[int, typer.Option(min=1024, max=65535, help="Where all meet on the first.")] = 29500,
    overrides: Overrides = None,
) -> None:
    """Print what to type on each machine where no Slurm starts the processes."""
    from ner_dist.cluster.launch_help import launch_help

    text = launch_help(
        recipe,
        overrides or [],
        hosts=hosts,
        gpus_per_node=gpus_per_node,
        processes_per_node=processes_per_node,
        launch_config=launch_config,
        port=port,
    )
    print(text)


@app.command("evaluate")
def evaluate_command(
    model: Annotated[
        str, typer.Argument(metavar="RUN_OR_MODEL", help="A run, a model's folder, or a hub name.")
    ],
    data: Annotated[
        str | None, typer.Option(help="File, folder or hub dataset; a run's own data if not given.")
    ] = None,
    split: Annotated[Literal["train", "validation", "test"], typer.Option(help="Which part of it.")] = "test",
    out: Annotated[str | None, typer.Option(help="Folder for results.json and the predictions.")] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"], typer.Option(help="To compute in; auto goes by the device.")
    ] = "auto",
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="TAGS", help="The tag of each id, as O,B-PER,I-PER, or a file of them; else the model's."
        ),
    ] = None,
    renamed: MapOption = None,
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[DATA.KEY=VALUE]...", help="Recipe keys of data.")
    ] = None,
) -> None:
    """Score a model on labelled data, on the entity types that both know."""
    from ner_dist.runtime.accelerator import set_up_logging
    from ner_dist.runtime.ranks import is_main_process, leave

    set_up_logging(main=is_main_process())
    logging.getLogger("ner_dist").info("scoring %s on %s, %s", model, data or "its own data", split)
    # What follows takes seconds to import.
    from ner_dist.data.renaming import parse
    from ner_dist.evaluation.command import evaluate_model, print_figures

    figures = evaluate_model(
        model,
        data=data,
        split=split,
        settings=settings or [],
        precision=precision,
        out=out,
        tags=labels,
        renaming=parse(renamed or []),
    )
    if is_main_process():
        print_figures(figures)
    leave()


@app.command("compare")
def compare_command(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN_A RUN_B [RUN]...", help="Runs, or files of predictions (JSONL, CoNLL)."),
    ],
    out: Annotated[str, typer.Option(help="Folder for compare.json, report.md and report.html.")],
    resamples: Annotated[int, typer.Option(min=100, help="Of the bootstrap behind every interval.")] = 10_000,
    names: Annotated[
        list[str] | None, typer.Option(metavar="A=NAME", help="What to call a model; any number.")
    ] = None,
    renamed: MapOption = None,
    repair: Annotated[
        Literal["none", "begin"],
        typer.Option(help="`begin` has an entity begin with a gold I- that continues none, as data.repair."),
    ] = "none",
    no_html: Annotated[bool, typer.Option("--no-html", help="Write no report.html.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Compare models: each on its own labels, all on the types and sentences they share, with error bars.

    Of more than two runs, those whose recipes differ in nothing but train.seed are seeds of one model.
    """
    from ner_dist.comparison.compare import compare
    from ner_dist.comparison.tables import print_tables
    from ner_dist.data.renaming import parse
    from ner_dist.files import printable
    from ner_dist.report.write import write_report
    from ner_dist.runtime.accelerator import set_up_logging

    set_up_logging()
    comparison = compare(
        *runs,
        out=out,
        resamples=resamples,
        names=_named(names or []),
        renaming=parse(renamed or []),
        repair=repair,
    )
    written = [Path(out) / "compare.json", *write_report(comparison, Path(out), html=not no_html)]
    if as_json:
        print(json.dumps(comparison.figures, indent=1))
        return
    print_tables(comparison)
    for path in written:
        print(f"written to {printable(path)}")


def _named(words: list[str]) -> dict[str, str]:
    from ner_dist.files import printable

    names = {}
    for word in [part for each in words for part in each.split(",")]:
        letter, equals, name = word.partition("=")
        if not (equals and letter and name):
            raise UserError(f"'{word}' is not LETTER=NAME", where="--names", fix="write --names A=full")
        names[letter] = printable(name)
    return names


@app.command("report")
def report_command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's directory; it may be training.")],
    out: Annotated[
        str | None, typer.Option(help="Folder for report.html; the run's own if not given.")
    ] = None,
) -> None:
    """Write a page on one run: state, settings, curves, scores, errors; also while it trains."""
    from ner_dist.files import printable
    from ner_dist.report.write import write_run_report
    from ner_dist.run.directory import Run
    from ner_dist.runtime.accelerator import set_up_logging

    set_up_logging()
    for path in write_run_report(Run(Path(run)), None if out is None else Path(out)):
        print(f"written to {printable(path)}")


@app.command("status")
def status_command(
    folders: Annotated[
        list[str], typer.Argument(metavar="DIR...", help="A run, an experiment, or a folder of runs.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print every fact as JSON.")] = False,
) -> None:
    """Say what runs, how far it is, at what speed, and when it will end."""
    from ner_dist.cluster.status_table import show_status

    try:
        show_status(folders, as_json=as_json)
    except KeyboardInterrupt:
        sys.exit(130)


@app.command("slurm")
def slurm_command(
    arguments: Annotated[
        list[str],
        typer.Argument(metavar="RECIPE|KEY=VALUE", help="Recipes, and keys to change in all of them."),
    ],
    out: Annotated[str, typer.Option(help="The experiment's folder: runs, logs and comparison.")],
    seeds: Annotated[
        str | None, typer.Option(help="Train each recipe with each, as 1,2,3; else with its own seed.")
    ] = None,
    launch_config: LaunchConfigOption = None,
    nodes: Annotated[int | None, typer.Option(min=1, help="Nodes of each training.")] = None,
    gpus_per_node: Annotated[int | None, typer.Option(min=0, help="GPUs on each of its nodes.")] = None,
    time: Annotated[str | None, typer.Option(help="Time limit of each training, as 04:00:00.")] = None,
    partition: Annotated[str | None, typer.Option(help="Partition of all jobs.")] = None,
    account: Annotated[str | None, typer.Option(help="Account of all jobs.")] = None,
    sbatch: Annotated[
        list[str] | None,
        typer.Option(
            help="A further option of sbatch for the trainings, as --sbatch=--qos=long; any number."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print it, submit nothing.")] = False,
    no_prepare: Annotated[
        bool, typer.Option("--no-prepare", help="Leave download and tokenisation to the jobs.")
    ] = False,
) -> None:
    """Submit a whole experiment to Slurm: recipes x seeds as an array job, and their comparison after it.

    The same command again submits the same experiment again; runs that are complete end at once.
    """
    from ner_dist.cluster import slurm
    from ner_dist.cluster.experiment import SubmitOptions, plan_experiment
    from ner_dist.cluster.submission import check_idle, described, submit

    options = SubmitOptions(
        launch_config=launch_config,
        nodes=nodes,
        gpus_per_node=gpus_per_node,
        time=time,
        partition=partition,
        account=account,
        sbatch=sbatch or [],
    )
    experiment = plan_experiment(arguments, seeds=seeds, out=out, options=options)
    if dry_run:
        print(described(experiment, None))
        return
    slurm.check_available()
    check_idle(experiment)
    if not no_prepare:
        from ner_dist.runtime.accelerator import set_up_logging
        from ner_dist.training.inputs import fetch

        set_up_logging()
        for recipe in experiment.recipes:
            fetch(recipe)
    print(described(experiment, submit(experiment)))


def main() -> None:
    """Run the command line; a mistake of the user is one line and exit code 2."""
    wait_considerately()
    for stream in (sys.stdout, sys.stderr):
        # A terminal without a letter of a name, or without −, shows a ? for it.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        with disk_errors():
            app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except UserError as error:
        sys.exit(show(error))
    except Exception as error:
        # typer's name for a wrong command line differs between its versions; anything else is a bug of ours.
        if not hasattr(error, "format_message"):
            raise
        what = error.format_message().replace("Value error, ", "").rstrip(".")
        context = getattr(error, "ctx", None)
        command = f" {context.info_name}" if context is not None and context.parent is not None else ""
        sys.exit(show(UserError(what, fix=f"see ner-dist{command} --help")))


if __name__ == "__main__":
    main()
