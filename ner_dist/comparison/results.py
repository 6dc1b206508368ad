"""The result of a comparison as dataclasses, and compare.json made from them.

The parts that one module computes (uncertainty, errors, calibration, ...) are defined there. docs/formats.md
describes compare.json key by key. Models are called A, B, ... in the order in which they were named.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ner_dist.comparison.aligned import AlignedPredictions
from ner_dist.comparison.calibration import Calibration
from ner_dist.comparison.claims import Uncertainty
from ner_dist.comparison.data_effects import DataEffect
from ner_dist.comparison.decomposition import Decomposition
from ner_dist.comparison.error_analysis import ErrorAnalysis
from ner_dist.comparison.left_out import AlignmentSummary
from ner_dist.comparison.requirements import RequirementOutcome
from ner_dist.comparison.scores import Scores
from ner_dist.comparison.third_models import ThirdModel
from ner_dist.comparison.trainings import TrainingInfo
from ner_dist.evaluation.json_form import INLINE, INTERNAL, OPTIONAL, as_json, key

if TYPE_CHECKING:
    from ner_dist.run.directory import Run

FORMAT = 3
"""Format version of compare.json. Format 2 had one gold for all, one order of the decomposition's steps, and
tests of trained models alone. Format 1, without the key `format`, had `real` for `significant`."""


@dataclass(frozen=True)
class ModelInfo:
    """One model of a comparison; `paths` and `seeds` have an element for each of its runs."""

    name: str
    paths: list[str]
    seeds: list[int | None]
    """None if unknown."""
    labels: list[str]
    """Its entity types."""
    sentences: int
    """Size of its own split."""
    training: TrainingInfo | None = None
    """None for a plain file, and for a run without a recipe."""


@dataclass(frozen=True)
class TrainFigures:
    """Training figures that a run reports; None where unknown."""

    loss: float | None = None


@dataclass(frozen=True)
class SplitFigures:
    """Scores of a split that a run reports; None where unknown."""

    loss: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    accuracy: float | None = None
    macro_f1: float | None = None


@dataclass(frozen=True)
class HeadlineFigures:
    """The figures that would be published, on a model's own labels and sentences."""

    train: TrainFigures
    validation: SplitFigures
    test: SplitFigures

    def of(self, split: str) -> SplitFigures:
        """The scores of one of the two splits."""
        return self.validation if split == "validation" else self.test


@dataclass(frozen=True)
class Headline:
    """Means and deviations of published figures over a model's runs; a single run has no deviation."""

    mean: HeadlineFigures
    std: HeadlineFigures | None


@dataclass(frozen=True)
class SharedScores:
    """Scores on the types and sentences that all models share."""

    types: list[str]
    """In the order of the first model."""
    sentences: int
    models: dict[str, Scores] = field(metadata=INLINE)
    """By model: the mean over its runs."""
    std: dict[str, Scores | None]
    """By model: the standard deviation over its runs; None for a single run."""


@dataclass(frozen=True)
class Verdict:
    """The figures in plain words."""

    paragraph: str
    caveats: list[str]
    lines: list[str]
    """The difference of each pair over all types, then by type, significant ones first."""


@dataclass(frozen=True)
class Comparison:
    """Models on their own and on the same ground, as `compare` returns them.

    Models are called A, B, ... in the order in which they were given.

    Example:
        >>> import ner_dist
        >>> comparison = ner_dist.compare("runs/full", "runs/subset", out="comparison", resamples=100)
        >>> comparison.shared.types, comparison.runs["B"].labels
        (['PER', 'LOC'], ['PER', 'LOC'])
        >>> list(comparison.shared.models)
        ['A', 'B']
    """

    runs: dict[str, ModelInfo]
    split: str
    """The split of the runs on which models are compared: `test` or `validation`."""
    scheme: str
    headline: dict[str, Headline]
    alignment: AlignmentSummary
    shared: SharedScores
    decomposition: dict[str, Decomposition]
    """By model, except the first: its gap to the first."""
    third_models: list[ThirdModel]
    """What parts the differences of further models to the first, in labels and training."""
    renaming: dict[str, str | None] | None = field(metadata=OPTIONAL | key("map"))
    """New names of types."""
    uncertainty: Uncertainty
    verdict: Verdict
    errors: dict[str, ErrorAnalysis]
    calibration: dict[str, Calibration | None]
    """None for a model whose probabilities are not stored."""
    effects: dict[str, DataEffect]
    aligned: AlignedPredictions = field(repr=False, metadata=INTERNAL)
    """Predictions of every run on the shared types and sentences."""
    folders: dict[str, list[Run | None]] = field(repr=False, metadata=INTERNAL)
    """By model: the runs on disk; None for a plain file."""
    requirements: list[RequirementOutcome] = field(default_factory=list)
    """What was required of the comparison."""

    @property
    def overall_lines(self) -> list[str]:
        """The lines of the verdict on all types together: one for each pair of models, in their order."""
        return self.verdict.lines[:: len(self.shared.types) + 1]

    @property
    def figures(self) -> dict[str, Any]:
        """The content of compare.json."""
        figures: dict[str, Any] = {"format": FORMAT} | as_json(self)
        return figures
