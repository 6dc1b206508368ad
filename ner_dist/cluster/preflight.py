"""The check before a job trains: `python -m ner_dist.cluster.preflight RECIPE [options] [key=value ...]`.

Run once on each machine, with RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT in the environment counting
machines. It shows where every rank would run, and ends with one line and exit code 2 within seconds if the
machines differ, do not reach each other, or could not write what training writes.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.cluster.rendezvous import NodeGroup
from ner_dist.errors import EXIT_USER_ERROR, UserError, show
from ner_dist.runtime.screen import shown_output

if TYPE_CHECKING:
    from ner_dist.cluster.node import Node
    from ner_dist.recipe import Recipe

# How long a network file system may hide a new file from another machine that lists its folder.
_FILE_SECONDS = 10


def preflight(
    path: str, overrides: list[str], *, launch_config: str, per_machine: int, gpus: int, machines: NodeGroup
) -> None:
    """Check everything, and show it on the first machine.

    Raises:
        UserError: training could not work; says why, on every machine alike.
    """
    from ner_dist.cluster.node import differences, inspect
    from ner_dist.launch import LaunchConfig
    from ner_dist.recipe_file import load_recipe

    def look() -> Node:
        recipe = load_recipe(path, overrides)
        config = LaunchConfig.read(launch_config)
        config.check(machines=machines.number, per_machine=per_machine, gpus=gpus)
        return inspect(recipe, config, gpus=gpus)

    began = time.perf_counter()
    nodes: list[Node] = machines.all_gather_results(look)
    recipe = nodes[0].recipe
    if unlike := differences(nodes):
        raise UserError("; ".join(unlike), fix="bring all nodes to the same state")
    _check_shared_folder(recipe, machines)
    rate = machines.gigabytes_per_second(on_gpu=gpus > 0) if machines.number > 1 else None
    starts = _note_start(recipe, nodes, machines)
    if machines.rank == 0:
        _show(
            nodes,
            launch_config=launch_config,
            per_machine=per_machine,
            rate=rate,
            starts=starts,
            address=machines.address,
        )
        print(f"preflight passed in {time.perf_counter() - began:.1f} s", flush=True)


def _check_shared_folder(recipe: Recipe, machines: NodeGroup) -> None:
    """Check that all machines see a file which the first writes to the output directory."""
    from ner_dist.run.directory import PROBE, Run

    folder = Run(Path(recipe.output_dir)).folder
    probe = folder / PROBE

    def write() -> str:
        token = uuid.uuid4().hex
        if machines.rank == 0:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                probe.write_text(token, encoding="utf-8")
            except OSError as error:
                raise UserError(
                    f"cannot be written to: {error.strerror}",
                    where=f"output_dir {folder}",
                    fix="choose a folder with write access",
                ) from None
        return token

    token = machines.all_gather_results(write)[0]

    def see() -> None:
        until = time.monotonic() + _FILE_SECONDS
        while not _holds(probe, token):
            if time.monotonic() > until:
                raise UserError(
                    "is not shared: this node does not see what the first node writes there",
                    where=f"output_dir {folder.absolute()}",
                    fix="choose a folder on a file system that all nodes share",
                )
            time.sleep(0.2)

    try:
        machines.all_gather_results(see)
    finally:
        if machines.rank == 0:
            probe.unlink()


def _holds(file: Path, text: str) -> bool:
    # Listing the folder asks a network file system again; it may remember that a name was missing.
    there = file.parent.is_dir() and file in file.parent.iterdir()
    return there and file.read_text(encoding="utf-8") == text


def _note_start(recipe: Recipe, nodes: list[Node], machines: NodeGroup) -> list[dict[str, Any]]:
    """Under Slurm, this start and those before it."""
    if "SLURM_JOB_ID" not in os.environ:
        return []
    from ner_dist.cluster.restarts import note_start
    from ner_dist.run.directory import Run

    def note() -> list[dict[str, Any]] | None:
        if machines.rank:
            return None
        job = note_start(Run(Path(recipe.output_dir)), nodes=[each.host for each in nodes])
        starts: list[dict[str, Any]] = job["starts"]
        return starts

    noted: list[dict[str, Any]] = machines.all_gather_results(note)[0]
    return noted


def _show(
    nodes: list[Node],
    *,
    launch_config: str,
    per_machine: int,
    rate: float | None,
    starts: list[dict[str, Any]],
    address: str,
) -> None:
    first, recipe = nodes[0], nodes[0].recipe
    job = os.environ.get("SLURM_JOB_ID")
    details = [f"job {job}"] if job else []
    if len(starts) > 1:
        details.append(f"restart {starts[-1]['restart']}, resuming from step {starts[-1]['step']}")
    print(f"{recipe.name} in {recipe.output_dir}, {launch_config}", *details, sep=", ")
    for node, machine in enumerate(nodes):
        for process in range(per_machine):
            device = machine.devices[process % len(machine.devices)]
            print(f"  rank {node * per_machine + process:<4} {machine.host:<16} {device}")
    shown = {name: value for name, value in first.shared.items() if value and value != "None"}
    for name, value in shown.items():
        print(f"  {name}: {value}")
    print(f"  precision: {first.precision}")
    if rate is not None:
        print(f"  between nodes: {rate:.2f} GB/s in an all-reduce, meeting at {address}")
    if waiting := [machine.host for machine in nodes if not machine.prepared]:
        print(
            f"  the data is not prepared yet on {', '.join(waiting)}: the training prepares it first "
            "(`ner-dist prepare` does it before a job holds the nodes)"
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ner_dist.cluster.preflight", description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--launch-config", required=True, metavar="FILE")
    parser.add_argument("--processes-per-node", type=int, required=True, metavar="P")
    parser.add_argument("--gpus-per-node", type=int, default=0, metavar="G")
    parser.add_argument("settings", nargs="*", metavar="key=value")
    options = parser.parse_intermixed_args(arguments)
    # torch's C++ logs a stack trace for every attempt to connect; the result is printed here, in one line.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    machines = NodeGroup()
    code = 0
    try:
        machines.join()
    except UserError as error:
        return show(error)
    try:
        with shown_output():
            preflight(
                options.recipe,
                options.settings,
                launch_config=options.launch_config,
                per_machine=options.processes_per_node,
                gpus=options.gpus_per_node,
                machines=machines,
            )
    except UserError as error:
        code = show(error) if machines.rank == 0 else EXIT_USER_ERROR
    machines.leave()
    return code


if __name__ == "__main__":
    sys.exit(main())
