"""The result of a comparison: scores and statistics as dataclasses, and compare.json made from them.

docs/formats.md describes compare.json key by key. Models are called A, B, ... in the order in which they
were named.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic

from ner_dist.comparison.aligned import AlignedPredictions, AlignmentSummary
from ner_dist.comparison.scores import Scores
from ner_dist.evaluation.json_form import INLINE, INTERNAL, OPTIONAL, as_json, key
from ner_dist.evaluation.metrics import Figure, PrecisionRecallF1

if TYPE_CHECKING:
    from ner_dist.run.directory import Run

FORMAT = 2
"""Of compare.json. Format 1, which had no `format`, called `significant` `real` and `std` `spread`."""


@dataclass(frozen=True)
class ModelInfo:
    """One model of a comparison; `paths` and `seeds` have an element for each of its runs."""

    name: str
    paths: list[str]
    seeds: list[int | None]
    """None where it is not known."""
    labels: list[str]
    """The entity types that it knows."""
    sentences: int
    """Of its own test split."""


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
    """The figures that would be published: on a model's own labels and sentences."""

    train: TrainFigures
    validation: SplitFigures
    test: SplitFigures


@dataclass(frozen=True)
class Headline:
    """Published figures over a model's runs; there is no deviation of a single run."""

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
    """By model: the standard deviation over its runs, None of a single one."""


@dataclass(frozen=True)
class DecompositionStep:
    """F1 at one place on the path from one headline to the other."""

    what: str
    f1: float


@dataclass(frozen=True)
class Decomposition:
    """Parts of the gap between a model's headline F1 and that of `base`; the three parts add up to `gap`."""

    base: str = field(metadata=key("from"))
    """The first model."""
    gap: float
    label_set: float
    sentences: float
    """Where the models' gold tags differ, that is part of it."""
    model: float
    steps: list[DecompositionStep]


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """The difference of a figure between two models, its interval, and what the tests say."""

    difference: float
    low: float
    high: float
    p: float
    """Of the bootstrap, two-sided."""
    p_randomisation: float
    significant: bool
    """Whether both tests find a difference: the larger p (corrected, for a type) is below 1 - level."""
    p_holm: float | None = field(default=None, metadata=OPTIONAL)
    """The larger p corrected over the types; None for figures over all types."""

    @property
    def decisive_p(self) -> float:
        """The p-value that decides."""
        return max(self.p, self.p_randomisation) if self.p_holm is None else self.p_holm


@dataclass(frozen=True)
class MacroF1(Generic[Figure]):
    """The mean of the types' F1."""

    f1: Figure


@dataclass(frozen=True)
class Figures(Generic[Figure]):
    """Statistics of every score on the shared types and sentences."""

    micro: PrecisionRecallF1[Figure]
    macro: MacroF1[Figure]
    accuracy: Figure
    per_type: dict[str, PrecisionRecallF1[Figure]]

    def overall(self) -> dict[str, Figure]:
        """The figures over all types, by the names of `Scores.overall`."""
        return {
            "precision": self.micro.precision,
            "recall": self.micro.recall,
            "f1": self.micro.f1,
            "macro_f1": self.macro.f1,
            "accuracy": self.accuracy,
        }


@dataclass(frozen=True)
class PairDifferences:
    """The figures of model `of` minus those of model `to`."""

    of: str
    to: str
    figures: Figures[Difference] = field(metadata=INLINE)

    def better(self, difference: Difference) -> str:
        """The model that is ahead in a figure."""
        return self.of if difference.difference > 0 else self.to


@dataclass(frozen=True)
class Uncertainty:
    """Intervals of every model's figures, and tests of the differences of each two models."""

    resamples: int
    resamples_needed: int
    """Fewest with which a difference on any type can be significant."""
    level: float
    """Of the intervals, such as 0.95."""
    drawn: str
    """`documents`, or `sentences`: distinct ones with all their copies."""
    units: int
    """How many of these there are."""
    seed: int
    """Of the resampling."""
    method: str
    models: dict[str, Figures[Estimate]]
    differences: list[PairDifferences]
    """Of later models to earlier ones."""


@dataclass(frozen=True)
class Verdict:
    """The figures in plain words."""

    paragraph: str
    lines: list[str]
    """The difference of each pair over all types, then by type, significant ones first."""


@dataclass(frozen=True)
class Confusion:
    """Matched entities, gold (rows) by predicted type (columns)."""

    types: list[str]
    """The last is `O`: its column holds what was missed, its row what is spurious."""
    counts: list[list[int]]


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Scores of some of the entities; by what training has shown there is only recall."""

    bucket: str
    precision: float | None = field(default=None, metadata=OPTIONAL)
    recall: float
    f1: float | None = field(default=None, metadata=OPTIONAL)
    support: int
    """Gold entities."""
    predicted: int | None = field(default=None, metadata=OPTIONAL)
    """Predicted entities."""


@dataclass(frozen=True)
class ErrorAnalysis:
    """A model's errors on the same ground; counts are sums over its runs."""

    runs: int
    strict: PrecisionRecallF1[float]
    """This and the next three: how strictly an entity has to match, as in `muc.py`."""
    exact: PrecisionRecallF1[float]
    partial: PrecisionRecallF1[float]
    type: PrecisionRecallF1[float]
    kinds: dict[str, int]
    """Number of entities of each of `matching.KINDS`."""
    kinds_per_type: dict[str, dict[str, int]]
    """A spurious entity counts for the type it was given, all others for their gold type."""
    confusion: Confusion
    by_entity_length: list[Bucket]
    by_sentence_length: list[Bucket]
    by_seen: list[Bucket] | None
    by_seen_why: str | None
    """Reason if `by_seen` is None."""


@dataclass(frozen=True)
class ReliabilityBin:
    """The answers whose confidence lies in (low, high]; the first bin holds 0, too."""

    low: float
    high: float
    count: int
    confidence: float | None
    """Their mean confidence, None of no answers."""
    accuracy: float | None
    """The share that is right, None of no answers."""


@dataclass(frozen=True)
class Reliability:
    """Reliability: accuracy of answers by their confidence."""

    ece: float | None
    """The expected calibration error, None without an answer."""
    bins: list[ReliabilityBin]


@dataclass(frozen=True)
class Calibration:
    """Calibration of a model, over the runs that store probabilities."""

    runs: int
    words: Reliability
    """A word is right if it has the gold's tag."""
    entities: Reliability
    """A predicted entity is right if the gold has it with the same words and type."""
    entity_confidence: str
    """Definition of an entity's confidence."""


@dataclass(frozen=True)
class EffectScores:
    """A model's F1 with and without an effect of the data; None where that cannot be known."""

    with_effect: float = field(metadata=key("with"))
    without: float | None
    difference: float | None


@dataclass(frozen=True)
class EffectGap:
    """F1 of the second model minus that of the first, with and without an effect."""

    with_effect: float | None = field(metadata=key("with"))
    without: float | None


@dataclass(frozen=True)
class DataEffect:
    """Something in the data that may flatter scores."""

    name: str
    what: str
    count: int | None
    """Sentences concerned; of `invalid_transitions`, entities. None where that cannot be known."""
    share: float | None
    why: str | None
    """Reason if the scores without it are unknown; else None."""
    scores: dict[str, EffectScores]
    gap: EffectGap


@dataclass(frozen=True)
class Comparison:
    """Models on their own and on the same ground, as `compare` returns them.

    They are called A, B, ... in the order in which they were named.

    Example:
        >>> import ner_dist
        >>> comparison = ner_dist.compare("runs/full", "runs/subset", out="comparison", resamples=100)
        >>> comparison.shared.types, comparison.runs["B"].labels
        (['PER', 'LOC'], ['PER', 'LOC'])
        >>> list(comparison.shared.models)
        ['A', 'B']
    """

    runs: dict[str, ModelInfo]
    scheme: str
    headline: dict[str, Headline]
    alignment: AlignmentSummary
    shared: SharedScores
    decomposition: dict[str, Decomposition]
    """By further model: its gap to the first."""
    renaming: dict[str, str | None] | None = field(metadata=OPTIONAL | key("map"))
    """Other names that types were given."""
    uncertainty: Uncertainty
    verdict: Verdict
    errors: dict[str, ErrorAnalysis]
    calibration: dict[str, Calibration | None]
    """None of a model whose probabilities are not stored."""
    effects: dict[str, DataEffect]
    aligned: AlignedPredictions = field(repr=False, metadata=INTERNAL)
    """Predictions of every run on the shared types and sentences."""
    folders: dict[str, list[Run | None]] = field(repr=False, metadata=INTERNAL)
    """By model: the runs on disk; None for a plain file."""

    @property
    def figures(self) -> dict[str, Any]:
        """The content of compare.json."""
        figures: dict[str, Any] = {"format": FORMAT} | as_json(self)
        return figures
