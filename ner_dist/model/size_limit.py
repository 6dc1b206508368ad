"""Refuse a model that would fill the memory, by its configuration, before anything is allocated.

A few bytes of a config.json can ask for 10^12 subwords, 10^9 layers or 10^9 labels.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ner_dist.errors import UserError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

VARIABLE = "NER_DIST_MAX_MODEL_GB"
"""The environment variable that raises the limit."""
_MAX_GB = 64.0
"""GB of weights in fp32; the largest encoder, of 10.7 billion parameters, has 43."""
_BYTES = 4
_COPY = "copy config.json again from its source"
_MOST = {"layers": 10_000, "labels": 100_000}
"""Transformers makes lists of these while it reads a configuration."""
_COUNTS = {
    **dict.fromkeys(("num_labels", "_num_labels"), "labels"),
    **dict.fromkeys(
        ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "num_hidden_groups"),
        "layers",
    ),
}


def check_counts(values: Mapping[str, Any], *, name: str) -> None:
    """Refuse a config.json that asks for endless layers or labels, or drops more than everything.

    Args:
        values: what config.json holds, sections included.
        name: of the model.

    Raises:
        UserError: it does.
    """
    for key, value in values.items():
        if isinstance(value, dict):
            check_counts(value, name=name)
        elif "drop" in key and isinstance(value, float) and not 0 <= value <= 1:
            raise UserError(f"`{name}` has {key} {value} in config.json", where="model.name", fix=_COPY)
        elif (kind := _COUNTS.get(key)) and isinstance(value, int | float) and value > _MOST[kind]:
            what = (
                f"`{name}` has {value:g} {kind} ({key} in config.json), and {_MOST[kind]:,} at most are read"
            )
            raise UserError(what, where="model.name", fix=_COPY)


def check_size(
    config: PretrainedConfig, *, name: str, where: str = "model.name", loads: bool = False
) -> None:
    """Refuse a model whose weights exceed the limit, or this machine's memory.

    Args:
        config: of the model, the number of its subwords included.
        name: of the model.
        where: what a user would change.
        loads: whether the weights are about to be allocated on this machine.

    Raises:
        UserError: they do.
    """
    width = getattr(config.get_text_config(), "hidden_size", None)
    if isinstance(width, int) and width < 1:
        raise UserError(f"`{name}` has a width of {width} (hidden_size)", where=where, fix=_COPY)
    size = _BYTES * _parameters(config) / 1e9
    limit = _limit()
    if size > limit:
        fix = f"correct its sizes, or set {VARIABLE} to more than {limit:g}"
        raise UserError(f"`{name}` would hold about {size:,.0f} GB of weights", where=where, fix=fix)
    memory = _memory_gb()
    if loads and memory is not None and size > memory:
        what = f"`{name}` would hold about {size:,.0f} GB of weights, and this machine has {memory:,.0f} GB"
        raise UserError(what, where=where, fix="choose a smaller model, or a machine with more memory")


def _limit() -> float:
    written = os.environ.get(VARIABLE)
    try:
        return float(written) if written else _MAX_GB
    except ValueError:
        raise UserError(f"`{written}` is not a number", where=VARIABLE, fix="write GB, such as 200") from None


def _memory_gb() -> float | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (ValueError, OSError, AttributeError):
        return None


def _parameters(config: PretrainedConfig) -> float:
    """A lower estimate of the parameters, from the sizes that all families have in common."""
    text = config.get_text_config()

    def size(*names: str) -> float:
        values = [getattr(text, name, None) for name in names]
        return max((value for value in values if isinstance(value, int | float)), default=0)

    hidden, layers = size("hidden_size"), size("num_hidden_layers")
    inner = size("intermediate_size", "d_inner", "hidden_dim", "n_inner")
    narrow = size("embedding_size") or hidden
    tables = size("vocab_size") + size("type_vocab_size") + size("max_position_embeddings")
    # Three matrices at least are of hidden x hidden: some families share the keys of heads.
    each = 3 * hidden * hidden + 2 * hidden * inner
    return narrow * tables + hidden * size("num_labels") + layers * each


def at_most_known(config: PretrainedConfig, subwords: int) -> PretrainedConfig:
    """A configuration of as many subwords as a tokenizer has, for `check_size`."""
    import copy

    wider = copy.copy(config)
    wider.vocab_size = max(subwords, getattr(config, "vocab_size", 0) or 0)
    return wider
