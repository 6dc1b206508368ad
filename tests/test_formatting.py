"""Numbers and lists as people read them."""

from __future__ import annotations

import sys

import pytest

from ner_dist import formatting


@pytest.mark.parametrize(
    ("function", "value", "shown"),
    [
        (formatting.score, 0.93871, "0.9387"),
        (formatting.score, None, "–"),
        (formatting.score, float("nan"), "–"),
        (formatting.signed, -0.00004, "0.0000"),
        (formatting.signed, -0.0123, "−0.0123"),
        (formatting.signed, 0.0123, "+0.0123"),
        (formatting.p_value, 0.00009, "< 0.0001"),
        (formatting.p_value, 0.0123, "0.0123"),
        (formatting.p_value, 1.0, "1.00"),
        (formatting.share, 0.0021, "0.21 %"),
        (formatting.share, 0.5, "50.0 %"),
        (formatting.level, 0.95, "95 %"),
        (formatting.level, 0.975, "97.5 %"),
        (formatting.level, 0.0005, "0.05 %"),
        (formatting.count, 32864, "32,864"),
        (formatting.count, 2.5, "2.5"),
        (formatting.count, 10**400, "–"),
        (formatting.duration, 0.4, "0 s"),
        (formatting.duration, 41, "41 s"),
        (formatting.duration, 59.6, "1 min 00 s"),
        (formatting.duration, 307, "5 min 07 s"),
        (formatting.duration, 599.6, "10 min"),
        (formatting.duration, 3580, "1 h 00 min"),
        (formatting.duration, 187_000, "2 d 04 h"),
        (formatting.duration, 7260, "2 h 01 min"),
    ],
)
def test_numbers(function, value, shown):
    assert function(value) == shown


@pytest.mark.parametrize("value", [0, -1, 0.5, 10**300, sys.float_info.max, -sys.float_info.max])
def test_a_number_that_can_be_shown(value):
    assert formatting.known(value)


@pytest.mark.parametrize(
    "value", [None, True, "1", [1], float("nan"), float("inf"), float("-inf"), 10**309, -(10**400)]
)
def test_what_is_no_number_that_can_be_shown(value):
    assert not formatting.known(value)


def test_a_score_has_its_deviation_where_there_is_one():
    assert formatting.score(0.5, 0.01234) == "0.5000 ± 0.0123"
    assert formatting.score(0.5, None) == formatting.score(0.5, float("nan")) == "0.5000"
    assert formatting.score(None, 0.1) == "–"


@pytest.mark.parametrize(
    ("low", "high", "sign", "shown"),
    [
        (0.5, 0.61234, False, "0.5000 to 0.6123"),
        (-0.5, 0.61234, True, "−0.5000 to +0.6123"),
        (0.5, None, False, "–"),
        (float("nan"), 0.5, True, "–"),
    ],
)
def test_intervals(low, high, sign, shown):
    assert formatting.interval(low, high, sign=sign) == shown


@pytest.mark.parametrize(
    ("number", "names", "shown"),
    [
        (0, ("sentence",), "0 sentences"),
        (1, ("sentence",), "1 sentence"),
        (1234, ("sentence",), "1,234 sentences"),
        (1, ("entity", "entities"), "1 entity"),
        (2, ("entity", "entities"), "2 entities"),
    ],
)
def test_numbers_of_things(number, names, shown):
    assert formatting.counted(number, *names) == shown


@pytest.mark.parametrize(
    ("names", "most", "shown"),
    [
        ([], None, ""),
        (["a"], None, "a"),
        (["a", "b"], None, "a and b"),
        (["a", "b", "c"], None, "a, b and c"),
        (["a", "b", "c"], 3, "a, b and c"),
        (["a", "b", "c"], 2, "a, b and 1 more"),
        (["a", "b", "c"], 1, "a and 2 more"),
        ([], 2, ""),
    ],
)
def test_names_in_a_sentence(names, most, shown):
    assert formatting.joined(names, most=most) == shown
