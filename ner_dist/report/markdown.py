"""The short form of a comparison, in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ner_dist.outside import in_markdown as escaped
from ner_dist.report import error_tables, model_tables, tables
from ner_dist.report.ranking import ranking, shown_lines
from ner_dist.report.tables import Table

if TYPE_CHECKING:
    from ner_dist.comparison.results import Comparison


def markdown(comparison: Comparison, *, title: str) -> str:
    """The report as Markdown: verdict, and the main tables."""
    verdict = comparison.verdict
    parts = [f"# {escaped(title)}", escaped(verdict.paragraph)]
    parts += [escaped(caveat) for caveat in verdict.caveats]
    parts += [escaped(each.sentence) for each in comparison.requirements]
    parts.append("\n".join(f"- {escaped(line)}" for line in shown_lines(comparison)))
    parts += [
        _table(each)
        for each in (ranking(comparison), model_tables.training(comparison))
        if each and each.rows
    ]
    sections = {
        "As published: own labels, own sentences": [tables.headline(comparison)],
        "Where the gap comes from": [
            tables.decomposition(comparison),
            *([third] if (third := tables.third_models(comparison)) else []),
            tables.orders(comparison),
            tables.grounds(comparison),
        ],
        "The same ground": [tables.same_ground(comparison), tables.differences(comparison)],
        "Type by type": [tables.per_type(comparison)],
        "What in the data flatters": [error_tables.effects(comparison)],
    }
    for name, own in sections.items():
        filled = [_table(each) for each in own if each.rows]
        if filled:
            parts += [f"## {name}", *filled]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(table: Table) -> str:
    heads = table.columns
    if table.groups:
        over = [name for name, span in table.groups for _ in range(span)]
        heads = [f"{group} {head}" if group else head for group, head in zip(over, heads, strict=True)]
    marks = [":--" if place in table.words else "--:" for place in range(len(heads))]
    rows = [
        [f"**{escaped(cell)}**" if place in table.strong else escaped(cell) for cell in row]
        for place, row in enumerate(table.rows)
    ]
    lines = [f"| {' | '.join(row)} |" for row in ([escaped(head) for head in heads], marks, *rows)]
    note = [escaped(table.note)] if table.note else []
    return "\n\n".join([escaped(table.caption) + ":", "\n".join(lines), *note])
