"""The number of processes decides which rank scores a sentence, and nothing else."""

from __future__ import annotations

import json

import pytest

from tests.distributed.launching import RECIPE, results

pytestmark = pytest.mark.distributed

WORLDS = [1, 3]


@pytest.fixture(scope="module")
def folder(server, tmp_path_factory):
    """`own-N`, a run of N processes, and `scored-N`, the one-process run's model scored by N."""
    folder = tmp_path_factory.mktemp("worlds")
    recipe = folder / "tiny.yaml"
    recipe.write_text(
        RECIPE.replace("learning_rate: 1.0e-3", "learning_rate: 5.0e-3").replace(
            "max_steps: 20", "max_steps: 60"
        )
        + "evaluation: {batch_tokens: 150}\n"
    )
    # Few subwords a pass, so that there are passes for everybody.
    settings = {"data": None, "split": "test", "settings": [], "precision": "fp32", "batch_tokens": 150}
    for world in WORLDS:
        where = {"config": "cpu" if world > 1 else None, "processes": world}
        trained = server.start(recipe, f"output_dir={folder / f'own-{world}'}", **where)
        assert set(trained.wait()) == {0}, trained.text()
        out = str(folder / f"scored-{world}")
        scored = server.score(model=str(folder / "own-1"), out=out, **settings, **where)
        assert set(scored.wait()) == {0}, scored.text()
    return folder


def test_the_world_does_not_divide_the_test_set(folder):
    sentences = results(folder / "scored-1")["sentences"]
    assert all(sentences % world for world in WORLDS[1:])


@pytest.mark.parametrize("world", WORLDS[1:])
def test_figures_are_the_same_to_the_last_digit(folder, world):
    one, other = (results(folder / f"scored-{n}") for n in (1, world))
    assert one["f1"] > 0.05
    for figures in (one, other):
        figures.pop("words_per_second")
    # A sum of floats has no order of its own.
    assert other.pop("loss") == pytest.approx(one.pop("loss"), rel=1e-6)
    assert other == one


@pytest.mark.parametrize("world", WORLDS[1:])
def test_predictions_are_the_same_to_the_last_byte(folder, world):
    one, other = (folder / f"scored-{n}" / "predictions" / "test.jsonl" for n in (1, world))
    assert one.stat().st_size > 0
    assert other.read_bytes() == one.read_bytes()


def test_a_run_scores_itself_as_it_is_scored_later(folder):
    own, later = results(folder / "own-1")["test"], results(folder / "scored-1")
    for name in ("precision", "recall", "f1", "accuracy", "per_type", "lenient"):
        assert later[name] == own[name]
    own, later = (
        [json.loads(line) for line in (folder / name / "predictions" / "test.jsonl").open()]
        for name in ("own-1", "scored-1")
    )
    # What it was trained on, the training alone knows.
    for line in own:
        assert isinstance(line.pop("in_train"), bool) and isinstance(line.pop("seen"), dict)
    assert own == later


@pytest.mark.parametrize("world", WORLDS[1:])
def test_runs_of_any_world_predict_the_same_sentences(folder, world):
    one, other = (
        [json.loads(line) for line in (folder / f"own-{n}" / "predictions" / "test.jsonl").open()]
        for n in (1, world)
    )
    assert len(one) == 83
    for key in ("id", "tokens", "gold"):
        assert [line[key] for line in other] == [line[key] for line in one]
    assert results(folder / f"own-{world}")["environment"]["processes"] == world
    assert results(folder / f"own-{world}")["test"]["words"] == results(folder / "own-1")["test"]["words"]


@pytest.mark.parametrize("world", WORLDS)
def test_the_logits_of_all_ranks_give_the_temperature_and_the_curve(folder, world):
    run = folder / f"own-{world}"
    curve = json.loads((run / "model" / "operating_curve.json").read_text())
    scores = results(run)["validation"]
    assert curve["sentences"] == scores["sentences"]
    for first in (curve["thresholds"][0], curve["biases"][0]):
        assert {name: first[name] for name in ("precision", "recall", "f1")} == {
            name: scores[name] for name in ("precision", "recall", "f1")
        }
    one, other = (results(folder / f"own-{n}")["calibration"] for n in (1, world))
    assert other["validation"]["loss_before"] == pytest.approx(scores["loss"], rel=1e-5)
    # Weights differ by the order of summation, so that the logits do.
    assert other["temperature"] == pytest.approx(one["temperature"], rel=1e-2)
