"""Tables of scores as text cells, the same for the page, for Markdown and for the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ner_dist import formatting
from ner_dist.comparison.decomposition import SEEDS_AND_SENTENCES
from ner_dist.formatting import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ner_dist.comparison.claims import Difference, PairDifferences
    from ner_dist.comparison.decomposition import Grounds
    from ner_dist.comparison.results import Comparison, ModelInfo

FIGURES = {"precision": "precision", "recall": "recall", "f1": "F1", "accuracy": "accuracy"}
OVERALL = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "macro_f1": "macro F1",
    "accuracy": "accuracy",
}
"""The figures over all types, by their names in `uncertainty.Figures.overall`."""
PARTS = {"label_set": "label set", "sentences": "sentences", "gold": "gold tags", "model": "model"}
"""The parts of the decomposition, in order."""
GROUNDS = {
    "own": "its own types and sentences",
    "shared_types": "the shared types, its own sentences",
    "shared_sentences": "its own types, the shared sentences",
    "shared": "the shared types and sentences",
    "agreed": "those of them whose gold agrees",
}
"""Where a model is scored, by the names of `decomposition.Grounds`."""
_NOT_SHOWN = "not shown"


@dataclass(frozen=True)
class Table:
    """A table of text cells; the first cell of each row is its heading.

    Attributes:
        caption: description of the table in one sentence.
        columns: headings of the columns.
        rows: rows with one cell for each column.
        groups: headings over columns, each with the number of columns it spans; they cover all columns.
        strong: rows to emphasise.
        ends: last rows of parts of the table.
        words: columns of words, not numbers; these include the first.
        note: text below the table.
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
        """The first column of each named group."""
        column, first = 0, set()
        for name, span in self.groups:
            if name:
                first.add(column)
            column += span
        return first


def titles(runs: Mapping[str, ModelInfo]) -> dict[str, str]:
    """Name of each model in headings: its letter and name; for a single model, only its name."""
    if len(runs) == 1:
        return {model: run.name for model, run in runs.items()}
    return {model: f"{model} ({run.name})" if run.name else model for model, run in runs.items()}


def place_of(runs: Mapping[str, ModelInfo]) -> str:
    """The sentences that figures refer to, in words; a single model shares them with no other."""
    return "on the same ground" if len(runs) > 1 else "on the test split"


def headline(comparison: Comparison) -> Table:
    """Headline scores: each model on its own labels and sentences."""
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
            if (split, key) == (comparison.split, "f1"):
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
    shared, uncertainty = comparison.shared, comparison.uncertainty
    rows: list[list[str]] = []
    for key, title in OVERALL.items():
        row = [title]
        for model in models:
            estimate = uncertainty.models[model].overall()[key]
            bounds = estimate.widest
            row += [shared_score(comparison, model, key), formatting.interval(bounds.low, bounds.high)]
        rows.append(row)
    level = formatting.level(uncertainty.level)
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
    """A model's figure over all shared types, with its standard deviation over the runs."""
    std = comparison.shared.std[model]
    return formatting.score(
        comparison.shared.models[model].overall()[key], None if std is None else std.overall()[key]
    )


def differences(comparison: Comparison) -> Table:
    """Differences over all types with their intervals and p-values."""
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
            rows.append([name, *difference_cells(comparison, cell, pair)])
    several = len(pairs) > 1
    return Table(
        "Differences on the same ground" + ("" if several else f": {pairs[0].of} minus {pairs[0].to}"),
        ["figure", "difference", "interval", "p", "p (Holm)", "shown"],
        rows,
        strong=frozenset(strong),
        words=frozenset({0, 5}),
        note=claim_note(comparison),
    )


def claim_note(comparison: Comparison) -> str:
    """What the intervals and p-values of differences are about."""
    pairs = comparison.uncertainty.differences
    known = [pair for pair in pairs if pair.figures.micro.f1.recipes is not None]
    if not known:
        return (
            f"Of these trained models, over other {comparison.split} sentences: p is the larger of those of "
            "the bootstrap and of approximate randomisation. About other seeds they say nothing."
        )
    if len(known) == len(pairs):
        return f"Of the recipes, over other seeds and other {comparison.split} sentences."
    shown = formatting.joined([f"{pair.of} − {pair.to}" for pair in known])
    return (
        f"Of the recipes, over other seeds and {comparison.split} sentences, for {shown}; else of the "
        "trained models."
    )


def difference_cells(comparison: Comparison, cell: Difference, pair: PairDifferences) -> list[str]:
    """Cells of a difference: value, interval, p-value, the same corrected, and the better model."""
    tested = cell.decisive
    floor = comparison.uncertainty.at_floor(tested)
    return [
        formatting.signed(cell.difference),
        formatting.interval(tested.low, tested.high, sign=True),
        formatting.p_value(tested.uncorrected, floor=floor),
        formatting.p_value(tested.p_holm, floor=floor),
        better(cell, pair) or _NOT_SHOWN,
    ]


def better(cell: Difference, pair: PairDifferences) -> str | None:
    """`B better` if the difference is significant; else None."""
    return f"{pair.better(cell)} better" if cell.significant else None


def parts_of(comparison: Comparison) -> dict[str, str]:
    """The parts of the gaps by title; that of the gold only where it differs."""
    return {
        key: title
        for key, title in PARTS.items()
        if key != "gold" or comparison.alignment.disputed is not None
    }


def decomposition(comparison: Comparison) -> Table:
    """The parts of each model's headline gap to the first model, with their intervals."""
    gaps = comparison.decomposition
    rows = []
    for key, title in (parts_of(comparison) | {"gap": "gap of the published F1"}).items():
        cells = []
        for each in gaps.values():
            bounds = each.intervals[key]
            cells += [
                formatting.signed(getattr(each, key)),
                formatting.interval(bounds.low, bounds.high, sign=True),
            ]
        rows.append([title if key == "gap" else f"due to the {title}", *cells])
    return Table(
        "What the gap of the published F1 is made of",
        ["part", *(column for _ in gaps for column in ("F1", "interval"))],
        rows,
        groups=(("", 1), *((f"{model} − {each.base}", 2) for model, each in gaps.items())),
        strong=frozenset({len(rows) - 1}),
        ends=frozenset({len(rows) - 2}),
        note="The parts add up to the gap exactly; rounded figures may not. Label set and sentences are "
        f"means over both orders of the two changes. {_intervals_over(comparison)}",
    )


def _intervals_over(comparison: Comparison) -> str:
    """What the intervals of the gaps' parts cover."""
    over = [gap.intervals_over for gap in comparison.decomposition.values()]
    if SEEDS_AND_SENTENCES not in over:
        return f"Intervals are for other {comparison.split} sentences."
    single = [
        f"{model} − {gap.base}"
        for model, gap in comparison.decomposition.items()
        if gap.intervals_over != SEEDS_AND_SENTENCES
    ]
    text = f"Intervals are for other seeds and other {comparison.split} sentences"
    return f"{text}; of {formatting.joined(single)}, for sentences alone." if single else f"{text}."


def third_models(comparison: Comparison) -> Table | None:
    """The models' parts of the gaps by what third models show; None if there are none."""
    rows, ends = [], []
    for each in comparison.third_models:
        if each.training is None or each.third is None:
            continue
        for what, part in (("labels", each.labels), ("training", each.training)):
            rows.append(
                [
                    f"{each.of} − {each.to}, by {each.third}",
                    f"{'other labels' if what == 'labels' else 'other training'}: {part.of} − {part.to}",
                    formatting.signed(part.difference),
                    formatting.interval(part.low, part.high, sign=True),
                    "yes" if part.significant else _NOT_SHOWN,
                ]
            )
        ends.append(len(rows) - 1)
    if not rows:
        return None
    return Table(
        "The models' part of the gap: what other labels do to a model, and what another training does",
        ["gap", "part", "F1", "interval", "shown"],
        rows,
        ends=frozenset(ends),
        words=frozenset({0, 1, 4}),
        note="A third model has the training (data, encoder, settings) of one model and the labels of the "
        f"other. {claim_note(comparison)}",
    )


def orders(comparison: Comparison) -> Table:
    """The parts of the task by which change is made first."""
    rows = []
    for key in ("label_set", "sentences"):
        cells = []
        for gap in comparison.decomposition.values():
            by_order = (gap.orders.labels_first, gap.orders.sentences_first)
            cells += [formatting.signed(getattr(order, key)) for order in by_order]
        rows.append([f"due to the {PARTS[key]}", *cells])
    gaps = comparison.decomposition
    return Table(
        "How the task's parts depend on the order of the changes",
        ["part", *(column for _ in gaps for column in ("labels first", "sentences first"))],
        rows,
        groups=(("", 1), *((f"{model} − {gap.base}", 2) for model, gap in gaps.items())),
    )


def grounds(comparison: Comparison) -> Table:
    """F1 of each model on each ground of the decompositions."""
    f1: dict[str, Grounds] = {}
    for gap in comparison.decomposition.values():
        f1 |= gap.grounds
    rows = [
        [title, *(formatting.score(getattr(f1[model], key)) for model in comparison.runs)]
        for key, title in GROUNDS.items()
        if key != "agreed" or comparison.alignment.disputed is not None
    ]
    columns = ["F1 on", *titles(comparison.runs).values()]
    return Table("From the published F1 to the same ground", columns, rows)


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
            difference, bounds, _, *corrected = difference_cells(comparison, cell, pair)
            row += [difference, bounds, *corrected]
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
    """A note that figures are means over runs, with `std` also on deviations; None for single runs."""
    several = {model: len(run.paths) for model, run in runs.items() if len(run.paths) > 1}
    if not several:
        return None
    counts = formatting.joined([f"{n} of {model}" for model, n in several.items()])
    return f"Means {'± standard deviations ' if std else ''}over the runs ({counts})."
