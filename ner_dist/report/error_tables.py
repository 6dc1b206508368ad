"""The tables of errors, calibration and of what in the data flatters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ner_dist import formatting
from ner_dist.formatting import NOTHING
from ner_dist.report.tables import Table, place_of, titles

if TYPE_CHECKING:
    from collections.abc import Iterable

KINDS = {
    "missed": "missed",
    "spurious": "spurious",
    "wrong_type": "wrong type",
    "wrong_boundary": "wrong boundary",
    "wrong_both": "wrong type and boundary",
}
"""Kinds of errors, in the order in which they are shown; `correct` is none."""
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


def models_with(figures: dict[str, Any], part: str) -> dict[str, str]:
    """Titles of the models for which a part of the figures was computed."""
    found = figures.get(part) or {}
    return {model: title for model, title in titles(figures).items() if found.get(model)}


def kinds(figures: dict[str, Any]) -> Table:
    """How many entities of each kind, a run."""
    models = models_with(figures, "errors")
    rows = []
    for key, title in {"correct": "correct", **KINDS}.items():
        row = [title]
        for model in models:
            found = figures["errors"][model]
            number, total = found["kinds"].get(key, 0), sum(found["kinds"].values())
            row += [
                formatting.count(number / found["runs"]),
                formatting.share(number / total if total else None),
            ]
        rows.append(row)
    return Table(
        f"Entities by what became of them, {place_of(figures)}",
        ["kind", *(column for _ in models for column in ("entities", "share"))],
        rows,
        groups=(("", 1), *((title, 2) for title in models.values())),
        note=_runs_note(figures, models),
    )


def _runs_note(figures: dict[str, Any], models: Iterable[str]) -> str | None:
    several = any(figures["errors"][model]["runs"] > 1 for model in models)
    return "Entities are counted per run: the mean over the model's runs." if several else None


def kinds_per_type(figures: dict[str, Any], model: str) -> Table:
    """Kinds of errors by type of the entity."""
    found = figures["errors"][model]
    runs = found["runs"]
    keys = ["correct", *KINDS]
    rows = [
        [name, *(formatting.count(by_kind.get(key, 0) / runs) for key in keys)]
        for name, by_kind in (found.get("kinds_per_type") or {}).items()
    ]
    return Table(
        f"{titles(figures)[model]}: kinds of errors by type",
        ["type", "correct", *KINDS.values()],
        rows,
        note=_runs_note(figures, [model]),
    )


def schemes(figures: dict[str, Any]) -> Table:
    """The scores under each scheme of MUC and SemEval-2013."""
    models = models_with(figures, "errors")
    rows = []
    for key, title in _SCHEMES.items():
        row = [title]
        for model in models:
            scores = figures["errors"][model].get(key) or {}
            row += [formatting.score(scores.get(name)) for name in ("precision", "recall", "f1")]
        rows.append(row)
    return Table(
        "Scores by how strictly an entity has to match (MUC, SemEval-2013 task 9.1)",
        ["scheme", *(column for _ in models for column in ("precision", "recall", "F1"))],
        rows,
        groups=(("", 1), *((title, 3) for title in models.values())),
    )


def buckets(
    figures: dict[str, Any], key: str, *, caption: str, first: str, scores: tuple[str, ...]
) -> Table | None:
    """Scores by a property of the entity or its sentence; None where no model has them.

    Args:
        figures: of a comparison.
        key: such as `by_entity_length`.
        caption: what the table shows.
        first: heading of the first column.
        scores: which of precision, recall and f1 there are.
    """
    models = {
        model: title
        for model, title in models_with(figures, "errors").items()
        if figures["errors"][model].get(key)
    }
    if not models:
        return None
    by_model = {model: {row["bucket"]: row for row in figures["errors"][model][key]} for model in models}
    names = list(dict.fromkeys(name for rows in by_model.values() for name in rows))
    rows = []
    for name in names:
        present = {model: each[name] for model, each in by_model.items() if name in each}
        if not any(each.get("support") or each.get("predicted") for each in present.values()):
            continue
        model, bucket = next(iter(present.items()))
        row = [str(name), formatting.count((bucket.get("support") or 0) / figures["errors"][model]["runs"])]
        for each in by_model.values():
            row += [formatting.score(each.get(name, {}).get(score)) for score in scores]
        rows.append(row)
    heads = ["F1" if score == "f1" else score for score in scores]
    return Table(
        caption,
        [first, "support", *(head for _ in models for head in heads)],
        rows,
        groups=(("", 2), *((title, len(scores)) for title in models.values())),
    )


def calibration(figures: dict[str, Any]) -> Table | None:
    """Expected calibration errors; None where no model's probabilities are stored."""
    models = models_with(figures, "calibration")
    if not models:
        return None
    rows = []
    for model, title in models.items():
        found = figures["calibration"][model]
        rows.append(
            [title, *(formatting.score((found.get(part) or {}).get("ece")) for part in ("words", "entities"))]
        )
    return Table("Expected calibration error", ["model", "words", "entities"], rows)


def effects(figures: dict[str, Any]) -> Table:
    """What each effect adds to the scores and to the gap of the first two models."""
    models = titles(figures)
    first, second, *_ = models
    rows = []
    for key, effect in figures["effects"].items():
        row = [EFFECTS[key], _how_many(effect)]
        for scores in effect["scores"].values():
            row += [formatting.score(scores["without"]), formatting.signed(scores["difference"])]
        rows.append([*row, *(formatting.signed(effect["gap"][which]) for which in ("with", "without"))])
    gap = f"gap, {second} {formatting.MINUS} {first}"
    return Table(
        "F1 on the same ground without what flatters, and what it added",
        ["effect", "count", *(head for _ in models for head in ("F1 without", "added")), "with", "without"],
        rows,
        groups=(("", 2), *((title, 2) for title in models.values()), (gap, 2)),
    )


def _how_many(effect: dict[str, Any]) -> str:
    number = effect.get("count")
    if not formatting.known(number):
        return NOTHING
    portion = effect.get("share")
    return formatting.count(number) + (f" ({formatting.share(portion)})" if formatting.known(portion) else "")
