"""Reports are put together and written: of a comparison, and of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ner_dist.comparison.explorer import disagreements
from ner_dist.report import breakdown, curves, error_tables, forest, numbers, tables
from ner_dist.report.explorer_data import MOST, explorer_data
from ner_dist.report.markdown import markdown
from ner_dist.report.matrix import matrix
from ner_dist.report.page import page
from ner_dist.report.waterfall import waterfall
from ner_dist.run import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from ner_dist.comparison.comparison import Comparison
    from ner_dist.comparison.ground import Ground

SECTIONS = {
    "verdict": "Verdict",
    "headline": "As published",
    "gap": "The gap",
    "ground": "Same ground",
    "types": "Types",
    "curves": "Training",
    "errors": "Errors",
    "calibration": "Calibration",
    "effects": "Data effects",
    "sentences": "Sentences",
    "method": "Method",
}


def write_report(comparison: Comparison, out: Path, *, html: bool = True) -> list[Path]:
    """Write the reports of a comparison.

    Args:
        comparison: what was compared.
        out: folder for `report.md` and `report.html`.
        html: whether to write the latter.

    Returns:
        What was written.
    """
    figures = comparison.figures
    title = " and ".join(tables.titles(figures).values()) if len(figures["runs"]) < 4 else "Comparison"
    written = [out / "report.md"]
    write_atomically(written[0], markdown(figures, title=title))
    if html:
        written.append(out / "report.html")
        write_atomically(written[1], _page(comparison, title))
    return written


def _page(comparison: Comparison, title: str) -> str:
    figures = comparison.figures
    events = curves.events_of(comparison.runs)
    models = list(figures["runs"])
    parts = error_parts(figures)
    charts = parts["charts"] | {
        "waterfalls": [
            waterfall(figures, model, name=f"waterfall-{i}")
            for i, model in enumerate(figures["decomposition"])
        ],
        "forest_scores": forest.scores(figures),
        "forests": [
            forest.differences(figures, pair, name=f"forest-{i}")
            for i, pair in enumerate(figures["uncertainty"]["differences"])
        ],
        "learning": curves.curves(events, curves.LEARNING, models),
        "cost": curves.curves(events, curves.COST, models),
    }
    own = parts["tables"] | {
        "models": tables.models_table(figures),
        "headline": tables.headline(figures),
        "decomposition": tables.decomposition(figures),
        "steps": [tables.steps(figures, model) for model in figures["decomposition"]],
        "ground": tables.same_ground(figures),
        "differences": tables.differences(figures),
        "per_type": tables.per_type(figures),
        "effects": error_tables.effects(figures),
    }
    explorer = explorer_parts(comparison.ground, tables.titles(figures))
    absent = {
        "curves": not charts["learning"],
        "errors": not own["kinds"],
        "calibration": not own["kinds"],
        "effects": not own["effects"].rows,
        "sentences": not explorer["explorer_data"],
    }
    return page(
        "compare.html.j2",
        **parts | explorer | {"charts": charts, "tables": own},
        title=title,
        sections=[(key, name) for key, name in SECTIONS.items() if not absent.get(key)],
        verdict=figures["verdict"],
        keys=_keys(figures),
        alignment=_alignment(figures),
        effects=_effects(figures),
        method=_method(figures),
    )


def error_parts(figures: dict[str, Any]) -> dict[str, Any]:
    """What the sections on errors and calibration show; of figures without errors, next to nothing.

    Args:
        figures: of a comparison, or of one run in the same form: `runs`, `errors` and `calibration`.
    """
    shown = error_tables.models_with(figures, "errors")
    found: dict[str, Any] = {
        "models": list(tables.titles(figures).values()),
        "matrices": [each for model in shown if (each := matrix(figures, model))],
        "seen_why": [],
        "charts": {"kinds": None, "buckets": [], "reliability": []},
        "tables": {"kinds": None, "schemes": None, "buckets": [], "kinds_per_type": [], "calibration": None},
    }
    if not shown:
        return found
    found["seen_why"] = _seen_why(figures, shown)
    found["charts"]["kinds"] = breakdown.kinds(figures)
    for key, score, title, axis in _BUCKETS:
        if svg := breakdown.by_bucket(figures, key, score=score, title=title, axis=axis):
            found["charts"]["buckets"].append(svg)
        wanted = ("recall",) if score == "recall" else ("precision", "recall", "f1")
        if table := error_tables.buckets(figures, key, caption=title, first=axis, scores=wanted):
            found["tables"]["buckets"].append(table)
    for part in ("words", "entities"):
        if svg := breakdown.reliability(figures, part):
            found["charts"]["reliability"].append(svg)
    found["tables"] |= {
        "kinds": error_tables.kinds(figures),
        "schemes": error_tables.schemes(figures),
        "kinds_per_type": [error_tables.kinds_per_type(figures, model) for model in shown],
        "calibration": error_tables.calibration(figures),
    }
    return found


_BUCKETS = (
    ("by_entity_length", "f1", "F1 by the length of the entity", "words in the entity"),
    ("by_sentence_length", "f1", "F1 by the length of the sentence", "words in the sentence"),
    ("by_seen", "recall", "Recall by what the training text had seen", "entity in training"),
)


def _seen_why(figures: dict[str, Any], shown: dict[str, str]) -> list[str]:
    reasons = {model: figures["errors"][model].get("by_seen_why") for model in shown}
    return [
        f"{shown[model]}: whether entities were seen in training is not known ({why})."
        for model, why in reasons.items()
        if why
    ]


def explorer_parts(ground: Ground, titles: dict[str, str]) -> dict[str, Any]:
    """The sentences where models differ or err, and what to say of them."""
    sentences = disagreements(ground, limit=MOST)
    if not sentences:
        return {"explorer_data": None, "explorer_text": ""}
    number = numbers.count(len(sentences))
    text = f"{number} distinct sentences on which "
    text += "models differ or err" if len(titles) > 1 else "the model errs"
    if len(sentences) == MOST:
        text = f"The first {text}; there may be more"
    if any(len(runs) > 1 for runs in ground.predicted.values()):
        text += ". Of models with several runs, the first is shown"
    return {"explorer_data": explorer_data(sentences, titles), "explorer_text": f"{text}."}


def _keys(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """The few numbers that the verdict rests on, where there are two models."""
    if len(figures["decomposition"]) != 1:
        return []
    ((model, found),) = figures["decomposition"].items()
    pair = next(
        each
        for each in figures["uncertainty"]["differences"]
        if {each["of"], each["to"]} == {model, found["from"]}
    )
    cell = pair["micro"]["f1"]
    level = numbers.share(figures["uncertainty"]["level"]).replace(".0", "")
    bounds = f"{level} interval of the difference: {numbers.interval(cell, sign=True)}"
    return [
        {"name": "gap as published, F1", "value": numbers.signed(found["gap"]), "note": "", "main": False},
        {
            "name": "due to the label set",
            "value": numbers.signed(found["label_set"]),
            "note": "",
            "main": False,
        },
        {
            "name": "due to the sentences",
            "value": numbers.signed(found["sentences"]),
            "note": "",
            "main": False,
        },
        {"name": "due to the model", "value": numbers.signed(found["model"]), "note": bounds, "main": True},
    ]


def _alignment(figures: dict[str, Any]) -> dict[str, Any]:
    """What was aligned with what, and what was not."""
    found = figures["alignment"]
    text = (
        f"Sentences were aligned by {found['by']}: {numbers.count(found['sentences'])} are in all test sets, "
        f"{numbers.count(found['units'])} of them distinct."
    )
    alone = {model: each for model, each in (found.get("only_in") or {}).items() if each.get("sentences")}
    titles = tables.titles(figures)
    if alone:
        counts = [f"{numbers.count(each['sentences'])} of {titles[model]}" for model, each in alone.items()]
        text += f" Left out, since not every model has them: {numbers.joined(counts)}."
    if found.get("gold_differs_in"):
        text += (
            f" The gold tags of {numbers.count(found['gold_differs_in'])} words differ between the models."
        )
    examples = [(titles[model], [_example(each) for each in own["examples"]]) for model, own in alone.items()]
    return {"text": text, "notes": found.get("notes") or [], "only_in": examples}


def _example(example: Any) -> str:
    """A sentence that could not be aligned, by whatever is known of it."""
    if isinstance(example, dict):
        return ", ".join(f"{key} {_example(value)}" for key, value in example.items() if value is not None)
    if isinstance(example, (list, tuple)):
        return " ".join(map(str, example))
    return str(example)


def _effects(figures: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"title": each.get("name") or key.replace("_", " "), "what": each["what"], "why": each.get("why")}
        for key, each in (figures.get("effects") or {}).items()
        if each
    ]


def _method(figures: dict[str, Any]) -> list[str]:
    found = figures["uncertainty"]
    return [
        f"An entity counts as right if its type, its first and its last word are right ({figures['scheme']}). "
        "Micro averages are over all entities; macro F1 is the mean over the types.",
        f"{found['method']}",
        f"{numbers.count(found['resamples'])} resamples of {numbers.count(found['units'])} distinct sentences, "
        f"seed {found['seed']}.",
        "All figures of this page are in compare.json.",
    ]
