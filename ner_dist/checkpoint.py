"""Training state on disk, in one format for every strategy.

    RUN/checkpoints/step-000120/   weights, AdamW moments and position after step 120
    RUN/checkpoints/best/          weights with the best validation F1 so far

    weights.safetensors     fp32 weights by parameter name
    moments.safetensors     `exp_avg.<name>` and `exp_avg_sq.<name>`, fp32
    state.json              position, AdamW's step, best F1 so far, loss scale

Tensors are gathered collectively, one parameter at a time, and only rank 0 keeps and writes them. A folder
is written aside, synced and renamed, so that it is complete or absent. Nothing is unpickled on load.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ner_dist.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accelerate import Accelerator
    from accelerate.optimizer import AcceleratedOptimizer

log = logging.getLogger(__name__)

BEST = "best"
MOMENTS = ("exp_avg", "exp_avg_sq")


def save(
    folder: Path,
    *,
    accelerator: Accelerator,
    model: torch.nn.Module,
    optimizer: AcceleratedOptimizer | None,
    state: dict[str, Any],
) -> None:
    """Write a checkpoint; all ranks must call this.

    Args:
        folder: where it will stand; one that stands there already is replaced.
        accelerator: the process group.
        model: the prepared model.
        optimizer: the prepared optimiser, or None for weights alone.
        state: what else is to be remembered, as JSON.
    """
    weights = gather_weights(accelerator, model)
    moments = {} if optimizer is None else _gather_moments(accelerator, model, optimizer)
    if accelerator.is_main_process:
        _write(folder, weights, moments, state)
    accelerator.wait_for_everyone()


def _write(folder: Path, weights: dict, moments: dict, state: dict[str, Any]) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        save_file(weights, aside / "weights.safetensors", metadata={"format": "pt"})
        if moments:
            save_file(moments, aside / "moments.safetensors")
        (aside / "state.json").write_text(json.dumps(state, indent=1), encoding="utf-8")
        for path in (*aside.iterdir(), aside):
            sync(path)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        log.warning("could not write %s (%s): training goes on without it", folder, error)
        return
    replace_folder(aside, folder)


def sync(path: Path) -> None:
    """Have the operating system put a file or folder on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_folder(aside: Path, folder: Path) -> None:
    """Put `aside` in the place of `folder`; a crash in between leaves the old one under another name."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    aside.rename(folder)
    sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def step_folder(checkpoints: Path, step: int) -> Path:
    return checkpoints / f"step-{step:06d}"


def steps_saved(checkpoints: Path) -> list[Path]:
    """The folders of the periodic checkpoints, oldest first."""
    # By number: from a million steps on, names are longer.
    return sorted(checkpoints.glob("step-*"), key=lambda path: (len(path.name), path.name))


def prune(checkpoints: Path, *, keep: int) -> None:
    """Remove all but the newest `keep` periodic checkpoints."""
    for folder in steps_saved(checkpoints)[:-keep]:
        shutil.rmtree(folder)


def read_state(folder: Path) -> dict[str, Any]:
    """The JSON part of a checkpoint."""
    try:
        return json.loads((folder / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"the checkpoint cannot be read: {error}", where=str(folder), fix="remove it"
        ) from None


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """fp32 weights by parameter name, on the CPU."""
    return _read(folder / "weights.safetensors")


def read_moments(folder: Path) -> dict[str, torch.Tensor]:
    """AdamW's moments by `exp_avg.<name>` and `exp_avg_sq.<name>`, on the CPU."""
    return _read(folder / "moments.safetensors")


def _read(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"the checkpoint cannot be read: {error}", where=str(path), fix="remove it") from None


def gather_weights(accelerator: Accelerator, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The whole model in fp32 on rank 0's CPU, by parameter name; empty elsewhere. All ranks must call it."""
    weights = {}
    for name, parameter in named_parameters(model):
        whole = _full_weight(accelerator, parameter)
        if accelerator.is_main_process:
            # safetensors refuses tensors that share memory; a copy never does.
            weights[name] = whole.detach().to("cpu", torch.float32, copy=True).contiguous()
    return weights


def named_parameters(model: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """The model's parameters under the names they have without any wrapper of DDP or DeepSpeed."""
    inner: Any = model
    while hasattr(inner, "module"):
        inner = inner.module
    yield from inner.named_parameters()


def _full_weight(accelerator: Accelerator, parameter: torch.nn.Parameter) -> torch.Tensor:
    if accelerator.distributed_type != "DEEPSPEED":
        return parameter
    from deepspeed.utils import safe_get_full_fp32_param

    return safe_get_full_fp32_param(parameter)


def _gather_moments(
    accelerator: Accelerator, model: torch.nn.Module, optimizer: AcceleratedOptimizer
) -> dict[str, torch.Tensor]:
    moments = {}
    if accelerator.distributed_type == "DEEPSPEED":
        link_moments(optimizer.optimizer)
    for name, parameter in named_parameters(model):
        for moment in MOMENTS:
            whole = _full_moment(accelerator, parameter, moment, optimizer)
            if accelerator.is_main_process and whole is not None:
                moments[f"{moment}.{name}"] = whole.detach().to("cpu", torch.float32, copy=True).contiguous()
    return moments


def link_moments(zero: Any) -> None:
    """Have ZeRO-1 and -2 find the moments of every parameter.

    DeepSpeed links them after the first step of the first parameter group, when the others have none yet.
    """
    if hasattr(zero, "_lazy_init_hp_params_optimizer_state"):
        zero._hp_optimizer_states_linked = False
        zero._lazy_init_hp_params_optimizer_state()


def _full_moment(
    accelerator: Accelerator, parameter: torch.nn.Parameter, moment: str, optimizer: AcceleratedOptimizer
) -> torch.Tensor | None:
    if accelerator.distributed_type != "DEEPSPEED":
        return optimizer.optimizer.state[parameter].get(moment)
    from deepspeed.utils import safe_get_full_optimizer_state

    return safe_get_full_optimizer_state(parameter, moment)
