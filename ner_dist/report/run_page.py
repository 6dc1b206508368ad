"""The page of a run, which may still train: state, settings, curves, and errors if it has predictions."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist import formatting
from ner_dist.comparison.aligned import AlignedPredictions
from ner_dist.comparison.calibration import Calibration, calibration
from ner_dist.comparison.copies import by_words
from ner_dist.comparison.error_analysis import ErrorAnalysis, errors
from ner_dist.comparison.prediction_files import read_run
from ner_dist.comparison.results import ModelInfo
from ner_dist.comparison.training_overlap import with_training
from ner_dist.errors import UserError
from ner_dist.evaluation.metrics import standing
from ner_dist.evaluation.operating_curve import read_curve
from ner_dist.report import run_tables
from ner_dist.report.charts import curves
from ner_dist.report.charts.operating import operating_charts, operating_table
from ner_dist.report.render import page
from ner_dist.report.run_tables import part
from ner_dist.report.sections import error_parts, explorer_parts
from ner_dist.run.directory import is_run, read_results
from ner_dist.run.events import read_events
from ner_dist.run.lock import lock_holder
from ner_dist.run.provenance import recorded_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.comparison.predictions import Predictions
    from ner_dist.evaluation.operating_curve import OperatingCurve
    from ner_dist.run.directory import Run
    from ner_dist.run.events import Event

log = logging.getLogger(__name__)

_SECTIONS = {
    "state": "State",
    "curves": "Curves",
    "types": "Types",
    "operating": "Operating points",
    "errors": "Errors",
    "calibration": "Calibration",
    "sentences": "Sentences",
    "recipe": "Recipe",
}


@dataclass(frozen=True)
class _Results:
    """The content of results.json, which a training writes last.

    Attributes:
        complete: whether the file exists.
        figures: its content; empty if it is missing or cannot be read.
        damage: why it cannot be read; empty if it is missing or valid.
    """

    complete: bool
    figures: dict[str, Any]
    damage: str = ""


@dataclass(frozen=True)
class _Analysis:
    """The error analysis of one run, in the form of a comparison's.

    Attributes:
        runs: the run, as the only model.
        errors: the analysis; empty if there is none.
        calibration: the calibration; empty if there is no analysis.
        aligned: the analysed predictions; None if there is no analysis.
        notes: why there is no analysis.
    """

    runs: dict[str, ModelInfo]
    errors: dict[str, ErrorAnalysis] = field(default_factory=dict)
    calibration: dict[str, Calibration | None] = field(default_factory=dict)
    aligned: AlignedPredictions | None = None
    notes: list[str] = field(default_factory=list)


def check_run(run: Run) -> None:
    """Refuse a folder without a run.

    Raises:
        UserError: the folder has no run, not even one that has just started.
    """
    if not is_run(run):
        what = "is not a run" if run.folder.exists() else "there is no such run"
        raise UserError(what, where=str(run.folder), fix="name the output directory of a training")


def run_page(run: Run) -> str:
    """HTML of the report of a run.

    Raises:
        UserError: a file of the run exists but cannot be read.
    """
    settings, end, events = recorded_settings(run), _results(run), read_events(run.metrics)
    results = end.figures
    name = str(results.get("name") or settings.get("name") or run.folder.name)
    analysis = _analysis(run, end, name)
    parts = error_parts(analysis)
    explorer = explorer_parts(analysis.aligned, {name: name})
    operating, notes = _operating(run), list(analysis.notes)
    if isinstance(operating, UserError):
        notes.append(f"The operating curve is not shown: {operating}.")
        operating = None
    drawn, cost = {name: [events]}, (*curves.COST, curves.GRADIENT)
    charts = parts["charts"] | {
        "learning": curves.curves(drawn, curves.LEARNING, [name]),
        "cost": curves.curves(drawn, cost, [name]),
        "operating": operating_charts(operating) if operating else [],
    }
    own = parts["tables"] | {
        "scores": run_tables.scores(results),
        "evaluations": run_tables.evaluations(events),
        "per_type": run_tables.per_type(results),
        "operating": operating_table(operating) if operating else None,
        "recipe": run_tables.recipe(settings),
    }
    absent = {
        "types": not own["per_type"],
        "operating": not operating,
        "errors": not own["kinds"],
        "calibration": not own["kinds"],
        "sentences": not explorer["explorer_data"],
        "recipe": not own["recipe"],
    }
    return page(
        "run.html.j2",
        **parts | explorer | {"charts": charts, "tables": own},
        title=name,
        sections=[(key, title) for key, title in _SECTIONS.items() if not absent.get(key)],
        state=_state(run, end, events),
        keys=_keys(results, events),
        notes=notes,
        no_steps=(
            f"No steps are known: {run.metrics.name} has none."
            if end.complete
            else "No step has been recorded yet."
        ),
        not_drawn=curves.not_drawn(drawn, (*curves.LEARNING, *cost)),
    )


def _operating(run: Run) -> OperatingCurve | UserError | None:
    """The operating curve of the run's model, or why it cannot be read; None if there is none."""
    try:
        return read_curve(run.model) if run.model.is_dir() else None
    except UserError as error:
        return error


def _results(run: Run) -> _Results:
    if not run.complete:
        return _Results(complete=False, figures={})
    try:
        return _Results(complete=True, figures=read_results(run))
    except UserError as error:
        return _Results(complete=True, figures={}, damage=error.what)


def _analysis(run: Run, end: _Results, name: str) -> _Analysis:
    runs = {name: ModelInfo(name, [str(run.folder)], seeds=[None], labels=[], sentences=0)}
    if missing := _missing(run, end):
        return _Analysis(runs, notes=[missing])
    try:
        aligned = _alone(with_training(read_run(run, end.figures["labels"]), run), name)
    except UserError as error:
        log.warning("%s", error)
        return _Analysis(runs, notes=[f"The predictions cannot be read: {error}."])
    return _Analysis(
        runs,
        errors={name: errors(aligned, name)},
        calibration={name: calibration(aligned, name)},
        aligned=aligned,
    )


def _missing(run: Run, end: _Results) -> str:
    """Reason if no error analysis is possible; else empty."""
    if not end.complete:
        return "Errors are shown once the run has written its predictions."
    labels, predicted = end.figures.get("labels"), run.predictions("test").exists()
    if not end.damage and "test" not in end.figures and not predicted:
        why = "it has no test split"
    elif not (isinstance(labels, list) and labels):
        why = f"{run.results.name} has no labels"
    else:
        why = "" if predicted else "its predictions are missing"
    return f"Errors are not shown: {why}." if why else ""


def _alone(predictions: Predictions, name: str) -> AlignedPredictions:
    """Aligned predictions of a single model."""
    sentences = np.arange(len(predictions))
    return AlignedPredictions(
        labels=predictions.labels,
        gold=predictions.gold,
        offsets=predictions.offsets,
        predicted={name: [predictions.predicted]},
        seeds={name: [None]},
        unit=sentences if predictions.tokens is None else by_words(predictions.tokens).unit,
        tokens=predictions.tokens,
        ids=predictions.ids,
        confidence={name: [predictions.confidence]},
        in_train={} if predictions.in_train is None else {name: predictions.in_train},
        seen={} if predictions.seen is None else {name: predictions.seen},
    ).labelled_words()


def _state(run: Run, end: _Results, events: list[Event]) -> str:
    """The state of the run in one or two sentences."""
    if end.complete and not end.damage:
        train, test = part(end.figures, "train"), part(end.figures, "test")
        text = "Complete"
        if formatting.known(train.get("steps")):
            text += (
                f": {formatting.count(train['steps'])} steps in {formatting.duration(train.get('seconds'))}"
            )
        if formatting.known(train.get("best_step")):
            text += (
                f"; the weights of step {formatting.count(train['best_step'])} were the best on validation"
            )
        if formatting.known(test.get("f1")):
            text += f". Test F1 {formatting.score(test['f1'])} ({test.get('scheme', 'scheme unknown')})"
        return text + "."
    newest = _newest(events, "train")
    where = (
        f"step {formatting.count(newest['step'])} of {formatting.count(newest.get('total_steps'))}, "
        f"epoch {formatting.count(newest.get('epoch'))}"
        if newest
        else "before its first step"
    )
    holder = lock_holder(run)
    if holder is not None and holder.alive:
        return f"Training: {where}."
    if holder is not None and holder.alive is None:
        return f"Training on {holder.host}, as far as can be seen from here: {where}."
    then = "resumes it from its last checkpoint" if run.newest_step else "starts over: there is no checkpoint"
    if end.damage:
        return (
            f"It is unknown whether the run is complete: {run.results.name} {end.damage}. "
            f"The same command refuses this run until the file is fixed; without the file it {then}."
        )
    return f"Not complete, and no training is running: {where}. The same command {then}."


def _newest(events: Sequence[Event], kind: str) -> Event:
    """The last event of a kind; empty if there is none."""
    return next((each for each in reversed(events) if each["event"] == kind), {})


def _keys(results: dict[str, Any], events: list[Event]) -> list[dict[str, Any]]:
    """The key figures at the top of the page."""
    train = _newest(events, "train")
    spent = part(results, "train").get("seconds") or train.get("seconds")
    scored = [each for each in events if formatting.known(each.get("f1"))]
    # Of equally good ones the last, as in training.
    best = max(reversed(scored), key=_standing, default=None)
    figures = [
        ("test F1", formatting.score(part(results, "test").get("f1")), ""),
        (
            "best validation F1",
            formatting.score(best["f1"] if best else None),
            f"at step {formatting.count(best['step'])}" if best else "",
        ),
        (
            "training loss",
            formatting.score(train.get("loss")),
            f"at step {formatting.count(train.get('step'))}",
        ),
        ("words a second", formatting.count(_rounded(train.get("words_per_second"))), "recently"),
        ("time", formatting.duration(spent), ""),
    ]
    return [
        {"name": name, "value": value, "note": note, "main": False}
        for name, value, note in figures
        if value != formatting.NOTHING
    ]


def _standing(event: Event) -> tuple[float, float]:
    loss = event.get("loss")
    return standing(event["f1"], loss if formatting.known(loss) else None)


def _rounded(value: Any) -> Any:
    return round(value) if formatting.known(value) else value
