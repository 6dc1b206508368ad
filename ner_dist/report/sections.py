"""Parts that the pages of a comparison and of a run share: errors, calibration, the explorer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ner_dist import formatting
from ner_dist.comparison.disagreements import disagreements
from ner_dist.report import error_tables, tables
from ner_dist.report.charts import errors as error_charts
from ner_dist.report.charts.confusion import matrix
from ner_dist.report.explorer_data import MOST, explorer_data

if TYPE_CHECKING:
    from ner_dist.comparison.aligned import AlignedPredictions

_BUCKETS = (
    ("by_entity_length", "f1", "F1 by length of entity", "words in the entity"),
    ("by_sentence_length", "f1", "F1 by length of sentence", "words in the sentence"),
    ("by_seen", "recall", "Recall, by what training had seen", "entity in training"),
)


def error_parts(figures: dict[str, Any]) -> dict[str, Any]:
    """What the sections on errors and calibration show; of figures without errors, next to nothing.

    Args:
        figures: of a comparison, or of one run in the same form: `runs`, `errors` and `calibration`.
    """
    shown = error_tables.models_with(figures, "errors")
    found: dict[str, Any] = {
        "models": list(tables.titles(figures).values()),
        "matrices": [matrix(figures, model) for model in shown],
        "seen_why": [],
        "charts": {"kinds": None, "buckets": [], "reliability": []},
        "tables": {"kinds": None, "schemes": None, "buckets": [], "kinds_per_type": [], "calibration": None},
    }
    if not shown:
        return found
    found["seen_why"] = _seen_why(figures, shown)
    found["charts"]["kinds"] = error_charts.kinds(figures)
    for key, score, title, axis in _BUCKETS:
        if svg := error_charts.by_bucket(figures, key, score=score, title=title, axis=axis):
            found["charts"]["buckets"].append(svg)
        wanted = ("recall",) if score == "recall" else ("precision", "recall", "f1")
        if table := error_tables.buckets(figures, key, caption=title, first=axis, scores=wanted):
            found["tables"]["buckets"].append(table)
    for part in ("words", "entities"):
        if svg := error_charts.reliability(figures, part):
            found["charts"]["reliability"].append(svg)
    found["tables"] |= {
        "kinds": error_tables.kinds(figures),
        "schemes": error_tables.schemes(figures),
        "kinds_per_type": [error_tables.kinds_per_type(figures, model) for model in shown],
        "calibration": error_tables.calibration(figures),
    }
    return found


def _seen_why(figures: dict[str, Any], shown: dict[str, str]) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for model in shown:
        if why := figures["errors"][model].get("by_seen_why"):
            reasons.setdefault(why, []).append(model)
    return [
        f"Whether {formatting.joined(models)} had seen an entity in training is not known: {why}."
        for why, models in reasons.items()
    ]


def explorer_parts(aligned: AlignedPredictions | None, titles: dict[str, str]) -> dict[str, Any]:
    """The sentences where models differ or err, and what to say of them."""
    sentences = disagreements(aligned, limit=MOST) if aligned is not None else []
    if aligned is None or not sentences:
        return {"explorer_data": None, "explorer_text": ""}
    number = formatting.count(len(sentences))
    text = f"{number} distinct sentences on which "
    text += "models differ or err" if len(titles) > 1 else "the model errs"
    if len(sentences) == MOST:
        text = f"The first {text}; there may be more"
    if any(len(runs) > 1 for runs in aligned.predicted.values()):
        text += ". Of models with several runs, the first is shown"
    if aligned.tokens is None:
        text += ". The predictions hold no words, so they stand by their number"
    return {"explorer_data": explorer_data(sentences, titles), "explorer_text": f"{text}."}
