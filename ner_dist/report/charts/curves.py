"""Learning curves: losses, scores and speed over steps, from metrics.jsonl."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ner_dist import formatting
from ner_dist.report.charts.svg import NARROW, chart, drawn, model_color, model_marker
from ner_dist.run.events import read_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from markupsafe import Markup

    from ner_dist.run.directory import Run
    from ner_dist.run.events import Event

_MOST_POINTS = 500
_LOG_FROM = 30
"""Losses that span more than this factor are drawn on a logarithmic axis."""


@dataclass(frozen=True)
class Measure:
    """A quantity to draw over steps.

    Attributes:
        name: unique name, for ids.
        event, key: event and key in metrics.jsonl.
        title: title with unit.
        scale: factor for values.
        may_lack: whether null may also mean that there was nothing to measure.
    """

    name: str
    event: str
    key: str
    title: str
    scale: float = 1.0
    may_lack: bool = False


LEARNING = (
    Measure("train-loss", "train", "loss", "Training loss"),
    Measure("validation-loss", "evaluation", "loss", "Validation loss"),
    Measure("validation-f1", "evaluation", "f1", "Validation F1"),
)
COST = (
    Measure("learning-rate", "train", "learning_rate", "Learning rate"),
    Measure("words", "train", "words_per_second", "Words a second"),
    Measure("padding", "train", "padding_share", "Padding, % of subwords", 100.0),
    Measure("memory", "train", "peak_memory_bytes", "Peak memory, GiB", 2.0**-30),
)
GRADIENT = Measure("grad-norm", "train", "grad_norm", "Gradient norm", may_lack=True)

Curve = list[tuple[int, float]]


def events_of(runs: Mapping[str, Sequence[Run | None]]) -> dict[str, list[list[Event]]]:
    """The events of each model's runs; models without any are left out."""
    by_model = {
        model: [events for run in own if run is not None and (events := read_events(run.metrics))]
        for model, own in runs.items()
    }
    return {model: own for model, own in by_model.items() if own}


def curves(
    events: Mapping[str, Sequence[Sequence[Event]]], measures: Sequence[Measure], models: Sequence[str]
) -> list[Markup]:
    """A chart of each measure that any run has, with a line for each run.

    Args:
        events: events of each model's runs, as `events_of` reads them.
        measures: measures to draw, in this order.
        models: all models; their order gives their colours.
    """
    charts = []
    for measure in measures:
        by_model = {
            model: [curve for each in own if (curve := points(each, measure))]
            for model, own in events.items()
        }
        if any(by_model.values()):
            charts.append(_drawn(measure, by_model, models))
    return charts


def not_drawn(events: Mapping[str, Sequence[Sequence[Event]]], measures: Sequence[Measure]) -> list[str]:
    """Notes on values that the charts of `curves` leave out because they are not finite."""
    notes = []
    for measure in measures:
        for model, own in events.items():
            steps = [
                each["step"] for run in own for each in _recorded(run, measure) if _not_finite(each, measure)
            ]
            if steps:
                several = f"{formatting.count(len(steps))} values are" if len(steps) > 1 else "one value is"
                first = f"{'the first ' if len(steps) > 1 else ''}at step {formatting.count(min(steps))}"
                notes.append(f"{measure.title} of {model}: {several} not finite and not drawn, {first}.")
    return notes


def points(events: Sequence[Event], measure: Measure) -> Curve:
    """Step and value of each event with a value, thinned to as many points as a chart can show."""
    curve = [
        (each["step"], each[measure.key] * measure.scale)
        for each in _recorded(events, measure)
        if formatting.known(each.get(measure.key))
    ]
    return thinned(curve, _MOST_POINTS)


def _recorded(events: Sequence[Event], measure: Measure) -> Iterator[Event]:
    """The events that may hold a measure."""
    for each in events:
        if each["event"] == measure.event and each.get("split", "validation") == "validation":
            yield each


def _not_finite(event: Event, measure: Measure) -> bool:
    """Whether the measured value is not finite, which metrics.jsonl stores as null."""
    value = event.get(measure.key, "absent")
    if value is None:
        return not measure.may_lack
    return type(value) in (int, float) and not formatting.known(value)


def thinned(curve: Curve, most: int) -> Curve:
    """Reduce a curve to `most` points: means of neighbours, each at its last step; both ends are kept."""
    if len(curve) <= most:
        return curve
    first, rest = curve[0], curve[1:]
    bounds = [i * len(rest) // (most - 1) for i in range(most)]
    parts = [rest[begin:end] for begin, end in pairwise(bounds)]
    return [first, *((part[-1][0], sum(value for _, value in part) / len(part)) for part in parts)]


def _drawn(measure: Measure, by_model: Mapping[str, list[Curve]], models: Sequence[str]) -> Markup:
    descriptions = []
    with chart(NARROW, 210) as (figure, axes):
        for model, own in by_model.items():
            index = models.index(model)
            for curve in own:
                few = len(curve) <= 30
                axes.plot(
                    [step for step, _ in curve],
                    [value for _, value in curve],
                    color=model_color(index),
                    marker=model_marker(index) if few else None,
                    markersize=4,
                    # Each curve is narrower than the one below, so that all are visible if they coincide.
                    linewidth=max(1.2, 2.6 - index) if len(own) == 1 else 1.1,
                )
            if own:
                descriptions.append(f"{model}: {summary(own)}")
        values = [value for own in by_model.values() for curve in own for _, value in curve]
        if "loss" in measure.name and min(values) > 0 and max(values) / min(values) > _LOG_FROM:
            axes.set_yscale("log")
            axes.tick_params(axis="y", which="minor", length=0)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        else:
            axes.locator_params(axis="y", nbins=5)
            axes.yaxis.set_major_formatter(_tick(max(map(abs, values), default=1.0)))
        axes.locator_params(axis="x", nbins=5)
        axes.xaxis.set_major_formatter(_tick(2.0))
        axes.set_title(measure.title, loc="left", fontsize=11.5, pad=8)
        axes.set_xlabel("step")
        return drawn(
            figure,
            name=f"curve-{measure.name}",
            title=f"{measure.title} over steps",
            description=". ".join(descriptions),
        )


def _tick(largest: float) -> Callable[[float, Any], str]:
    """Format of ticks: small numbers as they are, steps and speeds with thousands separators."""

    def text(value: float, _: Any) -> str:
        if largest < 0.01:
            return "0" if value == 0 else f"{value:.1e}".replace("e-0", "e−")
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"

    return text


def summary(own: Sequence[Curve]) -> str:
    """The first, last and extreme values of a run; for several runs, as ranges."""
    ends = [(curve[0], curve[-1]) for curve in own]
    first, last = [_range((step for step, _ in column), digits=15) for column in zip(*ends, strict=True)]
    begin, end = [_range(value for _, value in column) for column in zip(*ends, strict=True)]
    runs = f"{len(own)} runs, " if len(own) > 1 else ""
    if all(len(curve) == 1 for curve in own):
        return f"{runs}{begin} at step {first}"
    whole = _range(value for curve in own for _, value in curve)
    return f"{runs}from {begin} at step {first} to {end} at step {last}, all within {whole}"


def _range(values: Iterable[float], digits: int = 4) -> str:
    """The smallest and the largest value, or the one value if they are equal."""
    known = list(values)
    low, high = f"{min(known):.{digits}g}", f"{max(known):.{digits}g}"
    return low if low == high else f"{low} to {high}"
