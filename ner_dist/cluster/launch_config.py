"""Whether a launch config can start what an allocation gives: the mistakes that cost a place in the queue."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from ner_dist.errors import UserError

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
