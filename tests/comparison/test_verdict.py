"""The verdict states what the figures show, and no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ner_dist.comparison.claims import (
    Bounds,
    Claim,
    Difference,
    Figures,
    MacroF1,
    PairDifferences,
    Power,
    TrainedClaim,
    Uncertainty,
)
from ner_dist.comparison.decomposition import Decomposition, Order, Orders
from ner_dist.comparison.left_out import AlignmentSummary, DisputedGold, LeftOut
from ner_dist.comparison.results import (
    Headline,
    HeadlineFigures,
    ModelInfo,
    SharedScores,
    SplitFigures,
    TrainFigures,
)
from ner_dist.comparison.scores import Scores
from ner_dist.comparison.third_models import DifferencePart, ThirdModel
from ner_dist.comparison.uncertainty import uncertainty
from ner_dist.comparison.verdict import Findings, verdict
from ner_dist.evaluation.metrics import PrecisionRecallF1, TypeScores
from tests.comparison import simulated


def cell(
    difference: float, half: float, p: float, *, significant: bool, holm: float | None = None
) -> Difference:
    tested = TrainedClaim(
        low=difference - half,
        high=difference + half,
        p=p,
        p_holm=p if holm is None else holm,
        significant=significant,
        p_randomisation=p / 2,
    )
    return Difference(difference, tested)


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
        alignment=AlignmentSummary(
            by="words",
            sentences=29504,
            units=29504,
            only_in={"A": LeftOut(3380, [])},
            disputed=None,
            copies_unknown=False,
            harder=[],
            notes=[],
        ),
        decomposition={
            "B": Decomposition(
                "A",
                0.02699,
                label_set=0.0141,
                sentences=0.0087,
                gold=0.0,
                model=0.00419,
                task=0.0228,
                intervals={"task": Bounds(0.02, 0.0256)},
                intervals_over="sentences",
                orders=Orders(Order(0.0218, 0.001), Order(0.0064, 0.0164)),
                grounds={},
            )
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


RECIPES = Claim(0.001, 0.007, p=0.01, p_holm=0.02, significant=True)


def with_recipes(findings: Findings, recipes: Claim, *, trained: bool = True, power: Power | None = None):
    """Three trainings of each."""
    (one,) = findings.uncertainty.differences
    whole = replace(ALL_TYPES, recipes=recipes, trained=replace(ALL_TYPES.trained, significant=trained))
    apart = replace(one, figures=replace(one.figures, micro=three(whole)), power=power)
    runs = {model: replace(run, paths=["1", "2", "3"]) for model, run in findings.runs.items()}
    return with_differences(replace(findings, runs=runs), apart)


def test_says_that_documents_were_drawn(findings):
    drawn = replace(findings.uncertainty, drawn="documents", units=231)
    caveats = verdict(replace(findings, uncertainty=drawn)).caveats
    assert "231 documents were drawn, with all their sentences." in caveats
    assert not any("too narrow" in caveat for caveat in caveats)


def test_five_sentences_of_two_trained_models(findings):
    assert verdict(findings).paragraph == (
        "A (full, 4 types) and B (subset, 3 types) were compared on the 29,504 sentences and the 3 types "
        "that they share, which leaves out 3,380 of A. There B leads by 0.0042: F1 0.9647 against 0.9605. "
        "These two trained models differ by more than the chance of test sentences (+0.0042, 95 % CI 0.0031 "
        "to 0.0053, p < 0.0002); whether their recipes differ is unknown, since there is one training of "
        "each and another seed may give another leader. The published F1 of B and A differ by +0.0270: "
        "+0.0042 between the models on the same ground and +0.0228 because the task is another (types "
        "+0.0141, sentences +0.0087; types +0.0064 to +0.0218, by which is changed first). Three trainings "
        "of each with other seeds would show how much their luck is worth."
    )
    assert verdict(findings).caveats == [
        "Sentences were drawn: that those of one document are alike is not covered, so the intervals may be "
        "too narrow.",
        "Too few entities (under 30) to expect a difference to show: ANIM.",
    ]


def test_recipes_that_differ_beyond_seeds(findings):
    said = verdict(with_recipes(findings, RECIPES)).paragraph
    assert (
        "That is more than the chance of seeds and test sentences together (+0.0042, 95 % CI 0.0010 to "
        "0.0070, p = 0.0200, 3 and 3 trainings): the recipes differ." in said
    )
    assert "would show" not in said


def test_recipes_that_are_not_shown_to_differ_and_what_would_show_it(findings):
    open_question = replace(RECIPES, low=-0.004, high=0.012, p_holm=0.4, p=0.4, significant=False)
    said = verdict(with_recipes(findings, open_question, power=Power(0.0042, 9))).paragraph
    assert "no difference between the recipes is shown (+0.0042, 95 % CI −0.0040 to 0.0120, p = 0.40" in said
    assert "though these trainings differ by more than the chance of test sentences." in said
    assert said.endswith("9 trainings of each would show a difference of 0.0042 in 80 % of cases.")
    hopeless = verdict(with_recipes(findings, open_question, power=Power(0.0042, None))).paragraph
    assert hopeless.endswith(
        "No number of seeds would show a difference of 0.0042: the test set is too small."
    )


def test_lines_are_by_type_and_the_significant_ones_come_first(findings):
    assert verdict(findings).lines == [
        "B is better on all types together (F1 +0.0042, 95 % CI 0.0031 to 0.0053, p < 0.0002)",
        "B is better on DIS (F1 +0.021, 95 % CI 0.010 to 0.033, p < 0.0006)",
        "A is better on PER (F1 +0.0120, 95 % CI 0.0080 to 0.0160, p < 0.0004)",
        "no difference is shown on ANIM (F1 B − A +0.050, 95 % CI 0.010 to 0.090, p = 0.0900 corrected for "
        "the number of tests; 12 entities only)",
    ]


def test_precision_and_recall_that_differ_in_opposite_directions_are_both_said(findings):
    figures = PrecisionRecallF1(
        cell(-0.0153, 0.01, 0.001, significant=True),
        cell(0.0263, 0.01, 0.001, significant=True),
        cell(0.005, 0.01, 0.3, significant=False),
    )
    apart = pair("B", "A", ALL_TYPES, **BY_TYPE)
    apart.figures.per_type["DIS"] = figures
    assert (
        "on DIS, A has the higher precision (+0.0153) and B the higher recall (+0.0263); no difference of F1 "
        "is shown (F1 B − A +0.005, 95 % CI −0.005 to 0.015, p = 0.30)"
    ) in verdict(with_differences(findings, apart)).lines


def test_difference_that_is_not_shown_is_not_called_equal(findings):
    unshown = cell(-0.0002, 0.003, 0.8, significant=False)
    by_type = dict.fromkeys(BY_TYPE, cell(0.0, 0.03, 1.0, significant=False, holm=1.0))
    said = verdict(with_differences(findings, pair("B", "A", unshown, **by_type)))
    assert "no difference is shown (+0.0002, 95 % CI −0.0028 to 0.0032, p = 0.80)" in said.paragraph
    assert all(line.startswith("no difference is shown on ") for line in said.lines)
    assert "equal" not in said.paragraph and "same F1" not in said.paragraph
    assert "F1 B − A 0.000, 95 % CI −0.030 to 0.030, p = 1.00" in said.lines[1]


@pytest.mark.parametrize(
    ("randomised", "holm", "said"),
    [
        (0.01, 0.09, "p = 0.0900 corrected for the number of tests; 12"),
        (0.09, 0.09, "p = 0.0900 by randomisation; 12"),
        (0.04, 0.09, "p = 0.0900 by randomisation and corrected for the number of tests; 12"),
    ],
)
def test_where_the_interval_alone_would_show_a_difference_it_is_said_what_does_not(
    findings, randomised, holm, said
):
    trained = replace(BY_TYPE["ANIM"].trained, p=0.03, p_randomisation=randomised, p_holm=holm)
    animals = replace(BY_TYPE["ANIM"], trained=trained)
    apart = pair("B", "A", ALL_TYPES, **BY_TYPE | {"ANIM": animals})
    assert said in verdict(with_differences(findings, apart)).lines[-1]


def test_a_type_of_few_entities_that_shows_a_difference_is_none_of_too_few(findings):
    animals = cell(0.05, 0.04, 0.003, significant=True, holm=0.01)
    apart = pair("B", "A", ALL_TYPES, **BY_TYPE | {"ANIM": animals})
    said = verdict(with_differences(findings, apart))
    assert not any("Too few entities" in caveat for caveat in said.caveats)
    assert any("ANIM" in line and line.endswith("12 entities only)") for line in said.lines)


def test_too_few_resamples_to_show_anything_on_a_type_are_said_to_be(findings):
    few = replace(findings, uncertainty=replace(findings.uncertainty, resamples=119))
    assert "With 119 resamples no difference on a type can be shown: 120 are" in verdict(few).caveats[-1]


def test_a_task_that_is_the_same_is_no_part_of_the_gap(findings):
    said = verdict(with_gap(findings, task=0.0, label_set=0.0, sentences=0.0, gap=0.00419)).paragraph
    assert "differ by +0.0042: +0.0042 between the models on the same ground. Three" in said


def test_p_values_on_either_side_of_the_level_can_be_told_apart(findings):
    for p in (0.0496, 0.0504):
        whole = cell(0.05, 0.04, p, significant=p < 0.05)
        assert f"p = {p})" in verdict(with_differences(findings, pair("B", "A", whole, **BY_TYPE))).lines[0]


def test_a_leader_that_depends_on_whose_gold_is_taken_is_not_named(findings):
    f1 = {"A": {"A": 0.96, "B": 0.94}, "B": {"A": 0.93, "B": 0.97}}
    alignment = replace(findings.alignment, disputed=DisputedGold(186, 240, f1))
    said = verdict(replace(findings, alignment=alignment))
    assert (
        "The gold of 186 more sentences differs: with them, by that of A A leads by 0.0200 and by that of B "
        "B leads by 0.0400. Who leads depends on whose gold is right, so no model is called better."
        in said.paragraph
    )
    assert said.lines == [] and "more than the chance" not in said.paragraph


def test_three_models_are_ranked_by_the_tests(findings):
    shared = findings.shared
    three_models = replace(
        findings,
        runs=findings.runs | {"C": ModelInfo("", ["c"], [1], ["PER", "DIS", "ANIM"], 30000)},
        headline=findings.headline | {"C": published(0.5)},
        shared=replace(shared, models=shared.models | {"C": scored(0.4, **SUPPORT)}),
        decomposition=findings.decomposition | {"C": replace(findings.decomposition["B"], gap=-0.43872)},
        uncertainty=replace(findings.uncertainty, models=dict.fromkeys("ABC")),
    )
    worse = cell(-0.5, 0.01, 0.0002, significant=True)
    unshown = cell(0.00419, 0.005, 0.3, significant=False)
    pairs = [pair("B", "A", unshown), pair("C", "A", worse, **BY_TYPE), pair("C", "B", worse)]
    said = verdict(with_differences(three_models, *pairs))
    assert "There F1 is B 0.9647 (rank 1), A 0.9605 (rank 1) and C 0.4000 (rank 3);" in said.paragraph
    assert (
        "Of the gaps of the published F1 to that of A, the models on the same ground account for +0.0042 of "
        "+0.0270 (B) and +0.0042 of −0.4387 (C); the rest is because the task is another." in said.paragraph
    )
    assert said.paragraph.count("published") == 1
    assert "C is better than A on DIS (F1 +0.021, 95 % CI 0.010 to 0.033, p < 0.0006)" in said.lines
    assert any(
        line.startswith("no difference is shown between C and A on ANIM (F1 C − A") for line in said.lines
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


LEARNT = DifferencePart("C", "A", 0.003, 0.001, 0.005, significant=True)
TRAINED = DifferencePart("B", "C", 0.0012, -0.001, 0.0034, significant=False)


def test_a_third_model_parts_the_models_part_of_the_gap(findings):
    thirds = [ThirdModel("B", "A", "C", LEARNT, TRAINED)]
    said = verdict(replace(findings, third_models=thirds)).paragraph
    assert (
        "The published F1 of B and A differ by +0.0270: +0.0228 because the task of B is easier to score, "
        "95 % CI +0.0200 to +0.0256; +0.0030 because it learns fewer labels: C − A, CI +0.0010 to +0.0050; "
        "+0.0012 because its training is another (data, encoder, settings): B − C, CI −0.0010 to +0.0034, "
        "not shown." in said
    )


def test_the_reverse_model_gives_the_other_order(findings):
    reverse = ThirdModel("B", "A", "D", replace(TRAINED, to="D"), replace(LEARNT, of="D"))
    said = verdict(
        replace(findings, third_models=[ThirdModel("B", "A", "C", LEARNT, TRAINED), reverse])
    ).paragraph
    assert "not shown; by D, the labels are worth +0.0012 and the training +0.0030." in said


def test_recipes_that_differ_in_their_labels_only_need_no_third_model(findings):
    alone = ThirdModel("B", "A", None, replace(LEARNT, of="B"), None)
    said = verdict(replace(findings, third_models=[alone])).paragraph
    assert "+0.0042 between the models on the same ground (their recipes differ in labels only)" in said
