"""The packed plan holds every example once, in rows that are equally full and hold all lengths."""

from __future__ import annotations

from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given

from ner_dist.data.packed_plan import plan_packed_epoch
from ner_dist.errors import UserError
from tests.data.test_batch_plan import epochs, filled, mean_lengths, padding_share, skewed_lengths


@given(epochs())
def test_each_example_is_in_an_epoch_exactly_once_and_rows_hold_their_tokens(case):
    lengths, settings, seed, epoch = case
    plan = plan_packed_epoch(lengths, **settings, seed=seed, epoch=epoch)
    rows = filled(plan)
    assert sorted(chain.from_iterable(rows.values())) == list(range(len(lengths)))
    assert plan.micro_batches == -(-settings["batch_tokens"] // settings["micro_batch_tokens"])
    sums = [int(lengths[ids].sum()) for ids in rows.values()]
    assert max(sums) == plan.row_length <= settings["micro_batch_tokens"]
    assert max(map(len, rows.values())) == plan.most_examples
    for ids in rows.values():
        assert (np.diff(lengths[ids]) <= 0).all()
    for step in range(plan.n_steps):
        used = [1 for of, _ in rows if of == step]
        assert plan.step_padded_tokens(step, lengths) == len(used) * plan.row_length


@given(epochs())
def test_the_same_seed_gives_the_same_plan_and_epochs_have_equally_many_steps_of_one_size(case):
    lengths, settings, seed, epoch = case
    one, again = (plan_packed_epoch(lengths.copy(), **settings, seed=seed, epoch=epoch) for _ in range(2))
    assert np.array_equal(one.order, again.order)
    assert np.array_equal(one.bounds, again.bounds)
    other = plan_packed_epoch(lengths, **settings, seed=seed + 1, epoch=epoch + 1)
    assert (other.n_steps, other.row_length, other.most_examples) == (
        one.n_steps,
        one.row_length,
        one.most_examples,
    )


def test_the_plan_is_the_same_on_every_platform_and_numpy():
    lengths = np.array([5, 9, 2, 7, 7, 3, 9, 5, 5, 2, 4, 6, 8, 2, 5], dtype=np.int32)
    plan = plan_packed_epoch(lengths, batch_tokens=54, micro_batch_tokens=18, seed=13, epoch=2)
    steps = [[plan.micro_batch(s, m).tolist() for m in range(3)] for s in range(plan.n_steps)]
    assert steps == [[[12, 0], [4, 14], [6, 10]], [[3, 7, 9], [11, 8, 13], [1, 5, 2]]]
    for dtype in (np.int64, np.uint16):
        other = plan_packed_epoch(
            lengths.astype(dtype), batch_tokens=54, micro_batch_tokens=18, seed=13, epoch=2
        )
        assert np.array_equal(other.order, plan.order)


def test_epochs_and_seeds_differ_in_who_shares_a_row_and_when():
    lengths = skewed_lengths(3000)
    sizes = {"batch_tokens": 2048, "micro_batch_tokens": 512}
    plans = [
        plan_packed_epoch(lengths, **sizes, seed=s, epoch=e) for s, e in [(1, 0), (1, 1), (2, 0), (2, 1)]
    ]
    for i, one in enumerate(plans):
        for other in plans[:i]:
            pairs = [
                {pair for ids in filled(plan).values() for pair in pairwise(ids)} for plan in (one, other)
            ]
            assert len(pairs[0] & pairs[1]) < 0.05 * len(pairs[0])
            assert not np.array_equal(one.bounds, other.bounds)


def test_every_row_holds_short_and_long_sentences_and_neither_time_nor_place_tells_the_length():
    lengths = skewed_lengths(20_000)
    plan = plan_packed_epoch(lengths, batch_tokens=4096, micro_batch_tokens=2048, seed=3, epoch=0)
    rows = list(filled(plan).values())
    assert (np.array([lengths[ids].max() for ids in rows]) > np.quantile(lengths, 0.9)).all()
    assert (np.array([lengths[ids].min() for ids in rows]) < np.quantile(lengths, 0.1)).all()
    longest = np.array([lengths[ids].max() for ids in rows])
    related = np.corrcoef(np.arange(len(rows)), longest)[0, 1] * np.sqrt(len(rows))
    assert abs(related) < 4  # about standard normal without a relation
    assert mean_lengths(lengths, rows).std() < 1


@pytest.mark.parametrize("micro_batch_tokens", [2048, 8192])
def test_rows_are_full(micro_batch_tokens):
    lengths = skewed_lengths(100_000)
    plan = plan_packed_epoch(
        lengths, batch_tokens=8192, micro_batch_tokens=micro_batch_tokens, seed=0, epoch=0
    )
    assert padding_share(plan, lengths) < 0.002


def test_lengths_that_leave_room_for_no_other_have_a_row_each():
    plan = plan_packed_epoch(
        np.full(7, 60, np.int32), batch_tokens=200, micro_batch_tokens=100, seed=0, epoch=0
    )
    assert plan.n_steps == 4
    assert (plan.row_length, plan.most_examples) == (60, 1)
    assert sum(plan.step_padded_tokens(step, np.full(7, 60)) for step in range(4)) == 7 * 60


def test_an_example_longer_than_a_row_names_the_key():
    with pytest.raises(UserError, match="the longest example has 41 subwords"):
        plan_packed_epoch(np.array([3, 41]), batch_tokens=100, micro_batch_tokens=40, seed=0, epoch=0)
    with pytest.raises(UserError, match="no training examples"):
        plan_packed_epoch(np.empty(0, np.int32), batch_tokens=8, micro_batch_tokens=8, seed=0, epoch=0)
