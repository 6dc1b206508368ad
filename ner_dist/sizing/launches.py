"""The launch configs of launch/, as far as memory and time depend on them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Literal

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
