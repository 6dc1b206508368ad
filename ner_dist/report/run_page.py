"""The page of a run, also while it trains: state, settings, curves, errors if there are predictions."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from ner_dist import formatting
from ner_dist.comparison.aligned import AlignedPredictions
from ner_dist.comparison.alignment import by_words
from ner_dist.comparison.calibration import calibration
from ner_dist.comparison.error_analysis import errors
from ner_dist.comparison.prediction_files import read_run
from ner_dist.comparison.training_overlap import of_run
from ner_dist.errors import UserError
from ner_dist.evaluation.metrics import standing
from ner_dist.report.charts import curves
from ner_dist.report.render import page
from ner_dist.report.sections import error_parts, explorer_parts
from ner_dist.report.tables import FIGURES, Table
from ner_dist.run.directory import is_run, read_results
from ner_dist.run.events import read_events
from ner_dist.run.lock import lock_holder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.comparison.predictions import Predictions
    from ner_dist.run.directory import Run
    from ner_dist.run.events import Event

log = logging.getLogger(__name__)

_SECTIONS = {
    "state": "State",
    "curves": "Curves",
    "types": "Types",
    "errors": "Errors",
    "calibration": "Calibration",
    "sentences": "Sentences",
    "recipe": "Recipe",
}
_SETTINGS = (
    "model.name", "data.path", "data.language", "labels", "precision", "train.epochs", "train.max_steps",
    "train.batch_tokens", "train.micro_batch_tokens", "train.learning_rate", "train.schedule",
    "train.warmup_ratio", "train.weight_decay", "train.class_weights", "train.label_smoothing", "train.seed",
    "evaluation.every", "evaluation.early_stopping", "checkpoint.every", "provenance.started",
    "provenance.command", "provenance.strategy", "provenance.processes", "provenance.git_commit",
)  # fmt: skip
_SHOWN_EVALUATIONS = 20


@dataclass(frozen=True)
class _Results:
    """What is known of results.json, which a training writes last.

    Attributes:
        complete: whether it is there.
        figures: what it holds; empty if it is not there or cannot be read.
        damage: why it is there and cannot be read; empty if it can.
    """

    complete: bool
    figures: dict[str, Any]
    damage: str = ""


def check_run(run: Run) -> None:
    """Refuse a folder without a run.

    Raises:
        UserError: the folder holds no run, not even one that has just begun.
    """
    if not is_run(run):
        what = "is no run" if run.folder.exists() else "there is no such run"
        raise UserError(what, where=str(run.folder), fix="name the output directory of a training")


def run_page(run: Run) -> str:
    """HTML of the report of a run.

    Raises:
        UserError: what it recorded is there and cannot be read.
    """
    settings, end, events = _settings(run), _results(run), read_events(run.metrics)
    results = end.figures
    name = str(results.get("name") or settings.get("name") or run.folder.name)
    figures, aligned, notes = _errors(run, end, name)
    parts = error_parts(figures)
    explorer = explorer_parts(aligned, {name: name})
    drawn, cost = {name: [events]}, (*curves.COST, curves.GRADIENT)
    charts = parts["charts"] | {
        "learning": curves.curves(drawn, curves.LEARNING, [name]),
        "cost": curves.curves(drawn, cost, [name]),
    }
    own = parts["tables"] | {
        "scores": _scores(results),
        "evaluations": _evaluations(events),
        "per_type": _per_type(results),
        "recipe": _recipe(settings),
    }
    absent = {
        "types": not own["per_type"],
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
            f"No step is known: {run.metrics.name} holds none."
            if end.complete
            else "No step has been recorded yet."
        ),
        not_drawn=curves.not_drawn(drawn, (*curves.LEARNING, *cost)),
    )


def _settings(run: Run) -> dict[str, Any]:
    """The resolved recipe with its provenance, as it stands in the file; empty if that cannot be read."""
    try:
        known = yaml.safe_load(run.recipe.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    return known if isinstance(known, dict) else {}


def _results(run: Run) -> _Results:
    if not run.complete:
        return _Results(complete=False, figures={})
    try:
        return _Results(complete=True, figures=read_results(run))
    except UserError as error:
        return _Results(complete=True, figures={}, damage=error.what)


def _errors(
    run: Run, end: _Results, name: str
) -> tuple[dict[str, Any], AlignedPredictions | None, list[str]]:
    """Figures as a comparison of this run alone has them; what it said; and why there is none of it."""
    figures: dict[str, Any] = {"runs": {name: {"name": name, "paths": [str(run.folder)], "labels": []}}}
    if missing := _missing(run, end):
        return figures, None, [missing]
    labels = end.figures["labels"]
    try:
        aligned = _alone(read_run(run, labels), name)
    except UserError as error:
        log.warning("%s", error)
        return figures, None, [f"The predictions cannot be read: {error}."]
    figures["runs"][name]["labels"] = list(labels)
    figures["errors"] = {name: errors(aligned, name, training=of_run(run))}
    figures["calibration"] = {name: calibration(aligned, name)}
    return figures, aligned, []


def _missing(run: Run, end: _Results) -> str:
    """Why it cannot be told what a run gets wrong; empty if it can."""
    if not end.complete:
        return "What it gets wrong is shown once it has written its predictions."
    labels, found = end.figures.get("labels"), run.predictions("test").exists()
    if not end.damage and "test" not in end.figures and not found:
        why = "it has no test split"
    elif not (isinstance(labels, list) and labels):
        why = f"{run.results.name} tells no labels"
    else:
        why = "" if found else "its predictions are gone"
    return f"What it gets wrong is not shown: {why}." if why else ""


def _alone(said: Predictions, name: str) -> AlignedPredictions:
    """The ground that a model of this name does not share with another."""
    sentences = np.arange(len(said))
    return AlignedPredictions(
        labels=said.labels,
        gold=said.gold,
        offsets=said.offsets,
        predicted={name: [said.predicted]},
        seeds={name: [None]},
        unit=sentences if said.tokens is None else by_words(said.tokens),
        tokens=said.tokens,
        ids=said.ids,
        confidence={name: [said.confidence]},
    )


def _state(run: Run, end: _Results, events: list[Event]) -> str:
    """What the run is doing, in a sentence or two."""
    if end.complete and not end.damage:
        train, test = _part(end.figures, "train"), _part(end.figures, "test")
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
    then = "goes on from its last checkpoint" if run.newest_step else "begins anew: there is no checkpoint"
    if end.damage:
        return (
            f"Whether it is complete is not known: {run.results.name} {end.damage}. "
            f"The same command refuses this run until the file is mended; without the file it {then}."
        )
    return f"Not complete, and no training holds it: {where}. The same command {then}."


def _newest(events: Sequence[Event], kind: str) -> Event:
    """The last event of a kind; empty if there is none."""
    return next((each for each in reversed(events) if each["event"] == kind), {})


def _keys(results: dict[str, Any], events: list[Event]) -> list[dict[str, Any]]:
    """The newest numbers."""
    train = _newest(events, "train")
    spent = _part(results, "train").get("seconds") or train.get("seconds")
    scored = [each for each in events if formatting.known(each.get("f1"))]
    # Of those that stand alike the last, as the training keeps it.
    best = max(reversed(scored), key=_standing, default=None)
    found = [
        ("test F1", formatting.score(_part(results, "test").get("f1")), ""),
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
        ("words a second", formatting.count(_rounded(train.get("words_per_second"))), "of late"),
        ("time", formatting.duration(spent), ""),
    ]
    return [
        {"name": name, "value": value, "note": note, "main": False}
        for name, value, note in found
        if value != formatting.NOTHING
    ]


def _standing(event: Event) -> tuple[float, float]:
    loss = event.get("loss")
    return standing(event["f1"], loss if formatting.known(loss) else None)


def _rounded(value: Any) -> Any:
    return round(value) if formatting.known(value) else value


def _part(results: dict[str, Any], name: str) -> dict[str, Any]:
    found = results.get(name)
    return found if isinstance(found, dict) else {}


def _scores(results: dict[str, Any]) -> Table | None:
    """The final figures."""
    rows = []
    for split in ("validation", "test"):
        if found := _part(results, split):
            scores = [found.get(key) for key in ("loss", *FIGURES)] + [_part(found, "macro").get("f1")]
            rows.append([split, *map(formatting.score, scores)])
    columns = ["split", "loss", *FIGURES.values(), "macro F1"]
    return Table("Scores of the saved model", columns, rows) if rows else None


def _evaluations(events: list[Event]) -> Table | None:
    """The scores on the validation split while it trains."""
    found = [each for each in events if each["event"] == "evaluation"]
    rows = [
        [
            formatting.count(each["step"]),
            formatting.count(each.get("epoch")),
            *(formatting.score(each.get(key)) for key in ("loss", *FIGURES)),
        ]
        for each in found[-_SHOWN_EVALUATIONS:]
    ]
    left = len(found) - len(rows)
    note = f"{formatting.count(left)} earlier ones are left out." if left else None
    columns = ["step", "epoch", "loss", *FIGURES.values()]
    return Table("Scores on the validation split", columns, rows, note=note) if rows else None


def _per_type(results: dict[str, Any]) -> Table | None:
    """The final figures of each type."""
    found = _part(_part(results, "test"), "per_type")
    rows = [
        [
            name,
            formatting.count(_part(found, name).get("support")),
            *(formatting.score(_part(found, name).get(key)) for key in ("precision", "recall", "f1")),
        ]
        for name in found
    ]
    columns = ["type", "support", "precision", "recall", "F1"]
    return Table("Each type, on the test split", columns, rows) if rows else None


def _recipe(settings: dict[str, Any]) -> Table | None:
    """The settings that tell most of what was trained, with what."""
    rows = []
    for key in _SETTINGS:
        value: Any = settings
        for name in key.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            shown = " ".join(map(str, value)) if isinstance(value, list) else str(value)
            chosen = _part(_part(settings, "provenance"), "auto").get(key.removeprefix("train."))
            if value == "auto" and chosen is not None:
                shown = f"auto: {chosen}"
            rows.append([key.removeprefix("provenance."), shown])
    words = frozenset({0, 1})
    return Table("The recipe's main settings", ["key", "value"], rows, words=words) if rows else None
