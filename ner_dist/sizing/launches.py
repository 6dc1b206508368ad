"""The launch configs of launch/, as far as memory and time depend on them."""

from __future__ import annotations

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

    @property
    def path(self) -> str:
        return f"launch/{self.name}.yaml"


def _both(prefix: str, strategy: Strategy, **options) -> list[Launch]:
    return [Launch(f"{prefix}_{precision}", strategy, precision, **options) for precision in ("bf16", "fp16")]


LAUNCHES = (
    Launch("single_gpu", "one"),
    Launch("cpu", "ddp", on_gpus=False),
    *_both("ddp", "ddp"),
    *_both("zero1", "zero", stage=1),
    Launch("zero2_bf16", "zero", "bf16", stage=2, machines="one"),
    Launch("multi_node_zero2_bf16", "zero", "bf16", stage=2, machines="several"),
    Launch("zero2_fp16", "zero", "fp16", stage=2),
    *_both("zero3", "zero", stage=3),
    *_both("zero3_offload", "zero", stage=3, offload=True),
)


def launch_command(
    launch: Launch, recipe: str, overrides: list[str], *, world: int, machines: int, default_world: int = 8
) -> str:
    """The command to type; on several machines, on each of them with its own rank R.

    Args:
        launch: the config.
        recipe: the recipe's file, as the user gave it.
        overrides: `key=value`.
        world: number of processes over all machines.
        machines: number of machines.
        default_world: what the config starts if nothing else is said.
    """
    words = ["accelerate launch --config_file", launch.path]
    if machines > 1:
        if launch.machines != "several" or machines != 2:
            words.append(f"--num_machines {machines}")
        if launch.strategy == "zero" and launch.machines != "several":
            words.append("--deepspeed_multinode_launcher standard")
        default_world = 16 if launch.machines == "several" else default_world
        words.append("--machine_rank R --main_process_ip HOST_OF_RANK_0")
        if launch.machines != "several":
            words.append("--main_process_port 29500")
    if launch.strategy != "one" and world != (2 if launch.name == "cpu" else default_world):
        words.append(f"--num_processes {world}")
    return " ".join([*words, "-m ner_dist.train", recipe, *overrides])
