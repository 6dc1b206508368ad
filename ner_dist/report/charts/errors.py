"""Charts of what models get wrong: kinds of errors, scores by a property, reliability."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

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
from ner_dist.report.error_tables import KINDS
from ner_dist.report.tables import place_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup

    from ner_dist.comparison.buckets import Bucket
    from ner_dist.report.error_tables import Analysed


def kinds(analysed: Analysed) -> Markup:
    """Errors of each kind, a bar a model."""
    models = list(analysed.runs)
    shown = list(analysed.errors)
    told = []
    with chart(WIDE, 60 + len(KINDS) * (18 + 15 * len(shown))) as (figure, axes):
        for place, model in enumerate(shown):
            found, index = analysed.errors[model], models.index(model)
            values = [found.kinds[key] / found.runs for key in KINDS]
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
            title=f"Errors by kind, {place_of(analysed.runs)}",
            description=". ".join(told),
        )


def by_bucket(
    analysed: Analysed,
    by_model: Mapping[str, list[Bucket]],
    name: str,
    *,
    score: str,
    title: str,
    axis: str,
) -> Markup:
    """A score of each model that has buckets of a property, over these."""
    models = list(analysed.runs)
    names = [bucket.bucket for bucket in next(iter(by_model.values()))]
    told = []
    with chart(NARROW, 235) as (figure, axes):
        for model, buckets in by_model.items():
            index = models.index(model)
            points = [(x, getattr(bucket, score)) for x, bucket in enumerate(buckets) if bucket.support]
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
        return drawn(figure, name=name.replace("_", "-"), title=title, description=". ".join(told))


def reliability(analysed: Analysed, part: str) -> Markup | None:
    """Chart of accuracy by confidence; None if no probabilities are stored.

    Args:
        analysed: the models.
        part: `words` or `entities`.
    """
    models = list(analysed.runs)
    found = {
        model: getattr(calibration, part).bins
        for model, calibration in analysed.calibration.items()
        if calibration is not None
    }
    if not found:
        return None
    told = []
    with chart(NARROW, 315) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
        for model, bins in found.items():
            index = models.index(model)
            filled = [each for each in bins if each.count]
            points = [(each.confidence, each.accuracy) for each in filled]
            columns = [x for x, _ in points], [y for _, y in points]
            axes.plot(*columns, color=model_color(index), linewidth=1.2)
            # Bins of a few answers are noise and look like it.
            sizes = [6 + 14 * math.log10(each.count) for each in filled]
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
