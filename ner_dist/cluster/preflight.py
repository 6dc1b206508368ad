"""The check before a job trains: `python -m ner_dist.cluster.preflight RECIPE [options] [key=value ...]`.

Run once on each machine, with RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT in the environment counting
machines. It shows where every rank would run, and ends with one line and exit code 2 within seconds if the
machines differ, do not reach each other, or could not write what training writes.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.errors import EXIT_USER_ERROR, UserError, disk_error, show

if TYPE_CHECKING:
    from collections.abc import Callable

    from ner_dist.cluster.machine import Machine
    from ner_dist.recipe import Recipe

# Machines import torch from file systems of very different speed before they meet.
_MEETING_SECONDS = int(os.environ.get("NER_DIST_PREFLIGHT_TIMEOUT", 120))
# How long a network file system may hide a new file from another machine that lists its folder.
_FILE_SECONDS = 10
_PROBE_MIB, _PROBES = 32, 3


class Machines:
    """The machines of the job, in touch with each other."""

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", 0))
        self.number = int(os.environ.get("WORLD_SIZE", 1))
        self.address = f"{os.environ.get('MASTER_ADDR', 'localhost')}:{os.environ.get('MASTER_PORT', '?')}"

    def meet(self) -> None:
        """
        Raises:
            UserError: they do not reach each other.
        """
        if self.number == 1:
            return
        from torch import distributed

        try:
            distributed.init_process_group(
                "gloo",
                init_method="env://",
                rank=self.rank,
                world_size=self.number,
                timeout=timedelta(seconds=_MEETING_SECONDS),
            )
            distributed.barrier()
        except (RuntimeError, ValueError) as error:
            raise self._apart(" ".join(str(error).split())) from None

    def _apart(self, error: str) -> UserError:
        """What went wrong between the machines, in the order of the guide."""
        here = f"{platform.node()}, node {self.rank} of {self.number}"
        if "EADDRINUSE" in error or "already in use" in error:
            return UserError(
                f"{self.address} is taken by another program",
                where=here,
                fix="set NER_DIST_PORT to a free port",
            )
        if "TCP client failed" in error or "timed out" in error.lower() or "resolve" in error:
            return UserError(
                f"the nodes did not meet at {self.address} within {_MEETING_SECONDS} s ({error[:200]})",
                where=here,
                fix="see docs/cluster.md, `When nodes do not meet`: NER_DIST_ADDRESS, NER_DIST_PORT",
            )
        return UserError(
            f"met the other nodes at {self.address}, but cannot talk to them ({error[:200]})",
            where=here,
            fix="name the interface they share: GLOO_SOCKET_IFNAME, NCCL_SOCKET_IFNAME; see docs/cluster.md",
        )

    def all_answers(self, work: Callable[[], Any]) -> list[Any]:
        """What `work` returns on every machine.

        Raises:
            UserError: it failed somewhere; the first machine's error, with its host where there are several.
        """
        problem = answer = None
        try:
            answer = work()
        except UserError as error:
            problem = str(error)
        except OSError as error:
            problem = str(disk_error(error) or f"{error.filename or ''}: {error.strerror or error}")
        answers: list[Any] = [(platform.node(), answer, problem)]
        if self.number > 1:
            from torch import distributed

            answers *= self.number
            distributed.all_gather_object(answers, (platform.node(), answer, problem))
        for host, _, failed in answers:
            if failed is not None:
                raise UserError(failed if self.number == 1 else f"{host}: {failed}")
        return [each for _, each, _ in answers]

    def gigabytes_per_second(self, *, on_gpu: bool) -> float:
        """What an all-reduce of 32 MiB moves between the machines, as bytes summed over time."""
        import torch
        from torch import distributed

        group = distributed.new_group(backend="nccl") if on_gpu else None
        tensor = torch.zeros(_PROBE_MIB << 18, device="cuda:0" if on_gpu else "cpu")
        distributed.all_reduce(tensor[:1], group=group)
        began = time.perf_counter()
        for _ in range(_PROBES):
            distributed.all_reduce(tensor, group=group)
        float(tensor[0])
        return _PROBES * tensor.nbytes / (time.perf_counter() - began) / 1e9

    def part(self) -> None:
        """Leave together: the first machine keeps the meeting place open for the others."""
        from torch import distributed

        if self.number > 1 and distributed.is_initialized():
            distributed.barrier()
            distributed.destroy_process_group()


def preflight(
    path: str, overrides: list[str], *, launch_config: str, per_machine: int, gpus: int, machines: Machines
) -> None:
    """Check everything, and show it on the first machine.

    Raises:
        UserError: training could not work; says why, on every machine alike.
    """
    from ner_dist.cluster.launch_config import LaunchConfig
    from ner_dist.cluster.machine import differences, inspect
    from ner_dist.recipe_file import load_recipe

    def look() -> Machine:
        recipe = load_recipe(path, overrides)
        config = LaunchConfig.read(launch_config)
        config.check(machines=machines.number, per_machine=per_machine, gpus=gpus)
        return inspect(recipe, config, gpus=gpus)

    began = time.perf_counter()
    found: list[Machine] = machines.all_answers(look)
    recipe = found[0].recipe
    if unlike := differences(found):
        raise UserError("; ".join(unlike), fix="bring all nodes to the same state")
    _check_shared_folder(recipe, machines)
    rate = machines.gigabytes_per_second(on_gpu=gpus > 0) if machines.number > 1 else None
    starts = _note_start(recipe, found, machines)
    if machines.rank == 0:
        _show(
            found,
            launch_config=launch_config,
            per_machine=per_machine,
            rate=rate,
            starts=starts,
            address=machines.address,
        )
        print(f"preflight passed in {time.perf_counter() - began:.1f} s", flush=True)


def _check_shared_folder(recipe: Recipe, machines: Machines) -> None:
    """What the first machine writes to the output directory, the others must see."""
    from ner_dist.run import Run

    folder = Run(Path(recipe.output_dir)).folder
    probe = folder / f".preflight-{uuid.uuid4().hex[:8]}"

    def write() -> str:
        if machines.rank:
            return probe.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe.write_text("seen\n", encoding="utf-8")
        except OSError as error:
            raise UserError(
                f"cannot be written to: {error.strerror}",
                where=f"output_dir {folder}",
                fix="name a folder that you may write to",
            ) from None
        return probe.name

    written = folder / machines.all_answers(write)[0]

    def see() -> None:
        until = time.monotonic() + _FILE_SECONDS
        # Listing asks a network file system anew; a name that was missing may be remembered so.
        while not folder.is_dir() or written not in folder.iterdir():
            if time.monotonic() > until:
                raise UserError(
                    "is not shared: what the first node writes there is not seen here",
                    where=f"output_dir {folder.absolute()}",
                    fix="name a folder on a file system that all nodes share",
                )
            time.sleep(0.2)

    try:
        machines.all_answers(see)
    finally:
        if machines.rank == 0:
            probe.unlink()


def _note_start(recipe: Recipe, found: list[Machine], machines: Machines) -> list[dict[str, Any]]:
    """Under Slurm, this start and those before it."""
    if "SLURM_JOB_ID" not in os.environ:
        return []
    from ner_dist.cluster.restarts import note_start
    from ner_dist.run import Run

    def note() -> list[dict[str, Any]] | None:
        if machines.rank:
            return None
        return note_start(Run(Path(recipe.output_dir)), nodes=[each.host for each in found])["starts"]

    return machines.all_answers(note)[0]


def _show(
    found: list[Machine],
    *,
    launch_config: str,
    per_machine: int,
    rate: float | None,
    starts: list[dict[str, Any]],
    address: str,
) -> None:
    first, recipe = found[0], found[0].recipe
    job = os.environ.get("SLURM_JOB_ID")
    said = [f"job {job}"] if job else []
    if len(starts) > 1:
        said.append(f"restart {starts[-1]['restart']}, going on from step {starts[-1]['step']}")
    print(f"{recipe.name} in {recipe.output_dir}, {launch_config}", *said, sep=", ")
    for node, machine in enumerate(found):
        for process in range(per_machine):
            device = machine.devices[process % len(machine.devices)]
            print(f"  rank {node * per_machine + process:<4} {machine.host:<16} {device}")
    shown = {name: value for name, value in first.shared.items() if value and value != "None"}
    for name, value in shown.items():
        print(f"  {name}: {value}")
    print(f"  precision: {first.precision}")
    if rate is not None:
        print(f"  between nodes: {rate:.2f} GB/s in an all-reduce, meeting at {address}")
    if waiting := [machine.host for machine in found if not machine.prepared]:
        print(
            f"  the data is not prepared yet on {', '.join(waiting)}: training begins with that "
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
    # Its C++ tells every attempt to connect with a stack; what came of them is told here, in a line.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    machines = Machines()
    code = 0
    try:
        machines.meet()
    except UserError as error:
        return show(error)
    try:
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
    machines.part()
    return code


if __name__ == "__main__":
    sys.exit(main())
