"""The results of a training, as RUN/results.json holds them (docs/formats.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ner_dist.evaluation.calibration import CalibrationFigures
from ner_dist.evaluation.figures import SplitFigures
from ner_dist.evaluation.json_form import OPTIONAL


@dataclass(frozen=True)
class TrainFigures:
    """How the training went."""

    loss: float | None
    """Of the last epoch; None if no step of it was finite."""
    loss_is: str
    """What the loss is, in words."""
    steps: int
    epochs: int
    batch_tokens: int
    learning_rate: float
    best_step: int | None
    """The step whose weights are the model."""
    seconds: float
    """Training time over all starts."""


@dataclass(frozen=True)
class Environment:
    """What computed it."""

    strategy: str
    processes: int
    precision: str


@dataclass(frozen=True)
class TriedExamples:
    """What the model card's examples give on some sentences, beside what was scored."""

    split: str
    sentences: int
    words: int
    words_as_scored: int
    """Words that the example on words gives the tag that was scored."""
    entities: int
    entities_found: int
    """Entities that the example on text finds as they were scored."""
    entities_beside: int
    """Entities that it finds and that were not scored."""
    longest: int
    """Subwords of a window in scoring."""
    stride: int | None
    precision: str
    without_subwords: int
    """Words of the split without subwords."""


@dataclass(frozen=True)
class RunResults:
    """Everything that is written at the end of a training."""

    format: int
    name: str
    labels: list[str]
    train: TrainFigures
    data: dict[str, Any]
    """Fingerprint of the data, and what was counted while it was read."""
    environment: Environment
    validation: SplitFigures | None = field(default=None, metadata=OPTIONAL)
    test: SplitFigures | None = field(default=None, metadata=OPTIONAL)
    calibration: CalibrationFigures | None = field(default=None, metadata=OPTIONAL)
    """None without a validation split."""
    examples: TriedExamples | None = field(default=None, metadata=OPTIONAL)

    def scored(self) -> dict[str, SplitFigures]:
        """The splits that were scored, by name."""
        both = {"validation": self.validation, "test": self.test}
        return {name: figures for name, figures in both.items() if figures is not None}
