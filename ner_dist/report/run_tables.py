"""Tables of one run: its scores, and its main settings.

They are made from files that other programs may have written, so missing and invalid values are allowed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ner_dist import formatting
from ner_dist.report.tables import FIGURES, Table

if TYPE_CHECKING:
    from ner_dist.run.events import Event

_SETTINGS = (
    "model.name", "data.path", "data.language", "labels", "precision", "train.epochs", "train.max_steps",
    "train.batch_tokens", "train.micro_batch_tokens", "train.learning_rate", "train.schedule",
    "train.warmup_ratio", "train.weight_decay", "train.class_weights", "train.label_smoothing", "train.seed",
    "evaluation.every", "evaluation.early_stopping", "checkpoint.every", "provenance.started",
    "provenance.command", "provenance.strategy", "provenance.processes", "provenance.git_commit",
)  # fmt: skip
_SHOWN_EVALUATIONS = 20


def part(results: dict[str, Any], name: str) -> dict[str, Any]:
    """A section of results.json; empty if it is missing or not an object."""
    section = results.get(name)
    return section if isinstance(section, dict) else {}


def scores(results: dict[str, Any]) -> Table | None:
    """The final figures."""
    rows = []
    for split in ("validation", "test"):
        if figures := part(results, split):
            scores = [figures.get(key) for key in ("loss", *FIGURES)] + [part(figures, "macro").get("f1")]
            rows.append([split, *map(formatting.score, scores)])
    columns = ["split", "loss", *FIGURES.values(), "macro F1"]
    return Table("Scores of the saved model", columns, rows) if rows else None


def evaluations(events: list[Event]) -> Table | None:
    """The scores on the validation split during training."""
    scored = [each for each in events if each["event"] == "evaluation"]
    rows = [
        [
            formatting.count(each["step"]),
            formatting.count(each.get("epoch")),
            *(formatting.score(each.get(key)) for key in ("loss", *FIGURES)),
        ]
        for each in scored[-_SHOWN_EVALUATIONS:]
    ]
    left = len(scored) - len(rows)
    note = f"{formatting.count(left)} earlier ones are left out." if left else None
    columns = ["step", "epoch", "loss", *FIGURES.values()]
    return Table("Scores on the validation split", columns, rows, note=note) if rows else None


def per_type(results: dict[str, Any]) -> Table | None:
    """The final figures of each type."""
    by_type = part(part(results, "test"), "per_type")
    rows = [
        [
            name,
            formatting.count(part(by_type, name).get("support")),
            *(formatting.score(part(by_type, name).get(key)) for key in ("precision", "recall", "f1")),
        ]
        for name in by_type
    ]
    columns = ["type", "support", "precision", "recall", "F1"]
    return Table("Each type, on the test split", columns, rows) if rows else None


def recipe(settings: dict[str, Any]) -> Table | None:
    """The most informative settings of the run."""
    rows = []
    for key in _SETTINGS:
        value: Any = settings
        for name in key.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            shown = " ".join(map(str, value)) if isinstance(value, list) else str(value)
            chosen = part(part(settings, "provenance"), "auto").get(key.removeprefix("train."))
            if value == "auto" and chosen is not None:
                shown = f"auto: {chosen}"
            rows.append([key.removeprefix("provenance."), shown])
    words = frozenset({0, 1})
    return Table("The recipe's main settings", ["key", "value"], rows, words=words) if rows else None
