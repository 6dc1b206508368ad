"""Putting a checkpoint's moments back into a prepared optimiser, whatever the strategy.

Weights are loaded into the model before it is prepared. Moments can only be set once the optimiser knows
which part of them lives on this rank. Under ZeRO that goes through DeepSpeed's inner names; the pinned
version is guarded by tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ner_dist.checkpoint import MOMENTS, link_moments, named_parameters, read_moments, read_weights

if TYPE_CHECKING:
    from pathlib import Path

    from accelerate import Accelerator
    from accelerate.optimizer import AcceleratedOptimizer


def restore(
    folder: Path,
    state: dict[str, Any],
    *,
    accelerator: Accelerator,
    model: torch.nn.Module,
    optimizer: AcceleratedOptimizer,
) -> None:
    """Continue from `folder`: set AdamW's moments and step, and the loss scale.

    Args:
        folder: a checkpoint with moments.
        state: its `state.json`.
        accelerator: the process group.
        model: the prepared model, whose weights were loaded before it was prepared.
        optimizer: the prepared optimiser.
    """
    moments = read_moments(folder)
    if accelerator.distributed_type == "DEEPSPEED":
        _restore_zero(
            folder, moments, state["step"], accelerator=accelerator, model=model, optimizer=optimizer
        )
    else:
        for name, parameter in named_parameters(model):
            entry = {key: moments[f"{key}.{name}"].to(parameter.device) for key in MOMENTS}
            step = torch.tensor(float(state["step"]), device=parameter.device)
            optimizer.optimizer.state[parameter] = {"step": step, **entry}
    if accelerator.scaler is not None and "loss_scale" in state:
        accelerator.scaler.load_state_dict(accelerator.scaler.state_dict() | {"scale": state["loss_scale"]})


def _restore_zero(
    folder: Path,
    moments: dict[str, torch.Tensor],
    step: int,
    *,
    accelerator: Accelerator,
    model: torch.nn.Module,
    optimizer: AcceleratedOptimizer,
) -> None:
    zero = optimizer.optimizer
    stage = accelerator.state.deepspeed_plugin.deepspeed_config["zero_optimization"]["stage"]
    inner = zero.optimizer
    partitions = (
        zero.fp32_partitioned_groups_flat
        if stage == 3
        else [parameter for group in inner.param_groups for parameter in group["params"]]
    )
    for partition in partitions:
        inner.state[partition] = {
            "step": torch.tensor(float(step), device=partition.device),
            **{key: torch.zeros_like(partition) for key in MOMENTS},
        }
    link_moments(zero)
    weights = read_weights(folder)
    for name, parameter in named_parameters(model):
        tensors = {None: weights[name]} | {key: moments[f"{key}.{name}"] for key in MOMENTS}
        for key, whole in tensors.items():
            (_set_local if stage == 3 else _set_whole)(parameter, whole, key, accelerator=accelerator)


def _set_whole(parameter: torch.nn.Parameter, whole: torch.Tensor, key: str | None, *, accelerator) -> None:
    from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

    whole = whole.to(accelerator.device)
    if key is None:
        safe_set_full_fp32_param(parameter, whole)
    else:
        safe_set_full_optimizer_state(parameter, whole, key)


def _set_local(parameter: Any, whole: torch.Tensor, key: str | None, *, accelerator) -> None:
    """Set this rank's slice: ZeRO-3 cuts the flattened parameter into equal parts, zeros behind the last."""
    from deepspeed.utils import safe_set_local_fp32_param, safe_set_local_optimizer_state

    size = (
        parameter.ds_tensor.ds_numel
        if hasattr(parameter.ds_tensor, "ds_numel")
        else parameter.ds_tensor.numel()
    )
    flat = torch.zeros(size * accelerator.num_processes)
    flat[: whole.numel()] = whole.flatten()
    start = size * accelerator.process_index
    mine = flat[start : start + size].to(accelerator.device)
    if key is None:
        safe_set_local_fp32_param(parameter, mine)
    else:
        safe_set_local_optimizer_state(parameter, mine, key)
