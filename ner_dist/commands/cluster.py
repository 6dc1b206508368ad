"""`ner-dist plan`, `launch-help`, `slurm` and `status`: trainings on large machines."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Literal

import typer

from ner_dist.commands.options import JsonOption, LaunchConfigOption, Overrides, RecipeArgument


def plan(
    recipe: RecipeArgument,
    gpus: Annotated[
        int, typer.Option(help="Number of GPUs over all machines; with --gpu cpu, of processes.")
    ],
    gpu_memory: Annotated[str, typer.Option(help="Memory of one GPU, e.g. 16GiB or 80GB.")],
    gpu: Annotated[
        str, typer.Option(help="Model of the GPUs, e.g. a100, v100 or h100; cpu for processes without one.")
    ] = "a100",
    flops: Annotated[
        float | None,
        typer.Option(help="TFLOP/s that one GPU reaches in training; a share of its peak if not given."),
    ] = None,
    gpus_per_node: Annotated[int, typer.Option(help="Number of GPUs in one machine.")] = 8,
    interconnect: Annotated[
        float | None,
        typer.Option(
            help="Bandwidth in GB/s between the GPUs of one machine; that of the GPU's NVLink or PCIe if not "
            "given."
        ),
    ] = None,
    inter_node: Annotated[
        float, typer.Option(help="Bandwidth in GB/s from one machine into the network.")
    ] = 25.0,
    latency: Annotated[
        float, typer.Option(help="Shortest time in microseconds that a message takes.")
    ] = 10.0,
    sentences: Annotated[
        int | None,
        typer.Option(help="Number of sentences in the training split, for data that is not prepared."),
    ] = None,
    words: Annotated[
        int | None,
        typer.Option(help="Number of words in the training split, for data that is not prepared."),
    ] = None,
    as_json: JsonOption = False,
    overrides: Overrides = None,
) -> None:
    """Say what fits on given hardware, how long it takes, and which launch config to take."""
    # Nothing here needs a network: what is not on this machine is assumed, and said to be.
    os.environ["HF_HUB_OFFLINE"] = "1"
    from ner_dist.sizing.plan import PlanOptions
    from ner_dist.sizing.plan import plan as plan_training

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
    plan_training(recipe, overrides or [], options)


def launch_help(
    recipe: RecipeArgument,
    hosts: Annotated[
        str,
        typer.Option(help="Names or addresses of the machines, e.g. node1,node2; the first is rank 0."),
    ],
    gpus_per_node: Annotated[
        int, typer.Option(min=0, help="Number of GPUs in each machine; 0 for machines without.")
    ] = 8,
    processes_per_node: Annotated[
        int | None,
        typer.Option(min=1, help="Number of processes on each machine without GPUs; 1 if not given."),
    ] = None,
    launch_config: LaunchConfigOption = None,
    port: Annotated[int, typer.Option(min=1024, max=65535, help="TCP port on the first host.")] = 29500,
    overrides: Overrides = None,
) -> None:
    """Print what to type on each machine where no Slurm starts the processes."""
    from ner_dist.cluster.launch_help import launch_help as help_with_launch

    text = help_with_launch(
        recipe,
        overrides or [],
        hosts=hosts,
        gpus_per_node=gpus_per_node,
        processes_per_node=processes_per_node,
        launch_config=launch_config,
        port=port,
    )
    print(text)


def status(
    folders: Annotated[
        list[str], typer.Argument(metavar="DIR...", help="A run, an experiment, or a folder of runs.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Show which trainings run, how far they are, at what speed, and when they will end."""
    from ner_dist.cluster.status_table import show_status

    try:
        show_status(folders, as_json=as_json)
    except KeyboardInterrupt:
        sys.exit(130)


def slurm(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE|KEY=VALUE", help="Recipes to train, and keys to change in all of them."
        ),
    ],
    out: Annotated[str, typer.Option(help="Folder of the experiment, for its runs, logs and comparison.")],
    seeds: Annotated[
        str | None,
        typer.Option(
            help="Seeds to train each recipe with, e.g. 1,2,3; the recipe's own train.seed if not given."
        ),
    ] = None,
    third: Annotated[
        Literal["one", "both"] | None,
        typer.Option(
            help="Train a third model too, with the first recipe's training and the second one's labels, to "
            "show what other labels do to a model; `both` also trains the reverse one."
        ),
    ] = None,
    launch_config: LaunchConfigOption = None,
    nodes: Annotated[int | None, typer.Option(min=1, help="Number of nodes for each training.")] = None,
    gpus_per_node: Annotated[
        int | None, typer.Option(min=0, help="Number of GPUs on each node of a training.")
    ] = None,
    time: Annotated[str | None, typer.Option(help="Time limit of each training, e.g. 04:00:00.")] = None,
    partition: Annotated[str | None, typer.Option(help="Partition for all jobs.")] = None,
    account: Annotated[str | None, typer.Option(help="Account to charge all jobs to.")] = None,
    sbatch: Annotated[
        list[str] | None,
        typer.Option(
            help="Further option of sbatch for the trainings, e.g. --sbatch=--qos=long. May be given several "
            "times."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be submitted, and submit nothing.")
    ] = False,
    no_prepare: Annotated[
        bool, typer.Option("--no-prepare", help="Leave the download and tokenisation to the jobs.")
    ] = False,
) -> None:
    """Submit an experiment to Slurm: recipes x seeds as an array job, and a job that compares them.

    The same command again submits the same experiment again; runs that are complete end at once.
    """
    from ner_dist.cluster import slurm as scheduler
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
    experiment = plan_experiment(arguments, seeds=seeds, out=out, options=options, third=third)
    if dry_run:
        print(described(experiment, None))
        return
    scheduler.check_available()
    check_idle(experiment)
    if not no_prepare:
        from ner_dist.runtime.accelerator import set_up_logging
        from ner_dist.training.inputs import fetch

        set_up_logging()
        for recipe in experiment.recipes:
            fetch(recipe)
    print(described(experiment, submit(experiment)))
