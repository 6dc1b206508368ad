"""What makes F1 vary: deviations due to test sentences, seeds and the training set, with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ner_dist import formatting
from ner_dist.comparison.variance import NAMES
from ner_dist.report.charts.svg import GRID, INK, WIDE, chart, drawn, label, model_color, model_marker

if TYPE_CHECKING:
    from markupsafe import Markup

    from ner_dist.comparison.results import Comparison


def variance(comparison: Comparison) -> Markup | None:
    """The three deviations of every model with refits; None if no model has any."""
    if not comparison.variance:
        return None
    models = list(comparison.runs)
    descriptions = []
    with chart(WIDE, 70 + 3 * max(34.0, 14.0 * len(comparison.variance) + 8)) as (figure, axes):
        for row in (0, 2):
            axes.axhspan(row - 0.5, row + 0.5, color=GRID, alpha=0.35, linewidth=0)
        for place, (model, parts) in enumerate(comparison.variance.items()):
            color, marker = model_color(models.index(model)), model_marker(models.index(model))
            shift = (place - (len(comparison.variance) - 1) / 2) * 0.6 / len(comparison.variance)
            shown = []
            for row, (key, name) in enumerate(NAMES.items()):
                part = getattr(parts, key)
                axes.plot([part.low, part.high], [row + shift] * 2, color=color, solid_capstyle="round")
                axes.plot([part.sd], [row + shift], marker=marker, markersize=6.5, color=color)
                shown.append(
                    f"{name} {formatting.score(part.sd)} ({formatting.interval(part.low, part.high)})"
                )
            descriptions.append(f"{model}: {', '.join(shown)}")
        axes.set_yticks(range(len(NAMES)), [label(name) for name in NAMES.values()])
        axes.set_ylim(len(NAMES) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.set_xlim(left=0)
        axes.locator_params(axis="x", nbins=6)
        for text in axes.get_yticklabels():
            text.set_color(INK)
        axes.set_xlabel("standard deviation of F1")
        return drawn(
            figure,
            name="variance",
            title="What makes F1 vary, as standard deviations with intervals",
            description=". ".join(descriptions),
        )
