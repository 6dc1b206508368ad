"""What the doctor found, as `doctor.json` holds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
"""`error`: must be fixed, scores are wrong or nothing can be learnt. `warning`: costs quality or honesty.
`info`: worth knowing, or handled already."""
SHOWN = 3
"""Examples of a finding."""
MATTERS = 0.01
"""Share of a split's entities or sentences from which on a fault costs more than the noise of a seed."""
FORMAT = 1


@dataclass(frozen=True)
class Example:
    """One place where a finding can be seen."""

    where: str
    """`file:line`."""
    text: str


@dataclass(frozen=True)
class Finding:
    """One kind of fault in one split, or between two."""

    check: str
    severity: Severity
    split: str
    """The split, or `test and train`."""
    count: int
    what: str
    """What was found, with its numbers."""
    effect: str
    """What it does to training or scores."""
    remedy: str
    """The key, command or edit that handles it."""
    examples: list[Example] = field(default_factory=list)


@dataclass(frozen=True)
class Subwords:
    """Lengths of a split's sentences for the recipe's tokenizer, special tokens included."""

    median: float
    p99: float
    longest: int
    """Of all sentences, before they are cut into windows."""
    limit: int
    """Longest window that the recipe and the encoder allow."""
    sentences_cut: int
    """Sentences that are longer and cut into windows."""
    unknown_words: int
    """Words without subwords, or whose first subword is unknown."""


@dataclass(frozen=True)
class Steps:
    """The plan of the training."""

    epochs: int
    steps_per_epoch: int
    steps: int
    batch_tokens: int
    padding_share: float
    """Share of an epoch's padded subwords that are padding."""


@dataclass(frozen=True)
class SplitSizes:
    """Counts of one split as it is read, repeats included."""

    sentences: int
    words: int
    entities: int
    types: dict[str, int]
    """Entities of each type."""
    without_entities: int
    """Sentences without any entity."""
    scheme: str
    """Tagging scheme of its files."""
    words_median: float
    words_longest: int
    subwords: Subwords | None = None
    """None if no tokenizer was named or it could not be loaded."""


@dataclass(frozen=True)
class Diagnosis:
    """All that was found."""

    data: str
    splits: dict[str, SplitSizes]
    steps: Steps | None
    findings: list[Finding]
    """The most severe first."""
    notes: list[str] = field(default_factory=list)
    """Lines of the log of reading: what was converted, dropped or guessed."""
    format: int = FORMAT

    @property
    def must_be_fixed(self) -> bool:
        """Whether a finding is an error."""
        return any(finding.severity == "error" for finding in self.findings)
