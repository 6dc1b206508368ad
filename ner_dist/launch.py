"""The launch configs of launch/, as far as memory and time depend on them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from ner_dist.errors import UserError

Strategy = Literal["one", "ddp", "zero"]


@dataclass(frozen=True)
class Launch:
    """One file of launch/."""

    name: str
    strategy: Strategy
    precision: Literal["bf16", "fp16"] | None = None
    """What the file names; None leaves it to the recipe and the hardware."""
    stage: int = 0
    offload: bool = False
    machines: Literal["one", "several", "any"] = "any"
    """Where it is the config to take: some are written for one machine, one for several."""
    on_gpus: bool = True
    processes: int | None = 8
    """What the file starts if nothing else is said; None if that is not known."""
    file: str = ""
    """Where it is, unless in launch/."""

    @property
    def path(self) -> str:
        return self.file or f"launch/{self.name}.yaml"


def _both(prefix: str, strategy: Strategy, **options) -> list[Launch]:
    return [Launch(f"{prefix}_{precision}", strategy, precision, **options) for precision in ("bf16", "fp16")]


LAUNCHES = (
    Launch("single_gpu", "one", processes=1),
    Launch("cpu", "ddp", on_gpus=False, processes=2),
    *_both("ddp", "ddp"),
    *_both("zero1", "zero", stage=1),
    Launch("zero2_bf16", "zero", "bf16", stage=2, machines="one"),
    Launch("multi_node_zero2_bf16", "zero", "bf16", stage=2, machines="several", processes=16),
    Launch("zero2_fp16", "zero", "fp16", stage=2),
    *_both("zero3", "zero", stage=3),
    *_both("zero3_offload", "zero", stage=3, offload=True),
)


def launch_command(
    launch: Launch,
    recipe: str,
    overrides: list[str],
    *,
    world: int,
    machines: int,
    rank: int | str = "R",
    host: str = "HOST_OF_RANK_0",
    port: int = 29500,
) -> str:
    """The command to type; on several machines, on each of them with its own rank.

    Args:
        launch: the config.
        recipe: the recipe's file, as the user gave it.
        overrides: `key=value`.
        world: number of processes over all machines.
        machines: number of machines.
        rank: of the machine on which it is typed.
        host: the machine of rank 0, as all of them reach it.
        port: where that one listens; on one machine the config decides.
    """
    words = ["accelerate launch --config_file", shlex.quote(launch.path)]
    if machines > 1:
        if launch.machines != "several" or machines != 2:
            words.append(f"--num_machines {machines}")
        if launch.strategy == "zero" and launch.machines != "several":
            words.append("--deepspeed_multinode_launcher standard")
        words.append(f"--machine_rank {rank} --main_process_ip {host}")
        if launch.machines != "several" or port != 29500:
            words.append(f"--main_process_port {port}")
    if launch.strategy != "one" and world != launch.processes:
        words.append(f"--num_processes {world}")
    return " ".join([*words, "-m ner_dist.train", shlex.quote(recipe), *map(shlex.quote, overrides)])


_TYPES = ("NO", "MULTI_GPU", "DEEPSPEED")


@dataclass(frozen=True)
class LaunchConfig:
    """What of an accelerate config file matters before it is used."""

    path: str
    distributed_type: str
    """`NO` (one process), `MULTI_GPU` (DDP; on CPUs too) or `DEEPSPEED`."""
    mixed_precision: str | None
    use_cpu: bool
    machines: int
    """What it is written for: sizes are those of the allocation, but a config for several is no slip."""
    processes: int | None
    """What it starts, over all machines, if nothing else is said."""

    @classmethod
    def read(cls, path: str) -> LaunchConfig:
        """
        Raises:
            UserError: there is no such file, or it is no config of a kind that ner_dist trains under.
        """
        try:
            values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(
                f"cannot be read: {error.strerror}",
                where=f"launch config {path}",
                fix="name a file of launch/, such as launch/ddp_bf16.yaml",
            ) from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"is not YAML: {error}", where=f"launch config {path}") from None
        kind = values.get("distributed_type") if isinstance(values, dict) else None
        if kind not in _TYPES:
            raise UserError(
                f"distributed_type is {kind}, and ner_dist trains under {', '.join(_TYPES)}",
                where=f"launch config {path}",
                fix="name a file of launch/",
            )
        return cls(
            path,
            kind,
            mixed_precision=values.get("mixed_precision"),
            use_cpu=bool(values.get("use_cpu")),
            machines=values.get("num_machines") or 1,
            processes=values.get("num_processes"),
        )

    def check(self, *, machines: int, per_machine: int, gpus: int) -> None:
        """Whether it starts one process for each GPU, or for each CPU task, of an allocation.

        Args:
            machines: number of nodes.
            per_machine: processes on each.
            gpus: GPUs of each; 0 on CPU nodes.

        Raises:
            UserError: it contradicts the allocation.
        """
        world = machines * per_machine
        place = f"{machines} node{'s' * (machines > 1)} x {per_machine} {'GPU' if gpus else 'process'}"
        place += ("s" if gpus else "es") * (per_machine > 1)
        if self.distributed_type == "NO" and world > 1:
            self._contradicts(f"starts one process, and this is {place}", "ddp_bf16 or zero2_bf16")
        if self.use_cpu and gpus:
            self._contradicts(f"computes on CPUs (use_cpu), and this is {place}", "ddp_bf16")
        if self.machines > 1 and machines == 1:
            self._contradicts(f"is for {self.machines} machines, and this is {place}", "zero2_bf16")

    def _contradicts(self, what: str, better: str) -> None:
        raise UserError(
            what, where=f"launch config {self.path}", fix=f"take one of launch/ for that, such as {better}"
        )
