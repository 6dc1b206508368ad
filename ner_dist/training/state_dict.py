"""Collect the training state by parameter name from any strategy, and restore it into any other.

Names are those of the bare model: `weight/<name>`, `exp_avg/<name>`, `exp_avg_sq/<name>`. Weights go into the
model before it is prepared. Moments can only be set once the optimiser knows which part of them lives on this
rank; under ZeRO that goes through DeepSpeed's inner names, and `tests/distributed` guards the pinned version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ner_dist.runtime.accelerator import zero_stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accelerate import Accelerator
    from accelerate.optimizer import AcceleratedOptimizer

    from ner_dist.training.checkpoint_files import CheckpointReader

MOMENTS = ("exp_avg", "exp_avg_sq")


def tensors(
    accelerator: Accelerator, model: torch.nn.Module, optimizer: AcceleratedOptimizer | None
) -> Iterator[tuple[str, torch.Tensor | None]]:
    """Yield every tensor of the state with its name; all ranks must iterate to the end.

    Under ZeRO each is gathered when it is asked for. Moments that do not exist yet are None.

    Args:
        accelerator: the process group.
        model: the prepared model.
        optimizer: the prepared optimiser, or None for weights alone.
    """
    zero = accelerator.distributed_type == "DEEPSPEED"
    # DeepSpeed cannot be asked for moments before the first step that did not overflow.
    moments: tuple[str, ...] = ()
    if optimizer is not None and _adam_step(accelerator, optimizer):
        moments = MOMENTS
        if zero:
            _link_moments(optimizer.optimizer)
    for name, parameter in named_parameters(model):
        yield f"weight/{name}", _zero_weight(parameter) if zero else parameter
        for moment in moments:
            yield f"{moment}/{name}", _moment(parameter, moment, optimizer, zero=zero)


def optimizer_scalars(accelerator: Accelerator, optimizer: AcceleratedOptimizer) -> dict[str, Any]:
    """Scalar state of the optimiser: the loss scale, and AdamW's step, which skips overflows."""
    return {
        "adam_step": _adam_step(accelerator, optimizer),
        "loss_scale": _loss_scale(accelerator, optimizer.optimizer),
    }


def _adam_step(accelerator: Accelerator, optimizer: AcceleratedOptimizer) -> int:
    inner = optimizer.optimizer
    adam = inner.optimizer if accelerator.distributed_type == "DEEPSPEED" else inner
    return max((int(entry["step"]) for entry in adam.state.values() if "step" in entry), default=0)


def _loss_scale(accelerator: Accelerator, inner: Any) -> dict[str, float] | None:
    """The fp16 loss scale and the steps since its last change; None if losses are not scaled."""
    if accelerator.mixed_precision != "fp16":
        return None
    if accelerator.scaler is not None:
        state = accelerator.scaler.state_dict()
        return {"scale": state["scale"], "steps": state["_growth_tracker"]}
    scaler = inner.loss_scaler
    steps = scaler.cur_iter - scaler.last_overflow_iter
    return {"scale": scaler.cur_scale, "steps": steps, "hysteresis": scaler.cur_hysteresis}


def _restore_loss_scale(saved: dict[str, float] | None, *, accelerator: Accelerator, inner: Any) -> None:
    if saved is None or accelerator.mixed_precision != "fp16":
        return
    if accelerator.scaler is not None:
        state = {"scale": saved["scale"], "_growth_tracker": int(saved["steps"])}
        accelerator.scaler.load_state_dict(accelerator.scaler.state_dict() | state)
    else:
        inner.loss_scaler.cur_scale = saved["scale"]
        inner.loss_scaler.last_overflow_iter = inner.loss_scaler.cur_iter - int(saved["steps"])
        inner.loss_scaler.cur_hysteresis = int(saved.get("hysteresis", inner.loss_scaler.cur_hysteresis))


def named_parameters(model: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """The model's parameters, with names as without the wrappers of DDP and DeepSpeed."""
    inner: Any = model
    while hasattr(inner, "module"):
        inner = inner.module
    yield from inner.named_parameters()


def load_weights(model: torch.nn.Module, saved: CheckpointReader) -> None:
    """Load the saved weights into a model that is not prepared yet."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(saved.tensor(f"weight/{name}"))


def whole_weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The fp32 weights of a model that is not prepared yet; preparing it leaves these tensors as they are."""
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def set_master_weights(
    weights: dict[str, torch.Tensor], *, accelerator: Accelerator, model: torch.nn.Module
) -> None:
    """Set DeepSpeed's fp32 weights, which it widens from the 16-bit ones, to those before rounding.

    Args:
        weights: as `whole_weights` gives them.
        accelerator: the process group.
        model: the prepared model.
    """
    stage = zero_stage(accelerator)
    for name, parameter in named_parameters(model):
        _set(parameter, weights[name], "weight", stage=stage, accelerator=accelerator)


def restore(
    saved: CheckpointReader,
    *,
    accelerator: Accelerator,
    model: torch.nn.Module,
    optimizer: AcceleratedOptimizer,
) -> None:
    """Restore AdamW's moments and step, and the loss scale.

    Args:
        saved: a checkpoint whose weights were loaded before `model` was prepared.
        accelerator: the process group.
        model: the prepared model.
        optimizer: the prepared optimiser.
    """
    step = saved.state["adam_step"]
    if step:
        if accelerator.distributed_type == "DEEPSPEED":
            _restore_zero(saved, step, accelerator=accelerator, model=model, optimizer=optimizer)
        else:
            for name, parameter in named_parameters(model):
                if f"exp_avg/{name}" not in saved:
                    continue  # it never had a gradient
                optimizer.optimizer.state[parameter] = {
                    "step": torch.tensor(float(step), device=parameter.device),
                    **{key: saved.tensor(f"{key}/{name}").to(parameter.device, copy=True) for key in MOMENTS},
                }
    _restore_loss_scale(saved.state["loss_scale"], accelerator=accelerator, inner=optimizer.optimizer)


def _zero_weight(parameter: torch.nn.Parameter) -> torch.Tensor:
    from deepspeed.utils import safe_get_full_fp32_param

    result: torch.Tensor = safe_get_full_fp32_param(parameter)
    return result


def _moment(
    parameter: torch.nn.Parameter, moment: str, optimizer: AcceleratedOptimizer, *, zero: bool
) -> torch.Tensor | None:
    if not zero:
        local: torch.Tensor | None = optimizer.optimizer.state.get(parameter, {}).get(moment)
        return local
    from deepspeed.utils import safe_get_full_optimizer_state

    gathered: torch.Tensor | None = safe_get_full_optimizer_state(parameter, moment)
    return gathered


def _link_moments(zero: Any) -> None:
    """Link the moments of every parameter under ZeRO-1 and -2.

    DeepSpeed links them after the first step of the first parameter group, when the others have none yet.
    """
    if hasattr(zero, "_lazy_init_hp_params_optimizer_state"):
        zero._hp_optimizer_states_linked = False
        zero._lazy_init_hp_params_optimizer_state()


def _restore_zero(
    saved: CheckpointReader,
    step: int,
    *,
    accelerator: Accelerator,
    model: torch.nn.Module,
    optimizer: AcceleratedOptimizer,
) -> None:
    zero, stage = optimizer.optimizer, zero_stage(accelerator)
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
    _link_moments(zero)
    for name, parameter in named_parameters(model):
        for key in ("weight", *MOMENTS):
            if f"{key}/{name}" not in saved:
                continue  # it never had a gradient: its moments are zeros
            _set(parameter, saved.tensor(f"{key}/{name}"), key, stage=stage, accelerator=accelerator)


def _set(
    parameter: torch.nn.Parameter, whole: torch.Tensor, key: str, *, stage: int, accelerator: Accelerator
) -> None:
    """Set this rank's part of a parameter's fp32 weight or of one of its moments."""
    if stage == 3:
        _set_local(parameter, _slice(parameter, whole, accelerator), key)
    else:
        _set_whole(parameter, whole.to(accelerator.device), key)


def _set_whole(parameter: torch.nn.Parameter, whole: torch.Tensor, key: str) -> None:
    from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

    if key == "weight":
        safe_set_full_fp32_param(parameter, whole)
    else:
        safe_set_full_optimizer_state(parameter, whole, key)


def _set_local(parameter: torch.nn.Parameter, mine: torch.Tensor, key: str) -> None:
    from deepspeed.utils import safe_set_local_fp32_param, safe_set_local_optimizer_state

    if key == "weight":
        safe_set_local_fp32_param(parameter, mine)
    else:
        safe_set_local_optimizer_state(parameter, mine, key)


def _slice(parameter: Any, whole: torch.Tensor, accelerator: Accelerator) -> torch.Tensor:
    """This rank's part: ZeRO-3 cuts the flattened parameter into equal parts, zero-padded at the end."""
    size = (
        parameter.ds_tensor.ds_numel
        if hasattr(parameter.ds_tensor, "ds_numel")
        else parameter.ds_tensor.numel()
    )
    mine = torch.zeros(size)
    part = whole.flatten()[size * accelerator.process_index : size * (accelerator.process_index + 1)]
    mine[: part.numel()] = part
    return mine.to(accelerator.device)
