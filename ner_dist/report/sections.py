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
    from collections.abc import Mapping

    from ner_dist.comparison.aligned import AlignedPredictions
    from ner_dist.comparison.error_analysis import ErrorAnalysis
    from ner_dist.report.error_tables import Analysed

_BUCKETS = (
    ("by_entity_length", "f1", "F1 by length of entity", "words in the entity"),
    ("by_sentence_length", "f1", "F1 by length of sentence", "words in the sentence"),
    ("by_seen", "recall", "Recall, by what training had seen", "entity in training"),
)


def error_parts(analysed: Analysed) -> dict[str, Any]:
    """Charts, matrices and tables for the sections on errors and calibration; empty if there are none."""
    errors = analysed.errors
    parts: dict[str, Any] = {
        "models": list(tables.titles(analysed.runs).values()),
        "matrices": [matrix(analysed, model) for model in errors],
        "seen_why": [],
        "charts": {"kinds": None, "buckets": [], "reliability": []},
        "tables": {"kinds": None, "schemes": None, "buckets": [], "kinds_per_type": [], "calibration": None},
    }
    if not errors:
        return parts
    parts["seen_why"] = _seen_why(errors)
    parts["charts"]["kinds"] = error_charts.kinds(analysed)
    for key, score, title, axis in _BUCKETS:
        by_model = {model: rows for model, each in errors.items() if (rows := getattr(each, key))}
        if not by_model:
            continue
        chart = error_charts.by_bucket(analysed, by_model, key, score=score, title=title, axis=axis)
        parts["charts"]["buckets"].append(chart)
        wanted = ("recall",) if score == "recall" else ("precision", "recall", "f1")
        table = error_tables.buckets(analysed, by_model, caption=title, first=axis, scores=wanted)
        parts["tables"]["buckets"].append(table)
    for answers in ("words", "entities"):
        if svg := error_charts.reliability(analysed, answers):
            parts["charts"]["reliability"].append(svg)
    parts["tables"] |= {
        "kinds": error_tables.kinds(analysed),
        "schemes": error_tables.schemes(analysed),
        "kinds_per_type": [error_tables.kinds_per_type(analysed, model) for model in errors],
        "calibration": error_tables.calibration(analysed),
    }
    return parts


def _seen_why(errors: Mapping[str, ErrorAnalysis]) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for model, each in errors.items():
        if each.by_seen_why:
            reasons.setdefault(each.by_seen_why, []).append(model)
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
