"""Tables of errors, of calibration and of data effects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ner_dist import formatting
from ner_dist.formatting import NOTHING
from ner_dist.report.tables import Table, place_of, titles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ner_dist.comparison.buckets import Bucket
    from ner_dist.comparison.calibration import Calibration
    from ner_dist.comparison.data_effects import DataEffect
    from ner_dist.comparison.error_analysis import ErrorAnalysis
    from ner_dist.comparison.results import Comparison, ModelInfo

KINDS = {
    "missed": "missed",
    "spurious": "spurious",
    "wrong_type": "wrong type",
    "wrong_boundary": "wrong boundary",
    "wrong_both": "wrong type and boundary",
}
"""Kinds of errors, in display order; without `correct`."""
_SCHEMES = {
    "strict": "strict: type and boundaries",
    "exact": "exact: boundaries, any type",
    "partial": "partial: overlap counts half",
    "type": "type: overlap with the right type",
}
EFFECTS = {
    "duplicates": "duplicates",
    "train_test_overlap": "overlap with training",
    "entity_free_sentences": "sentences without entities",
    "invalid_transitions": "invalid tag transitions",
}


class Analysed(Protocol):
    """Models with an error analysis: those of a comparison, or a single run."""

    @property
    def runs(self) -> Mapping[str, ModelInfo]: ...

    @property
    def errors(self) -> Mapping[str, ErrorAnalysis]: ...

    @property
    def calibration(self) -> Mapping[str, Calibration | None]: ...


def kinds(analysed: Analysed) -> Table:
    """Number of entities of each kind, per run."""
    rows = []
    for key, title in {"correct": "correct", **KINDS}.items():
        row = [title]
        for analysis in analysed.errors.values():
            number, total = analysis.kinds[key], sum(analysis.kinds.values())
            row += [
                formatting.count(number / analysis.runs),
                formatting.share(number / total if total else None),
            ]
        rows.append(row)
    names = titles(analysed.runs)
    return Table(
        f"Entities by what became of them, {place_of(analysed.runs)}",
        ["kind", *(column for _ in analysed.errors for column in ("entities", "share"))],
        rows,
        groups=(("", 1), *((names[model], 2) for model in analysed.errors)),
        note=_runs_note(analysed.errors.values()),
    )


def _runs_note(errors: Iterable[ErrorAnalysis]) -> str | None:
    several = any(each.runs > 1 for each in errors)
    return "Entities are counted per run: the mean over the model's runs." if several else None


def kinds_per_type(analysed: Analysed, model: str) -> Table:
    """Kinds of errors by entity type."""
    analysis = analysed.errors[model]
    rows = [
        [name, *(formatting.count(by_kind[key] / analysis.runs) for key in ("correct", *KINDS))]
        for name, by_kind in analysis.kinds_per_type.items()
    ]
    return Table(
        f"{titles(analysed.runs)[model]}: kinds of errors by type",
        ["type", "correct", *KINDS.values()],
        rows,
        note=_runs_note([analysis]),
    )


def schemes(analysed: Analysed) -> Table:
    """The scores under each scheme of MUC and SemEval-2013."""
    rows = []
    for key, title in _SCHEMES.items():
        row = [title]
        for analysis in analysed.errors.values():
            scores = getattr(analysis, key)
            row += map(formatting.score, (scores.precision, scores.recall, scores.f1))
        rows.append(row)
    strict = len(rows)
    if any(analysis.lenient for analysis in analysed.errors.values()):
        for key, title in _SCHEMES.items():
            row = [f"{title.partition(':')[0]}, stray I- read"]
            for analysis in analysed.errors.values():
                scores = analysis.lenient[key] if analysis.lenient else getattr(analysis, key)
                row += map(formatting.score, (scores.precision, scores.recall, scores.f1))
            rows.append(row)
    names = titles(analysed.runs)
    return Table(
        "Scores by how strictly an entity has to match (MUC, SemEval-2013 task 9.1)",
        ["scheme", *(column for _ in analysed.errors for column in ("precision", "recall", "F1"))],
        rows,
        ends=frozenset({strict - 1}) if len(rows) > strict else frozenset(),
        note="The rows below read an I- that continues nothing as an entity, as nervaluate does."
        if len(rows) > strict
        else None,
        groups=(("", 1), *((names[model], 3) for model in analysed.errors)),
    )


def buckets(
    analysed: Analysed,
    by_model: Mapping[str, list[Bucket]],
    *,
    caption: str,
    first: str,
    scores: tuple[str, ...],
) -> Table:
    """Scores by a property of the entity or its sentence.

    Args:
        analysed: the models.
        by_model: the buckets of those models that have them; at least one model.
        caption: caption of the table.
        first: heading of the first column.
        scores: names of the scores to show, of precision, recall and f1.
    """
    rows = []
    for alike in zip(*by_model.values(), strict=True):
        if not any(each.support or each.predicted for each in alike):
            continue
        runs = analysed.errors[next(iter(by_model))].runs
        row = [alike[0].bucket, formatting.count(alike[0].support / runs)]
        for each in alike:
            row += [formatting.score(getattr(each, score)) for score in scores]
        rows.append(row)
    heads = ["F1" if score == "f1" else score for score in scores]
    names = titles(analysed.runs)
    return Table(
        caption,
        [first, "support", *(head for _ in by_model for head in heads)],
        rows,
        groups=(("", 2), *((names[model], len(scores)) for model in by_model)),
    )


def calibration(analysed: Analysed) -> Table | None:
    """Expected calibration errors; None if no model's probabilities are stored."""
    names = titles(analysed.runs)
    rows = [
        [names[model], formatting.score(measured.words.ece), formatting.score(measured.entities.ece)]
        for model, measured in analysed.calibration.items()
        if measured is not None
    ]
    return Table("Expected calibration error", ["model", "words", "entities"], rows) if rows else None


def effects(comparison: Comparison) -> Table:
    """The contribution of each data effect to the scores, and to the gap between the first two models."""
    models = titles(comparison.runs)
    first, second, *_ = models
    rows = []
    for key, effect in comparison.effects.items():
        row = [EFFECTS[key], _how_many(effect)]
        for scores in effect.scores.values():
            row += [formatting.score(scores.without), formatting.signed(scores.difference)]
        rows.append([*row, *map(formatting.signed, (effect.gap.with_effect, effect.gap.without))])
    gap = f"gap, {second} {formatting.MINUS} {first}"
    return Table(
        "F1 on the same ground without what flatters, and what it added",
        ["effect", "count", *(head for _ in models for head in ("F1 without", "added")), "with", "without"],
        rows,
        groups=(("", 2), *((title, 2) for title in models.values()), (gap, 2)),
    )


def _how_many(effect: DataEffect) -> str:
    if effect.count is None:
        return NOTHING
    return f"{formatting.count(effect.count)} ({formatting.share(effect.share)})"
