"""The tables of scores, as text in cells: one source for the page, for Markdown and for the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ner_dist import formatting
from ner_dist.formatting import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ner_dist.comparison.results import Comparison, ModelInfo
    from ner_dist.comparison.uncertainty import Difference, PairDifferences

FIGURES = {"precision": "precision", "recall": "recall", "f1": "F1", "accuracy": "accuracy"}
OVERALL = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "macro_f1": "macro F1",
    "accuracy": "accuracy",
}
"""The figures over all types, by their names in `results.Figures.overall`."""
PARTS = {"label_set": "label set", "sentences": "sentences", "model": "model"}
"""Of the decomposition, in its order."""
_NOT_SHOWN = "not shown"


@dataclass(frozen=True)
class Table:
    """Cells as text; the first of each row names it.

    Attributes:
        caption: what the table shows, in one sentence.
        columns: their headings.
        rows: as many cells each as there are columns.
        groups: heading over the columns and how many it spans, in order; they cover all columns.
        strong: rows that sum up.
        ends: rows with which a part of the table ends.
        words: columns that hold words, not numbers; the first always does.
        note: what to know about it.
    """

    caption: str
    columns: list[str]
    rows: list[list[str]]
    groups: tuple[tuple[str, int], ...] = ()
    strong: frozenset[int] = frozenset()
    ends: frozenset[int] = frozenset()
    words: frozenset[int] = frozenset({0})
    note: str | None = None

    def edges(self) -> set[int]:
        """Columns with which a group begins."""
        begins, found = 0, set()
        for name, span in self.groups:
            if name:
                found.add(begins)
            begins += span
        return found


def titles(runs: Mapping[str, ModelInfo]) -> dict[str, str]:
    """Name of each model in headings: its letter and name, or only the name of a single model."""
    if len(runs) == 1:
        return {model: run.name for model, run in runs.items()}
    return {model: f"{model} ({run.name})" if run.name else model for model, run in runs.items()}


def place_of(runs: Mapping[str, ModelInfo]) -> str:
    """Where figures were counted, in words: one model's own are on no ground that it shares."""
    return "on the same ground" if len(runs) > 1 else "on the test split"


def models_table(comparison: Comparison) -> Table:
    """Table of the compared models."""
    names = titles(comparison.runs)
    rows = []
    for model, run in comparison.runs.items():
        seeds = [str(seed) for seed in run.seeds if seed is not None]
        rows.append(
            [
                names[model],
                formatting.joined(run.paths, most=3),
                ", ".join(seeds) or NOTHING,
                f"{len(run.labels)}: {formatting.joined(run.labels, most=15)}",
                formatting.count(run.sentences),
            ]
        )
    columns = ["model", "from", "seeds", "types", "test sentences"]
    return Table("What is compared", columns, rows, words=frozenset({0, 1, 2, 3}))


def headline(comparison: Comparison) -> Table:
    """The published table: each model on its own labels and sentences."""
    rows: list[list[str]] = []
    strong: set[int] = set()
    wanted = [("train", "loss", "training loss")]
    for split in ("validation", "test"):
        wanted += [(split, "loss", f"{split} loss")]
        wanted += [(split, key, f"{split} {title}") for key, title in FIGURES.items()]
        wanted += [(split, "macro_f1", f"{split} macro F1")]
    for split, key, title in wanted:
        cells = []
        for published in comparison.headline.values():
            mean, std = (
                None if each is None else getattr(getattr(each, split), key)
                for each in (published.mean, published.std)
            )
            cells.append(formatting.score(mean, std))
        if any(cell != NOTHING for cell in cells):
            if (split, key) == ("test", "f1"):
                strong.add(len(rows))
            rows.append([title, *cells])
    return Table(
        "Each model on its own labels and its own sentences: the figures that would be published",
        ["figure", *titles(comparison.runs).values()],
        rows,
        strong=frozenset(strong),
        note=_seeds_note(comparison.runs),
    )


def same_ground(comparison: Comparison) -> Table:
    """Scores on shared types and sentences with their intervals."""
    models = titles(comparison.runs)
    shared, found = comparison.shared, comparison.uncertainty
    rows: list[list[str]] = []
    for key, title in OVERALL.items():
        row = [title]
        for model in models:
            estimate = found.models[model].overall()[key]
            row += [shared_score(comparison, model, key), formatting.interval(estimate.low, estimate.high)]
        rows.append(row)
    level = formatting.level(found.level)
    return Table(
        f"Every model on the same {formatting.count(shared.sentences)} sentences and the same "
        f"{len(shared.types)} types ({', '.join(shared.types)})",
        ["figure", *(column for _ in models for column in ("score", f"{level} interval"))],
        rows,
        groups=(("", 1), *((title, 2) for title in models.values())),
        strong=frozenset({2}),
        note=_seeds_note(comparison.runs),
    )


def shared_score(comparison: Comparison, model: str, key: str) -> str:
    """A model's figure over all shared types, with its deviation over the runs."""
    std = comparison.shared.std[model]
    return formatting.score(
        comparison.shared.models[model].overall()[key], None if std is None else std.overall()[key]
    )


def differences(comparison: Comparison) -> Table:
    """Differences over all types, with what tells chance from a significant one."""
    rows: list[list[str]] = []
    strong: set[int] = set()
    pairs = comparison.uncertainty.differences
    for pair in pairs:
        overall = pair.figures.overall()
        for key, title in OVERALL.items():
            cell = overall[key]
            if key == "f1":
                strong.add(len(rows))
            name = f"{pair.of} − {pair.to}, {title}" if len(pairs) > 1 else title
            *tested, shown = difference_cells(cell, pair, cell.p)
            rows.append([name, *tested, formatting.p_value(cell.p_randomisation), shown])
    several = len(pairs) > 1
    return Table(
        "Differences on the same ground" + ("" if several else f": {pairs[0].of} minus {pairs[0].to}"),
        ["figure", "difference", "interval", "p", "p, randomisation", "shown"],
        rows,
        strong=frozenset(strong),
        words=frozenset({0, 5}),
        note="p is of the bootstrap; approximate randomisation checks it. Shown is what both find.",
    )


def difference_cells(cell: Difference, pair: PairDifferences, p: float | None) -> list[str]:
    """Difference, interval, p-value and what is shown by them."""
    return [
        formatting.signed(cell.difference),
        formatting.interval(cell.low, cell.high, sign=True),
        formatting.p_value(p),
        better(cell, pair) or _NOT_SHOWN,
    ]


def better(cell: Difference, pair: PairDifferences) -> str | None:
    """`B better`, where the difference is significant."""
    return f"{pair.better(cell)} better" if cell.significant else None


def decomposition(comparison: Comparison) -> Table:
    """Parts of the headline gap of each model to the first; they add up."""
    gaps = comparison.decomposition
    rows = [
        [f"due to the {title}", *(formatting.signed(getattr(each, key)) for each in gaps.values())]
        for key, title in PARTS.items()
    ]
    rows.append(["gap of the published F1", *(formatting.signed(each.gap) for each in gaps.values())])
    return Table(
        "What the gap of the published F1 is made of",
        ["part", *(f"{model} − {each.base}" for model, each in gaps.items())],
        rows,
        strong=frozenset({len(rows) - 1}),
        ends=frozenset({len(rows) - 2}),
        note="The parts add up to the gap exactly; rounded figures may not.",
    )


def steps(comparison: Comparison, model: str) -> Table:
    """The way from one headline score to the other, one change at a time."""
    gap = comparison.decomposition[model]
    rows, before = [], None
    for step in gap.steps:
        change = NOTHING if before is None else formatting.signed(step.f1 - before)
        rows.append([step.what, formatting.score(step.f1), change])
        before = step.f1
    return Table(
        f"From {gap.base} to {model}, one change at a time",
        ["scored", "F1", "change"],
        rows,
        words=frozenset({0}),
    )


def per_type(comparison: Comparison) -> Table:
    """Precision, recall and F1 of each shared type, and the differences of F1."""
    models = titles(comparison.runs)
    shared = comparison.shared
    pairs = comparison.uncertainty.differences
    rows = []
    for name in shared.types:
        scores = [shared.models[model].per_type[name] for model in models]
        row = [name, formatting.count(scores[0].support)]
        for each in scores:
            row += map(formatting.score, (each.precision, each.recall, each.f1))
        for pair in pairs:
            cell = pair.figures.per_type[name].f1
            row += difference_cells(cell, pair, cell.p_holm)
        rows.append(row)
    width = 2 + 3 * len(models)
    return Table(
        "Each shared type: scores, and the difference of F1 with p-values corrected over the types (Holm)",
        [
            "type",
            "support",
            *(title for _ in models for title in ("precision", "recall", "F1")),
            *(title for _ in pairs for title in ("difference", "interval", "p (Holm)", "shown")),
        ],
        rows,
        groups=(
            ("", 2),
            *((title, 3) for title in models.values()),
            *((f"F1, {pair.of} − {pair.to}", 4) for pair in pairs),
        ),
        words=frozenset({0, *(width + 3 + 4 * i for i in range(len(pairs)))}),
        note=_seeds_note(comparison.runs, std=False),
    )


def _seeds_note(runs: Mapping[str, ModelInfo], *, std: bool = True) -> str | None:
    """That figures are means over runs, where they are; `std`: and that they have deviations."""
    several = {model: len(run.paths) for model, run in runs.items() if len(run.paths) > 1}
    if not several:
        return None
    counts = formatting.joined([f"{n} of {model}" for model, n in several.items()])
    return f"Means {'± standard deviations ' if std else ''}over the runs ({counts})."
