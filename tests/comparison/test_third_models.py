"""Third models are recognised by their recipes, and part a difference into labels and training."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ner_dist.comparison.compare import compare as compare_models
from tests.comparison.made_runs import project, write_run
from tests.report.examples import TYPES, sentences, tagged, write_report

ALL, FEWER = list(TYPES), ["PER", "LOC"]
SENTENCES = sentences(60)
MODELS = {  # labels, data, errors
    "A": (ALL, "news", 0.12),
    "B": (FEWER, "small", 0.03),
    "C": (FEWER, "news", 0.08),
    "D": (ALL, "small", 0.06),
}


def write(folder: Path, model: str, seed: int = 1, **changed: str) -> Path:
    """A run of one of the models, on all sentences; other types are O in its gold tags."""
    types, data, errors = MODELS[model]
    lines = [
        line | {key: project(line[key], types) for key in ("gold", "predicted")}
        for line in tagged(SENTENCES, errors=errors, seed=10 * seed + ord(model))
    ]
    run = write_run(folder / f"{model}-{seed}", types, lines, name=model)
    labels = "all" if types == ALL else json.dumps(types)
    settings = {"epochs": "3"} | changed
    (run / "recipe.yaml").write_text(
        f"name: {model}\noutput_dir: {run}\ndata: {{path: {data}}}\nlabels: {labels}\n"
        f"train: {{seed: {seed}, epochs: {settings['epochs']}}}\n"
    )
    return run


@pytest.fixture
def compare(tmp_path):
    def compare(*models: str, seeds: int = 1, **settings):
        runs = [write(tmp_path / "runs", model, seed) for model in models for seed in range(1, seeds + 1)]
        return compare_models(*runs, out=tmp_path / "out", resamples=200, **settings)

    return compare


def f1(comparison, model):
    return comparison.shared.models[model].f1


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_model_of_one_training_and_the_others_labels_parts_the_difference(compare, seeds):
    comparison = compare("A", "B", "C", seeds=seeds)
    (third,) = comparison.third_models
    assert (third.of, third.to, third.third) == ("B", "A", "C")
    assert (third.labels.of, third.labels.to) == ("C", "A")
    assert (third.training.of, third.training.to) == ("B", "C")
    assert third.labels.difference == pytest.approx(f1(comparison, "C") - f1(comparison, "A"))
    whole = third.labels.difference + third.training.difference
    assert whole == pytest.approx(comparison.decomposition["B"].model)
    # The decomposition's interval is that of the test, over seeds where there are several.
    gap, cell = comparison.decomposition["B"], comparison.uncertainty.differences[0].figures.micro.f1
    assert gap.intervals_over == ("sentences" if seeds == 1 else "seeds and sentences")
    bounds = gap.intervals["model"].low, gap.intervals["model"].high
    assert bounds == pytest.approx((cell.decisive.low, cell.decisive.high), abs=0.01 if seeds == 1 else 0.001)
    for part in (third.labels, third.training):
        assert part.low < part.difference < part.high
    assert "because it learns fewer labels: C − A" in comparison.verdict.paragraph
    assert "because its training is another (data, encoder, settings): B − C" in comparison.verdict.paragraph


def test_the_reverse_model_parts_it_in_the_other_order(compare):
    comparison = compare("A", "B", "D", "C")  # the letters follow the order: D is C here
    forward, reverse = comparison.third_models
    assert (forward.third, reverse.third) == ("D", "C")
    assert (forward.labels.of, forward.labels.to) == ("D", "A")
    assert (reverse.labels.of, reverse.labels.to) == ("B", "C")
    assert (reverse.training.of, reverse.training.to) == ("C", "A")


def test_swapping_the_arguments_changes_the_signs_and_nothing_else(tmp_path):
    runs = {model: write(tmp_path, model) for model in "ABC"}
    there, back = (
        compare_models(*(runs[model] for model in order), out=tmp_path / "out", resamples=200)
        for order in ("ABC", "BAC")
    )
    (one,), (other,) = there.third_models, back.third_models
    for mine, theirs in ((one.labels, other.labels), (one.training, other.training)):
        assert mine.difference == pytest.approx(-theirs.difference)
        assert (mine.low, mine.high) == pytest.approx((-theirs.high, -theirs.low))
        assert mine.significant == theirs.significant
    assert "because it learns other labels" in back.verdict.paragraph


def test_recipes_that_differ_in_labels_only_have_nothing_to_part(compare):
    comparison = compare("A", "C")
    (only,) = comparison.third_models
    assert (only.third, only.training) == (None, None)
    assert only.labels.difference == pytest.approx(comparison.decomposition["B"].model)
    assert "(their recipes differ in labels only)" in comparison.verdict.paragraph


def test_a_model_of_other_settings_is_no_third_model(tmp_path):
    runs = [write(tmp_path, "A"), write(tmp_path, "B"), write(tmp_path, "C", epochs="4")]
    assert compare_models(*runs, out=tmp_path / "out", resamples=200).third_models == []


def test_plain_files_have_no_recipes_to_tell_by(tmp_path):
    files = [write(tmp_path, model) / "predictions/test.jsonl" for model in "ABC"]
    assert compare_models(*files, out=tmp_path / "out", resamples=200).third_models == []


def test_the_page_and_the_short_report_show_both_parts(compare, tmp_path):
    comparison = compare("A", "B", "C", seeds=2)
    write_report(comparison, tmp_path / "out")
    page, short = ((tmp_path / "out" / name).read_text() for name in ("report.html", "report.md"))
    for text in (page, short):
        assert "other labels: C − A" in text and "other training: B − C" in text
    assert re.search("<dt>(easier|harder) to score</dt>", page) and "<dt>learns other labels</dt>" in page
    assert "other labels, C − A +0." in page  # the chart's description
    assert "Intervals are for other seeds and other test sentences." in short
