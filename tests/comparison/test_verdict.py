"""The verdict states what the figures show, and no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ner_dist.comparison.decomposition import Decomposition
from ner_dist.comparison.results import (
    Headline,
    HeadlineFigures,
    ModelInfo,
    SharedScores,
    SplitFigures,
    TrainFigures,
)
from ner_dist.comparison.scores import Scores
from ner_dist.comparison.uncertainty import (
    Difference,
    Figures,
    MacroF1,
    PairDifferences,
    Uncertainty,
    uncertainty,
)
from ner_dist.comparison.verdict import Findings, verdict
from ner_dist.evaluation.metrics import PrecisionRecallF1, TypeScores
from tests.comparison import simulated


def cell(
    difference: float, half: float, p: float, *, significant: bool, holm: float | None = None
) -> Difference:
    return Difference(
        difference,
        low=difference - half,
        high=difference + half,
        p=p,
        p_randomisation=p / 2,
        significant=significant,
        p_holm=holm,
    )


def three(f1: Difference) -> PrecisionRecallF1[Difference]:
    return PrecisionRecallF1(f1, f1, f1)


def pair(of: str, to: str, micro: Difference, **per_type: Difference) -> PairDifferences:
    figures = Figures(three(micro), MacroF1(micro), micro, {name: three(f1) for name, f1 in per_type.items()})
    return PairDifferences(of, to, figures)


def scored(f1: float, **support: int) -> Scores:
    per_type = {name: TypeScores(f1, f1, f1, number) for name, number in support.items()}
    return Scores(f1, f1, f1, PrecisionRecallF1(f1, f1, f1), per_type, accuracy=f1)


def published(f1: float) -> Headline:
    return Headline(HeadlineFigures(TrainFigures(), SplitFigures(), SplitFigures(f1=f1)), std=None)


SUPPORT = {"PER": 900, "DIS": 310, "ANIM": 12}
ALL_TYPES = cell(0.00419, 0.0011, 0.0002, significant=True)
BY_TYPE = {
    "PER": cell(-0.012, 0.004, 0.0002, significant=True, holm=0.0004),
    "DIS": cell(0.0213, 0.0112, 0.0002, significant=True, holm=0.0006),
    "ANIM": cell(0.05, 0.04, 0.03, significant=False, holm=0.09),
}


@pytest.fixture
def findings() -> Findings:
    """B leads by its label set; on the same ground it is better on DIS, A on PER."""
    return Findings(
        runs={
            "A": ModelInfo("full", ["a"], [1], ["PER", "DIS", "ANIM", "FOOD"], 30000),
            "B": ModelInfo("subset", ["b"], [1], ["PER", "DIS", "ANIM"], 30000),
        },
        headline={"A": published(0.93872), "B": published(0.96571)},
        shared=SharedScores(
            types=["PER", "DIS", "ANIM"],
            sentences=29504,
            models={"A": scored(0.96049, **SUPPORT), "B": scored(0.96468, **SUPPORT)},
            std={"A": None, "B": None},
        ),
        decomposition={
            "B": Decomposition("A", 0.02699, label_set=0.02177, sentences=0.00103, model=0.00419, steps=[])
        },
        uncertainty=Uncertainty(
            drawn="sentences",
            resamples=10_000,
            resamples_needed=120,
            level=0.95,
            units=29504,
            seed=13,
            method="",
            models={},
            differences=[pair("B", "A", ALL_TYPES, **BY_TYPE)],
        ),
    )


def with_differences(findings: Findings, *differences: PairDifferences) -> Findings:
    return replace(findings, uncertainty=replace(findings.uncertainty, differences=[*differences]))


def with_gap(findings: Findings, **parts: float) -> Findings:
    return replace(findings, decomposition={"B": replace(findings.decomposition["B"], **parts)})


def test_says_that_documents_were_drawn(findings):
    drawn = replace(findings.uncertainty, drawn="documents", units=231)
    paragraph = verdict(replace(findings, uncertainty=drawn)).paragraph
    assert "231 documents were drawn, with all their sentences." in paragraph
    assert "too narrow" not in paragraph


def test_paragraph_says_what_the_gap_is_made_of(findings):
    assert verdict(findings).paragraph == (
        "Each on its own labels and sentences, A (full, 4 types) has F1 0.9387 and B (subset, 3 types) has "
        "F1 0.9657. Of the gap of +0.0270 (B − A), +0.0218 is due to the label set, +0.0010 to the "
        "sentences and +0.0042 to the model, which is 16 % of it. On the same 29,504 sentences and 3 types, "
        "B has F1 0.9647 and A 0.9605: B is better than A, and the difference is significant (F1 "
        "+0.0042, 95 % CI 0.0031 to 0.0053, p = 0.0002). By type, B is better on DIS, A is better on PER and "
        "no difference is shown on ANIM. There was one training of each model: this says nothing about "
        "another seed. Sentences were drawn: that those of one document are alike is not covered, so the "
        "intervals may be too narrow. Too few entities (under 30) to expect a difference to show: ANIM."
    )


def test_lines_are_by_type_and_the_significant_ones_come_first(findings):
    assert verdict(findings).lines == [
        "B is better on all types together (F1 +0.0042, 95 % CI 0.0031 to 0.0053, p = 0.0002)",
        "B is better on DIS (F1 +0.021, 95 % CI 0.010 to 0.033, p = 0.0006)",
        "A is better on PER (F1 +0.0120, 95 % CI 0.0080 to 0.0160, p = 0.0004)",
        "no difference shown on ANIM (B − A: F1 +0.050, 95 % CI 0.010 to 0.090, p = 0.0900 corrected for the "
        "number of types; 12 entities only)",
    ]


def test_difference_that_is_not_shown_is_not_called_equal(findings):
    unshown = cell(-0.0002, 0.003, 0.8, significant=False)
    by_type = dict.fromkeys(BY_TYPE, cell(0.0, 0.03, 1.0, significant=False, holm=1.0))
    said = verdict(with_differences(findings, pair("B", "A", unshown, **by_type)))
    assert (
        "no difference between B and A is shown (B − A: F1 −0.0002, 95 % CI −0.0032 to 0.0028, p = 0.80)"
        in (said.paragraph)
    )
    assert (
        "Corrected for the number of types, none of them shows a difference between B and A."
        in said.paragraph
    )
    assert all(line.startswith("no difference shown on ") for line in said.lines)
    assert "equal" not in said.paragraph and "same F1" not in said.paragraph
    assert "F1 0.000, 95 % CI −0.030 to 0.030, p = 1.00" in said.lines[1]


@pytest.mark.parametrize(
    ("randomised", "holm", "said"),
    [
        (0.01, 0.09, "p = 0.0900 corrected for the number of types; 12"),
        (0.09, 0.09, "p = 0.0900 by randomisation; 12"),
        (0.04, 0.09, "p = 0.0900 by randomisation and corrected for the number of types; 12"),
    ],
)
def test_where_the_interval_alone_would_show_a_difference_it_is_said_what_does_not(
    findings, randomised, holm, said
):
    animals = replace(BY_TYPE["ANIM"], p=0.03, p_randomisation=randomised, p_holm=holm)
    apart = pair("B", "A", ALL_TYPES, **BY_TYPE | {"ANIM": animals})
    assert said in verdict(with_differences(findings, apart)).lines[-1]


def test_all_types_together_are_corrected_for_nothing(findings):
    whole = replace(cell(0.05, 0.04, 0.03, significant=False), p_randomisation=0.125)
    assert verdict(with_differences(findings, pair("B", "A", whole, **BY_TYPE))).lines[0] == (
        "no difference shown on all types together (B − A: F1 +0.050, 95 % CI 0.010 to 0.090, p = 0.12 by "
        "randomisation)"
    )


def test_a_type_of_few_entities_that_shows_a_difference_is_none_of_too_few(findings):
    animals = replace(BY_TYPE["ANIM"], significant=True, p_holm=0.01)
    apart = pair("B", "A", ALL_TYPES, **BY_TYPE | {"ANIM": animals})
    said = verdict(with_differences(findings, apart))
    assert "Too few entities" not in said.paragraph
    assert any("ANIM" in line and line.endswith("12 entities only)") for line in said.lines)


def test_too_few_resamples_to_show_anything_on_a_type_are_said_to_be(findings):
    few = replace(findings, uncertainty=replace(findings.uncertainty, resamples=119))
    assert "With 119 resamples no difference on a type can be shown: 120 are" in verdict(few).paragraph


def test_model_part_that_points_the_other_way(findings):
    other_way = with_gap(findings, gap=0.08, label_set=0.1, model=-0.02103, sentences=0.0)
    said = "0.0000 to the sentences and −0.0210 to the model, which points the other way."
    assert said in verdict(other_way).paragraph


def test_a_model_part_that_rounds_to_nothing_points_nowhere(findings):
    assert "and 0.0000 to the model. On" in verdict(with_gap(findings, model=-0.00001)).paragraph


def test_p_values_on_either_side_of_the_level_can_be_told_apart(findings):
    for p in (0.0496, 0.0504):
        whole = cell(0.05, 0.04, p, significant=p < 0.05)
        assert f"p = {p})" in verdict(with_differences(findings, pair("B", "A", whole, **BY_TYPE))).lines[0]


def test_seeds_take_the_caveat_away(findings):
    several = {model: replace(run, paths=["1", "2"]) for model, run in findings.runs.items()}
    of_a = replace(findings, runs=findings.runs | {"A": several["A"]})
    assert "one training of B: this says nothing about another seed" in verdict(of_a).paragraph
    assert "another seed" not in verdict(replace(findings, runs=several)).paragraph


def test_three_models_are_told_in_pairs(findings):
    shared = findings.shared
    three_models = replace(
        findings,
        runs=findings.runs | {"C": ModelInfo("", ["c"], [1], ["PER", "DIS", "ANIM"], 30000)},
        headline=findings.headline | {"C": published(0.5)},
        shared=replace(shared, models=shared.models | {"C": scored(0.4, **SUPPORT)}),
        decomposition=findings.decomposition | {"C": replace(findings.decomposition["B"], gap=-0.43872)},
    )
    pairs = [pair(of, to, ALL_TYPES, **BY_TYPE) for of, to in ("BA", "CA", "CB")]
    said = verdict(with_differences(three_models, *pairs))
    assert "B (subset, 3 types) has F1 0.9657 and C (3 types) has F1 0.5000." in said.paragraph
    assert "Of the gap of −0.4387 (C − A)" in said.paragraph
    assert len(said.lines) == 3 * 4
    assert "C is better than B on DIS (F1 +0.021, 95 % CI 0.010 to 0.033, p = 0.0006)" in said.lines
    assert any(
        line.startswith("no difference shown between C and A on ANIM (C − A: F1") for line in said.lines
    )


def test_verdict_reads_what_uncertainty_writes(findings):
    aligned = simulated.two_models(3, errors=(0.3, 0.1))
    support = dict.fromkeys(simulated.TYPES, 50)
    shared = replace(
        findings.shared,
        types=list(simulated.TYPES),
        models={model: scored(0.9, **support) for model in "AB"},
    )
    found = replace(findings, shared=shared, uncertainty=uncertainty(aligned, resamples=500))
    lines = verdict(found).lines
    assert len(lines) == 1 + len(simulated.TYPES)
    assert lines[0].startswith("B is better on all types together (F1 +0.")
