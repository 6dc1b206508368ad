"""The settings of ner_dist in a saved model's config, which tell how it is used as it was scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ner_dist.recipe import Decode

KEY = "ner_dist"
"""The key of config.json."""


def own_settings(config: Any) -> dict[str, Any]:
    """Settings of ner_dist in a saved model's config; empty if another tool wrote it.

    `decode` is the recipe's `evaluation.decode`, `text` the rule by which the texts of the training were cut.

    Args:
        config: a `PretrainedConfig`, or the same keys as attributes of anything else.
    """
    written = getattr(config, KEY, None)
    return written if isinstance(written, dict) else {}


def decoding_of(config: Any) -> Decode:
    """How the tags were chosen with which the model was scored."""
    return "viterbi" if own_settings(config).get("decode") == "viterbi" else "greedy"
