"""`ner-dist launch-help`: what to type on each machine where no Slurm starts the processes.

The output can be pasted into a shell: everything but the commands is a comment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ner_dist.errors import UserError
from ner_dist.formatting import counted
from ner_dist.launch import LaunchConfig, launch_command, shipped_config
from ner_dist.outside import command_line, on_one_line
from ner_dist.recipe_file import load_recipe

if TYPE_CHECKING:
    from ner_dist.recipe import Recipe

# How a launcher that starts one command a machine tells it which machine it is on, and where to learn the
# name of the first. Only what their manuals promise.
_ELSEWHERE = (
    (
        "Open MPI: mpirun --map-by ppr:1:node -x FIRST",
        "$OMPI_COMM_WORLD_RANK",
        "$(hostname) of the job script",
    ),
    ("MPICH, Intel MPI: mpiexec -ppn 1", "$PMI_RANK", "$(hostname) of the job script"),
    ("PBS, by one of these two", "as there", '$(head -n 1 "$PBS_NODEFILE") in the job script'),
    ("LSF, by one of these two", "as there", "the first word of $LSB_HOSTS in the job script"),
    ("Kubernetes, an Indexed Job", "$JOB_COMPLETION_INDEX", "JOB-0.SERVICE, the service being headless"),
    ("Kubeflow, a PyTorchJob", "$RANK", "$MASTER_ADDR, and the port $MASTER_PORT"),
)


@dataclass(frozen=True)
class Where:
    """The machines, as the user names them."""

    hosts: tuple[str, ...]
    """Rank 0 first."""
    gpus: int
    """Of one machine; 0 for machines without."""
    processes: int
    """On one machine."""
    port: int

    @property
    def world(self) -> int:
        return len(self.hosts) * self.processes


def launch_help(
    recipe: str,
    overrides: list[str],
    *,
    hosts: str,
    gpus_per_node: int = 8,
    processes_per_node: int | None = None,
    launch_config: str | None = None,
    port: int = 29500,
) -> str:
    """The commands for each machine, with what has to hold before they are typed.

    Args:
        recipe: the recipe's file.
        overrides: `key=value`.
        hosts: names or addresses, separated by commas; the first is rank 0, which the others must reach.
        gpus_per_node: GPUs of one machine, each with a process of its own; 0 for machines without.
        processes_per_node: on machines without a GPU; 1 if None.
        launch_config: a file as those of launch/; chosen by the hardware if None.
        port: on which rank 0 listens.

    Raises:
        UserError: the recipe is wrong, a file is missing, or the launch cannot work.
    """
    settings = load_recipe(recipe, overrides)
    where = _where(hosts, gpus_per_node, processes_per_node, port)
    launch, notes = _launch_for(where, launch_config, settings)
    micro_batches = settings.train.micro_batches
    if settings.train.batch_tokens != "auto" and micro_batches < where.world:
        held = counted(micro_batches, "micro-batch", "micro-batches")
        notes.append(
            f"a step has {held}, so {where.world - micro_batches} of {where.world} processes would idle: "
            "lower train.micro_batch_tokens"
        )
    parts = [_summary(where, launch, notes), _conditions(where, settings)]
    for rank in range(len(where.hosts)):
        parts.append(
            "\n".join([f"# On {where.hosts[rank]}:", *_commands(launch, recipe, overrides, where, rank)])
        )
    if len(where.hosts) > 1:
        parts.append(_elsewhere(launch, recipe, overrides, where))
    return "\n\n".join(parts)


def _where(hosts: str, gpus: int, processes: int | None, port: int) -> Where:
    """The machines, if there can be such."""
    names = tuple(name.strip() for name in hosts.split(","))
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):
            raise UserError(f"{name!r} is not a host name", where="--hosts", fix="write --hosts node1,node2")
    if len(set(names)) < len(names):
        raise UserError("a host is named twice", where="--hosts", fix="name each machine once")
    if len(names) > 1 and (names[0] == "localhost" or names[0].startswith("127.")):
        raise UserError(
            f"{names[0]} is a different machine on each of them",
            where="--hosts",
            fix="name the first by a name or address that the others reach",
        )
    if gpus and processes not in (None, gpus):
        raise UserError(
            f"{processes} processes on {gpus} GPUs",
            where="--processes-per-node",
            fix="each GPU has one process: say how many GPUs to use with --gpus-per-node",
        )
    return Where(names, gpus=gpus, processes=gpus or processes or 1, port=port)


def _launch_for(where: Where, path: str | None, recipe: Recipe) -> tuple[LaunchConfig, list[str]]:
    """The launch config, and notes about it for the user."""
    notes = []
    if path is None:
        name = "single_gpu" if where.world == 1 else "ddp_bf16" if where.gpus else "cpu"
        launch = shipped_config(name)
        if name == "ddp_bf16":
            notes.append("V100 and older: --launch-config ddp_fp16. Which fits: ner-dist plan")
    else:
        launch = LaunchConfig.read(path)
    launch.check(machines=len(where.hosts), per_machine=where.processes, gpus=where.gpus)
    if launch.precision == "fp16" and not where.gpus and recipe.precision == "auto":
        raise UserError(
            "fp16 trains only on a GPU", where=launch.path, fix="use launch/cpu.yaml or precision=fp32"
        )
    if launch.strategy == "ddp" and where.world == 1:
        return shipped_config("single_gpu"), [f"one process needs no {launch.path}"]
    return launch, notes


def _summary(where: Where, launch: LaunchConfig, notes: list[str]) -> str:
    machines = "1 machine" if len(where.hosts) == 1 else f"{len(where.hosts)} machines"
    kind = "GPU" if where.gpus else "CPU process"
    plural = "" if where.processes == 1 else "es" if kind.endswith("s") else "s"
    config = on_one_line(launch.path)
    first = f"# {machines} of {where.processes} {kind}{plural}: {where.world} in all, by {config}"
    return "\n".join([first, *(f"# Note: {on_one_line(note)}." for note in notes)])


def _conditions(where: Where, recipe: Recipe) -> str:
    """Conditions on all machines, as comments above the commands."""
    if len(where.hosts) == 1:
        return "# Type it in the repository's folder, with the environment active."
    first = where.hosts[0]
    return f"""\
# Must be equal on all machines: the folder and the code in it, the Python environment, the recipe, the
# launch config, and every word of the commands but the machine's own rank.
# Must be the same folder on all: output_dir ({on_one_line(recipe.output_dir)}), on a disk that they share.
# All must reach {first} on port {where.port}, and each other on any port. Another job there: --port.
#
# With several networks, name the interface that leads to the others, on each machine before the commands:
# the one that `ip route get ADDRESS_OF_ANOTHER_MACHINE` names after `dev`.
# export NCCL_SOCKET_IFNAME=eth0 GLOO_SOCKET_IFNAME=eth0
#
# The preflight compares the machines in seconds; the training is worth starting when it passes. Start each on
# all machines within two minutes: the first waits for the others, and nothing else starts them."""


def _commands(
    launch: LaunchConfig,
    recipe: str,
    overrides: list[str],
    where: Where,
    rank: int | str,
    host: str | None = None,
) -> list[str]:
    """The preflight's line and the training's, for the machine of one rank."""
    host = host or where.hosts[0]
    words = ["python", "-m", "ner_dist.cluster.preflight", recipe, "--launch-config", launch.path]
    words += ["--processes-per-node", str(where.processes)]
    words += ["--gpus-per-node", str(where.gpus)] if where.gpus else []
    words += overrides
    group = f"RANK={rank} WORLD_SIZE={len(where.hosts)} MASTER_ADDR={host} MASTER_PORT={where.port}"
    training = launch_command(
        launch,
        recipe,
        overrides,
        world=where.world,
        machines=len(where.hosts),
        rank=rank,
        host=host,
        port=where.port,
    )
    return [f"{group} {command_line(words)}", training]


def _elsewhere(launch: LaunchConfig, recipe: str, overrides: list[str], where: Where) -> str:
    """The same under a scheduler that starts one command on every machine."""
    lines = [
        "# Under another scheduler one script does for all machines. It is started once on each, not once on",
        "# each GPU, and holds:",
        *(f"#   {line}" for line in _commands(launch, recipe, overrides, where, "$NODE", "$FIRST")),
        "# where NODE is the machine's number from 0, and FIRST the host name of number 0, taken from:",
    ]
    widths = [max(len(row[column]) for row in _ELSEWHERE) for column in (0, 1)]
    for name, node, first in _ELSEWHERE:
        lines.append(f"#   {name:{widths[0]}}  NODE {node:{widths[1]}}  FIRST {first}")
    return "\n".join(lines)
