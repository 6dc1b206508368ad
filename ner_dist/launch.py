"""Launch configs: Accelerate's YAML files in launch/, which say where and with which strategy to train."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from ner_dist.errors import UserError
from ner_dist.outside import quoted
from ner_dist.shipped import launch_file, launch_folder
from ner_dist.yaml_text import load, problem_of, read_bounded

Strategy = Literal["one", "ddp", "zero"]
_STRATEGIES: dict[str, Strategy] = {"NO": "one", "MULTI_GPU": "ddp", "DEEPSPEED": "zero"}
_DEFAULT_ZERO_STAGE = 2
"""Accelerate's, for a file that names none."""


@dataclass(frozen=True)
class LaunchConfig:
    """One launch config, as far as checks, memory and time depend on it."""

    path: str
    """The file, as a command line names it."""
    strategy: Strategy
    """One process, DDP (on CPUs too), or DeepSpeed's ZeRO."""
    stage: int = 0
    """ZeRO stage; 0 for the other strategies."""
    offload: bool = False
    """Whether optimizer state or weights are kept in host memory."""
    precision: str | None = None
    """`bf16` or `fp16`; None leaves the precision to the recipe and the hardware."""
    machines: int = 1
    """Number of machines the file is written for; `accelerate launch --num_machines` overrides it."""
    processes: int | None = None
    """Number of processes over all machines; None if the file does not say."""
    use_cpu: bool = False
    """Whether the file forbids GPUs."""
    port: int | None = None
    """Port on which rank 0 listens."""
    standard_launcher: bool = False
    """Whether DeepSpeed is started on each machine by hand; its own launchers would use ssh."""

    @classmethod
    def read(cls, path: str | Path) -> LaunchConfig:
        """Read one of Accelerate's config files.

        Args:
            path: the file, or the name of a shipped one, such as `zero2_bf16`.

        Raises:
            UserError: there is no such file, or ner_dist cannot train under it.
        """
        path = launch_file(path)
        values = _read_yaml(path)
        kind = values.get("distributed_type")
        if not isinstance(kind, str) or kind not in _STRATEGIES:
            raise UserError(
                f"distributed_type is {kind}, and ner_dist trains under {', '.join(_STRATEGIES)}",
                where=f"launch config {path}",
                fix="name a file of launch/",
            )
        strategy = _STRATEGIES[kind]
        zero = values.get("deepspeed_config") if strategy == "zero" else None
        zero = zero if isinstance(zero, dict) else {}
        offloads = [zero.get(f"offload_{part}_device") for part in ("optimizer", "param")]
        precision = values.get("mixed_precision")
        for name in ("num_machines", "num_processes", "main_process_port"):
            _check_number(values, name, path)
        if strategy == "zero":
            _check_number(zero, "zero_stage", path)
        return cls(
            path,
            strategy,
            stage=zero.get("zero_stage", _DEFAULT_ZERO_STAGE) if strategy == "zero" else 0,
            offload=any(device not in (None, "none") for device in offloads),
            precision=precision if precision in ("bf16", "fp16") else None,
            machines=values.get("num_machines") or 1,
            processes=values.get("num_processes"),
            use_cpu=bool(values.get("use_cpu")),
            port=values.get("main_process_port"),
            standard_launcher=zero.get("deepspeed_multinode_launcher") == "standard",
        )

    @property
    def name(self) -> str:
        """The file's name without `.yaml`."""
        return Path(self.path).stem

    @property
    def for_gpus(self) -> bool:
        """Whether it is meant for GPUs. DDP that names neither bf16 nor fp16 is meant for CPU processes."""
        return not self.use_cpu and (self.strategy != "ddp" or self.precision is not None)

    def check(self, *, machines: int, per_machine: int, gpus: int) -> None:
        """Check that it starts one process for each GPU, or for each CPU task, of an allocation.

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
        if self.strategy == "one" and world > 1:
            self._contradicts(f"starts one process, and this is {place}", "ddp_bf16 or zero2_bf16")
        if self.use_cpu and gpus:
            self._contradicts(f"computes on CPUs (use_cpu), and this is {place}", "ddp_bf16")
        if self.machines > 1 and machines == 1:
            self._contradicts(f"is for {self.machines} machines, and this is {place}", "zero2_bf16")

    def _contradicts(self, what: str, better: str) -> None:
        raise UserError(
            what, where=f"launch config {self.path}", fix=f"use one of launch/ for that, such as {better}"
        )


def _check_number(values: dict[str, Any], name: str, path: str | Path) -> None:
    """Refuse a value that is there and is no whole number."""
    value = values.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise UserError(
            f"{name} is {value!r:.60}, not a whole number",
            where=f"launch config {path}",
            fix="compare it with the configs in launch/",
        )


def _read_yaml(path: str | Path) -> dict[str, Any]:
    try:
        values = load(read_bounded(Path(path)))
    except OSError as error:
        raise UserError(
            f"cannot be read: {error.strerror}",
            where=f"launch config {path}",
            fix="name a file of launch/, such as launch/ddp_bf16.yaml",
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        what, line = problem_of(error) if isinstance(error, yaml.YAMLError) else (str(error), None)
        where = f"launch config {path}" + (f":{line}" if line else "")
        raise UserError(f"is not YAML: {what}", where=where) from None
    return values if isinstance(values, dict) else {}


def shipped_config(name: str) -> LaunchConfig:
    """The shipped launch config of a name, such as `ddp_bf16`.

    Raises:
        UserError: there is none of this name.
    """
    return LaunchConfig.read(launch_folder() / f"{name}.yaml")


def shipped_configs() -> list[LaunchConfig]:
    """All shipped launch configs, from the simplest strategy to the most involved."""
    order: list[Strategy] = ["one", "ddp", "zero"]
    configs = [LaunchConfig.read(path) for path in launch_folder().glob("*.yaml")]
    return sorted(
        configs,
        key=lambda each: (
            order.index(each.strategy),
            each.stage,
            each.offload,
            each.precision or "",
            each.machines,
        ),
    )


def find_config(strategy: Strategy, *, stage: int, offload: bool, precision: str) -> LaunchConfig | None:
    """The shipped config for one machine that runs a strategy in a precision; None if there is none."""
    for config in shipped_configs():
        same = (config.strategy, config.stage, config.offload) == (strategy, stage, offload)
        # The config for one process leaves the precision to the recipe.
        if same and config.machines == 1 and (strategy == "one" or config.precision == precision):
            return config
    return None


def launch_command(
    launch: LaunchConfig,
    recipe: str,
    overrides: list[str],
    *,
    world: int,
    machines: int,
    rank: int | str = "R",
    host: str = "HOST_OF_RANK_0",
    port: int = 29500,
) -> str:
    """The `accelerate launch` command; on several machines, the one to type on the machine of `rank`.

    Args:
        launch: the config.
        recipe: the recipe's file, as the user gave it.
        overrides: `key=value`.
        world: number of processes over all machines.
        machines: number of machines.
        rank: of the machine on which it is typed.
        host: the machine of rank 0, as all of them reach it.
        port: where rank 0 listens; on one machine the config decides.
    """
    words = ["accelerate launch --config_file", quoted(launch.path)]
    if machines > 1:
        if launch.machines != machines:
            words.append(f"--num_machines {machines}")
        if launch.strategy == "zero" and not launch.standard_launcher:
            words.append("--deepspeed_multinode_launcher standard")
        words.append(f"--machine_rank {rank} --main_process_ip {host}")
        if launch.port != port:
            words.append(f"--main_process_port {port}")
    if launch.strategy != "one" and world != launch.processes:
        words.append(f"--num_processes {world}")
    return " ".join([*words, "-m ner_dist.train", *map(quoted, (recipe, *overrides))])
