"""The page of a comparison: what is on it, and in which words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ner_dist import formatting
from ner_dist.report import error_tables, tables
from ner_dist.report.charts import curves, forest
from ner_dist.report.charts.waterfall import waterfall
from ner_dist.report.render import page
from ner_dist.report.sections import error_parts, explorer_parts

if TYPE_CHECKING:
    from ner_dist.comparison.aligned import Comparison

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


_HEADINGS = {"p_randomisation": "p, randomisation", "p_holm": "p (Holm)"}
"""What the page's tables call what has these keys in compare.json, whose words the method is told in."""


def comparison_page(comparison: Comparison, title: str) -> str:
    """HTML of the report; `title` names the models."""
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
    not_drawn = curves.not_drawn(events, (*curves.LEARNING, *curves.COST))
    own = parts["tables"] | {
        "models": tables.models_table(figures),
        "headline": tables.headline(figures),
        "decomposition": tables.decomposition(figures),
        "steps": [tables.steps(figures, model) for model in figures["decomposition"]],
        "ground": tables.align_predictions(figures),
        "differences": tables.differences(figures),
        "per_type": tables.per_type(figures),
        "effects": error_tables.effects(figures),
    }
    explorer = explorer_parts(comparison.aligned, tables.titles(figures))
    absent = {
        "curves": not (charts["learning"] or charts["cost"] or not_drawn),
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
        not_drawn=not_drawn,
        effects=_effects(figures),
        method=_method(figures),
    )


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
    level = formatting.level(figures["uncertainty"]["level"])
    notes = {
        "gap": f"F1, {model} − {found['from']}",
        "model": f"{level} interval: {formatting.interval(cell, sign=True)}",
    }
    named = {"gap": "gap as published"} | {key: f"due to the {title}" for key, title in tables.PARTS.items()}
    return [
        {
            "name": title,
            "value": formatting.signed(found[key]),
            "note": notes.get(key, ""),
            "main": key == "model",
        }
        for key, title in named.items()
    ]


def _alignment(figures: dict[str, Any]) -> dict[str, Any]:
    """What was aligned with what, and what was not."""
    found = figures["alignment"]
    text = (
        f"Sentences were aligned by {found['by']}: "
        f"{formatting.count(found['sentences'])} are in all test sets, "
        f"{formatting.count(found['units'])} of them distinct."
    )
    alone = {model: each for model, each in (found.get("only_in") or {}).items() if each.get("sentences")}
    titles = tables.titles(figures)
    if alone:
        counts = [
            f"{formatting.count(each['sentences'])} of {titles[model]}" for model, each in alone.items()
        ]
        text += f" Left out, since they were not found in every file: {formatting.joined(counts)}."
    if found.get("gold_differs_in"):
        text += (
            f" The gold tags of {formatting.count(found['gold_differs_in'])} words differ between the models."
        )
    examples = [(titles[model], [_example(each) for each in own["examples"]]) for model, own in alone.items()]
    return {"text": text, "notes": found.get("notes") or [], "only_in": examples}


def _example(example: dict[str, Any]) -> str:
    """A sentence that could not be aligned, by whatever is known of it."""
    return ", ".join(f"{key} {value}" for key, value in example.items() if value is not None)


def _effects(figures: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"title": error_tables.EFFECTS.get(key, key), "what": each["what"], "why": each.get("why")}
        for key, each in (figures.get("effects") or {}).items()
        if each
    ]


def _method(figures: dict[str, Any]) -> list[str]:
    found = figures["uncertainty"]
    method = found["method"]
    for key, heading in _HEADINGS.items():
        method = method.replace(key, heading)
    return [
        f"An entity is right if its type, its first and its last word are right ({figures['scheme']}). "
        "Micro averages are over all entities; macro F1 is the mean over the types.",
        method,
        f"The seed of the resampling is {found['seed']}. All figures of this page are in compare.json.",
    ]
