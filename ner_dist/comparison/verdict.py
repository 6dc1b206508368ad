"""Describe a comparison in words: five sentences, caveats, and a line for each difference.

The sentences say what was compared, who leads by how much on the same ground, whether that may be chance (of
test sentences, of seeds), where the gap of the published figures comes from, and what would settle it. If a
test finds no difference, the text says "no difference is shown": this does not prove that models are equal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ner_dist.comparison.gap_text import gap_sentence
from ner_dist.comparison.results import Headline, ModelInfo, SharedScores, Verdict
from ner_dist.formatting import counted, joined, level, p_value, signed

if TYPE_CHECKING:
    from ner_dist.comparison.claims import Claim, Difference, PairDifferences, Uncertainty
    from ner_dist.comparison.decomposition import Decomposition
    from ner_dist.comparison.left_out import AlignmentSummary
    from ner_dist.comparison.third_models import ThirdModel
    from ner_dist.evaluation.metrics import PrecisionRecallF1

FEW = 30
"""The line of a type with fewer gold entities states their number, since a few of them decide its scores."""


@dataclass(frozen=True)
class Findings:
    """The parts of a comparison that the verdict describes."""

    runs: dict[str, ModelInfo]
    headline: dict[str, Headline]
    alignment: AlignmentSummary
    shared: SharedScores
    decomposition: dict[str, Decomposition]
    uncertainty: Uncertainty
    third_models: list[ThirdModel] = field(default_factory=list)

    def support(self, name: str) -> int:
        """Number of gold entities of a type, the same for all models."""
        return round(self.shared.models[next(iter(self.runs))].per_type[name].support)

    def f1(self, model: str) -> str:
        """F1 of a model on the same ground."""
        return f"{self.shared.models[model].f1:.4f}"

    @property
    def leader_depends_on_gold(self) -> bool:
        """Whether one model leads by its gold, and another by that of another file."""
        return len({max(f1, key=f1.__getitem__) for f1 in self.f1_by_gold}) > 1

    @property
    def f1_by_gold(self) -> list[dict[str, float]]:
        """F1 by model: where the gold agrees, then by the gold of each model where some differs."""
        agreed = {model: scores.f1 for model, scores in self.shared.models.items()}
        disputed = self.alignment.disputed
        return [agreed] if disputed is None else [agreed, *disputed.f1.values()]


def verdict(findings: Findings) -> Verdict:
    """Put the figures of a comparison into words."""
    pairs = findings.uncertainty.differences
    sentences = [_compared(findings), *_gold(findings)]
    if len(pairs) == 1:
        sentences += [_leads(findings, pairs[0]), *_chance(findings, pairs[0])]
    else:
        sentences += [_ranking(findings)]
    types = {model: len(run.labels) for model, run in findings.runs.items()}
    percent = level(findings.uncertainty.level)
    sentences.append(gap_sentence(findings.decomposition, findings.third_models, types, percent=percent))
    if len(pairs) == 1:
        sentences += _settle(findings, pairs[0])
    lines = [line for pair in pairs for line in _lines(findings, pair)]
    return Verdict(" ".join(sentences), _caveats(findings), lines)


def _compared(findings: Findings) -> str:
    """What was compared, and what was left out."""
    names = []
    for model, run in findings.runs.items():
        name = f"{run.name}, " if run.name else ""
        names.append(f"{model} ({name}{counted(len(run.labels), 'type')})")
    shared = findings.shared
    text = (
        f"{joined(names)} were compared on the {counted(shared.sentences, 'sentence')} and the "
        f"{counted(len(shared.types), 'type')} that they share"
    )
    alone = [
        f"{left_out.sentences:,} of {model}"
        for model, left_out in findings.alignment.only_in.items()
        if left_out.sentences
    ]
    return text + (f", which leaves out {joined(alone)}." if alone else ".")


def _gold(findings: Findings) -> list[str]:
    """Whose gold is taken, where it differs."""
    disputed = findings.alignment.disputed
    if disputed is None:
        return []
    leads = []
    for gold_of, f1 in disputed.f1.items():
        ordered = sorted(f1.items(), key=lambda item: -item[1])
        (best, high), (_, low) = ordered[0], ordered[1]
        leads.append(f"by that of {gold_of} {best} leads by {high - low:.4f}")
    text = f"The gold of {counted(disputed.sentences, 'more sentence')} differs: with them, {joined(leads)}."
    if findings.leader_depends_on_gold:
        text += " Who leads depends on whose gold is right, so no model is called better."
    return [text]


def _leads(findings: Findings, pair: PairDifferences) -> str:
    """Who leads by how much on the same ground."""
    cell = pair.figures.micro.f1
    ahead, behind = _order(pair, cell)
    if abs(cell.difference) < 5e-5:
        return f"There both have F1 {findings.f1(ahead)}."
    return (
        f"There {ahead} leads by {abs(cell.difference):.4f}: F1 {findings.f1(ahead)} against "
        f"{findings.f1(behind)}."
    )


def _chance(findings: Findings, pair: PairDifferences) -> list[str]:
    """Whether the lead may be chance: of test sentences, and of seeds."""
    cell = pair.figures.micro.f1
    trained, recipes = cell.trained, cell.recipes
    runs = findings.runs
    if findings.leader_depends_on_gold:
        return []
    if recipes is None:
        found = (
            f"These two trained models differ by more than the chance of test sentences "
            f"({_tested(findings, cell, trained)})"
            if trained.significant
            else f"Other test sentences may reverse that: no difference is shown "
            f"({_tested(findings, cell, trained)})"
        )
        return [
            f"{found}; whether their recipes differ is unknown, since there is one training of each and "
            "another seed may give another leader."
        ]
    numbers = f"{len(runs[pair.to].paths)} and {len(runs[pair.of].paths)} trainings"
    if recipes.significant:
        return [
            f"That is more than the chance of seeds and test sentences together "
            f"({_tested(findings, cell, recipes)}, {numbers}): the recipes differ."
        ]
    text = (
        f"Other seeds or test sentences may reverse that: no difference between the recipes is shown "
        f"({_tested(findings, cell, recipes)}, {numbers})"
    )
    if trained.significant:
        text += ", though these trainings differ by more than the chance of test sentences"
    return [f"{text}."]


def _ranking(findings: Findings) -> str:
    """More than two models: in the order of F1, with their ranks by the tests."""
    ranks = findings.uncertainty.ranks
    ordered = sorted(findings.runs, key=lambda model: -findings.shared.models[model].f1)
    placed = [f"{model} {findings.f1(model)} (rank {ranks[model]})" for model in ordered]
    chance = "seeds and test sentences" if _seeds_known(findings) else "test sentences alone"
    return (
        f"There F1 is {joined(placed)}; a model ranks behind those that are better than it by more than the "
        f"chance of {chance}."
    )


def _seeds_known(findings: Findings) -> bool:
    pairs = findings.uncertainty.differences
    return all(pair.figures.micro.f1.recipes is not None for pair in pairs)


def _settle(findings: Findings, pair: PairDifferences) -> list[str]:
    """What would settle a question that is open."""
    cell, power = pair.figures.micro.f1, pair.power
    if cell.recipes is not None and cell.recipes.significant:
        return []
    if power is None:
        return ["Three trainings of each with other seeds would show how much their luck is worth."]
    if power.runs is None:
        return [f"No number of seeds would show a difference of {power.gap:.4f}: the test set is too small."]
    trainings = counted(power.runs, "training")
    return [f"{trainings} of each would show a difference of {power.gap:.4f} in 80 % of cases."]


def _caveats(findings: Findings) -> list[str]:
    """Warnings against conclusions that the figures do not support."""
    caveats = [*findings.alignment.harder]
    if findings.alignment.copies_unknown:
        caveats.append(
            "The files hold no words, so it cannot be known whether some sentences are copies of others; "
            "then the intervals would be too narrow."
        )
    if findings.uncertainty.drawn == "documents":
        caveats.append(f"{findings.uncertainty.units:,} documents were drawn, with all their sentences.")
    else:
        caveats.append(
            "Sentences were drawn: that those of one document are alike is not covered, so the intervals may "
            "be too narrow."
        )
    pairs = findings.uncertainty.differences
    by_type = [each for pair in pairs for each in pair.figures.per_type.items()]
    shown = {name for name, cell in by_type if cell.f1.significant}
    few = [name for name in findings.shared.types if name not in shown and findings.support(name) < FEW]
    if few and pairs:
        caveats.append(f"Too few entities (under {FEW}) to expect a difference to show: {', '.join(few)}.")
    done, needed = findings.uncertainty.resamples, findings.uncertainty.resamples_needed
    if done < needed:
        caveats.append(
            f"With {done:,} resamples no difference on a type can be shown: {needed:,} are needed."
        )
    return caveats


def _lines(findings: Findings, pair: PairDifferences) -> list[str]:
    """The difference over all types, then by type: what is shown first."""
    if findings.leader_depends_on_gold:
        return []
    rows = list(pair.figures.per_type.items())
    rows.sort(key=lambda row: (not (row[1].f1.significant or _opposite(row[1])), -abs(row[1].f1.difference)))
    lines = [_line(findings, pair, "all types together", pair.figures.micro)]
    for name, figures in rows:
        support = findings.support(name)
        few = f"; {counted(support, 'entity', 'entities')} only" if support < FEW else ""
        lines.append(_line(findings, pair, name, figures, few))
    return lines


def _line(
    findings: Findings,
    pair: PairDifferences,
    where: str,
    figures: PrecisionRecallF1[Difference],
    few: str = "",
) -> str:
    several = len(findings.runs) > 2
    cell = figures.f1
    figure = f"F1 {_tested(findings, cell, cell.decisive, sides=pair)}{few}"
    if cell.significant:
        better, other = _order(pair, cell)
        than = f" than {other}" if several else ""
        return f"{better} is better{than} on {where} ({figure})"
    if _opposite(figures):
        ahead, other = _order(pair, figures.precision)
        return (
            f"on {where}, {ahead} has the higher precision ({signed(abs(figures.precision.difference))}) and "
            f"{other} the higher recall ({signed(abs(figures.recall.difference))}); no difference of F1 is "
            f"shown ({figure})"
        )
    between = f" between {pair.of} and {pair.to}" if several else ""
    return f"no difference is shown{between} on {where} ({figure})"


def _opposite(figures: PrecisionRecallF1[Difference]) -> bool:
    """Whether precision and recall differ significantly, in opposite directions."""
    precision, recall = figures.precision, figures.recall
    return precision.significant and recall.significant and precision.difference * recall.difference < 0


def _tested(
    findings: Findings, cell: Difference, tested: Claim, *, sides: PairDifferences | None = None
) -> str:
    """The difference with its interval and p-value.

    A significant difference is given as the lead of the better model, any other as that of `sides`.
    """
    difference, low, high = cell.difference, tested.low, tested.high
    named = ""
    if sides is not None and not tested.significant:
        named = f"{sides.of} − {sides.to} "
    elif difference < 0:
        difference, low, high = -difference, -high, -low
    digits = 4 if high - low < 0.02 else 3
    floor = findings.uncertainty.at_floor(tested)
    text = (
        f"{named}{signed(difference, digits)}, {100 * findings.uncertainty.level:g} % CI "
        f"{signed(low, digits).removeprefix('+')} to {signed(high, digits).removeprefix('+')}, "
        f"{_p(tested.p_holm, floor=floor)}"
    )
    if not tested.significant and (low > 0 or high < 0):
        # The interval alone excludes 0: name the test or correction that decided.
        corrected = tested.p_holm > tested.uncorrected
        reasons = ["by randomisation"] if tested.uncorrected > tested.p else []
        reasons += ["corrected for the number of tests"] if corrected else []
        text += f" {joined(reasons)}" if reasons else ""
    return text


def _order(pair: PairDifferences, cell: Difference) -> tuple[str, str]:
    """The model that is ahead in a figure, and the other."""
    better = pair.better(cell)
    return better, pair.to if better == pair.of else pair.of


def _p(value: float, *, floor: bool) -> str:
    text = p_value(value, floor=floor)
    return f"p {text}" if text.startswith("<") else f"p = {text}"
