"""The plan holds every example once, fills micro-batches well, mixes lengths and does not depend on ranks."""

from __future__ import annotations

import json
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_dist.data.batch_plan import Plan, plan_epoch, plan_evaluation, rank_micro_batches
from ner_dist.data.corpus import Split, offsets_of
from ner_dist.data.encoding import encode
from ner_dist.errors import UserError
from ner_dist.model.tokenizer import load_tokenizer

WORLDS = range(1, 6)


@st.composite
def epochs(draw):
    """Lengths, and settings under which every one of them fits."""
    lengths = np.array(draw(st.lists(st.integers(1, 40), min_size=1, max_size=150)), dtype=np.int32)
    micro_batches = draw(st.integers(1, 6))
    limit = draw(st.integers(int(lengths.max()), 200))
    surplus = draw(st.integers(0, micro_batches - 1))
    settings = {"batch_tokens": limit * micro_batches + surplus, "micro_batch_tokens": limit + bool(surplus)}
    return lengths, settings, draw(st.integers(0, 2**31)), draw(st.integers(0, 5))


def skewed_lengths(n, *, seed=0):
    """Lengths like those of sentences: most are short, a few very long."""
    return np.random.default_rng(seed).lognormal(3.2, 0.6, n).clip(3, 400).astype(np.int32)


def filled(plan: Plan):
    """(step, micro-batch) -> examples, of all that are not empty."""
    places = np.ndindex(plan.n_steps, plan.micro_batches)
    return {place: plan.micro_batch(*place).tolist() for place in places if len(plan.micro_batch(*place))}


@given(epochs())
def test_each_example_is_in_an_epoch_exactly_once(case):
    lengths, settings, seed, epoch = case
    plan = plan_epoch(lengths, **settings, seed=seed, epoch=epoch)
    by_step = np.concatenate([plan.step_examples(step) for step in range(plan.n_steps)])
    assert sorted(by_step) == list(range(len(lengths)))
    assert sorted(chain.from_iterable(filled(plan).values())) == list(range(len(lengths)))


@given(epochs())
def test_micro_batches_and_steps_stay_within_their_tokens(case):
    lengths, settings, seed, epoch = case
    plan = plan_epoch(lengths, **settings, seed=seed, epoch=epoch)
    cells = {place: len(ids) * lengths[ids].max() for place, ids in filled(plan).items()}
    assert max(cells.values()) <= settings["micro_batch_tokens"]
    for step in range(plan.n_steps):
        in_step = sum(n for (of, _), n in cells.items() if of == step)
        assert in_step == plan.step_padded_tokens(step, lengths)
        assert in_step <= settings["batch_tokens"]


@given(epochs())
def test_only_micro_batches_that_do_not_divide_are_empty_and_they_are_spread_over_steps(case):
    lengths, settings, seed, epoch = case
    plan = plan_epoch(lengths, **settings, seed=seed, epoch=epoch)
    assert plan.micro_batches == -(-settings["batch_tokens"] // settings["micro_batch_tokens"])
    per_step = np.bincount([step for step, _ in filled(plan)], minlength=plan.n_steps)
    assert plan.n_steps * plan.micro_batches - per_step.sum() < plan.micro_batches
    assert per_step.min() >= 1
    assert per_step.max() - per_step.min() <= 1


@given(epochs())
def test_the_ranks_share_out_every_step_with_equally_many_passes(case):
    lengths, settings, seed, epoch = case
    plan = plan_epoch(lengths, **settings, seed=seed, epoch=epoch)
    for world in WORLDS:
        ranks = [rank_micro_batches(plan.micro_batches, rank, world) for rank in range(world)]
        assert {len(of_rank) for of_rank in ranks} == {-(-plan.micro_batches // world)}
        run = [index for of_rank in ranks for index in of_rank if index >= 0]
        assert sorted(run) == list(range(plan.micro_batches))
        for step in range(plan.n_steps):
            seen = np.concatenate([plan.micro_batch(step, index) for index in run])
            assert sorted(seen) == sorted(plan.step_examples(step))


def test_a_rank_runs_every_worldth_micro_batch_and_then_empty_work():
    assert rank_micro_batches(5, 0, 2) == [0, 2, 4]
    assert rank_micro_batches(5, 1, 2) == [1, 3, -1]
    assert rank_micro_batches(1, 2, 3) == [-1]


@given(epochs())
def test_the_same_seed_gives_the_same_plan_and_epochs_have_equally_many_steps(case):
    lengths, settings, seed, epoch = case
    one, again = (plan_epoch(lengths.copy(), **settings, seed=seed, epoch=epoch) for _ in range(2))
    assert np.array_equal(one.order, again.order)
    assert np.array_equal(one.bounds, again.bounds)
    assert plan_epoch(lengths, **settings, seed=seed + 1, epoch=epoch + 1).n_steps == one.n_steps


def test_planning_leaves_the_lengths_and_numpys_global_state_alone():
    lengths = skewed_lengths(500)
    before, state = lengths.copy(), np.random.get_state()[1].copy()
    plan_epoch(lengths, batch_tokens=2048, micro_batch_tokens=512, seed=1, epoch=0)
    assert np.array_equal(lengths, before)
    assert np.array_equal(np.random.get_state()[1], state)


def test_epochs_and_seeds_differ_in_who_shares_a_micro_batch_and_when():
    lengths = skewed_lengths(3000)
    sizes = {"batch_tokens": 2048, "micro_batch_tokens": 512}
    plans = [plan_epoch(lengths, **sizes, seed=s, epoch=e) for s, e in [(1, 0), (1, 1), (2, 0), (2, 1)]]
    for i, one in enumerate(plans):
        for other in plans[:i]:
            groups = [{frozenset(ids) for ids in filled(plan).values()} for plan in (one, other)]
            assert len(groups[0] & groups[1]) < 0.2 * len(groups[0])
            assert not np.array_equal(one.bounds, other.bounds)


def test_the_plan_is_the_same_on_every_platform_and_numpy():
    lengths = np.array([5, 9, 2, 7, 7, 3, 9, 5, 5, 2, 4, 6, 8, 2, 5], dtype=np.int32)
    plan = plan_epoch(lengths, batch_tokens=54, micro_batch_tokens=18, seed=13, epoch=2)
    steps = [[plan.micro_batch(s, m).tolist() for m in range(3)] for s in range(plan.n_steps)]
    assert steps == [[[6, 1], [13, 2, 9], [4, 11]], [[0, 10, 5], [12, 3], [8, 7, 14]]]
    for dtype in (np.int64, np.uint16):
        other = plan_epoch(lengths.astype(dtype), batch_tokens=54, micro_batch_tokens=18, seed=13, epoch=2)
        assert np.array_equal(other.order, plan.order)


def mean_lengths(lengths, groups):
    return np.array([lengths[group].mean() for group in groups])


def test_every_step_sees_short_and_long_sentences():
    lengths = skewed_lengths(20_000)
    plan = plan_epoch(lengths, batch_tokens=4096, micro_batch_tokens=512, seed=3, epoch=0)
    whole = [s for s in range(plan.n_steps) if all(len(plan.micro_batch(s, m)) for m in range(8))]
    longest = np.array([max(lengths[plan.step_examples(s)]) for s in whole])
    shortest = np.array([min(lengths[plan.step_examples(s)]) for s in whole])
    assert (longest > np.quantile(lengths, 0.9)).all()
    assert (shortest < np.quantile(lengths, 0.4)).all()


def test_steps_are_far_more_alike_than_micro_batches_put_together_at_random():
    lengths = skewed_lengths(20_000)
    random = np.random.default_rng(0)
    for epoch in range(3):
        plan = plan_epoch(lengths, batch_tokens=4096, micro_batch_tokens=512, seed=3, epoch=epoch)
        planned = mean_lengths(lengths, [plan.step_examples(step) for step in range(plan.n_steps)])
        micro_batches = [np.array(ids) for ids in filled(plan).values()]
        shuffled = [micro_batches[i] for i in random.permutation(len(micro_batches))]
        by_chance = [np.concatenate(shuffled[i : i + 8]) for i in range(0, len(shuffled), 8)]
        assert planned.var() < 0.2 * mean_lengths(lengths, by_chance).var()


def test_neither_the_time_of_a_step_nor_the_place_in_it_tells_the_length():
    lengths = skewed_lengths(20_000)
    steps, places = [], []
    for epoch in range(10):
        plan = plan_epoch(lengths, batch_tokens=4096, micro_batch_tokens=512, seed=3, epoch=epoch)
        means = mean_lengths(lengths, [plan.step_examples(step) for step in range(plan.n_steps)])
        steps.append(np.corrcoef(np.arange(plan.n_steps), means)[0, 1] * np.sqrt(plan.n_steps))
        of_place = {place: lengths[ids].mean() for place, ids in filled(plan).items()}
        index = [place for _, place in of_place]
        places.append(np.corrcoef(index, list(of_place.values()))[0, 1] * np.sqrt(len(index)))
    # Each is about standard normal where there is no relation; a sorted epoch would give 10 and more.
    for normal in (steps, places):
        assert abs(np.sum(normal)) / np.sqrt(10) < 4
        assert np.abs(normal).max() < 4


def test_an_example_longer_than_a_micro_batch_names_the_key_and_the_way_out():
    assert plan_epoch(np.array([3, 41]), batch_tokens=82, micro_batch_tokens=41, seed=0, epoch=0).n_steps == 1
    with pytest.raises(UserError) as error:
        plan_epoch(np.array([3, 41]), batch_tokens=100, micro_batch_tokens=40, seed=0, epoch=0)
    text = str(error.value)
    assert text.startswith("train.micro_batch_tokens: the longest example has 41 subwords")
    assert "a micro-batch holds 33" in text
    assert "set data.max_length to 33" in text


def test_no_examples_are_an_error():
    with pytest.raises(UserError, match="no training examples"):
        plan_epoch(np.empty(0, np.int32), batch_tokens=8, micro_batch_tokens=8, seed=0, epoch=0)


def padding_share(plan, lengths) -> float:
    padded = sum(plan.step_padded_tokens(step, lengths) for step in range(plan.n_steps))
    return 1 - lengths.sum(dtype=np.int64) / padded


def test_a_million_examples_leave_hardly_any_padding():
    lengths = skewed_lengths(1_000_000)
    plan = plan_epoch(lengths, batch_tokens=8192, micro_batch_tokens=2048, seed=0, epoch=0)
    assert padding_share(plan, lengths) < 0.01


@pytest.mark.real_data
@pytest.mark.encoder
@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_padding_of_real_sentences_is_under_three_percent(real_data, minilm, name):
    with (real_data / "wikineural_en_resplit" / f"{name}.jsonl").open(encoding="utf-8") as file:
        tokens = [json.loads(line)["tokens"] for line in file]
    offsets = offsets_of(np.array([len(words) for words in tokens]))
    split = Split(tokens=tokens, tags=np.zeros(offsets[-1], np.int16), offsets=offsets)
    lengths = encode(split, load_tokenizer(str(minilm)), max_length=512, overlap=64).lengths
    for batch_tokens in (2048, 8192, 32768):
        plan = plan_epoch(lengths, batch_tokens=batch_tokens, micro_batch_tokens=2048, seed=13, epoch=0)
        assert 0 < padding_share(plan, lengths) < 0.03


@st.composite
def evaluations(draw):
    """Sentences, some of several windows, and a size of micro-batches that may be too small for one."""
    windows = st.lists(st.integers(1, 60), min_size=1, max_size=8)
    sentences = draw(st.lists(st.one_of(windows, st.integers(1, 40).map(lambda n: [n])), max_size=60))
    lengths = np.array([length for windows in sentences for length in windows], dtype=np.int32)
    sentence = np.repeat(np.arange(len(sentences), dtype=np.int32), [len(windows) for windows in sentences])
    return lengths, sentence, draw(st.integers(8, 300))


@given(evaluations())
def test_ranks_score_every_window_once_and_run_equally_many_passes(case):
    lengths, sentence, batch_tokens = case
    plan = plan_evaluation(lengths, sentence, batch_tokens=batch_tokens)
    for world in WORLDS:
        ranks = [plan.rank_micro_batches(rank, world) for rank in range(world)]
        assert len({len(passes) for passes in ranks}) == 1
        seen = [example for passes in ranks for examples in passes for example in examples]
        assert sorted(seen) == list(range(len(lengths)))


@given(evaluations())
def test_a_sentence_is_never_split_over_ranks(case):
    lengths, sentence, batch_tokens = case
    plan = plan_evaluation(lengths, sentence, batch_tokens=batch_tokens)
    n_sentences = len(np.unique(sentence))
    for world in WORLDS:
        scored = []
        for rank in range(world):
            passes = plan.rank_micro_batches(rank, world)
            run = {int(sentence[example]) for examples in passes for example in examples}
            assert run == set(plan.rank_sentences(rank, world, n_sentences=n_sentences).tolist())
            scored += run
        assert sorted(scored) == list(range(n_sentences))


@given(evaluations())
def test_the_passes_of_an_evaluation_are_those_of_one_rank_and_hold_their_tokens(case):
    lengths, sentence, batch_tokens = case
    plan = plan_evaluation(lengths, sentence, batch_tokens=batch_tokens)
    alone = sorted(tuple(examples) for examples in plan.rank_micro_batches(0, 1))
    for examples in alone:
        fits = len(examples) * lengths[list(examples)].max() <= batch_tokens
        assert fits or len(examples) == 1
    for world in WORLDS:
        passes = [examples for rank in range(world) for examples in plan.rank_micro_batches(rank, world)]
        assert sorted(tuple(examples) for examples in passes if len(examples)) == alone


def test_windows_of_different_sentences_share_a_pass():
    sentence = np.repeat(np.arange(8, dtype=np.int32), 2)
    plan = plan_evaluation(np.full(16, 50, np.int32), sentence, batch_tokens=400)
    assert [len(examples) for examples in plan.rank_micro_batches(0, 1)] == [8, 8]


def test_one_overlong_window_does_not_enlarge_the_other_passes():
    lengths = np.array([500, *[10] * 40], dtype=np.int32)
    plan = plan_evaluation(lengths, np.arange(41, dtype=np.int32), batch_tokens=100)
    assert [len(examples) for examples in plan.rank_micro_batches(0, 1)] == [1, 10, 10, 10, 10]


def test_sentences_without_windows_belong_to_the_first_rank():
    plan = plan_evaluation(np.array([4, 4]), np.array([1, 3]), batch_tokens=4)
    shares = [plan.rank_sentences(rank, 2, n_sentences=5).tolist() for rank in range(2)]
    assert shares == [[0, 1, 2, 4], [3]]


def test_work_is_shared_evenly_between_ranks():
    lengths = skewed_lengths(5000)
    plan = plan_evaluation(lengths, np.arange(5000, dtype=np.int32), batch_tokens=1024)
    loads = [sum(lengths[ids].sum() for ids in plan.rank_micro_batches(rank, 4)) for rank in range(4)]
    assert max(loads) < 1.03 * min(loads)
