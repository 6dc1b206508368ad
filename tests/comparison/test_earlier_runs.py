"""How F1 varies between seeds is borrowed from earlier runs."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from ner_dist.comparison.compare import compare as compare_models
from ner_dist.errors import UserError
from tests.comparison.made_runs import A_LINES, A_TYPES, B_LINES, B_TYPES, figures, write_run


def run(folder: Path, seed: int, f1: float | None = None, *, epochs: int = 3, data: str = "news") -> Path:
    types, lines = (A_TYPES, A_LINES) if epochs == 3 else (B_TYPES, B_LINES)
    own = {} if f1 is None else {"test": figures(seed) | {"f1": f1}}
    folder = write_run(folder / f"{epochs}-{seed}", types, lines, **own)
    (folder / "recipe.yaml").write_text(
        f"name: tiny\noutput_dir: {folder}\ndata: {{path: {data}}}\n"
        f"train: {{seed: {seed}, epochs: {epochs}}}\n"
    )
    return folder


@pytest.fixture
def compare(tmp_path):
    pair = run(tmp_path / "now", 1), run(tmp_path / "now", 2, epochs=4)

    def compare(**settings):
        return compare_models(*pair, out=tmp_path / "out", resamples=200, **settings)

    return compare


FIRST, SECOND = (0.80, 0.83, 0.82), (0.60, 0.64)


@pytest.fixture
def earlier(tmp_path):
    """Three seeds of one recipe, two of another, and one of a third, which shows nothing."""
    for epochs, f1s in ((5, FIRST), (6, SECOND), (7, (0.1,))):
        for seed, f1 in enumerate(f1s):
            run(tmp_path / "earlier", seed, f1, epochs=epochs)
    (tmp_path / "earlier" / "unfinished").mkdir()
    return tmp_path / "earlier"


def test_variances_are_pooled_over_recipes_by_their_degrees_of_freedom(compare, earlier):
    found = compare(seed_sd_from=[earlier]).uncertainty.seed_spread
    pooled = (2 * statistics.variance(FIRST) + statistics.variance(SECOND)) / 3
    assert found.sd == pytest.approx(pooled**0.5)
    assert (found.degrees, found.runs) == (3, 5)


def test_the_recipes_are_tested_and_few_runs_make_wider_intervals(compare, earlier):
    borrowed = compare(seed_sd_from=[earlier])
    known = compare(seed_sd=borrowed.uncertainty.seed_spread.sd)
    widths = []
    for comparison in (borrowed, known):
        (pair,) = comparison.uncertainty.differences
        bounds = pair.figures.micro.f1.recipes
        widths.append(bounds.high - bounds.low)
    assert widths[0] > widths[1] > 0
    assert "as between 5 earlier runs" in borrowed.uncertainty.method
    assert known.figures["uncertainty"]["seed_spread"] == {
        **{"sd": pytest.approx(borrowed.uncertainty.seed_spread.sd), "degrees": None, "runs": None}
    }


def test_runs_that_are_named_twice_count_once(compare, earlier):
    assert compare(seed_sd_from=[earlier, earlier / "5-0"]).uncertainty.seed_spread.runs == 5


def test_runs_of_other_data_are_warned_of(compare, tmp_path, log_lines):
    for seed, f1 in enumerate(SECOND):
        run(tmp_path / "other", seed, f1, epochs=5, data="tweets")
    compare(seed_sd_from=[tmp_path / "other"])
    assert any("another data than the models (tweets)" in line for line in log_lines)


def test_what_shows_no_spread_is_refused(compare, earlier, tmp_path):
    with pytest.raises(UserError, match="holds no recipe with complete runs of two seeds or more"):
        compare(seed_sd_from=[earlier / "7-0", earlier / "5-0"])
    with pytest.raises(UserError, match="there is no such folder"):
        compare(seed_sd_from=[tmp_path / "absent"])
    with pytest.raises(UserError, match="contradicts --seed-sd"):
        compare(seed_sd_from=[earlier], seed_sd=0.01)
