"""What the source of a word annotates: in data of several sources, not every source annotates every type.

A source that annotates persons alone writes `O` for a city. Its `O` means: none of the types that it
annotates. So on that source a city is neither right nor wrong: the loss takes `O` for `O` or any type that it
does not annotate (`model/partial_loss.py`), and a predicted city is not scored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.labels import OUTSIDE, split_tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.labels import LabelSet


@dataclass(frozen=True)
class AnnotatedSource:
    """One of several sources of the data."""

    path: str
    types: tuple[str, ...]
    """The types that it annotates, under the names of the recipe."""
    weight: float
    """Weight of its words in the training loss."""
    sentences: dict[str, int] = field(default_factory=dict)
    """Number of its sentences, by split."""


@dataclass(frozen=True)
class Annotation:
    """What the sources annotate of a label set, for the words of one split."""

    source: np.ndarray
    """int8 [W]: the source of every word."""
    annotated: np.ndarray
    """bool [sources, labels]: whether a label is O or of a type that the source annotates."""
    weights: np.ndarray
    """float64 [sources]: weight of the source's words in the training loss."""

    @property
    def is_partial(self) -> bool:
        """Whether a source leaves out a type."""
        return not self.annotated.all()

    def scored(self, predicted: np.ndarray, outside: int) -> np.ndarray:
        """Predicted label ids, int [W], with O for types that the word's source does not annotate."""
        known = self.annotated[self.source, predicted]
        return np.where(known, predicted, np.asarray(outside, dtype=predicted.dtype))


def annotation_of(
    sources: Sequence[AnnotatedSource], source: np.ndarray | None, offsets: np.ndarray, labels: LabelSet
) -> Annotation | None:
    """What the sources of a split annotate; None if all annotate every label, with equal weights.

    Args:
        sources: those of the data; none for data of one source.
        source: int8 [N], the source of every sentence; None for data of one source.
        offsets: int64 [N+1].
        labels: the label set that is learnt or scored.
    """
    if source is None:
        return None
    annotated = np.array(
        [[tag == OUTSIDE or split_tag(tag)[1] in each.types for tag in labels.tags] for each in sources]
    )
    weights = np.array([each.weight for each in sources])
    if annotated.all() and (weights == 1).all():
        return None
    return Annotation(np.repeat(source, np.diff(offsets)), annotated, weights)
