"""The encoder in numbers: parameters of every tensor, layers, and what passes through it cost."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ner_dist.errors import UserError
from ner_dist.model.encoder import load_config, max_length, width
from ner_dist.recipe import SCRATCH
from ner_dist.sizing.forward_cost import Dtypes, ForwardCost, empty_model, forward_cost

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from ner_dist.recipe import Model

log = logging.getLogger(__name__)

PERSISTENT = 100_000
"""DeepSpeed's stage3_param_persistence_threshold: smaller parameters are whole on every rank."""

_BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
_LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
_ROBERTA = {"max_position_embeddings": 514, "type_vocab_size": 1}
_DEBERTA = {
    "vocab_size": 128100, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 256,
    "norm_rel_ebd": "layer_norm", "share_att_key": True, "position_biased_input": False, "type_vocab_size": 0,
    "max_position_embeddings": 512,
}  # fmt: skip

KNOWN: dict[str, tuple[str, dict[str, Any]]] = {
    "bert-base-cased": ("bert", _BASE | {"vocab_size": 28996}),
    "bert-base-uncased": ("bert", _BASE | {"vocab_size": 30522}),
    "bert-base-multilingual-cased": ("bert", _BASE | {"vocab_size": 119547}),
    "bert-large-cased": ("bert", _LARGE | {"vocab_size": 28996}),
    "distilbert-base-cased": ("distilbert", {"vocab_size": 28996}),
    "distilroberta-base": ("roberta", _BASE | _ROBERTA | {"vocab_size": 50265, "num_hidden_layers": 6}),
    "roberta-base": ("roberta", _BASE | _ROBERTA | {"vocab_size": 50265}),
    "roberta-large": ("roberta", _LARGE | _ROBERTA | {"vocab_size": 50265}),
    "xlm-roberta-base": ("xlm-roberta", _BASE | _ROBERTA | {"vocab_size": 250002}),
    "xlm-roberta-large": ("xlm-roberta", _LARGE | _ROBERTA | {"vocab_size": 250002}),
    "facebook/xlm-roberta-xl": ("xlm-roberta-xl", _ROBERTA | {"vocab_size": 250880}),
    "facebook/xlm-roberta-xxl": (
        "xlm-roberta-xl",
        _ROBERTA
        | {
            "vocab_size": 250880,
            "hidden_size": 4096,
            "num_hidden_layers": 48,
            "num_attention_heads": 32,
            "intermediate_size": 16384,
        },
    ),
    "microsoft/deberta-v3-base": ("deberta-v2", _BASE | _DEBERTA),
    "microsoft/deberta-v3-large": ("deberta-v2", _LARGE | _DEBERTA),
    "answerdotai/ModernBERT-base": ("modernbert", {}),
    "answerdotai/ModernBERT-large": (
        "modernbert",
        {"hidden_size": 1024, "intermediate_size": 2624, "num_hidden_layers": 28, "num_attention_heads": 16},
    ),
}
"""Shapes of well-known encoders, so that planning needs neither a network nor a cache."""


@dataclass(frozen=True, eq=False)
class ModelShape:
    """An encoder with its tagging head. No weights are held."""

    name: str
    config: PretrainedConfig
    sizes: tuple[int, ...]
    """Elements of every parameter tensor."""

    @property
    def model_type(self) -> str:
        return self.config.model_type

    @property
    def layers(self) -> int:
        result: int = self.config.num_hidden_layers
        return result

    @property
    def hidden(self) -> int:
        return width(self.config)

    @property
    def max_length(self) -> int:
        """Longest input in subwords."""
        return max_length(self.config)

    @functools.cached_property
    def parameters(self) -> int:
        return sum(self.sizes)

    @functools.cached_property
    def largest(self) -> int:
        """Elements of the largest tensor, as a rule the table of subwords."""
        return max(self.sizes)

    @functools.cached_property
    def sharded(self) -> int:
        """Parameters that ZeRO-3 shards; the others stay whole on every rank."""
        return sum(size for size in self.sizes if size >= PERSISTENT)

    @functools.cached_property
    def sharded_tensors(self) -> int:
        return sum(size >= PERSISTENT for size in self.sizes)

    @functools.cache  # noqa: B019 - a shape lives as long as the command
    def cost(self, dtypes: Dtypes, *, length: int, fused_attention: bool) -> ForwardCost:
        """Of a forward pass over rows of `length` subwords.

        Raises:
            UserError: the encoder looks at values, which are not there, or has no tagging head.
        """
        length = min(length, self.max_length)
        try:
            return forward_cost(self.config, dtypes, length=length, fused_attention=fused_attention)
        # Whatever the architecture's own code does without values.
        except Exception as error:
            log.debug("counting %s failed", self.name, exc_info=error)
            raise UserError(
                f"the cost of `{self.name}` ({self.model_type}) cannot be counted without running it",
                where="model.name",
                fix="plan with an encoder of the same size of another architecture, such as RoBERTa",
            ) from None


def model_shape(settings: Model, *, labels: int) -> ModelShape:
    """The shape of a recipe's encoder with a head for `labels` labels.

    Raises:
        UserError: it is no well-known one, and neither in a folder, in the cache, nor within reach.
    """
    from transformers import AutoConfig

    if settings.name in KNOWN and settings.revision is None:
        model_type, values = KNOWN[settings.name]
        config = AutoConfig.for_model(model_type, **values)
    else:
        config = load_config(settings)
    return shape_of(config, name=settings.name, labels=labels)


def shape_of(config: PretrainedConfig, *, name: str = SCRATCH, labels: int) -> ModelShape:
    """The shape of a configuration with a head for `labels` labels."""
    config.num_labels = labels
    sizes = tuple(parameter.numel() for parameter in empty_model(config).parameters())
    return ModelShape(name=name, config=config, sizes=sizes)
