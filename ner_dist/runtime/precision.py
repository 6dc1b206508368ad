"""Choose the number format of a training from the recipe, the launch config and the device."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ner_dist.errors import UserError
from ner_dist.launch import find_config

if TYPE_CHECKING:
    from ner_dist.launch import LaunchConfig


@dataclass(frozen=True)
class Device:
    """The properties of a device that decide the precision: its kind and its native number formats."""

    name: str
    is_gpu: bool
    native_bf16: bool

    @classmethod
    def here(cls) -> Device:
        """The device that this process will use: a GPU if the machine has one, else the CPU."""
        import torch

        if uses_gpu():
            index = int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count()
            major, _ = torch.cuda.get_device_capability(index)
            # torch.cuda.is_bf16_supported() also says yes where bf16 is emulated, as on a V100.
            return cls(torch.cuda.get_device_name(index), is_gpu=True, native_bf16=major >= 8)
        can = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        native = bool(can.get("avx512_bf16") or can.get("amx_bf16") or can.get("bf16"))
        return cls("CPU", is_gpu=False, native_bf16=native)


def uses_gpu() -> bool:
    """Whether this process computes on a GPU: there is one, and the launch config does not forbid it."""
    import torch

    forbidden = os.environ.get("ACCELERATE_USE_CPU", "false").lower() in ("1", "true", "yes")
    return torch.cuda.is_available() and not forbidden


def launched_with_deepspeed() -> bool:
    return os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true"


def offloads_optimizer() -> bool:
    """Whether the launch config keeps the optimiser's state in host memory."""
    offload = os.environ.get("ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE", "none") != "none"
    return launched_with_deepspeed() and offload


def config_for(precision: str) -> LaunchConfig | None:
    """The shipped launch config that runs the present strategy in `precision`; None if there is none."""
    if launched_with_deepspeed():
        stage = int(os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE", "2"))
        return find_config("zero", stage=stage, offload=offloads_optimizer(), precision=precision)
    several = int(os.environ.get("WORLD_SIZE", 1)) > 1
    return find_config("ddp" if several else "one", stage=0, offload=False, precision=precision)


def resolve_precision(asked: str, launch: str | None, device: Device, *, model_type: str) -> tuple[str, str]:
    """Choose the precision to train in; return it with the reason, as `("bf16", "named in the recipe")`.

    Args:
        asked: the recipe's `precision`; anything but `auto` wins.
        launch: precision of the launch config (`ACCELERATE_MIXED_PRECISION`); `no` and None leave it open.
        device: device of the process.
        model_type: `config.model_type` of the encoder.

    Raises:
        UserError: the device or the model cannot train in the precision asked for.
    """
    named = launch if launch in ("bf16", "fp16") else None
    if asked != "auto":
        why = "named in the recipe"
        if named not in (None, asked):
            why = f"named in the recipe, which overrides {named} of the launch config"
        precision = asked
    elif named:
        precision, why = named, "named in the launch config"
        if named == "bf16" and not device.is_gpu and not device.native_bf16:
            precision, why = "fp32", "the launch config's bf16 would only be emulated by this CPU"
    elif device.native_bf16:
        precision, why = "bf16", f"{device.name} computes in it natively"
    elif device.is_gpu and "deberta" not in model_type:
        precision, why = "fp16", f"{device.name} is older than compute capability 8.0"
    else:
        precision, why = "fp32", f"{device.name} has no faster format that suits the model"
    _refuse_impossible(precision, device, model_type=model_type)
    return precision, why


def _refuse_impossible(precision: str, device: Device, *, model_type: str) -> None:
    obstacle = _obstacle(precision, device, model_type=model_type)
    if obstacle is None:
        return
    other = "fp16" if precision == "bf16" else "bf16"
    if _obstacle(other, device, model_type=model_type) is None:
        fix = f"pass precision={other} or precision=fp32"
        if config := config_for(other):
            fix = f"launch with {config.path} and leave precision at auto, or {fix}"
    else:
        fix = "pass precision=fp32, which overrides the launch config"
    raise UserError(obstacle, where="precision", fix=fix)


def _obstacle(precision: str, device: Device, *, model_type: str) -> str | None:
    """The reason why the device cannot train the model in this precision; None if it can."""
    if precision == "bf16" and device.is_gpu and not device.native_bf16:
        return f"bf16 needs compute capability 8.0 (A100 or newer), which {device.name} does not have"
    if precision == "fp16" and not device.is_gpu:
        return "fp16 trains only on a GPU, and none is available"
    if precision == "fp16" and "deberta" in model_type:
        return "DeBERTa's attention overflows in fp16 and gives NaN"
    return None
