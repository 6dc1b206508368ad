"""Intervals and p-values of figures and of differences between models, as dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic

from ner_dist.evaluation.json_form import INLINE, OPTIONAL
from ner_dist.evaluation.metrics import Figure, PrecisionRecallF1


@dataclass(frozen=True)
class Bounds:
    """An interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """A figure of trained models with its interval over other sentences."""

    value: float
    low: float
    high: float
    recipe: Bounds | None = field(default=None, metadata=OPTIONAL)
    """The interval over other seeds too; None for a model with one run."""

    @property
    def widest(self) -> Bounds:
        """The interval of the recipe, if it is known, else of the trained model."""
        return self.recipe or Bounds(self.low, self.high)


@dataclass(frozen=True)
class Claim:
    """Interval and p-values of a difference, for one of the two claims."""

    low: float
    high: float
    p: float
    """Two-sided p-value: of the bootstrap for trained models, of `seeds.py` for recipes."""
    p_holm: float
    """The p-value that decides, corrected over the family."""
    significant: bool
    """Whether `p_holm` is below 1 - level."""

    @property
    def uncorrected(self) -> float:
        """The p-value that decides, before correction."""
        return self.p


@dataclass(frozen=True)
class TrainedClaim(Claim):
    """As `Claim`, for trained models."""

    p_randomisation: float

    @property
    def uncorrected(self) -> float:
        """The larger p-value of the two."""
        return max(self.p, self.p_randomisation)


@dataclass(frozen=True)
class Difference:
    """The difference of a figure between two models."""

    difference: float
    trained: TrainedClaim = field(metadata=INLINE)
    recipes: Claim | None = field(default=None, metadata=OPTIONAL)
    """None where nothing is known about other seeds."""

    @property
    def decisive(self) -> Claim:
        """The test of the recipes, if there is one, else of the trained models."""
        return self.recipes or self.trained

    @property
    def significant(self) -> bool:
        """Whether the decisive test finds a difference."""
        return self.decisive.significant


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
class SeedSpread:
    """How F1 varies between runs of one recipe, known from elsewhere."""

    sd: float
    """Standard deviation between seeds."""
    degrees: int | None = None
    """Degrees of freedom of the variance; None if it is taken as known exactly."""
    runs: int | None = None
    """Number of earlier runs that show it; None if the user gave it."""


@dataclass(frozen=True)
class Power:
    """How many runs of each model would show a difference of F1 in 80 % of cases."""

    gap: float
    """That difference."""
    runs: int | None
    """None if no number of runs would do: then the test set is too small."""


@dataclass(frozen=True)
class PairDifferences:
    """The figures of model `of` minus those of model `to`."""

    of: str
    to: str
    figures: Figures[Difference] = field(metadata=INLINE)
    power: Power | None = field(default=None, metadata=OPTIONAL)
    """Where the variances are known that it takes."""

    def better(self, difference: Difference) -> str:
        """The model that is ahead in a figure."""
        return self.of if difference.difference > 0 else self.to


@dataclass(frozen=True)
class Uncertainty:
    """Intervals of every model's figures, and tests of the differences between each two models."""

    resamples: int
    resamples_needed: int
    """Fewest resamples with which a difference on a type can be significant."""
    level: float
    """Level of the intervals, such as 0.95."""
    drawn: str
    """`documents`, or `sentences`: distinct ones with all their copies."""
    units: int
    """Number of these."""
    seed: int
    """Seed of the resampling."""
    method: str
    models: dict[str, Figures[Estimate]]
    differences: list[PairDifferences]
    """Of later models to earlier ones."""
    seed_spread: SeedSpread | None = field(default=None, metadata=OPTIONAL)
    """What is known of seeds from elsewhere, for models with one run each."""

    @property
    def ranks(self) -> dict[str, int]:
        """By model: one more than the number of models whose F1 is significantly better."""
        ranks = dict.fromkeys(self.models, 1)
        for pair in self.differences:
            cell = pair.figures.micro.f1
            if cell.significant:
                ranks[pair.to if cell.difference > 0 else pair.of] += 1
        return ranks

    def at_floor(self, tested: Claim) -> bool:
        """Whether a p-value is the smallest that so many resamples can give."""
        return isinstance(tested, TrainedClaim) and tested.uncorrected <= 2.001 / (self.resamples + 1)
