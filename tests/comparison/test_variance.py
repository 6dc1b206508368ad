"""The chance in F1, parted into test sentences, seeds and the training set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ner_dist.comparison.compare import compare
from ner_dist.comparison.variance import _parts
from ner_dist.errors import UserError
from tests.comparison.made_runs import write_run
from tests.report.examples import TYPES, sentences, tagged, write_report

SENTENCES = sentences(60)


def write(folder: Path, name: str, seed: int, draw: int | None = None, *, lines=SENTENCES) -> Path:
    errors = 0.08 if draw is None else 0.05 + 0.03 * draw  # refits vary more than seeds
    said = tagged(lines, errors=errors, seed=seed + ord(name))
    run = write_run(folder / f"{name}-{seed}-{draw}", list(TYPES), said, name=name)
    resample = "null" if draw is None else str(draw)
    (run / "recipe.yaml").write_text(
        f"name: {name}\noutput_dir: {run}\ntrain: {{seed: {seed}}}\n"
        f"data: {{path: news, resample: {resample}}}\n"
    )
    return run


@pytest.fixture
def runs(tmp_path):
    """Three seeds of each of two recipes, and four refits of the first."""
    seeds = [write(tmp_path, name, seed) for name in "ab" for seed in (1, 2, 3)]
    return seeds, [write(tmp_path, "a", draw, draw) for draw in (1, 2, 3, 4)]


def test_refits_are_no_runs_of_the_model(runs, tmp_path):
    seeds, refits = runs
    with_refits = compare(*seeds, *refits, out=tmp_path / "out", resamples=100)
    without = compare(*seeds, out=tmp_path / "out", resamples=100)
    assert [len(run.paths) for run in with_refits.runs.values()] == [3, 3]
    assert with_refits.shared == without.shared and with_refits.uncertainty == without.uncertainty
    assert without.variance == {} and [*with_refits.variance] == ["A"]
    parts = with_refits.variance["A"]
    assert (parts.runs, parts.refits) == (3, 4)
    f1 = [json.loads((run / "results.json").read_text())["test"]["f1"] for run in (*seeds[:3], *refits)]
    # All types and sentences are shared here, so F1 on the same ground is what each run reports.
    assert parts.seeds.sd == pytest.approx(np.std(f1[:3], ddof=1))
    assert parts.training_set.sd**2 == pytest.approx(np.var(f1[3:], ddof=1) - np.var(f1[:3], ddof=1))
    assert any("by 3 seeds and 4 refits" in caveat for caveat in with_refits.verdict.caveats)


def test_the_page_shows_them_in_one_picture(runs, tmp_path):
    seeds, refits = runs
    comparison = compare(*seeds, *refits, out=tmp_path / "out", resamples=100)
    write_report(comparison, tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "What makes F1 vary" in page and 'href="#variance"' in page
    assert f"the training set {comparison.variance['A'].training_set.sd:.4f}" in page


def test_a_refit_on_another_test_set_is_refused(runs, tmp_path):
    seeds, refits = runs
    other = write(tmp_path, "a", 9, 9, lines=SENTENCES[:50])
    with pytest.raises(UserError, match="was not scored on the sentences of"):
        compare(*seeds, *refits, other, out=tmp_path / "out", resamples=100)


def test_refits_without_a_run_on_the_whole_training_set_are_refused(runs, tmp_path):
    seeds, refits = runs
    with pytest.raises(UserError, match="the runs of one model are all on draws of its training sentences"):
        compare(*seeds[3:], *refits, out=tmp_path / "out")


def simulated(rng, *, runs: int, refits: int, sentences: float, seeds: float, training: float):
    """Figures of runs and refits, and their covariance over test sets, from known deviations."""
    figures = 0.8 + rng.normal(0, seeds, runs)
    refitted = 0.75 + rng.normal(0, np.hypot(seeds, training), refits)
    return _parts(figures, refitted, np.full((runs, runs), sentences**2) + np.eye(runs) * 1e-6, 800)


KNOWN = {"sentences": 0.010, "seeds": 0.006, "training": 0.012}


def test_intervals_hold_the_deviations_as_often_as_their_level_says():
    rng = np.random.default_rng(5)
    found = [simulated(rng, runs=5, refits=10, **KNOWN) for _ in range(100)]
    for part, true in (("test_sentences", 0.010), ("seeds", 0.006), ("training_set", 0.012)):
        held = np.mean([getattr(each, part).low <= true <= getattr(each, part).high for each in found])
        assert held > 0.88, part


def test_the_largest_is_named_only_where_the_runs_can_tell():
    rng = np.random.default_rng(6)
    few = [simulated(rng, runs=3, refits=3, **KNOWN).largest for _ in range(50)]
    assert few.count(None) > 45
    none = simulated(rng, runs=3, refits=3, sentences=0.0, seeds=0.0, training=0.0)
    assert none.largest is None
    clear = {"sentences": 0.004, "seeds": 0.005, "training": 0.05}
    many = [simulated(rng, runs=10, refits=20, **clear).largest for _ in range(20)]
    assert many.count("training_set") == 20
