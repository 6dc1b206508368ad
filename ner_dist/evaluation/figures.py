"""The figures of an evaluation, as results.json holds them (docs/formats.md)."""

from __future__ import annotations

from dataclasses import dataclass, field

from ner_dist.evaluation.json_form import INLINE, OPTIONAL
from ner_dist.evaluation.metrics import EntityScores, PrecisionRecallF1, TypeScores

FORMAT = 2
"""Version of results.json; it changes when a key changes its name or meaning."""


@dataclass(frozen=True)
class LenientScores(EntityScores):
    """Scores under seqeval's default rule."""

    scheme: str


@dataclass(frozen=True)
class LenientFigures(PrecisionRecallF1[float]):
    """The same of a split with its repeated sentences."""

    scheme: str


@dataclass(frozen=True)
class BothDecodings:
    """The strict scores of the same logits, decoded in both ways."""

    greedy: PrecisionRecallF1[float]
    """With the most probable tag of each word."""
    viterbi: PrecisionRecallF1[float]
    """With the most probable tags in which no I- continues nothing."""


@dataclass(frozen=True)
class RepeatsFigures:
    """Scores of a split as it was published: with the repeated sentences that were dropped from it."""

    precision: float
    recall: float
    f1: float
    scheme: str
    accuracy: float
    lenient: LenientFigures
    sentences: int
    words: int

    def __str__(self) -> str:
        return (
            f"F1 {self.f1:.4f}  precision {self.precision:.4f}  recall {self.recall:.4f}  "
            f"accuracy {self.accuracy:.4f} on all {self.sentences:,} sentences, repeats among them"
        )


@dataclass(frozen=True)
class SplitFigures:
    """Scores of one split: strict IOB2 first, the lenient ones beside them, both named."""

    loss: float | None
    """Mean cross-entropy of the words that have subwords; None where the model's labels are others."""
    precision: float
    recall: float
    f1: float
    accuracy: float
    """Share of the labelled words with the right tag."""
    macro: PrecisionRecallF1[float]
    per_type: dict[str, TypeScores]
    scheme: str
    lenient: LenientScores
    sentences: int
    words: int
    """Those that have a label."""
    words_per_second: float | None
    decoding: BothDecodings | None = field(default=None, metadata=OPTIONAL)
    """None where the model's labels are others, or no predictions were asked for."""
    with_repeats: RepeatsFigures | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class ModelFigures:
    """Scores of a model on a data set, as `ner-dist evaluate` computes them."""

    format: int
    model: str
    data: str
    split: str
    labels: list[str]
    """The types that were scored."""
    scores: SplitFigures = field(metadata=INLINE)
    predicted_scheme: str
    """The scheme of the model's own tags."""
    map: dict[str, str | None] | None = field(default=None, metadata=OPTIONAL)
    """New names of types, as `--map` gave them."""
    threshold: dict[str, float] | None = field(default=None, metadata=OPTIONAL)
    """Least probability of an entity, by type of the model; None if all are kept."""
    bias: dict[str, float] | None = field(default=None, metadata=OPTIONAL)
    """What was added to the logits of its tags, by type of the model; None if nothing was."""
