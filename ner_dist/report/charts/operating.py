"""The operating curve of a model: scores on validation by threshold, and by bias."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ner_dist import formatting
from ner_dist.evaluation.operating_curve import bias_for, threshold_for
from ner_dist.report.charts.svg import INK, NARROW, chart, drawn, model_color
from ner_dist.report.tables import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from ner_dist.evaluation.operating_curve import BiasPoint, OperatingCurve, ThresholdPoint

_TARGETS = (0.9, 0.95, 0.98, 0.99)
# Line styles tell the scores apart without colour.
_LINES = {
    "precision": (model_color(0), "solid"),
    "recall": (model_color(1), (0, (5, 2))),
    "f1": (INK, (0, (1.5, 1.5))),
}


def operating_charts(curve: OperatingCurve) -> list[Markup]:
    """Charts of precision, recall and F1 by threshold and by bias."""
    by_threshold = [(point.threshold, point) for point in curve.thresholds]
    by_bias = [(point.bias, point) for point in curve.biases]
    return [
        _drawn("threshold", "Scores by threshold", "least probability of an entity", by_threshold),
        _drawn("bias", "Scores by bias", "added to the logits of entity tags", by_bias),
    ]


def _drawn(
    name: str, title: str, axis: str, points: Sequence[tuple[float, ThresholdPoint | BiasPoint]]
) -> Markup:
    values = [value for value, _ in points]
    with chart(NARROW, 250) as (figure, axes):
        for score, (color, style) in _LINES.items():
            axes.plot(
                values,
                [getattr(point, score) for _, point in points],
                label="F1" if score == "f1" else score,
                color=color,
                linestyle=style,
                marker="o" if len(points) == 1 else None,
            )
        axes.legend(frameon=False, fontsize=10, labelcolor=INK)
        axes.locator_params(axis="y", nbins=5)
        axes.set_title(title, loc="left", fontsize=11.5, pad=8)
        axes.set_xlabel(axis)
        return drawn(
            figure, name=f"operating-{name}", title=f"{title}, on validation", description=_said(name, points)
        )


def _said(name: str, points: Sequence[tuple[float, ThresholdPoint | BiasPoint]]) -> str:
    """The scores at both ends, and at the best F1."""
    best = max(points, key=lambda each: each[1].f1)
    chosen = dict.fromkeys((points[0][0], best[0], points[-1][0]))
    by_value = dict(points)
    return ". ".join(
        f"{name} {value:g}: precision {by_value[value].precision:.3f}, recall {by_value[value].recall:.3f}, "
        f"F1 {by_value[value].f1:.3f}"
        for value in chosen
    )


def operating_table(curve: OperatingCurve) -> Table:
    """The operating points that wanted scores choose, as far as the curve reaches."""
    rows = [["without", "", *_scores(curve.thresholds[0])]]
    for target in _TARGETS:
        if any(point.precision >= target for point in curve.thresholds):
            above = threshold_for(curve, target)
            rows.append([f"--target-precision {target:g}", f"threshold {above.threshold:g}", *_scores(above)])
    highest = max(curve.biases, key=lambda point: point.recall)
    for target in _TARGETS:
        if highest.recall >= target:
            biased = bias_for(curve, target)
            rows.append([f"--target-recall {target:g}", f"bias {biased.bias:g}", *_scores(biased)])
    rows.append(["highest recall", f"bias {highest.bias:g}", *_scores(highest)])
    sample = f"{formatting.counted(curve.entities, 'entity', 'entities')} in "
    sample += formatting.counted(curve.sentences, "sentence")
    return Table(
        "Operating points on the validation split",
        ["option", "chooses", "precision", "recall", "F1"],
        rows,
        words=frozenset({0, 1}),
        note=f"Strict IOB2, tags chosen by {curve.decode}, {sample}.",
    )


def _scores(point: ThresholdPoint | BiasPoint) -> list[str]:
    return [formatting.score(value) for value in (point.precision, point.recall, point.f1)]
