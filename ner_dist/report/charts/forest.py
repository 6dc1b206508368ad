"""Scores and differences with their intervals, type by type."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

    from ner_dist.comparison.claims import Bounds, Claim, Estimate, Figures, PairDifferences
    from ner_dist.comparison.results import Comparison
    from ner_dist.evaluation.metrics import Figure

_ALL = "all types"
_ROW = 26.0
# HTML collapses ordinary spaces.
_GAP = "\N{EM SPACE}" * 3


def scores(comparison: Comparison) -> Markup:
    """F1 of every model on every shared type."""
    models = list(comparison.runs)
    each = comparison.uncertainty.models
    names = [_ALL, *comparison.shared.types]
    descriptions = []
    with chart(WIDE, 70 + len(names) * max(_ROW, 11.0 * len(models) + 4)) as (figure, axes):
        _rows(axes, names)
        for index, model in enumerate(models):
            shift = (index - (len(models) - 1) / 2) * 0.6 / len(models)
            cells = [_f1(each[model], name) for name in names]
            for row, cell in enumerate(cells):
                _point(axes, row + shift, cell.value, cell.widest, index)
            descriptions.append(f"{model}: {_description(dict(zip(names, cells, strict=True)))}")
        axes.locator_params(axis="x", nbins=7)
        axes.set_xlabel("F1")
        return drawn(
            figure,
            name="forest-scores",
            title="F1 of each type with its interval",
            description=". ".join(descriptions),
        )


def differences(comparison: Comparison, pair: PairDifferences, *, name: str) -> Markup:
    """The difference of F1 between two models on every shared type, against 0."""
    models = list(comparison.runs)
    names = [_ALL, *comparison.shared.types]
    shown: dict[str, list[str]] = {}
    with chart(WIDE, 70 + len(names) * max(_ROW, 11.0 * len(models) + 4)) as (figure, axes):
        _rows(axes, names)
        axes.axvline(0, color=INK, linewidth=1)
        for row, type_name in enumerate(names):
            cell = _f1(pair.figures, type_name)
            ahead = models.index(pair.better(cell)) if cell.significant else None
            _point(axes, row, cell.difference, cell.decisive, ahead)
            shown.setdefault(better(cell, pair) or "no difference shown", []).append(type_name)
        reach = max((abs(bound) for bound in axes.get_xlim()), default=0.01) or 0.01
        axes.set_xlim(-reach, reach)
        axes.locator_params(axis="x", nbins=6)
        of, to, whole = pair.of, pair.to, pair.figures.micro.f1
        bounds = formatting.interval(whole.decisive.low, whole.decisive.high, sign=True)
        overall = f"{_ALL} {formatting.signed(whole.difference)} ({bounds})"
        axes.set_xlabel(f"← {to} better{_GAP}F1, {of} − {to}{_GAP}{of} better →")
        return drawn(
            figure,
            name=name,
            title=f"Difference of F1 by type, {of} minus {to}",
            description=". ".join([overall, *(f"{what}: {joined(where)}" for what, where in shown.items())]),
        )


def _description(cells: dict[str, Estimate]) -> str:
    """Describe the overall F1, and the lowest and highest by type; the table of types has all figures."""
    whole = cells[_ALL]
    bounds = formatting.interval(whole.widest.low, whole.widest.high)
    text = f"{_ALL} {formatting.score(whole.value)} ({bounds})"
    by_type = {name: cell.value for name, cell in cells.items() if name != _ALL}
    low, high = min(by_type, key=by_type.__getitem__), max(by_type, key=by_type.__getitem__)
    lowest, highest = formatting.score(by_type[low]), formatting.score(by_type[high])
    return text + f", by type from {lowest} ({low}) to {highest} ({high})"


def _rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.6)
    axes.grid(axis="y", visible=False)
    for row in range(0, len(names), 2):
        axes.axhspan(row - 0.5, row + 0.5, color=GRID, alpha=0.35, linewidth=0)
    axes.axhline(0.5, color=MUTED, linewidth=0.8)
    for text in axes.get_yticklabels():
        text.set_color(INK)


def _point(axes: Axes, row: float, value: float, bounds: Bounds | Claim, model: int | None) -> None:
    """Draw a value with its interval; hollow and grey without a `model`, for insignificant differences."""
    color = MUTED if model is None else model_color(model)
    axes.plot([bounds.low, bounds.high], [row, row], color=color, linewidth=2, solid_capstyle="round")
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


def _f1(figures: Figures[Figure], name: str) -> Figure:
    return figures.micro.f1 if name == _ALL else figures.per_type[name].f1
