"""The settings of ner_dist in a saved model's config, which tell how it is used as it was scored."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from ner_dist.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from ner_dist.recipe import Decode

KEY = "ner_dist"
"""The key of config.json."""


def own_settings(config: Any) -> dict[str, Any]:
    """Settings of ner_dist in a saved model's config; empty if another tool wrote it.

    `decode` is the recipe's `evaluation.decode`, `precision` the number format of the scoring, `max_length`
    the subwords of its longest window, `overlap` those that neighbours share, `text` the rule by which the
    texts of the training were cut, `temperature` the number by which logits are divided for probabilities.

    Args:
        config: a `PretrainedConfig`, or the same keys as attributes of anything else.
    """
    written = getattr(config, KEY, None)
    return written if isinstance(written, dict) else {}


def decoding_of(config: Any) -> Decode:
    """How the tags were chosen with which the model was scored."""
    return "viterbi" if own_settings(config).get("decode") == "viterbi" else "greedy"


def trained_here(config: Any) -> bool:
    """Whether ner_dist saved the model, so that its tags are IOB2."""
    return "decode" in own_settings(config)


def temperature_of(config: Any) -> float:
    """The number by which the logits are divided for probabilities; 1 for a model that was not calibrated."""
    written = own_settings(config).get("temperature")
    if isinstance(written, (int, float)) and math.isfinite(written) and written > 0:
        return float(written)
    return 1.0


def windows_of(config: Any) -> tuple[int, int] | None:
    """Subwords of the longest window with which the model was scored, and how many neighbours shared."""
    written = own_settings(config)
    longest, overlap = written.get("max_length"), written.get("overlap")
    if isinstance(longest, int) and isinstance(overlap, int) and 0 <= overlap < longest:
        return longest, overlap
    return None


def precision_of(config: Any) -> str:
    """The number format in which the model was scored; empty if it is not known."""
    return str(own_settings(config).get("precision", ""))


def save_own_settings(folder: Path, **settings: Any) -> None:
    """Add to what `own_settings` returns for a saved model."""
    path = folder / "config.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    known[KEY] = dict(sorted({**known.get(KEY, {}), **settings}.items()))
    # As transformers writes it.
    write_atomically(path, json.dumps(known, indent=2) + "\n")
