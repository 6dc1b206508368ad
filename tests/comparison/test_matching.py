"""Every gold and every predicted entity is matched as the module's rules say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from ner_dist.comparison.matching import CORRECT, KINDS, MISSED, SPURIOUS, outcome
from tests.comparison.grounds import LABELS, grounds, ids_of, written


def fates(gold, predicted):
    """Kinds by name, of the gold entities and of the predicted ones."""
    aligned = written([gold], [[predicted]])
    found = outcome(aligned.gold, aligned.predicted["A"][0], aligned.offsets, LABELS)
    return [[KINDS[kind] for kind in side] for side in (found.kind_of_gold, found.kind_of_predicted)]


@pytest.mark.parametrize(
    ("gold", "predicted", "of_gold", "of_predicted"),
    [
        ("O B-PER I-PER O", "O B-PER I-PER O", ["correct"], ["correct"]),
        ("O B-PER I-PER O", "O B-LOC I-LOC O", ["wrong_type"], ["wrong_type"]),
        ("O B-PER I-PER O", "O B-PER O O", ["wrong_boundary"], ["wrong_boundary"]),
        ("O B-PER I-PER O", "O O B-LOC I-LOC", ["wrong_both"], ["wrong_both"]),
        ("O B-PER I-PER O", "B-PER O O B-PER", ["missed"], ["spurious", "spurious"]),
        # The other end of a sentence is not reached.
        ("O O O", "B-PER O O", [], ["spurious"]),
        # One is cut in two: the part of the right type is its partner, however small.
        ("B-PER I-PER I-PER", "B-LOC I-LOC B-PER", ["wrong_boundary"], ["spurious", "wrong_boundary"]),
        # Of the right type both: the larger part. Equally large: the left one.
        ("B-PER I-PER I-PER", "B-PER B-PER I-PER", ["wrong_boundary"], ["spurious", "wrong_boundary"]),
        ("B-PER I-PER", "B-PER B-PER", ["wrong_boundary"], ["wrong_boundary", "spurious"]),
        # Two are taken for one.
        ("B-PER I-PER B-LOC", "B-LOC I-LOC I-LOC", ["missed", "wrong_boundary"], ["wrong_boundary"]),
        # What starts with I- is no entity.
        ("B-PER O", "I-PER O", ["missed"], []),
    ],
)
def test_examples(gold, predicted, of_gold, of_predicted):
    assert fates(gold, predicted) == [of_gold, of_predicted]


def test_entities_of_neighbouring_sentences_do_not_meet():
    aligned = written(["O B-PER", "O O"], [["O O", "B-PER O"]])
    found = outcome(aligned.gold, aligned.predicted["A"][0], aligned.offsets, LABELS)
    assert found.kinds()[[MISSED, SPURIOUS]].tolist() == [1, 1]


def one_by_one(found):
    """Partners by a plain walk over all pairs in the documented order."""
    gold, predicted = found.gold, found.predicted
    pairs = []
    for i, (start, end) in enumerate(zip(gold.start, gold.end, strict=True)):
        for j, (other_start, other_end) in enumerate(zip(predicted.start, predicted.end, strict=True)):
            shared = len(set(range(start, end)) & set(range(other_start, other_end)))
            if shared:
                same_words = (start, end) == (other_start, other_end)
                pairs.append((not same_words, gold.type[i] != predicted.type[j], -shared, i, j))
    partner, used = {}, set()
    for *_, i, j in sorted(pairs):
        if i not in partner and j not in used:
            partner[i] = j
            used.add(j)
    return [partner.get(i, -1) for i in range(len(gold.start))]


@given(aligned=grounds(models=1))
def test_the_matching_is_a_walk_along_the_documented_order(aligned):
    for run in aligned.predicted["A"]:
        found = outcome(aligned.gold, run, aligned.offsets, aligned.labels)
        assert found.partner.tolist() == one_by_one(found)


@given(aligned=grounds(models=1))
def test_kinds_agree_on_both_sides_and_nobody_is_used_twice(aligned):
    for run in aligned.predicted["A"]:
        found = outcome(aligned.gold, run, aligned.offsets, aligned.labels)
        gold, predicted = found.pairs()
        assert len(set(predicted.tolist())) == len(predicted)
        assert (found.kind_of_gold[gold] == found.kind_of_predicted[predicted]).all()
        assert ((found.kind_of_gold == MISSED) == (found.partner < 0)).all()
        assert (found.kind_of_predicted == SPURIOUS).sum() == len(found.predicted.start) - len(predicted)
        kinds = found.kinds()
        assert kinds.sum() - kinds[SPURIOUS] == len(found.gold.start)
        assert kinds.sum() - kinds[MISSED] == len(found.predicted.start)


@given(aligned=grounds(models=1))
def test_gold_and_prediction_changing_places_changes_missed_and_spurious_alone(aligned):
    run = aligned.predicted["A"][0]
    here = outcome(aligned.gold, run, aligned.offsets, aligned.labels).kinds()
    there = outcome(run, aligned.gold, aligned.offsets, aligned.labels).kinds()
    swapped = here.copy()
    swapped[[MISSED, SPURIOUS]] = here[[SPURIOUS, MISSED]]
    assert there.tolist() == swapped.tolist()


@given(aligned=grounds(models=1))
def test_the_gold_itself_is_correct(aligned):
    kinds = outcome(aligned.gold, aligned.gold, aligned.offsets, aligned.labels).kinds()
    assert kinds[CORRECT] == kinds.sum()


def test_chains_of_overlaps_are_matched_in_one_call():
    """Each entity overlaps the next on the other side, so that what is free depends on all before it."""
    rounds = 200
    gold = ids_of([" ".join(["B-PER", "I-PER"] * rounds + ["O"])])
    predicted = ids_of([" ".join(["O", *["B-PER", "I-PER"] * rounds])])
    found = outcome(gold, predicted, np.array([0, len(gold)]), LABELS)
    assert found.partner.tolist() == list(range(rounds))
