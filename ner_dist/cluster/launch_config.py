"""Whether a launch config can start what an allocation gives: the mistakes that cost a place in the queue."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import yaml

from ner_dist.errors import UserError

_TYPES = ("NO", "MULTI_GPU", "DEEPSPEED")


@dataclass(frozen=True)
class LaunchConfig:
    """What of an accelerate config file matters before it is used; the sizes in it are not."""

    path: str
    distributed_type: str
    """`NO` (one process), `MULTI_GPU` (DDP; on CPUs too) or `DEEPSPEED`."""
    mixed_precision: str | None
    use_cpu: bool

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
        return cls(path, kind, values.get("mixed_precision"), bool(values.get("use_cpu")))

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
            self._contradicts(f"starts one process, but the allocation is {place}", "ddp_bf16 or zero2_bf16")
        if self.use_cpu and gpus:
            self._contradicts(f"computes on CPUs (use_cpu), but the allocation is {place}", "ddp_bf16")
        if self.distributed_type == "DEEPSPEED" and importlib.util.find_spec("deepspeed") is None:
            raise UserError(
                "asks for DeepSpeed, which is not installed",
                where=f"launch config {self.path}",
                fix="pip install 'ner_dist[deepspeed]'",
            )

    def _contradicts(self, what: str, better: str) -> None:
        raise UserError(
            what, where=f"launch config {self.path}", fix=f"take one of launch/ for that, such as {better}"
        )
