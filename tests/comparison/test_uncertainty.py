"""Intervals and p-values: right by an independent implementation, by simulation, and by symmetry."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from itertools import chain, combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from ner_dist.comparison.claims import Difference, Figures, SeedSpread, TrainedClaim, Uncertainty
from ner_dist.comparison.influence import sentence_covariance
from ner_dist.comparison.resampling import bootstrap
from ner_dist.comparison.uncertainty import (
    holm,
    interval,
    p_bootstrap,
    p_randomisation,
    resamples_needed,
    uncertainty,
)
from ner_dist.comparison.unit_counts import UnitCounts
from ner_dist.evaluation.metrics import count_per_sentence
from ner_dist.labels import LabelSet
from tests.comparison import simulated

seeds = st.integers(0, 2**32 - 1)


def cells(figures: Figures) -> dict[tuple, Any]:
    """The cell of every figure, by its path."""
    found = {("macro", "f1"): figures.macro.f1, ("accuracy",): figures.accuracy}
    for path, three in [
        (("micro",), figures.micro),
        *((("per_type", name), three) for name, three in figures.per_type.items()),
    ]:
        found |= {(*path, field.name): getattr(three, field.name) for field in fields(three)}
    return found


def only_pair(found: Uncertainty) -> dict[tuple, Difference]:
    (pair,) = found.differences
    return cells(pair.figures)


def test_shape_of_the_table():
    figures = uncertainty(simulated.two_models(0), resamples=50)
    assert figures.resamples == 50 and figures.units == 300
    assert set(figures.models) == {"A", "B"}
    value = figures.models["A"].per_type["DIS"].recall
    assert value.low <= value.value <= value.high
    (pair,) = figures.differences
    assert (pair.of, pair.to) == ("B", "A")
    assert list(pair.figures.per_type) == list(simulated.TYPES)
    assert figures.models["A"].micro.f1.recipe is None
    assert all(cell.recipes is None for cell in only_pair(figures).values())


def by_document(ground, sentences_each: int):
    return replace(ground, document=np.arange(len(ground)) // sentences_each)


def test_documents_are_drawn_where_every_file_names_them():
    """Copies of one sentence in one document say nothing new: drawn by documents, the interval stays."""
    ground = simulated.two_models(0, sentences=60)
    copied = simulated.copied(ground, np.repeat(np.arange(60), 4), own_units=True)
    one = uncertainty(ground, resamples=2000).models["A"].micro.f1
    documents = uncertainty(by_document(copied, 4), resamples=2000)
    sentences = uncertainty(copied, resamples=2000)
    assert (documents.drawn, documents.units) == ("documents", 60)
    assert (sentences.drawn, sentences.units) == ("sentences", 240)
    width = one.high - one.low
    by_documents, by_sentences = (found.models["A"].micro.f1 for found in (documents, sentences))
    assert by_documents.high - by_documents.low == pytest.approx(width, rel=0.15)
    assert by_sentences.high - by_sentences.low == pytest.approx(width / 2, rel=0.15)
    assert "60 documents are drawn with replacement, each with all its sentences" in documents.method
    assert "The files do not name documents" in sentences.method


def test_a_few_documents_are_not_drawn():
    found = uncertainty(by_document(simulated.two_models(0), 100), resamples=50)
    assert found.drawn == "sentences" and found.units == 300
    assert "There are too few documents to draw (3)" in found.method


def test_three_models_make_three_pairs():
    aligned = simulated.two_models(0, sentences=40)
    aligned.predicted["C"], aligned.seeds["C"] = [aligned.gold], [None]
    pairs = uncertainty(aligned, resamples=20).differences
    assert [(pair.of, pair.to) for pair in pairs] == [("B", "A"), ("C", "A"), ("C", "B")]


def test_intervals_agree_with_scipy():
    """SciPy's bootstrap over sentence numbers, scored from the counts of the drawn sentences."""
    aligned = simulated.two_models(1, sentences=400, errors=(0.2, 0.12))
    labels = LabelSet.from_types(simulated.TYPES)
    counts = {
        model: count_per_sentence(aligned.gold, runs[0], aligned.offsets, labels, strict=True)
        for model, runs in aligned.predicted.items()
    }

    def f1(model: str, sentences: np.ndarray, types: slice) -> np.ndarray:
        true_positive, predicted, gold = np.moveaxis(
            counts[model][sentences][..., types].sum(axis=(-3, -1)), -1, 0
        )
        return 2 * true_positive / (predicted + gold)

    figures = uncertainty(aligned, resamples=10_000)
    for types, where in [(slice(None), ("micro", "f1")), (slice(3, 4), ("per_type", "DIS", "f1"))]:

        def statistic(sentences, axis, types=types):
            a, b = (f1(model, sentences, types) for model in "AB")
            return np.stack([a, b - a])

        theirs = stats.bootstrap(
            (np.arange(400),), statistic, n_resamples=10_000, method="percentile", batch=500, rng=3
        ).confidence_interval
        ours = [cells(figures.models["A"])[where], only_pair(figures)[where].trained]
        for i, cell in enumerate(ours):
            width = theirs.high[i] - theirs.low[i]
            assert cell.low == pytest.approx(theirs.low[i], abs=0.06 * width)
            assert cell.high == pytest.approx(theirs.high[i], abs=0.06 * width)


def test_randomisation_agrees_with_all_swaps_enumerated():
    """Eleven different sentences, so 2^11 ways to swap."""
    aligned = simulated.two_models(4, sentences=30, errors=(0.3, 0.1))
    labels = LabelSet.from_types(simulated.TYPES)
    a, b = (
        count_per_sentence(aligned.gold, runs[0], aligned.offsets, labels, strict=True).sum(axis=2)
        for runs in aligned.predicted.values()
    )
    differ = np.flatnonzero((a != b).any(axis=1))
    assert 5 < len(differ) < 16
    swaps = (np.arange(2 ** len(differ))[:, None] >> np.arange(len(differ))) & 1
    change = swaps @ (b - a)[differ]
    (ta, tb) = (a.sum(axis=0) + change, b.sum(axis=0) - change)
    f1 = [2 * t[:, 0] / (t[:, 1] + t[:, 2]) for t in (ta, tb)]
    difference = f1[1] - f1[0]
    exact = (np.abs(difference) >= abs(difference[0]) - 1e-12).mean()
    p = only_pair(uncertainty(aligned, resamples=10_000))["micro", "f1"].trained.p_randomisation
    assert p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 10_000) + 1e-4)


@given(st.lists(st.sampled_from([0.001, 0.01, 0.012, 0.02, 0.04, 0.3, 1.0]), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(p):
    """Closed testing rejects a hypothesis if all sets containing it are rejected: the largest p of these."""
    sets = list(chain.from_iterable(combinations(range(len(p)), n + 1) for n in range(len(p))))
    expected = [max(min(1, len(s) * min(p[j] for j in s)) for s in sets if i in s) for i in range(len(p))]
    assert holm(np.array(p)).tolist() == pytest.approx(expected)


def test_p_values_are_never_zero():
    figures = only_pair(uncertainty(simulated.two_models(0, errors=(0.8, 0.0)), resamples=199))
    f1 = figures["micro", "f1"].trained
    assert f1.p == 2 / 200 and f1.p_randomisation == 1 / 200 and f1.significant


@pytest.mark.parametrize("fewer", [0, 1])
def test_resamples_that_are_needed_are_just_enough_for_a_type_to_be_shown(fewer):
    """A always errs where B never does."""
    aligned = simulated.two_models(0, errors=(0.9, 0.0))
    needed = resamples_needed(len(simulated.TYPES), 0.95)
    assert needed == 200
    figures = uncertainty(aligned, resamples=needed - fewer)
    shown = [c.significant for where, c in only_pair(figures).items() if where[0::2] == ("per_type", "f1")]
    assert shown == [not fewer] * 5
    assert ("200 resamples are needed" in figures.method) == bool(fewer)


def test_p_is_below_the_level_where_the_interval_leaves_out_zero():
    drawn = np.random.default_rng(0).normal(np.linspace(-4, 4, 200), size=(2_000, 200))
    low, high = interval(drawn, 0.95)
    p = p_bootstrap(drawn)
    clear = np.abs(p - 0.05) > 0.002
    assert ((p < 0.05) == ((low > 0) | (high < 0)))[clear].all()
    assert (p <= 1).all()


def repeated(n: int, make, *, resamples: int = 400, **options) -> list[dict[tuple, dict]]:
    return [only_pair(uncertainty(make(i), resamples=resamples, seed=i, **options)) for i in range(n)]


FALSE_ALARM = 1e-4


def plausible(n: int, chance: float) -> tuple[float, float]:
    """The range of shares of n trials that is plausible for an event of this probability."""
    low, high = stats.binom.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], n, chance) / n
    return low, high


@pytest.fixture(
    scope="module", params=[1, pytest.param(5, marks=pytest.mark.soak)], ids=["few trials", "many trials"]
)
def trials(request):
    """The number of simulated comparisons: with many, the bounds are narrow."""
    return 200 * request.param


@pytest.fixture(scope="module")
def same_process(trials):
    """Comparisons of A and B drawn from one simulated process."""
    return repeated(trials, lambda i: simulated.two_models(i, sentences=150), resamples=300)


@pytest.mark.parametrize("where", [("micro", "f1"), ("macro", "f1"), ("per_type", "PER", "f1")])
@pytest.mark.parametrize("kind", ["p", "p_randomisation"])
def test_p_values_are_uniform_for_two_models_of_one_process(same_process, where, kind):
    p = np.array([getattr(figures[where].trained, kind) for figures in same_process])
    assert stats.kstest(p, "uniform").pvalue > FALSE_ALARM
    low, high = plausible(len(p), 0.05)
    assert low <= (p <= 0.05).mean() <= high


@pytest.mark.parametrize("kind", ["p", "p_randomisation"])
def test_p_values_of_accuracy_are_never_too_small(same_process, kind):
    """Equal models often have equally many errors, so p is often 1: not uniform, but it must not be small."""
    p = np.array([getattr(figures["accuracy",].trained, kind) for figures in same_process])
    assert stats.kstest(p, "uniform", alternative="greater").pvalue > FALSE_ALARM


def test_intervals_cover_nothing_where_there_is_nothing(same_process):
    cells_of = [figures["micro", "f1"].trained for figures in same_process]
    low, high = plausible(len(cells_of), 0.95)
    assert low <= np.mean([cell.low <= 0 <= cell.high for cell in cells_of]) <= high
    assert np.mean([cell.significant for cell in cells_of]) <= plausible(len(cells_of), 0.05)[1]


def test_no_type_is_called_significant_too_often(same_process):
    """Holm keeps the chance of any false finding among the types at the level."""
    false = [
        any(cell.significant for where, cell in figures.items() if where[0::2] == ("per_type", "f1"))
        for figures in same_process
    ]
    assert np.mean(false) <= plausible(len(false), 0.05)[1]


def test_intervals_have_nominal_coverage(trials):
    """Coverage of a figure and of a real difference; the true values come from very many sentences."""
    errors = (0.25, 0.15)
    truth = uncertainty(simulated.two_models(0, sentences=60_000, errors=errors), resamples=2)
    value, difference = truth.models["B"].micro.f1.value, only_pair(truth)["micro", "f1"]
    inside = []
    for i in range(trials):
        figures = uncertainty(simulated.two_models(i + 1, sentences=150, errors=errors), resamples=300)
        of_b, cell = figures.models["B"].micro.f1, only_pair(figures)["micro", "f1"].trained
        inside.append((of_b.low <= value <= of_b.high, cell.low <= difference.difference <= cell.high))
    low, high = plausible(len(inside), 0.95)
    assert (np.mean(inside, axis=0) >= low).all() and (np.mean(inside, axis=0) <= high).all()


def with_luck(seed: int, runs: int, *, known: bool = True):
    """Models of one process whose trainings vary in success."""
    rng = np.random.default_rng(seed)
    gold, offsets = simulated.gold_tags(rng, 150)
    predicted = {
        model: [simulated.said(rng, gold, offsets, error=rng.uniform(0.05, 0.35)) for _ in range(runs)]
        for model in "AB"
    }
    return simulated.aligned(
        gold, offsets, predicted, seeds=None if known else {model: [None] * runs for model in "AB"}
    )


@pytest.mark.parametrize("known", [True, False], ids=["paired", "independent"])
def test_recipes_of_one_process_are_told_apart_as_often_as_the_level_says(trials, known):
    """Trainings differ, and recipes do not; pairs and independent runs together may take a little more."""
    several = repeated(trials // 2, lambda i: with_luck(i, 3, known=known), resamples=100)
    found = np.mean([figures["micro", "f1"].recipes.significant for figures in several])
    assert found <= plausible(len(several), 0.065 if known else 0.05)[1]
    trained = [figures["micro", "f1"].trained for figures in several]
    apart = np.mean([cell.low > 0 or cell.high < 0 for cell in trained])
    assert apart > 0.2, "the trained models do differ"


def test_no_type_is_called_significant_too_often_where_trainings_have_luck_with_types(trials):
    """Each of three paired trainings learns some types better than others, by chance."""

    def make(i):
        rng = np.random.default_rng(i)
        gold, offsets = simulated.gold_tags(rng, 300)
        predicted = {
            model: [simulated.said(rng, gold, offsets, error=rng.uniform(0.02, 0.6, 5)) for _ in range(3)]
            for model in "AB"
        }
        return simulated.aligned(gold, offsets, predicted)

    false = [
        any(cell.significant for where, cell in figures.items() if where[0::2] == ("per_type", "f1"))
        for figures in repeated(trials // 2, make, resamples=240)
    ]
    assert np.mean(false) <= plausible(len(false), 0.05)[1]


def test_one_training_each_is_not_enough_where_trainings_differ():
    single = repeated(60, lambda i: with_luck(i, 1), resamples=300)
    assert np.mean([figures["micro", "f1"].significant for figures in single]) > 0.2


def test_seeds_find_a_difference_that_all_trainings_show():
    found = repeated(40, lambda i: simulated.two_models(i, errors=(0.35, 0.1), runs=4), resamples=300)
    assert np.mean([figures["micro", "f1"].significant for figures in found]) > 0.9


@settings(max_examples=15)
@given(seeds, st.integers(1, 3), st.booleans())
def test_model_against_itself(seed, runs, known):
    aligned = simulated.two_models(seed, sentences=60, runs=runs)
    aligned.predicted["B"] = [run.copy() for run in aligned.predicted["A"]]
    if not known:
        aligned.seeds["A"], aligned.seeds["B"] = [None] * runs, [None] * runs
    nothing = TrainedClaim(0, 0, p=1, p_holm=1, significant=False, p_randomisation=1)
    for cell in only_pair(uncertainty(aligned, resamples=40)).values():
        assert (cell.difference, cell.trained) == (0, nothing)
        assert (cell.recipes is None) == (runs == 1)
        if cell.recipes is not None:
            assert (cell.recipes.p, cell.recipes.significant) == (1, False)
            assert cell.recipes.low <= 0 <= cell.recipes.high


@settings(max_examples=15)
@given(seeds, st.tuples(st.integers(1, 3), st.integers(1, 3)), st.booleans())
@example(12422, (2, 3), False)  # what sentences add to a recall is nothing but rounding
def test_order_of_models_flips_signs_only(seed, runs, known):
    rng = np.random.default_rng(seed)
    gold, offsets = simulated.gold_tags(rng, 60)
    said = [[simulated.said(rng, gold, offsets, error=0.2) for _ in range(n)] for n in runs]
    names = [[i if known else None for i in range(n)] for n in runs]
    one, other = (
        only_pair(
            uncertainty(
                simulated.aligned(
                    gold,
                    offsets,
                    {"A": said[a], "B": said[1 - a]},
                    seeds={"A": names[a], "B": names[1 - a]},
                ),
                resamples=60,
            )
        )
        for a in (0, 1)
    )
    for where, cell in one.items():
        flipped = other[where]
        assert cell.difference == pytest.approx(-flipped.difference, abs=1e-12)
        for one_test, other_test in ((cell.trained, flipped.trained), (cell.recipes, flipped.recipes)):
            assert (one_test is None) == (other_test is None)
            if one_test is None or other_test is None:
                continue
            assert one_test.low == pytest.approx(-other_test.high, abs=1e-12)
            assert one_test.high == pytest.approx(-other_test.low, abs=1e-12)
            assert one_test.significant == other_test.significant
            for same in ("p", "p_holm", *(["p_randomisation"] if one_test is cell.trained else [])):
                assert getattr(one_test, same) == pytest.approx(getattr(other_test, same), abs=1e-9)


def test_copies_are_one_unit():
    """Every sentence twice leaves intervals and p-values as they are; taken for new sentences they narrow."""
    aligned = simulated.two_models(5, errors=(0.2, 0.15))
    twice = np.repeat(np.arange(300), 2)
    once, copies = (
        only_pair(uncertainty(g, resamples=2_000)) for g in (aligned, simulated.copied(aligned, twice))
    )
    for where, cell in once.items():
        assert asdict(cell.trained) == pytest.approx(asdict(copies[where].trained), abs=1e-12)
    own = only_pair(uncertainty(simulated.copied(aligned, twice, own_units=True), resamples=2_000))
    narrow, wide = (
        cell["micro", "f1"].trained.high - cell["micro", "f1"].trained.low for cell in (own, once)
    )
    assert narrow / wide == pytest.approx(np.sqrt(1 / 2), abs=0.05)


@settings(max_examples=15)
@given(seeds)
def test_seed_decides(seed):
    aligned = simulated.two_models(seed % 1000, sentences=50, runs=2)
    one, again, other = (uncertainty(aligned, resamples=50, seed=s) for s in (seed, seed, seed + 1))
    assert one == again
    assert one.differences != other.differences


def test_runs_of_the_same_luck_are_compared_in_pairs():
    """An effect of the seed that both models share cancels in their difference."""
    rng = np.random.default_rng(8)
    gold, offsets = simulated.gold_tags(rng, 300)
    luck = [simulated.said(rng, gold, offsets, error=error) for error in (0.05, 0.2, 0.35, 0.5)]
    better = [np.where(rng.random(len(gold)) < 0.3, gold, run).astype(np.int16) for run in luck]
    # The order in which runs are named is not what pairs them.
    order = [2, 0, 3, 1]
    widths = {}
    for name, of_b in (("paired", [[1, 2, 3, 4][i] for i in order]), ("independent", [5, 6, 7, 8])):
        aligned = simulated.aligned(
            gold,
            offsets,
            {"A": luck, "B": [better[i] for i in order]},
            seeds={"A": [1, 2, 3, 4], "B": of_b},
        )
        figures = uncertainty(aligned, resamples=100)
        cell = only_pair(figures)["micro", "f1"].recipes
        widths[name] = cell.high - cell.low
        assert ("have the same seeds" in figures.method or "same seeds" in figures.method) == (
            name == "paired"
        )
    assert widths["paired"] < 0.6 * widths["independent"]


def test_without_an_effect_of_sentences_it_is_the_t_test_of_the_runs():
    """A test set of very many sentences adds nothing, so that only the luck of seeds is left."""
    ground = simulated.crossed(3, sentences=40_000, runs=(3, 4), luck=simulated.Luck(seed=0.3, noise=0))
    ground = replace(ground, seeds={model: [None] * len(runs) for model, runs in ground.predicted.items()})
    cell = only_pair(uncertainty(ground, resamples=2))["micro", "f1"].recipes
    f1 = [[scores.f1 for scores in runs] for runs in ground.scores.values()]
    theirs = stats.ttest_ind(f1[1], f1[0])
    assert cell.p == pytest.approx(theirs.pvalue, abs=0.01)
    bounds = theirs.confidence_interval(0.95)
    assert (cell.low, cell.high) == pytest.approx((bounds.low, bounds.high), abs=2e-3)


def test_one_run_borrows_the_luck_of_the_others_and_two_single_runs_know_none():
    ground = simulated.crossed(3, runs=(1, 4), luck=simulated.Luck(seed=0.3))
    cell = only_pair(uncertainty(ground, resamples=100))["micro", "f1"]
    assert cell.recipes is not None and cell.recipes.high - cell.recipes.low > 0.05
    single = simulated.crossed(3, runs=(1, 1))
    assert only_pair(uncertainty(single, resamples=100))["micro", "f1"].recipes is None
    figures = only_pair(uncertainty(single, resamples=100, known=SeedSpread(0.02)))
    given = figures["micro", "f1"].recipes
    assert given is not None and figures["micro", "recall"].recipes is None
    # At least the luck of two runs, whatever the sentences.
    assert given.high - given.low > 2 * 1.96 * 0.02 * 2**0.5


def test_more_seeds_do_not_widen_the_interval_on_average():
    widths = {}
    for number in (2, 3, 5):
        found = repeated(
            20,
            lambda i, n=number: simulated.crossed(i, runs=(n, n), luck=simulated.Luck(seed=0.15)),
            resamples=2,
        )
        widths[number] = np.mean(
            [f["micro", "f1"].recipes.high - f["micro", "f1"].recipes.low for f in found]
        )
    assert widths[2] > widths[3] > widths[5]


def test_influences_give_the_variance_of_the_bootstrap():
    counted = UnitCounts.of(simulated.two_models(1, sentences=800, runs=2))
    covariance = sentence_covariance(counted)
    drawn = bootstrap(counted, resamples=3_000, seed=1)
    means = np.array([[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
    of_means = np.einsum("mr,frs,ns->fmn", means, covariance, means)
    for place, name in enumerate(counted.names):
        expected = np.cov(drawn[:, :, place].T)
        assert np.diag(of_means[place]) == pytest.approx(np.diag(expected), rel=0.12), name


def test_equal_models_are_seldom_told_apart_however_many_there_are():
    def make(i):
        return simulated.crossed(i, sentences=150, runs=(1,) * 5, luck=simulated.Luck())

    found = [uncertainty(make(i), resamples=300, seed=i) for i in range(60)]
    some = [any(pair.figures.micro.f1.significant for pair in each.differences) for each in found]
    assert np.mean(some) <= plausible(len(some), 0.05)[1]
    assert all(
        set(each.ranks.values()) == {1} for each, any_pair in zip(found, some, strict=True) if not any_pair
    )


def test_few_sentences_that_all_speak_for_one_are_not_enough():
    """The bootstrap alone calls four sentences significant, but four coin tosses agree in 1 of 8 cases."""
    gold = np.tile(np.array([1, 0], dtype=np.int16), 40)
    worse = gold.copy()
    worse[:8] = 0
    aligned = simulated.aligned(gold, np.arange(0, 81, 2), {"A": [worse], "B": [gold]})
    cell = only_pair(uncertainty(aligned))["micro", "f1"]
    assert cell.trained.p < 0.05 and cell.trained.low > 0
    assert cell.trained.p_randomisation == pytest.approx(1 / 8, abs=0.015) and not cell.significant


def test_types_that_occur_for_nobody_weigh_nothing_in_the_correction():
    aligned = simulated.two_models(0, errors=(0.3, 0.15))
    more = LabelSet.from_types((*simulated.TYPES, *(f"T{i}" for i in range(30))))
    few, many = (only_pair(uncertainty(g, resamples=300)) for g in (aligned, replace(aligned, labels=more)))
    assert many["per_type", "T3", "f1"].trained.p_holm == 1
    assert many["per_type", "PER", "f1"] == few["per_type", "PER", "f1"]


def test_p_randomisation_counts_ties_that_rounding_hides():
    assert p_randomisation(np.array([0.3]), np.array([[0.1 + 0.2], [-0.3], [0.2]]))[0] == 3 / 4


def test_types_that_a_third_model_alone_predicts_are_tests_of_its_pairs_only():
    aligned = simulated.two_models(0, errors=(0.3, 0.15))
    labels = LabelSet.from_types((*simulated.TYPES, *(f"T{i}" for i in range(30))))
    fanciful = np.zeros_like(aligned.gold)
    begins = np.arange(30)
    fanciful[begins] = [labels.label2id[f"B-T{i}"] for i in begins]
    three = replace(
        aligned,
        labels=labels,
        predicted=aligned.predicted | {"C": [fanciful]},
        seeds=aligned.seeds | {"C": [1]},
    )
    figures = uncertainty(three, resamples=300)
    between = next(pair for pair in figures.differences if (pair.of, pair.to) == ("B", "A"))
    assert between.figures.per_type["T3"].f1.trained.p_holm == 1
    assert figures.resamples_needed == (5 + 35 + 35) * 40, "of all pairs"
