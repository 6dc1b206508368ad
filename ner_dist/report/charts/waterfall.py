"""A waterfall chart from one published F1 to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ner_dist import formatting
from ner_dist.report.charts.svg import INK, MUTED, WIDE, chart, drawn, label, model_color, model_marker
from ner_dist.report.tables import parts_of

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

    from ner_dist.comparison.results import Comparison


def waterfall(comparison: Comparison, model: str, *, name: str) -> Markup:
    """The parts of the gap, as bars from the headline F1 of the first model to that of `model`."""
    gap = comparison.decomposition[model]
    models = list(comparison.runs)
    start = gap.grounds[gap.base].own
    rows, place = [], start
    for title, size, key in _changes(comparison, model):
        rows.append((title, place, place + size, key))
        place += size
    changes = [f"{title} {formatting.signed(end - begin)}" for title, begin, end, _ in rows]
    with chart(WIDE, 236 + 30 * (len(rows) - 3)) as (figure, axes):
        ends = [(0, gap.base, start), (len(rows) + 1, model, place)]
        for row, who, value in ends:
            index = models.index(who)
            axes.plot([value], [row], marker=model_marker(index), markersize=9, color=model_color(index))
            _text(axes, value, row, formatting.score(value), bold=True)
        for row, (_, begin, end, key) in enumerate(rows, start=1):
            # Only the part due to the models, which matters most, is coloured.
            color = (
                model_color(models.index(model if end >= begin else gap.base)) if key == "model" else MUTED
            )
            axes.barh(row, end - begin, left=begin, height=0.5, color=color, edgecolor=color, linewidth=1.2)
            _text(axes, max(begin, end), row, formatting.signed(end - begin), bold=key == "model")
        for row, value in enumerate([start, *(end for _, _, end, _ in rows)]):
            axes.plot([value, value], [row, row + 1], color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
        names = [f"{gap.base} as published", *(row[0] for row in rows)]
        names.append(f"{model} as published")
        axes.set_yticks(range(len(names)), [label(text, most=36) for text in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.locator_params(axis="x", nbins=5)
        low, high = axes.get_xlim()
        axes.set_xlim(low - (high - low) * 0.05, high + (high - low) * 0.18)
        for text in axes.get_yticklabels():
            text.set_color(INK)
        axes.set_xlabel("F1 (the axis does not begin at 0)")
        return drawn(
            figure,
            name=name,
            title=f"What the gap between {gap.base} and {model} is made of",
            description=f"From {formatting.score(start)} to {formatting.score(place)}: {', '.join(changes)}",
        )


def _changes(comparison: Comparison, model: str) -> list[tuple[str, float, str]]:
    """Titles, sizes and keys of the parts; the model's is in two where a third model parts it."""
    gap = comparison.decomposition[model]
    changes = []
    third = next((each for each in comparison.third_models if each.of == model and each.training), None)
    for key, title in parts_of(comparison).items():
        if key == "model" and third is not None and third.training is not None:
            for what, part in (("other labels", third.labels), ("other training", third.training)):
                changes.append((f"{what}, {part.of} − {part.to}", part.difference, key))
        else:
            changes.append((title, getattr(gap, key), key))
    return changes


def _text(axes: Axes, x: float, y: float, text: str, *, bold: bool) -> None:
    axes.annotate(
        text,
        (x, y),
        xytext=(9, 0),
        textcoords="offset points",
        va="center",
        fontsize=11,
        fontweight="bold" if bold else "normal",
    )
