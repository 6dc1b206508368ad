"""Describe a comparison in words: the parts of the gap, and which differences are significant.

If a test finds no difference, the text says "no difference shown": this does not prove that models are equal.
"""

from __future__ import annotations

from dataclasses import dataclass

from ner_dist.comparison.decomposition import Decomposition
from ner_dist.comparison.results import Headline, ModelInfo, SharedScores, Verdict
from ner_dist.comparison.uncertainty import Difference, PairDifferences, Uncertainty
from ner_dist.formatting import counted, joined, p_value, score, signed

FEW = 30
"""The line of a type with fewer gold entities states their number, since a few of them decide its scores."""


@dataclass(frozen=True)
class Findings:
    """The parts of a comparison that the verdict describes."""

    runs: dict[str, ModelInfo]
    headline: dict[str, Headline]
    shared: SharedScores
    decomposition: dict[str, Decomposition]
    uncertainty: Uncertainty

    def support(self, name: str) -> int:
        """Number of gold entities of a type, the same for all models."""
        return round(self.shared.models[next(iter(self.runs))].per_type[name].support)


def verdict(findings: Findings) -> Verdict:
    """Put the figures of a comparison into words."""
    differences = findings.uncertainty.differences
    sentences = [_headline(findings)]
    sentences += [_parts_of_gap(model, parts) for model, parts in findings.decomposition.items()]
    for pair in differences:
        sentences += [_same_ground(findings, pair), _by_type(pair)]
    sentences += _caveats(findings)
    lines = [line for pair in differences for line in _lines(findings, pair)]
    return Verdict(" ".join(sentences), lines)


def _headline(findings: Findings) -> str:
    """The scores that would be published."""
    named = []
    for model, run in findings.runs.items():
        name = f"{run.name}, " if run.name else ""
        f1 = score(findings.headline[model].mean.test.f1)
        named.append(f"{model} ({name}{counted(len(run.labels), 'type')}) has F1 {f1}")
    return f"Each on its own labels and sentences, {joined(named)}."


def _parts_of_gap(model: str, parts: Decomposition) -> str:
    other, gap, own = parts.base, parts.gap, parts.model
    text = (
        f"Of the gap of {signed(gap)} ({model} − {other}), {signed(parts.label_set)} is due to the "
        f"label set, {signed(parts.sentences)} to the sentences and {signed(own)} to the model"
    )
    # Rounded as printed: a part of 0.0000 has no direction.
    own, gap = round(own, 4), round(gap, 4)
    if own * gap < 0:
        text += ", which points the other way"
    elif 0 < abs(own) < abs(gap) / 2:
        text += f", which is {100 * own / gap:.0f} % of it"
    return text + "."


def _same_ground(findings: Findings, pair: PairDifferences) -> str:
    """The difference over all types, and whether it is significant."""
    of, to, shared, f1 = pair.of, pair.to, findings.shared, pair.figures.micro.f1
    aligned = f"On the same {counted(shared.sentences, 'sentence')} and {counted(len(shared.types), 'type')}"
    scores = f"{of} has F1 {shared.models[of].f1:.4f} and {to} {shared.models[to].f1:.4f}"
    figure = _difference(findings, pair, f1)
    if f1.significant:
        better, other = _order(pair, f1)
        return (
            f"{aligned}, {scores}: {better} is better than {other}, and the difference is significant "
            f"({figure})."
        )
    return f"{aligned}, {scores}: no difference between {of} and {to} is shown ({figure})."


def _by_type(pair: PairDifferences) -> str:
    """The types on which one model is better, and those without a significant difference."""
    better: dict[str, list[str]] = {pair.of: [], pair.to: []}
    unshown: list[str] = []
    for name, cell in pair.figures.per_type.items():
        group = better[pair.better(cell.f1)] if cell.f1.significant else unshown
        group.append(name)
    clauses = [f"{model} is better on {joined(types)}" for model, types in better.items() if types]
    if not clauses:
        between = f"between {pair.of} and {pair.to}"
        return f"Corrected for the number of types, none of them shows a difference {between}."
    if unshown:
        rest = unshown if len(unshown) < 6 else [f"the other {len(unshown)} types"]
        clauses.append(f"no difference is shown on {joined(rest)}")
    return f"By type, {joined(clauses)}."


def _caveats(findings: Findings) -> list[str]:
    """Warnings against conclusions that the figures do not support."""
    caveats = []
    single = [model for model, run in findings.runs.items() if len(run.paths) == 1]
    if len(single) == len(findings.runs):
        caveats.append("There was one training of each model: this says nothing about another seed.")
    elif single:
        caveats.append(f"There was one training of {joined(single)}: this says nothing about another seed.")
    if findings.uncertainty.drawn == "documents":
        caveats.append(f"{findings.uncertainty.units:,} documents were drawn, with all their sentences.")
    else:
        caveats.append(
            "Sentences were drawn: that those of one document are alike is not covered, so the intervals may "
            "be too narrow."
        )
    differences = findings.uncertainty.differences
    by_type = [each for pair in differences for each in pair.figures.per_type.items()]
    shown = {name for name, cell in by_type if cell.f1.significant}
    few = [name for name in findings.shared.types if name not in shown and findings.support(name) < FEW]
    if few and differences:
        caveats.append(f"Too few entities (under {FEW}) to expect a difference to show: {', '.join(few)}.")
    done, needed = findings.uncertainty.resamples, findings.uncertainty.resamples_needed
    if done < needed:
        caveats.append(
            f"With {done:,} resamples no difference on a type can be shown: {needed:,} are needed."
        )
    return caveats


def _lines(findings: Findings, pair: PairDifferences) -> list[str]:
    lines = [_line(findings, pair, "all types together", pair.figures.micro.f1)]
    cells = [(name, cell.f1) for name, cell in pair.figures.per_type.items()]
    for name, f1 in sorted(cells, key=lambda cell: (not cell[1].significant, -abs(cell[1].difference))):
        support = findings.support(name)
        few = f"; {counted(support, 'entity', 'entities')} only" if support < FEW else ""
        lines.append(_line(findings, pair, name, f1, few))
    return lines


def _line(findings: Findings, pair: PairDifferences, where: str, f1: Difference, few: str = "") -> str:
    several = len(findings.runs) > 2
    figure = _difference(findings, pair, f1)
    if f1.significant:
        better, other = _order(pair, f1)
        than = f" than {other}" if several else ""
        return f"{better} is better{than} on {where} ({figure}{few})"
    between = f" between {pair.of} and {pair.to}" if several else ""
    return f"no difference shown{between} on {where} ({figure}{few})"


def _difference(findings: Findings, pair: PairDifferences, cell: Difference) -> str:
    """The difference with its interval and the decisive p-value.

    A significant difference is given as the lead of the better model, any other as `of` - `to`.
    """
    difference, low, high = cell.difference, cell.low, cell.high
    sides = f"{pair.of} − {pair.to}: "
    if cell.significant:
        sides = ""
        if difference < 0:
            difference, low, high = -difference, -high, -low
    digits = 4 if high - low < 0.02 else 3
    text = (
        f"{sides}F1 {signed(difference, digits)}, {100 * findings.uncertainty.level:g} % CI "
        f"{signed(low, digits).removeprefix('+')} to {signed(high, digits).removeprefix('+')}, "
        f"{_p(cell.decisive_p)}"
    )
    if not cell.significant and (low > 0 or high < 0):
        # The interval alone excludes 0: name the test or correction that decided.
        larger = max(cell.p, cell.p_randomisation)
        reasons = ["by randomisation"] if larger > cell.p else []
        reasons += ["corrected for the number of types"] if cell.decisive_p > larger else []
        text += f" {joined(reasons)}" if reasons else ""
    return text


def _order(pair: PairDifferences, cell: Difference) -> tuple[str, str]:
    """The better model and the other."""
    better = pair.better(cell)
    return better, pair.to if better == pair.of else pair.of


def _p(value: float) -> str:
    text = p_value(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"
