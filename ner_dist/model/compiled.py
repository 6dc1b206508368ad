"""Compile an encoder layer by layer: one graph serves all layers, and compiles in a fraction of the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def compile_layers(model: PreTrainedModel) -> int:
    """Compile every layer of the encoder at its first use, for any shape; return their number.

    A model whose layers cannot be told from its modules, such as ALBERT with one layer for all, is compiled
    as a whole.
    """
    import torch._dynamo

    # DDP's own splitting of graphs fails for shapes that vary, and a layer needs none.
    torch._dynamo.config.optimize_ddp = False
    layers = _layers(model)
    for layer in layers:
        layer.compile(dynamic=True)
    return len(layers)


def _layers(model: PreTrainedModel) -> list[nn.Module]:
    depth = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    for module in model.modules():
        if (
            isinstance(module, nn.ModuleList)
            and len(module) == depth
            and len({type(one) for one in module}) == 1
        ):
            return list(module)
    return [model]
