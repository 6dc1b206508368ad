"""The same ground: one gold, the same sentences, the same types, and what every run of every model said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ner_dist.labels import LabelSet


@dataclass(frozen=True)
class Ground:
    """Sentence i has the words `offsets[i]:offsets[i + 1]` of the flat arrays; ids are those of `labels`."""

    labels: LabelSet
    """Of the shared types."""
    gold: np.ndarray
    """int16 [W]"""
    offsets: np.ndarray = field(repr=False)
    """int64 [N+1]"""
    predicted: dict[str, list[np.ndarray]]
    """By model name ("A", "B", ...): one int16 [W] for each of its runs, which differ in their seed."""
    seeds: dict[str, list[int | None]]
    """By model: the seed of each run, None where it is not known."""
    unit: np.ndarray
    """int64 [N]: the distinct sentence that each sentence is a copy of, 0..U-1. Units are resampled."""
    tokens: list[list[str]] | None = None
    ids: list[str] | None = None
    confidence: dict[str, list[np.ndarray | None]] = field(default_factory=dict)
    """By model and run: float32 [W], the probability of each word's predicted tag, where it is stored. Other
    types count as O here: a word whose predicted tag was of another type keeps that tag's probability."""

    @property
    def models(self) -> list[str]:
        return list(self.predicted)

    @property
    def units(self) -> int:
        return int(self.unit.max()) + 1 if len(self.unit) else 0

    def __len__(self) -> int:
        """Number of sentences."""
        return len(self.offsets) - 1
