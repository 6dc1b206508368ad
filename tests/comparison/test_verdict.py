"""The verdict says what the figures say, in words that claim no more."""

from __future__ import annotations

import copy

import pytest

from ner_dist.comparison.uncertainty import uncertainty
from ner_dist.comparison.verdict import verdict
from tests.comparison import simulated


def cell(difference: float, half: float, p: float, *, real: bool, holm: float | None = None) -> dict:
    found = {"difference": difference, "low": difference - half, "high": difference + half}
    found |= {"p": p, "p_randomisation": p / 2, "real": real}
    return found if holm is None else found | {"p_holm": holm}


def scored(f1: float) -> dict:
    return {"f1": f1, "per_type": {"PER": {"support": 900}, "DIS": {"support": 310}, "ANIM": {"support": 12}}}


@pytest.fixture
def figures() -> dict:
    """B leads by its label set; on the same ground it is better on DIS, A on PER."""
    return {
        "runs": {
            "A": {"name": "full", "paths": ["a"], "labels": ["PER", "DIS", "ANIM", "FOOD"]},
            "B": {"name": "subset", "paths": ["b"], "labels": ["PER", "DIS", "ANIM"]},
        },
        "headline": {m: {"mean": {"test": {"f1": f1}}} for m, f1 in (("A", 0.93872), ("B", 0.96571))},
        "shared": {
            "types": ["PER", "DIS", "ANIM"],
            "sentences": 29504,
            "A": scored(0.96049),
            "B": scored(0.96468),
        },
        "decomposition": {
            "B": {"from": "A", "gap": 0.02699, "label_set": 0.02177, "sentences": 0.00103, "model": 0.00419}
        },
        "uncertainty": {
            "level": 0.95,
            "resamples": 10_000,
            "resamples_needed": 120,
            "differences": [
                {
                    "of": "B",
                    "to": "A",
                    "micro": {"f1": cell(0.00419, 0.0011, 0.0002, real=True)},
                    "per_type": {
                        "PER": {"f1": cell(-0.012, 0.004, 0.0002, real=True, holm=0.0004)},
                        "DIS": {"f1": cell(0.0213, 0.0112, 0.0002, real=True, holm=0.0006)},
                        "ANIM": {"f1": cell(0.05, 0.04, 0.03, real=False, holm=0.09)},
                    },
                }
            ],
        },
    }


def test_paragraph_says_what_the_gap_is_made_of(figures):
    assert verdict(figures)["paragraph"] == (
        "Each on its own labels and sentences, A (full, 4 types) has F1 0.9387 and B (subset, 3 types) has "
        "F1 0.9657. Of the gap of +0.0270 (B − A), +0.0218 is due to the label set, +0.0010 to the "
        "sentences and +0.0042 to the model, which is 16 % of it. On the same 29,504 sentences and 3 types, "
        "B has F1 0.9647 and A 0.9605: B is better than A, and this is shown to be real (F1 +0.0042, 95 % "
        "CI 0.0031 to 0.0053, p = 0.0002). By type, B is better on DIS, A is better on PER and no "
        "difference is shown on ANIM. There was one training of each model: this says nothing about another "
        "seed. Too few entities (under 30) to expect a difference to show: ANIM."
    )


def test_lines_are_by_type_and_the_real_ones_come_first(figures):
    assert verdict(figures)["lines"] == [
        "B is better on all types together (F1 +0.0042, 95 % CI 0.0031 to 0.0053, p = 0.0002)",
        "B is better on DIS (F1 +0.021, 95 % CI 0.010 to 0.033, p = 0.0006)",
        "A is better on PER (F1 +0.0120, 95 % CI 0.0080 to 0.0160, p = 0.0004)",
        "no difference shown on ANIM (B − A: F1 +0.050, 95 % CI 0.010 to 0.090, p = 0.0900 corrected for the "
        "number of types; 12 entities only)",
    ]


def test_difference_that_is_not_shown_is_not_called_equal(figures):
    (pair,) = figures["uncertainty"]["differences"]
    pair["micro"]["f1"] = cell(-0.0002, 0.003, 0.8, real=False)
    for name in pair["per_type"]:
        pair["per_type"][name] = {"f1": cell(0.0, 0.03, 1.0, real=False, holm=1.0)}
    said = verdict(figures)
    assert (
        "no difference between B and A is shown (B − A: F1 −0.0002, 95 % CI −0.0032 to 0.0028, p = 0.80)"
        in (said["paragraph"])
    )
    assert (
        "Corrected for the number of types, none of them shows a difference between B and A."
        in said["paragraph"]
    )
    assert all(line.startswith("no difference shown on ") for line in said["lines"])
    assert "equal" not in said["paragraph"] and "same F1" not in said["paragraph"]
    assert "F1 0.000, 95 % CI −0.030 to 0.030, p = 1.00" in said["lines"][1]


@pytest.mark.parametrize(
    ("randomised", "holm", "said"),
    [
        (0.01, 0.09, "p = 0.0900 corrected for the number of types; 12"),
        (0.09, 0.09, "p = 0.0900 by randomisation; 12"),
        (0.04, 0.09, "p = 0.0900 by randomisation and corrected for the number of types; 12"),
    ],
)
def test_where_the_interval_alone_would_show_a_difference_it_is_said_what_does_not(
    figures, randomised, holm, said
):
    (pair,) = figures["uncertainty"]["differences"]
    pair["per_type"]["ANIM"]["f1"] |= {"p": 0.03, "p_randomisation": randomised, "p_holm": holm}
    assert said in verdict(figures)["lines"][-1]


def test_all_types_together_are_corrected_for_nothing(figures):
    (pair,) = figures["uncertainty"]["differences"]
    pair["micro"]["f1"] = cell(0.05, 0.04, 0.03, real=False) | {"p_randomisation": 0.125}
    assert verdict(figures)["lines"][0] == (
        "no difference shown on all types together (B − A: F1 +0.050, 95 % CI 0.010 to 0.090, p = 0.12 by "
        "randomisation)"
    )


def test_a_type_of_few_entities_that_shows_a_difference_is_none_of_too_few(figures):
    (pair,) = figures["uncertainty"]["differences"]
    pair["per_type"]["ANIM"]["f1"] |= {"real": True, "p_holm": 0.01}
    said = verdict(figures)
    assert "Too few entities" not in said["paragraph"]
    assert any("ANIM" in line and line.endswith("12 entities only)") for line in said["lines"])


def test_too_few_resamples_to_show_anything_on_a_type_are_said_to_be(figures):
    figures["uncertainty"]["resamples"] = 119
    assert "With 119 resamples no difference on a type can be shown: 120 are" in verdict(figures)["paragraph"]


def test_model_part_that_points_the_other_way(figures):
    figures["decomposition"]["B"] |= {"gap": 0.08, "label_set": 0.1, "model": -0.02103, "sentences": 0.0}
    assert (
        "0.0000 to the sentences and −0.0210 to the model, which points the other way."
        in (verdict(figures)["paragraph"])
    )


def test_a_model_part_that_rounds_to_nothing_points_nowhere(figures):
    figures["decomposition"]["B"] |= {"model": -0.00001}
    assert "and 0.0000 to the model. On" in verdict(figures)["paragraph"]


def test_p_values_on_either_side_of_the_level_can_be_told_apart(figures):
    (pair,) = figures["uncertainty"]["differences"]
    pair["micro"]["f1"] = cell(0.05, 0.04, 0.0496, real=True)
    assert "p = 0.0496)" in verdict(figures)["lines"][0]
    pair["micro"]["f1"] = cell(0.05, 0.06, 0.0504, real=False)
    assert "p = 0.0504)" in verdict(figures)["lines"][0]


def test_seeds_take_the_caveat_away(figures):
    figures["runs"]["A"]["paths"] = ["a1", "a2"]
    assert "one training of B: this says nothing about another seed" in verdict(figures)["paragraph"]
    figures["runs"]["B"]["paths"] = ["b1", "b2"]
    assert "another seed" not in verdict(figures)["paragraph"]


def test_three_models_are_told_in_pairs(figures):
    figures["runs"]["C"] = {"name": None, "paths": ["c"], "labels": ["PER", "DIS", "ANIM"]}
    figures["headline"]["C"] = {"mean": {"test": {"f1": 0.5}}}
    figures["shared"]["C"] = scored(0.4)
    figures["decomposition"]["C"] = figures["decomposition"]["B"] | {"gap": -0.43872}
    (pair,) = figures["uncertainty"]["differences"]
    figures["uncertainty"]["differences"] += [
        copy.deepcopy(pair) | {"of": "C", "to": "A"},
        copy.deepcopy(pair) | {"of": "C", "to": "B"},
    ]
    said = verdict(figures)
    assert "B (subset, 3 types) has F1 0.9657 and C (3 types) has F1 0.5000." in said["paragraph"]
    assert "Of the gap of −0.4387 (C − A)" in said["paragraph"]
    assert len(said["lines"]) == 3 * 4
    assert "C is better than B on DIS (F1 +0.021, 95 % CI 0.010 to 0.033, p = 0.0006)" in said["lines"]
    assert any(
        line.startswith("no difference shown between C and A on ANIM (C − A: F1") for line in said["lines"]
    )


def test_verdict_reads_what_uncertainty_writes(figures):
    aligned = simulated.two_models(3, errors=(0.3, 0.1))
    figures["shared"]["types"] = list(simulated.TYPES)
    for model in "AB":
        figures["shared"][model]["per_type"] = {name: {"support": 50} for name in simulated.TYPES}
    figures["uncertainty"] = uncertainty(aligned, resamples=500)
    lines = verdict(figures)["lines"]
    assert len(lines) == 1 + len(simulated.TYPES)
    assert lines[0].startswith("B is better on all types together (F1 +0.")
