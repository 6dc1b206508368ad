"""Print a comparison on the terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rich import table as rich_table

from ner_dist.formatting import counted, score, signed
from ner_dist.report import model_tables, tables
from ner_dist.report.ranking import ranking, shown_lines
from ner_dist.report.tables import OVERALL, Table, shared_score
from ner_dist.runtime.console import Console

if TYPE_CHECKING:
    from ner_dist.comparison.claims import Difference
    from ner_dist.comparison.results import Comparison

_ORDER = ("precision", "recall", "f1", "accuracy", "macro_f1")


def print_tables(comparison: Comparison) -> None:
    """Print how models were trained, headline scores, scores on the same ground, the gap, the verdict."""
    console = Console()
    gap, trained = _gap(comparison), model_tables.training(comparison)
    ranked = ranking(comparison, named=False)
    if trained.rows:
        console.print(rendered(trained, min_width=len(trained.caption) + 4))
    console.print(rendered(_own_labels(comparison)))
    console.print(rendered(_same_ground(comparison), min_width=70))
    console.print(rendered(gap, min_width=len(gap.caption) + 4))
    for note in comparison.alignment.notes:
        console.print(note, highlight=False)
    console.print()
    console.print(comparison.verdict.paragraph, highlight=False)
    for caveat in comparison.verdict.caveats:
        console.print(f"! {caveat}", highlight=False)
    for line in shown_lines(comparison):
        console.print(f"- {line}", highlight=False)
    if ranked is not None:
        console.print(rendered(ranked))


def rendered(table: Table, *, min_width: int | None = None) -> rich_table.Table:
    """Convert a table for rich: caption above, note below, a rule after each part."""
    shown = rich_table.Table(title=table.caption, caption=table.note, min_width=min_width)
    for place, column in enumerate(table.columns):
        shown.add_column(column, justify="left" if place in table.words else "right")
    for place, row in enumerate(table.rows):
        shown.add_row(*row, end_section=place in table.ends)
    return shown


def _own_labels(comparison: Comparison) -> Table:
    names = [f"{model} ({run.name}, {len(run.labels)} types)" for model, run in comparison.runs.items()]
    return replace(
        tables.headline(comparison),
        caption="Each model on its own labels",
        columns=["figure", *names],
        note=f"Entities: micro average, {comparison.scheme}.{_seeds(comparison)}",
    )


def _same_ground(comparison: Comparison) -> Table:
    """Scores and differences to the first model in one table, over all types and by type."""
    shared, pairs = comparison.shared, comparison.uncertainty.differences
    first, *others = comparison.runs
    differences = {pair.of: pair.figures for pair in pairs if pair.to == first}
    rows = []
    for key in _ORDER:
        scores = [shared_score(comparison, model, key) for model in comparison.runs]
        apart = [_difference(differences[model].overall()[key]) for model in others]
        rows.append([f"{comparison.split} {OVERALL[key]}", *scores, *apart])
    for name in shared.types:
        scores = []
        for model in comparison.runs:
            std = shared.std[model]
            scores.append(
                score(shared.models[model].per_type[name].f1, None if std is None else std.per_type[name].f1)
            )
        apart = [_difference(differences[model].per_type[name].f1) for model in others]
        rows.append([f"F1 {name}", *scores, *apart])
    all_of_them = "both" if len(others) == 1 else "all"
    return Table(
        f"{all_of_them.capitalize()} on the same ground: {', '.join(shared.types)}",
        ["figure", first, *others, *(f"{model} − {first}" for model in others)],
        rows,
        ends=frozenset({len(_ORDER) - 1}),
        note=_ground_note(comparison, all_of_them),
    )


def _ground_note(comparison: Comparison, all_of_them: str) -> str:
    alignment = comparison.alignment
    sentences = f"{counted(alignment.sentences, 'sentence')} that {all_of_them} tagged"
    if alignment.units < alignment.sentences:
        sentences += f", {alignment.units:,} of them distinct"
    return (
        f"{comparison.split.capitalize()} split, {sentences}; other types count as O.{_seeds(comparison)} In "
        f"brackets: {round(100 * comparison.uncertainty.level)} % confidence intervals; *: significant after "
        "Holm's correction."
    )


def _difference(cell: Difference) -> str:
    mark, bounds = "*" if cell.significant else " ", cell.decisive
    return f"{signed(cell.difference)} [{signed(bounds.low)}, {signed(bounds.high)}]{mark}"


def _gap(comparison: Comparison) -> Table:
    table = tables.decomposition(comparison)
    *parts, whole = table.rows
    return replace(
        table,
        caption="Where the gap in the headline comes from",
        columns=["figure", *(f"{model} − {gap.base}" for model, gap in comparison.decomposition.items())],
        rows=[
            *([f"part {name}", *cells[::2]] for name, *cells in parts),
            [f"gap in headline {comparison.split} F1", *whole[1::2]],
        ],
        groups=(),
        note=None,
    )


def _seeds(comparison: Comparison) -> str:
    numbers = {model: len(run.paths) for model, run in comparison.runs.items()}
    if max(numbers.values()) == 1:
        return ""
    shown = ", ".join(f"{model} n = {number}" for model, number in numbers.items())
    return f" Mean ± standard deviation over seeds: {shown}."
