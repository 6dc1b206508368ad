"""The page of a comparison: its contents and texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ner_dist import formatting
from ner_dist.report import error_tables, model_tables, tables
from ner_dist.report.charts import curves, forest
from ner_dist.report.charts.waterfall import waterfall
from ner_dist.report.ranking import ranking
from ner_dist.report.render import page
from ner_dist.report.sections import error_parts, explorer_parts

if TYPE_CHECKING:
    from ner_dist.comparison.claims import Bounds
    from ner_dist.comparison.decomposition import Decomposition
    from ner_dist.comparison.left_out import LeftOutSentence
    from ner_dist.comparison.results import Comparison
    from ner_dist.comparison.third_models import DifferencePart

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
_FEW_LINES = 6
"""Differences of types that are not folded."""
_HEADINGS = {"p_randomisation": "p of randomisation", "p_holm": "p (Holm)"}
"""The words for compare.json's p-values; `_method` puts them into the text of the method."""


def comparison_page(comparison: Comparison, title: str) -> str:
    """HTML of the report; `title` names the models."""
    events = curves.events_of(comparison.folders)
    models = list(comparison.runs)
    parts = error_parts(comparison)
    charts = parts["charts"] | {
        "waterfalls": [
            waterfall(comparison, model, name=f"waterfall-{i}")
            for i, model in enumerate(comparison.decomposition)
        ],
        "forest_scores": forest.scores(comparison),
        "forests": [
            forest.differences(comparison, pair, name=f"forest-{i}")
            for i, pair in enumerate(comparison.uncertainty.differences)
        ],
        "learning": curves.curves(events, curves.LEARNING, models),
        "cost": curves.curves(events, curves.COST, models),
    }
    not_drawn = curves.not_drawn(events, (*curves.LEARNING, *curves.COST))
    own = parts["tables"] | {
        "ranking": ranking(comparison),
        "models": model_tables.models_table(comparison),
        "training": model_tables.training(comparison),
        "headline": tables.headline(comparison),
        "decomposition": tables.decomposition(comparison),
        "third_models": tables.third_models(comparison),
        "steps": [tables.orders(comparison), tables.grounds(comparison)],
        "ground": tables.same_ground(comparison),
        "differences": tables.differences(comparison),
        "per_type": tables.per_type(comparison),
        "effects": error_tables.effects(comparison),
    }
    explorer = explorer_parts(comparison.aligned, tables.titles(comparison.runs))
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
        split=comparison.split,
        sections=[(key, name) for key, name in SECTIONS.items() if not absent.get(key)],
        verdict=comparison.verdict,
        lines=_lines(comparison),
        requirements=comparison.requirements,
        keys=_keys(comparison),
        alignment=_alignment(comparison),
        not_drawn=not_drawn,
        effects=_effects(comparison),
        method=_method(comparison),
    )


def _lines(comparison: Comparison) -> tuple[list[str], list[str]]:
    """The lines of the verdict that are shown, and those that are folded: the types', unless they are few."""
    lines, shown = comparison.verdict.lines, comparison.overall_lines
    if len(lines) - len(shown) <= _FEW_LINES:
        return lines, []
    if ranking(comparison) is not None:
        return [], lines
    step = len(comparison.shared.types) + 1
    return shown, [line for place, line in enumerate(lines) if place % step]


def _keys(comparison: Comparison) -> list[dict[str, Any]]:
    """The key figures at the top of the page: of two models, or of two that a third one parts."""
    third = next((each for each in comparison.third_models if each.training is not None), None)
    if third is not None and third.training is not None:
        return _keys_of_third(comparison, third.of, third.labels, third.training)
    if len(comparison.decomposition) != 1:
        return []
    ((model, gap),) = comparison.decomposition.items()
    (pair,) = comparison.uncertainty.differences
    bounds, level = pair.figures.micro.f1.decisive, formatting.level(comparison.uncertainty.level)
    notes = {
        "gap": f"F1, {model} − {gap.base}",
        "label_set": _by_order(gap, "label_set"),
        "sentences": _by_order(gap, "sentences"),
        "gold": "where the files' gold differs",
        "model": f"{level} interval: {formatting.interval(bounds.low, bounds.high, sign=True)}",
    }
    parts = tables.parts_of(comparison)
    named = {"gap": "gap as published"} | {key: f"due to the {title}" for key, title in parts.items()}
    return [_key(title, getattr(gap, key), notes[key], main=key == "model") for key, title in named.items()]


def _keys_of_third(
    comparison: Comparison, model: str, labels: DifferencePart, training: DifferencePart
) -> list[dict[str, Any]]:
    """The gap as published, the task's part, and the two that a third model shows."""
    gap = comparison.decomposition[model]
    level = formatting.level(comparison.uncertainty.level)
    task = gap.intervals["task"]
    easier = "easier" if gap.task >= 0 else "harder"
    keys = [
        _key("gap as published", gap.gap, f"F1, {model} − {gap.base}"),
        _key(f"{easier} to score", gap.task, f"{level} interval: {_interval(task)}"),
    ]
    if comparison.alignment.disputed is not None:
        keys.append(_key("due to the gold tags", gap.gold, "where the files' gold differs"))
    for title, part in (("learns other labels", labels), ("other training", training)):
        note = f"{part.of} − {part.to}, {level} interval: {_interval(part)}"
        keys.append(_key(title, part.difference, note, main=True))
    return keys


def _interval(bounds: Bounds | DifferencePart) -> str:
    return formatting.interval(bounds.low, bounds.high, sign=True)


def _key(name: str, value: float, note: str, *, main: bool = False) -> dict[str, Any]:
    return {"name": name, "value": formatting.signed(value), "note": note, "main": main}


def _by_order(gap: Decomposition, part: str) -> str:
    """The range of a part over both orders of the changes; empty if the order changes nothing."""
    orders = gap.orders.labels_first, gap.orders.sentences_first
    low, high = (formatting.signed(value) for value in sorted(getattr(order, part) for order in orders))
    return "" if low == high else f"{low} to {high}, by the order of the two"


def _alignment(comparison: Comparison) -> dict[str, Any]:
    """Description of the alignment, and of sentences left out."""
    alignment, names = comparison.alignment, tables.titles(comparison.runs)
    text = (
        f"Sentences were aligned by {alignment.by}: "
        f"{formatting.count(alignment.sentences)} are in all {comparison.split} sets, "
        f"{formatting.count(alignment.units)} of them distinct."
    )
    alone = {names[model]: left_out for model, left_out in alignment.only_in.items() if left_out.sentences}
    if alone:
        counts = [f"{formatting.count(left_out.sentences)} of {name}" for name, left_out in alone.items()]
        text += f" Left out, since they were not found in every file: {formatting.joined(counts)}."
    if alignment.disputed is not None:
        sentences, words = map(formatting.count, (alignment.disputed.sentences, alignment.disputed.words))
        text += f" Left out, since their gold tags differ: {sentences} more, in {words} words."
    examples = [(name, [_example(each) for each in left_out.examples]) for name, left_out in alone.items()]
    return {"text": text, "notes": alignment.notes, "only_in": examples}


def _example(example: LeftOutSentence) -> str:
    """Describe a sentence that is left out by its known properties."""
    known = {
        "id": example.id,
        "place": example.place,
        "tags": example.tags,
        "words": example.words,
    }
    return ", ".join(f"{key} {value}" for key, value in known.items() if value is not None)


def _effects(comparison: Comparison) -> list[dict[str, Any]]:
    return [
        {"title": error_tables.EFFECTS[key], "what": each.what, "why": each.why}
        for key, each in comparison.effects.items()
    ]


def _method(comparison: Comparison) -> list[str]:
    method = comparison.uncertainty.method
    for key, heading in _HEADINGS.items():
        method = method.replace(key, heading)
    return [
        f"An entity is right if its type, its first and its last word are right ({comparison.scheme}). "
        "Micro averages are over all entities; macro F1 is the mean over the types.",
        method,
        f"The seed of the resampling is {comparison.uncertainty.seed}. All figures of this page are in "
        "compare.json.",
    ]
