"""Charts of what models get wrong: kinds of errors, scores by a property, reliability."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ner_dist import formatting
from ner_dist.report.charts.svg import (
    INK,
    MUTED,
    NARROW,
    WIDE,
    chart,
    drawn,
    label,
    model_color,
    model_marker,
)
from ner_dist.report.error_tables import KINDS, models_with
from ner_dist.report.tables import place_of

if TYPE_CHECKING:
    from markupsafe import Markup


def kinds(figures: dict[str, Any]) -> Markup:
    """Errors of each kind, a bar a model."""
    models = list(figures["runs"])
    shown = [model for model in models if model in models_with(figures, "errors")]
    told = []
    with chart(WIDE, 60 + len(KINDS) * (18 + 15 * len(shown))) as (figure, axes):
        for place, model in enumerate(shown):
            found, index = figures["errors"][model], models.index(model)
            values = [found["kinds"][key] / found["runs"] for key in KINDS]
            height = 0.76 / len(shown)
            rows = [row + (place - (len(shown) - 1) / 2) * height for row in range(len(KINDS))]
            axes.barh(rows, values, height=height * 0.86, color=model_color(index))
            for row, value in zip(rows, values, strict=True):
                axes.annotate(
                    f"{formatting.count(value)}  {model}" if len(models) > 1 else formatting.count(value),
                    (value, row),
                    xytext=(6, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=10,
                )
            told.append(f"{model}: " + ", ".join(
                f"{formatting.count(value)} {title}"
                for value, title in zip(values, KINDS.values(), strict=True)
            ))  # fmt: skip
        axes.set_yticks(range(len(KINDS)), list(KINDS.values()))
        axes.set_ylim(len(KINDS) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.set_xlim(0, (axes.get_xlim()[1] or 1) * 1.1)
        axes.set_xlabel("entities")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        for text in axes.get_yticklabels():
            text.set_color(INK)
        return drawn(
            figure,
            name="kinds",
            title=f"Errors by kind, {place_of(figures)}",
            description=". ".join(told),
        )


def by_bucket(figures: dict[str, Any], key: str, *, score: str, title: str, axis: str) -> Markup | None:
    """A score of each model over the buckets of a property; None where no model has them."""
    models = list(figures["runs"])
    found = {
        model: figures["errors"][model][key]
        for model in models_with(figures, "errors")
        if figures["errors"][model].get(key)
    }
    if not found:
        return None
    names = list(dict.fromkeys(str(row["bucket"]) for rows in found.values() for row in rows))
    told = []
    with chart(NARROW, 235) as (figure, axes):
        for model, rows in found.items():
            index = models.index(model)
            points = [
                (names.index(str(row["bucket"])), row[score])
                for row in rows
                if formatting.known(row.get(score)) and row.get("support")
            ]
            axes.plot(
                [x for x, _ in points],
                [y for _, y in points],
                color=model_color(index),
                marker=model_marker(index),
                markersize=6,
            )
            told.append(f"{model}: " + ", ".join(f"{names[x]} {y:.3f}" for x, y in points))
        axes.set_xticks(
            range(len(names)), [label(name, most=18).replace(" with ", "\nwith ") for name in names]
        )
        axes.set_xlim(-0.4, len(names) - 0.6)
        axes.locator_params(axis="y", nbins=5)
        axes.grid(axis="x", visible=False)
        axes.set_title(title, loc="left", fontsize=11.5, pad=8)
        axes.set_xlabel(axis)
        axes.set_ylabel("F1" if score == "f1" else score)
        return drawn(figure, name=key.replace("_", "-"), title=title, description=". ".join(told))


def reliability(figures: dict[str, Any], part: str) -> Markup | None:
    """How often answers of a confidence are right; None where no probabilities are stored.

    Args:
        figures: of a comparison.
        part: `words` or `entities`.
    """
    models = list(figures["runs"])
    found = {
        model: figures["calibration"][model][part]["bins"]
        for model in models_with(figures, "calibration")
        if figures["calibration"][model].get(part)
    }
    if not found:
        return None
    told = []
    with chart(NARROW, 315) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
        for model, bins in found.items():
            index = models.index(model)
            filled = [each for each in bins if each.get("count")]
            points = [(each["confidence"], each["accuracy"]) for each in filled]
            columns = [x for x, _ in points], [y for _, y in points]
            axes.plot(*columns, color=model_color(index), linewidth=1.2)
            # Bins of a few answers are noise and look like it.
            sizes = [6 + 14 * math.log10(each["count"]) for each in filled]
            axes.scatter(*columns, s=sizes, color=model_color(index), marker=model_marker(index), zorder=3)
            told.append(f"{model}: {_told(points)}")
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_title(f"Reliability of {part}", loc="left", fontsize=11.5, pad=8)
        axes.set_xlabel("confidence")
        axes.set_ylabel("share that is right")
        return drawn(
            figure, name=f"reliability-{part}", title=f"Reliability of {part}", description=". ".join(told)
        )


def _told(points: list[tuple[float, float]]) -> str:
    """The ends of a curve of confidence and the share that is right, and where the two are furthest apart."""
    if not points:
        return "no answers"
    first, last, worst = points[0], points[-1], max(points, key=lambda point: abs(point[1] - point[0]))
    ends = " to ".join(
        f"{right:.2f} right at {confidence:.2f}" for confidence, right in dict.fromkeys((first, last))
    )
    return f"{ends}, furthest from the diagonal with {worst[1]:.2f} right at {worst[0]:.2f}"
