"""AdamW's parameter groups and the learning-rate schedule, as functions of the recipe alone."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from ner_dist.recipe import FixedTrain

_LAYER = re.compile(r"\.(?:layers?|h|blocks?)\.(\d+)\.")


def build_optimizer(model: nn.Module, settings: FixedTrain) -> torch.optim.AdamW:
    """Fused AdamW without weight decay on biases and norms, with `layer_decay` towards the embeddings.

    Each group carries `lr_scale`, the factor on the schedule's learning rate.
    """
    norms = {
        f"{path}.{name}"
        for path, module in model.named_modules()
        if "norm" in type(module).__name__.lower()
        for name, _ in module.named_parameters(recurse=False)
    }
    top = _depth(model) + 1
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        decay = 0.0 if name in norms or parameter.ndim < 2 else settings.weight_decay
        scale = settings.layer_decay ** (top - _layer(name, model=model, top=top))
        groups[decay, scale].append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "weight_decay": decay, "lr_scale": scale}
            for (decay, scale), parameters in groups.items()
        ],
        lr=settings.learning_rate,
        betas=settings.adam_betas,
        eps=settings.adam_epsilon,
        fused=True,
    )


def _depth(model: nn.Module) -> int:
    numbers = [int(match[1]) for name, _ in model.named_parameters() if (match := _LAYER.search(f".{name}"))]
    return max(numbers, default=-1) + 1


def _layer(name: str, *, model: nn.Module, top: int) -> int:
    """0 for embeddings, 1 to depth for the layers, depth + 1 for the head."""
    match = _LAYER.search(f".{name}")
    if match:
        return int(match[1]) + 1
    prefix = getattr(model, "base_model_prefix", "")
    if not prefix or not name.startswith(f"{prefix}."):
        return top
    # Encoder weights outside its layers: embeddings, or a final norm.
    return 0 if "embed" in name else top - 1


def learning_rate(step: int, *, total: int, settings: FixedTrain) -> float:
    """The learning rate of step `step`, counted from 1, of `total`.

    It rises linearly over the first `warmup_ratio` of the steps, then falls linearly or along half a cosine
    to reach 0 just after the last step, or stays.
    """
    warmup = math.ceil(total * settings.warmup_ratio)
    if step <= warmup:
        return settings.learning_rate * step / warmup
    left = (total - step + 1) / (total - warmup + 1)
    if settings.schedule == "constant":
        return settings.learning_rate
    if settings.schedule == "cosine":
        return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (1 - left)))
    return settings.learning_rate * left


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of every group. A scheduler prepared by Accelerate would step once per process instead."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_scale"]
