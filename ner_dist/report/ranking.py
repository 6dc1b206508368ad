"""More than three models: a table of ranks, and the ties between them in one sentence."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from ner_dist import formatting
from ner_dist.formatting import NOTHING
from ner_dist.report.tables import Table, claim_note, shared_score, titles

if TYPE_CHECKING:
    from ner_dist.comparison.claims import PairDifferences
    from ner_dist.comparison.results import Comparison

_FEW = 3
"""Of so many models, each pair has a line of its own."""


def ranking(comparison: Comparison, *, named: bool = True) -> Table | None:
    """The models by F1 on the same ground, each with its difference to the best.

    Args:
        comparison: the comparison.
        named: whether to show the models' names after their letters.

    Returns:
        None for few models, and where the gold decides who leads, so that no model is called better.
    """
    if len(comparison.runs) <= _FEW or not comparison.verdict.lines:
        return None
    uncertainty, names = comparison.uncertainty, titles(comparison.runs)
    order, ranks = _by_f1(comparison), uncertainty.ranks
    order.sort(key=ranks.__getitem__)
    best = order[0]
    rows = []
    for model in order:
        bounds = uncertainty.models[model].micro.f1.widest
        row = [
            str(ranks[model]),
            names[model] if named else model,
            shared_score(comparison, model, "f1"),
            formatting.interval(bounds.low, bounds.high),
        ]
        rows.append([*row, *_behind(comparison, model, best)])
    level = formatting.level(uncertainty.level)
    return Table(
        f"The models by F1 on the same {formatting.count(comparison.shared.sentences)} sentences",
        ["rank", "model", "F1", f"{level} interval", f"difference to {best}", "interval", "p (Holm)"],
        rows,
        words=frozenset({1}),
        note=" ".join(
            [
                "A rank is one more than the number of significantly better models.",
                *_ties(comparison),
                claim_note(comparison),
            ]
        ),
    )


def shown_lines(comparison: Comparison) -> list[str]:
    """The lines of the verdict for short reports: of more than three models, the differences shown in F1."""
    if ranking(comparison) is None:
        return comparison.verdict.lines
    pairs = zip(comparison.overall_lines, comparison.uncertainty.differences, strict=True)
    return [line for line, pair in pairs if pair.figures.micro.f1.significant]


def _by_f1(comparison: Comparison) -> list[str]:
    return sorted(comparison.runs, key=lambda model: -comparison.shared.models[model].f1)


def _behind(comparison: Comparison, model: str, best: str) -> list[str]:
    """Cells of a model's difference to the best."""
    if model == best:
        return [NOTHING] * 3
    pair = _pairs(comparison)[frozenset({model, best})]
    cell, tested = pair.figures.micro.f1, pair.figures.micro.f1.decisive
    sign = 1 if pair.of == model else -1
    low, high = sorted((sign * tested.low, sign * tested.high))
    floor = comparison.uncertainty.at_floor(tested)
    return [
        formatting.signed(sign * cell.difference),
        formatting.interval(low, high, sign=True),
        formatting.p_value(tested.p_holm, floor=floor),
    ]


def _pairs(comparison: Comparison) -> dict[frozenset[str], PairDifferences]:
    return {frozenset({pair.of, pair.to}): pair for pair in comparison.uncertainty.differences}


def _ties(comparison: Comparison) -> list[str]:
    """Between which models no difference of F1 is shown, each pair once; no sentence if there are none."""
    groups = tied(comparison)
    if not groups:
        return []
    parts = [f"{'among' if len(group) > 2 else 'between'} {formatting.joined(group)}" for group in groups]
    return [f"No difference of F1 is shown {', nor '.join(parts)}."]


def tied(comparison: Comparison) -> list[list[str]]:
    """Groups of models, best first, within which no difference of F1 is shown; they cover every such pair."""
    order = _by_f1(comparison)
    tie = {names for names, pair in _pairs(comparison).items() if not pair.figures.micro.f1.significant}

    def all_tied(group: list[str]) -> bool:
        return all(frozenset(two) in tie for two in combinations(group, 2))

    groups: list[list[str]] = []
    end = 0
    for start in range(len(order)):
        last = max(stop for stop in range(start + 1, len(order) + 1) if all_tied(order[start:stop]))
        if last > max(end, start + 1):
            groups.append(order[start:last])
            end = last
    covered = {frozenset(two) for group in groups for two in combinations(group, 2)}
    return groups + [
        [*two] for two in combinations(order, 2) if frozenset(two) in tie and frozenset(two) not in covered
    ]
