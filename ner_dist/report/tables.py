"""The tables of a comparison's scores, as text in cells: one source for the page and for Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ner_dist import formatting
from ner_dist.comparison.predictions import at
from ner_dist.formatting import NOTHING

FIGURES = {"precision": "precision", "recall": "recall", "f1": "F1", "accuracy": "accuracy"}
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
        words: columns that hold words, not numbers; the first always does.
        note: what to know about it.
    """

    caption: str
    columns: list[str]
    rows: list[list[str]]
    groups: tuple[tuple[str, int], ...] = ()
    strong: frozenset[int] = frozenset()
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


def titles(figures: dict[str, Any]) -> dict[str, str]:
    """What each model is called in headings: its letter and its name, or the name if it is the only one."""
    if len(figures["runs"]) == 1:
        return {model: str(run["name"]) for model, run in figures["runs"].items()}
    return {
        model: f"{model} ({run['name']})" if run.get("name") else model
        for model, run in figures["runs"].items()
    }


def place_of(figures: dict[str, Any]) -> str:
    """Where figures were counted, in words: one model's own are on no ground that it shares."""
    return "on the same ground" if len(figures["runs"]) > 1 else "on the test split"


def models_table(figures: dict[str, Any]) -> Table:
    """What is compared."""
    rows = []
    for model, run in figures["runs"].items():
        seeds = [str(seed) for seed in run.get("seeds") or [] if seed is not None]
        rows.append(
            [
                titles(figures)[model],
                formatting.joined([str(path) for path in run["paths"]], most=3),
                ", ".join(seeds) or NOTHING,
                f"{len(run['labels'])}: {formatting.joined(run['labels'], most=15)}",
                formatting.count(run.get("sentences")),
            ]
        )
    columns = ["model", "from", "seeds", "types", "test sentences"]
    return Table("What is compared", columns, rows, words=frozenset({0, 1, 2, 3}))


def headline(figures: dict[str, Any]) -> Table:
    """The published table: each model on its own labels and sentences."""
    models = titles(figures)
    rows: list[list[str]] = []
    strong: set[int] = set()
    wanted = [("train", "loss", "training loss")]
    for split in ("validation", "test"):
        wanted += [(split, "loss", f"{split} loss")]
        wanted += [(split, key, f"{split} {title}") for key, title in FIGURES.items()]
        wanted += [(split, "macro_f1", f"{split} macro F1")]
    for split, key, title in wanted:
        cells = [_of_seeds(figures["headline"][model], split, key) for model in models]
        if any(cell != NOTHING for cell in cells):
            if (split, key) == ("test", "f1"):
                strong.add(len(rows))
            rows.append([title, *cells])
    return Table(
        "Each model on its own labels and its own sentences: the figures that would be published",
        ["figure", *models.values()],
        rows,
        strong=frozenset(strong),
        note=_seeds_note(figures),
    )


def align_predictions(figures: dict[str, Any]) -> Table:
    """Scores on shared types and sentences, with intervals where they were computed."""
    models = titles(figures)
    shared = figures["shared"]
    each = figures["uncertainty"]["models"]
    rows: list[list[str]] = []
    for place, title in _places():
        row = [title]
        for model in models:
            spread = _at((shared.get("spread") or {}).get(model), place)
            row += [
                formatting.score(_at(shared[model], place), spread),
                formatting.interval(_at(each[model], place)),
            ]
        rows.append(row)
    level = formatting.level(figures["uncertainty"]["level"])
    return Table(
        f"Every model on the same {formatting.count(shared['sentences'])} sentences and the same "
        f"{len(shared['types'])} types ({', '.join(shared['types'])})",
        ["figure", *(column for _ in models for column in ("score", f"{level} interval"))],
        rows,
        groups=(("", 1), *((title, 2) for title in models.values())),
        strong=frozenset({2}),
        note=_seeds_note(figures),
    )


def differences(figures: dict[str, Any]) -> Table:
    """Differences over all types, with what tells chance from a real one."""
    rows: list[list[str]] = []
    strong: set[int] = set()
    pairs = figures["uncertainty"]["differences"]
    for pair in pairs:
        for place, title in _places():
            cell = _at(pair, place)
            if not isinstance(cell, dict):
                continue
            if place == ("micro", "f1"):
                strong.add(len(rows))
            name = f"{pair['of']} − {pair['to']}, {title}" if len(pairs) > 1 else title
            *tested, shown = difference_cells(cell, pair, p="p")
            rows.append([name, *tested, formatting.p_value(cell.get("p_randomisation")), shown])
    of, to = (pairs[0]["of"], pairs[0]["to"]) if pairs else ("B", "A")
    return Table(
        "Differences on the same ground" + ("" if len(pairs) > 1 else f": {of} minus {to}"),
        ["figure", "difference", "interval", "p", "p, randomisation", "shown"],
        rows,
        strong=frozenset(strong),
        words=frozenset({0, 5}),
        note="p is of the bootstrap; approximate randomisation checks it. Shown is what both find.",
    )


def difference_cells(cell: dict[str, Any], pair: dict[str, Any], *, p: str) -> list[str]:
    """Difference, interval, p-value and what is shown by them."""
    return [
        formatting.signed(cell.get("difference")),
        formatting.interval(cell, sign=True),
        formatting.p_value(cell.get(p)),
        better(cell, pair) or _NOT_SHOWN,
    ]


def better(cell: dict[str, Any], pair: dict[str, Any]) -> str | None:
    """`B better`, where the difference is shown to be real."""
    if not cell.get("real"):
        return None
    return f"{pair['of'] if cell['difference'] > 0 else pair['to']} better"


def decomposition(figures: dict[str, Any]) -> Table:
    """What the headline gap of each model to the first is made of; the parts add up."""
    found = figures["decomposition"]
    rows = [
        [f"due to the {title}", *(formatting.signed(each.get(key)) for each in found.values())]
        for key, title in PARTS.items()
    ]
    rows.append(["gap of the published F1", *(formatting.signed(each["gap"]) for each in found.values())])
    return Table(
        "What the gap of the published F1 is made of",
        ["part", *(f"{model} − {each['from']}" for model, each in found.items())],
        rows,
        strong=frozenset({len(rows) - 1}),
        note="The parts add up to the gap exactly; rounded figures may not.",
    )


def steps(figures: dict[str, Any], model: str) -> Table:
    """The way from one headline score to the other, one change at a time."""
    rows, before = [], None
    for step in figures["decomposition"][model].get("steps", []):
        change = NOTHING if before is None or step["f1"] is None else formatting.signed(step["f1"] - before)
        rows.append([step["what"], formatting.score(step["f1"]), change])
        before = step["f1"]
    other = figures["decomposition"][model]["from"]
    return Table(
        f"From {other} to {model}, one change at a time",
        ["scored", "F1", "change"],
        rows,
        words=frozenset({0}),
    )


def per_type(figures: dict[str, Any]) -> Table:
    """Precision, recall and F1 of each shared type, and the differences of F1."""
    models = titles(figures)
    shared = figures["shared"]
    pairs = figures["uncertainty"]["differences"]
    rows = []
    for name in shared["types"]:
        support = next(iter(shared[model]["per_type"][name].get("support") for model in models))
        row = [name, formatting.count(support)]
        for model in models:
            row += [
                formatting.score(shared[model]["per_type"][name].get(key))
                for key in ("precision", "recall", "f1")
            ]
        for pair in pairs:
            row += difference_cells(pair["per_type"].get(name, {}).get("f1") or {}, pair, p="p_holm")
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
            *((f"F1, {pair['of']} − {pair['to']}", 4) for pair in pairs),
        ),
        words=frozenset({0, *(width + 3 + 4 * i for i in range(len(pairs)))}),
        note=_seeds_note(figures, spread=False),
    )


def _places() -> list[tuple[tuple[str, ...], str]]:
    """Where a figure stands in the uncertainty's dictionaries, and its name."""
    places: list[tuple[tuple[str, ...], str]] = [
        (("micro", key), FIGURES[key]) for key in ("precision", "recall", "f1")
    ]
    return [*places, (("macro", "f1"), "macro F1"), (("accuracy",), "accuracy")]


def _at(tree: Any, place: tuple[str, ...]) -> Any:
    """The figure at a place; micro averages stand at the top where they have no branch of their own."""
    if isinstance(tree, dict) and place[0] == "micro" and "micro" not in tree:
        place = place[1:]
    return at(tree, place)


def _of_seeds(figures: dict[str, Any], split: str, key: str) -> str:
    place = (split, key)
    return formatting.score(_at(figures.get("mean"), place), _at(figures.get("spread"), place))


def _seeds_note(figures: dict[str, Any], *, spread: bool = True) -> str | None:
    """That figures are means over runs, where they are; `spread`: and that they have deviations."""
    several = {model: len(run["paths"]) for model, run in figures["runs"].items() if len(run["paths"]) > 1}
    if not several:
        return None
    counts = formatting.joined([f"{n} of {model}" for model, n in several.items()])
    return f"Means {'± standard deviations ' if spread else ''}over the runs ({counts})."
