"""The page of a diagnosis, and its short form for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ner_dist import formatting
from ner_dist.doctor.findings import SEVERITIES
from ner_dist.report.render import page
from ner_dist.report.tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ner_dist.doctor.findings import Diagnosis, Finding, Severity, SplitSizes

_TITLES: dict[Severity, str] = {
    "error": "Must be fixed",
    "warning": "Costs quality or honesty",
    "info": "Worth knowing",
}


def diagnosis_page(found: Diagnosis) -> str:
    """HTML of a diagnosis."""
    groups = [(severity, _TITLES[severity], _of(found, severity)) for severity in SEVERITIES]
    groups = [group for group in groups if group[2]]
    sections = [("summary", "Summary"), *((severity, title) for severity, title, _ in groups)]
    return page(
        "doctor.html.j2",
        title=f"Diagnosis of {found.data}",
        sections=[*sections, ("types", "Types"), *([("log", "Log of reading")] if found.notes else [])],
        verdict=verdict(found),
        groups=groups,
        sizes=_sizes(found),
        types=_types(found),
        plan=plan(found),
        notes=found.notes,
    )


def terminal(found: Diagnosis) -> Iterator[str]:
    """The lines for a terminal."""
    for name, split in found.splits.items():
        parts = [f"{title} {show(split)}" for title, show in _ROWS if show(split) != formatting.NOTHING]
        yield f"{name}: {', '.join(parts)}"
    if found.steps is not None:
        yield plan(found)
    for severity in SEVERITIES:
        for finding in _of(found, severity):
            yield ""
            yield f"{severity}: {finding.split}: {finding.what} ({finding.check})"
            yield f"  so: {finding.effect}"
            yield f"  do: {finding.remedy}"
            for example in finding.examples:
                yield f"  {example.where}: {example.text}"
    yield ""
    yield verdict(found)


def verdict(found: Diagnosis) -> str:
    """The diagnosis in a sentence."""
    number = {severity: len(_of(found, severity)) for severity in SEVERITIES}
    if number["error"]:
        one = number["error"] == 1
        text = f"{formatting.counted(number['error'], 'finding')} must be fixed before scores mean anything"
        also = f", {formatting.counted(number['warning'], 'warning')} {'besides' if one else 'more'}"
        return f"{text}{also if number['warning'] else ''}."
    if number["warning"]:
        return f"Nothing must be fixed; {formatting.counted(number['warning'], 'warning')}."
    return "Nothing must be fixed, and nothing was found that costs quality."


def plan(found: Diagnosis) -> str:
    """The plan of the training in a sentence; empty if it is not known."""
    steps = found.steps
    if steps is None:
        return ""
    return (
        f"training: {formatting.counted(steps.steps, 'step')} of {steps.batch_tokens:,} padded subwords, "
        f"{formatting.counted(steps.steps_per_epoch, 'step')} an epoch, "
        f"{formatting.counted(steps.epochs, 'epoch')}, padding {formatting.share(steps.padding_share)}"
    )


def _of(found: Diagnosis, severity: Severity) -> list[Finding]:
    return [finding for finding in found.findings if finding.severity == severity]


def _subwords(split: SplitSizes) -> str:
    own = split.subwords
    if own is None:
        return formatting.NOTHING
    return f"{own.median:.0f} / {own.p99:.0f} / {own.longest:,}"


_ROWS: tuple[tuple[str, Callable[[SplitSizes], str]], ...] = (
    ("sentences", lambda split: f"{split.sentences:,}"),
    ("words", lambda split: f"{split.words:,}"),
    ("entities", lambda split: f"{split.entities:,}"),
    ("sentences without entities", lambda split: f"{split.without_entities:,}"),
    ("scheme", lambda split: split.scheme or formatting.NOTHING),
    (
        "words a sentence (median / longest)",
        lambda split: f"{split.words_median:.0f} / {split.words_longest:,}",
    ),
    ("subwords a sentence (median / 99 % / longest)", _subwords),
    (
        "sentences cut into windows",
        lambda split: f"{split.subwords.sentences_cut:,}" if split.subwords else formatting.NOTHING,
    ),
    (
        "words unknown to the tokenizer",
        lambda split: f"{split.subwords.unknown_words:,}" if split.subwords else formatting.NOTHING,
    ),
)


def _sizes(found: Diagnosis) -> Table:
    shown = [[title, *(show(split) for split in found.splits.values())] for title, show in _ROWS]
    shown = [row for row in shown if any(cell != formatting.NOTHING for cell in row[1:])]
    return Table("The splits as they are read, repeats included", ["", *found.splits], shown)


def _types(found: Diagnosis) -> Table:
    names = next(iter(found.splits.values())).types
    rows = [[name, *(f"{split.types[name]:,}" for split in found.splits.values())] for name in names]
    return Table("Entities of each type", ["type", *found.splits], rows)
