"""One machine as a training would use it: host, devices, and digests of what all machines must share."""

from __future__ import annotations

import hashlib
import importlib.util
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ner_dist.errors import UserError
from ner_dist.files import read_json
from ner_dist.launch import LaunchConfig
from ner_dist.model.encoder import load_config
from ner_dist.recipe_file import differing_keys
from ner_dist.run.output import check_output
from ner_dist.run.provenance import package_versions
from ner_dist.runtime.precision import Device, resolve_precision

if TYPE_CHECKING:
    from ner_dist.recipe import Recipe

_DIGEST_LENGTH = 12


@dataclass(frozen=True)
class Node:
    """One machine's answer, small enough to be sent to the others."""

    host: str
    recipe: Recipe
    devices: list[str]
    """Its GPUs; a single entry on a machine without one."""
    shared: dict[str, str]
    """By name, what must be the same on every machine that has it; empty where it has not."""
    precision: str
    """The precision that training would use on this machine, and why."""
    prepared: bool
    """Whether the data lies ready here."""


def inspect(recipe: Recipe, config: LaunchConfig, *, gpus: int) -> Node:
    """Look at this machine.

    Args:
        recipe: what is to be trained.
        config: what is to launch it.
        gpus: GPUs that the scheduler gave of this machine.

    Raises:
        UserError: this machine could not train the recipe.
    """
    import torch

    from ner_dist.data.prepare import prepared_folder

    there = torch.cuda.device_count() if gpus else 0
    if there < gpus:
        raise UserError(
            f"the allocation has {gpus} GPUs here, and torch {torch.__version__} sees {there}",
            fix="compare `nvidia-smi` with `python -c 'import torch; print(torch.version.cuda)'` on the node",
        )
    if config.strategy == "zero" and importlib.util.find_spec("deepspeed") is None:
        raise UserError(
            "asks for DeepSpeed, which is not installed",
            where=f"launch config {config.path}",
            fix="pip install 'ner_dist[deepspeed]'",
        )
    check_output(recipe)
    encoder = load_config(recipe.model)
    device = Device.here()
    precision, why = resolve_precision(
        recipe.precision,
        config.precision,
        device,
        model_type=encoder.model_type,
    )
    data = prepared_folder(recipe, encoder)
    fingerprint = _fingerprint(data)
    return Node(
        host=platform.node(),
        recipe=recipe,
        devices=[_gpu(index) for index in range(there)] or [_cpu()],
        shared={
            "Python": platform.python_version(),
            "packages": ", ".join(f"{name} {version}" for name, version in package_versions().items()),
            "CUDA": str(torch.version.cuda),
            "NCCL": ".".join(map(str, torch.cuda.nccl.version())) if there else "None",
            "code": _code_digest(),
            "launch config": _digest(Path(config.path).read_bytes()),
            "data": data.name[:_DIGEST_LENGTH],
            "prepared data": fingerprint,
        },
        precision=f"{precision}: {why}",
        prepared=bool(fingerprint),
    )


def differences(machines: list[Node]) -> list[str]:
    """One sentence for each thing that is not the same on all machines."""
    first, texts = machines[0], []
    for other in machines[1:]:
        if keys := differing_keys(first.recipe, other.recipe):
            texts.append(f"the recipe differs in {', '.join(keys)} between {first.host} and {other.host}")
            break
    for name, value in first.shared.items():
        for other in machines[1:]:
            theirs = other.shared[name]
            if value and theirs and theirs != value:
                if name == "packages":
                    value, theirs = (
                        ", ".join(sorted(set(a.split(", ")) - set(b.split(", ")))) or "none of these"
                        for a, b in ((value, theirs), (theirs, value))
                    )
                texts.append(f"{name} differs: {value} on {first.host}, {theirs} on {other.host}")
                break
    return texts


def _gpu(index: int) -> str:
    import torch

    properties = torch.cuda.get_device_properties(index)
    return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB (cuda:{index})"


def _cpu() -> str:
    from ner_dist.runtime.threads import cores

    return f"CPU, {cores()} cores"


def _code_digest() -> str:
    """Of the package's own files, whatever their installation says its version is."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:_DIGEST_LENGTH]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGEST_LENGTH]


def _fingerprint(prepared: Path) -> str:
    """Digest of the prepared data; empty if the data is not prepared, or damaged."""
    from ner_dist.data.checksums import fault_in
    from ner_dist.data.prepared import META

    if fault_in(prepared) is not None:
        return ""
    return str(read_json(prepared / META)["fingerprint"])[:_DIGEST_LENGTH]
