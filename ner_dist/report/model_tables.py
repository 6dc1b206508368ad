"""Tables of what is compared: the models, and how they were trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ner_dist import formatting
from ner_dist.formatting import NOTHING
from ner_dist.report.tables import Table, titles

if TYPE_CHECKING:
    from ner_dist.comparison.results import Comparison
    from ner_dist.comparison.trainings import TrainingInfo

_LONGEST_SETTING = 80
"""Characters of a setting that are shown."""


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
    columns = ["model", "from", "seeds", "types", f"{comparison.split} sentences"]
    return Table("What is compared", columns, rows, words=frozenset({0, 1, 2, 3}))


def training(comparison: Comparison) -> Table:
    """How the models were trained, with the settings in which they differ; empty for plain files alone."""
    known = [run.training for run in comparison.runs.values()]
    columns = ["setting", *titles(comparison.runs).values()]
    rows = []
    if any(known):
        rows = [
            ["data", *(NOTHING if each is None else _data(each) for each in known)],
            ["encoder", *(NOTHING if each is None else each.encoder for each in known)],
            ["trained", *(NOTHING if each is None else _dates(each.dates) for each in known)],
        ]
    differing = next((each.differing for each in known if each is not None), {})
    for key in differing:
        if key not in ("data.path", "data.language", "model.name"):
            cells = [NOTHING if each is None else each.differing[key] for each in known]
            rows.append([key, *(_shortened(cell) for cell in cells)])
    return Table(
        "How the models were trained, and the settings in which they differ",
        columns,
        rows,
        words=frozenset(range(len(columns))),
    )


def _data(training: TrainingInfo) -> str:
    return training.data if training.language is None else f"{training.data}, {training.language}"


def _dates(dates: list[str | None]) -> str:
    """The first and the last day of several."""
    days = sorted({day for day in dates if day is not None})
    return " to ".join(dict.fromkeys([*days[:1], *days[-1:]])) or NOTHING


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_SETTING else f"{text[: _LONGEST_SETTING - 2]} …"
