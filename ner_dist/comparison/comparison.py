"""A comparison as it is handed on: to compare.json, to the terminal and to the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ner_dist.comparison.ground import Ground
    from ner_dist.comparison.predictions import Predictions
    from ner_dist.run import Run


@dataclass(frozen=True)
class Comparison:
    """Models are called A, B, ... in the order in which they were named."""

    figures: dict[str, Any]
    """What compare.json holds."""
    own: dict[str, list[Predictions]]
    """By model: what each run said, on its own labels and sentences."""
    ground: Ground
    """What every run said on the shared types and sentences."""
    runs: dict[str, list[Run | None]]
    """By model: its runs; None for a plain file."""
