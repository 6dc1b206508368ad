"""Scores and differences with their intervals, type by type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ner_dist import formatting
from ner_dist.formatting import joined
from ner_dist.report.charts.svg import (
    GRID,
    INK,
    MUTED,
    PAPER,
    WIDE,
    chart,
    drawn,
    label,
    model_color,
    model_marker,
)
from ner_dist.report.tables import better

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

_ALL = "all types"
_ROW = 26.0
# Ordinary blanks run together in a page.
_GAP = "\N{EM SPACE}" * 3


def scores(figures: dict[str, Any]) -> Markup:
    """F1 of every model on every shared type."""
    models = list(figures["runs"])
    each = figures["uncertainty"]["models"]
    names = [_ALL, *figures["shared"]["types"]]
    told = []
    with chart(WIDE, 70 + len(names) * max(_ROW, 11.0 * len(models) + 4)) as (figure, axes):
        _rows(axes, names)
        for index, model in enumerate(models):
            shift = (index - (len(models) - 1) / 2) * 0.6 / len(models)
            found = [_f1(each[model], name) for name in names]
            for row, cell in enumerate(found):
                if formatting.known(cell.get("value")):
                    _point(axes, row + shift, cell["value"], cell, index)
            told.append(f"{model}: {_told(dict(zip(names, found, strict=True)))}")
        axes.locator_params(axis="x", nbins=7)
        axes.set_xlabel("F1")
        return drawn(
            figure,
            name="forest-scores",
            title="F1 of each type with its interval",
            description=". ".join(told),
        )


def differences(figures: dict[str, Any], pair: dict[str, Any], *, name: str) -> Markup:
    """The difference of F1 between two models on every shared type, against 0."""
    models = list(figures["runs"])
    names = [_ALL, *figures["shared"]["types"]]
    shown: dict[str, list[str]] = {}
    with chart(WIDE, 70 + len(names) * max(_ROW, 11.0 * len(models) + 4)) as (figure, axes):
        _rows(axes, names)
        axes.axvline(0, color=INK, linewidth=1)
        for row, type_name in enumerate(names):
            cell = _f1(pair, type_name)
            value = cell.get("difference")
            if not formatting.known(value):
                continue
            ahead = models.index(pair["of"] if value > 0 else pair["to"])
            _point(axes, row, value, cell, ahead if cell.get("real") else None)
            shown.setdefault(better(cell, pair) or "no difference shown", []).append(type_name)
        reach = max((abs(bound) for bound in axes.get_xlim()), default=0.01) or 0.01
        axes.set_xlim(-reach, reach)
        axes.locator_params(axis="x", nbins=6)
        of, to, whole = pair["of"], pair["to"], _f1(pair, _ALL)
        overall = (
            f"{_ALL} {formatting.signed(whole.get('difference'))} ({formatting.interval(whole, sign=True)})"
        )
        axes.set_xlabel(f"← {to} better{_GAP}F1, {of} − {to}{_GAP}{of} better →")
        return drawn(
            figure,
            name=name,
            title=f"Difference of F1 by type, {pair['of']} minus {pair['to']}",
            description=". ".join([overall, *(f"{what}: {joined(where)}" for what, where in shown.items())]),
        )


def _told(cells: dict[str, dict[str, Any]]) -> str:
    """All types, and the ends of the rest; every figure stands in the table of types."""
    whole = cells[_ALL]
    text = f"{_ALL} {formatting.score(whole.get('value'))} ({formatting.interval(whole)})"
    known = {
        name: cell["value"]
        for name, cell in cells.items()
        if name != _ALL and formatting.known(cell.get("value"))
    }
    if known:
        low, high = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
        lowest, highest = formatting.score(known[low]), formatting.score(known[high])
        text += f", by type from {lowest} ({low}) to {highest} ({high})"
    return text


def _rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.6)
    axes.grid(axis="y", visible=False)
    for row in range(0, len(names), 2):
        axes.axhspan(row - 0.5, row + 0.5, color=GRID, alpha=0.35, linewidth=0)
    axes.axhline(0.5, color=MUTED, linewidth=0.8)
    for text in axes.get_yticklabels():
        text.set_color(INK)


def _point(axes: Axes, row: float, value: float, bounds: dict[str, Any], model: int | None) -> None:
    """A value with its interval; hollow and grey where nothing is shown."""
    color = MUTED if model is None else model_color(model)
    if formatting.known(bounds.get("low")) and formatting.known(bounds.get("high")):
        axes.plot(
            [bounds["low"], bounds["high"]], [row, row], color=color, linewidth=2, solid_capstyle="round"
        )
    axes.plot(
        [value],
        [row],
        marker="o" if model is None else model_marker(model),
        markersize=6.5,
        color=color,
        markerfacecolor=PAPER if model is None else color,
        markeredgecolor=color,
        markeredgewidth=1.6,
    )


def _f1(figures: dict[str, Any], name: str) -> dict[str, Any]:
    if name == _ALL:
        return figures["micro"]["f1"]
    return (figures["per_type"].get(name) or {}).get("f1") or {}
