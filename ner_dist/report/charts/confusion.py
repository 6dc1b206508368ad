"""Confusion between types as a heat map: a table with shaded cells, in which every count can be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ner_dist import formatting
from ner_dist.report.tables import titles

if TYPE_CHECKING:
    from ner_dist.report.error_tables import Analysed


@dataclass(frozen=True)
class Cell:
    """A count with its share of the row.

    Attributes:
        text: the count; empty for 0, which keeps a large matrix readable.
        heat: from 0 to 100, by the cube root of the share, so that rare confusions are visible.
        same_type: whether gold and predicted type are equal; boundaries may differ.
        title: description of the cell in words.
    """

    text: str
    heat: int
    same_type: bool
    title: str


@dataclass(frozen=True)
class Matrix:
    """Gold types are rows, predicted types are columns; the last of each is no entity."""

    caption: str
    types: list[str]
    rows: list[tuple[str, list[Cell]]]


def matrix(analysed: Analysed, model: str) -> Matrix:
    """The confusion matrix of a model, summed over its runs."""
    confusion = analysed.errors[model].confusion
    # A type may have any name, even `O`, so the column for no entity is recognised by its index.
    types = [*confusion.types[:-1], "none"]
    rows = []
    for gold, row in enumerate(confusion.counts):
        cells = [_cell(types, gold, predicted, row) for predicted in range(len(types))]
        rows.append((types[gold], cells))
    runs = analysed.errors[model].runs
    caption = f"{titles(analysed.runs)[model]}: gold type by predicted type"
    return Matrix(caption + (f", summed over {runs} runs" if runs > 1 else ""), types, rows)


def _cell(types: list[str], gold: int, predicted: int, row: list[int]) -> Cell:
    number, total, none = row[predicted], sum(row), len(types) - 1
    heat = round(100 * (number / total) ** (1 / 3)) if total else 0
    if gold == none:
        title = f"{formatting.count(number)} {types[predicted]} predicted where no entity is"
    elif predicted == none:
        title = f"{formatting.count(number)} of {formatting.count(total)} {types[gold]} not found"
    else:
        title = (
            f"{formatting.count(number)} of {formatting.count(total)} {types[gold]} "
            f"predicted as {types[predicted]}"
        )
    same = gold == predicted != none
    return Cell(text=formatting.count(number) if number else "", heat=heat, same_type=same, title=title)
