"""A comparison on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from ner_dist.comparison.models import FIGURES
from ner_dist.comparison.predictions import at
from ner_dist.formatting import NOTHING, counted, score, signed

if TYPE_CHECKING:
    from ner_dist.comparison.aligned import Comparison

_TITLES = {"f1": "F1", "macro_f1": "macro F1"}
_PARTS = {
    "label_set": "part due to the label set",
    "sentences": "part due to the sentences",
    "model": "part due to the model",
    "gap": "gap in headline test F1",
}


def print_tables(comparison: Comparison) -> None:
    """Show the headline, the same ground, the gap taken apart, and the verdict; seeds as mean ± deviation."""
    figures = comparison.figures
    # Names of models and types are text: `[/red]` and `:dog:` are not for rich to read.
    console = Console(markup=False, emoji=False)
    for table in (_own_labels(figures), _same_ground(figures), _gap(figures)):
        console.print(table)
    for note in figures["alignment"]["notes"]:
        console.print(note, highlight=False)
    console.print()
    console.print(figures["verdict"]["paragraph"], highlight=False)
    for line in figures["verdict"]["lines"]:
        console.print(f"- {line}", highlight=False)


def _own_labels(figures: dict[str, Any]) -> Table:
    runs, headline = figures["runs"], figures["headline"]
    caption = f"Entities: micro average, {figures['scheme']}.{_seeds(figures)}"
    names = [f"{model} ({run['name']}, {len(run['labels'])} types)" for model, run in runs.items()]
    table = _table("Each model on its own labels", names, caption=caption)
    rows = [("training loss", "train", "loss")]
    rows += [
        (f"{split} {_TITLES.get(key, key)}", split, key)
        for split in ("validation", "test")
        for key in (*FIGURES, "macro_f1")
    ]
    for title, split, key in rows:
        cells = [_cell(one["mean"], one["spread"], split, key) for one in headline.values()]
        if cells != [NOTHING] * len(cells):
            table.add_row(title, *cells)
    return table


def _same_ground(figures: dict[str, Any]) -> Table:
    shared, alignment = figures["shared"], figures["alignment"]
    first, *others = figures["runs"]
    all_of_them = "both" if len(others) == 1 else "all"
    sentences = f"{counted(alignment['sentences'], 'sentence')} that {all_of_them} tagged"
    if alignment["units"] < alignment["sentences"]:
        sentences += f", {alignment['units']:,} of them distinct"
    caption = f"Test split, {sentences}; other types count as O.{_seeds(figures)}"
    differences = _differences(figures)
    level = round(100 * figures["uncertainty"]["level"])
    caption += f" In brackets: {level} % confidence intervals; *: shown to be real (types after Holm)."
    title = f"{all_of_them.capitalize()} on the same ground: {', '.join(shared['types'])}"
    columns = [first, *others, *(f"{model} − {first}" for model in others)]
    table = _table(title, columns, caption=caption, min_width=70)
    rows: list[tuple[str, tuple[str, ...]]]
    rows = [(f"test {_TITLES.get(key, key)}", (key,)) for key in FIGURES[1:]]
    rows += [("test macro F1", ("macro", "f1"))]
    rows += [(f"F1 {name}", ("per_type", name, "f1")) for name in shared["types"]]
    for number, (row, place) in enumerate(rows):
        cells = [_cell(shared[model], shared["spread"][model], *place) for model in (first, *others)]
        for model in others:
            difference = at(shared[model], place) - at(shared[first], place)
            cells.append(f"{signed(difference)}{_interval(differences[model], place)}")
        table.add_row(row, *cells, end_section=number == len(FIGURES) - 1)
    return table


def _gap(figures: dict[str, Any]) -> Table:
    gaps = figures["decomposition"]
    first = next(iter(figures["runs"]))
    title = "Where the gap in the headline comes from"
    table = _table(title, [f"{model} − {first}" for model in gaps], min_width=len(title) + 4)
    for key, title in _PARTS.items():
        cells = [signed(gap[key]) for gap in gaps.values()]
        table.add_row(title, *cells, end_section=key == "model")
    return table


def _differences(figures: dict[str, Any]) -> dict[str, Any]:
    """By model, the differences to the first with their intervals."""
    first = next(iter(figures["runs"]))
    found = figures["uncertainty"]["differences"]
    return {one["of"]: one for one in found if one["to"] == first}


def _interval(difference: dict[str, Any], place: tuple[str, ...]) -> str:
    known = at(difference, place) or at(difference, ("micro", *place))
    if known is None:
        return ""
    return f" [{signed(known['low'])}, {signed(known['high'])}]{'*' if known['real'] else ' '}"


def _seeds(figures: dict[str, Any]) -> str:
    numbers = {model: len(run["paths"]) for model, run in figures["runs"].items()}
    if max(numbers.values()) == 1:
        return ""
    shown = ", ".join(f"{model} n = {number}" for model, number in numbers.items())
    return f" Mean ± standard deviation over seeds: {shown}."


def _table(title: str, columns: list[str], **settings: Any) -> Table:
    table = Table(title=title, **settings)
    table.add_column("figure")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _cell(mean: Any, spread: Any, *place: str) -> str:
    return score(at(mean, place), at(spread, place))
