"""The page of one run: complete, in training, just started, resumed, damaged, or missing."""

from __future__ import annotations

import json
import os
import platform
import re

import pytest

from ner_dist import cli
from ner_dist.errors import UserError
from ner_dist.evaluation.operating_curve import BiasPoint, OperatingCurve, ThresholdPoint, write_curve
from ner_dist.report import run_tables
from ner_dist.report.write import write_run_report
from ner_dist.run.directory import Run, read_results
from tests.report import examples
from tests.report.test_write import Page


def told(run: Run) -> str:
    """The text of the run's page; checks that its markup is valid."""
    (path,) = write_run_report(run)
    parsed = Page(path.read_text())
    assert parsed.errors == []
    return " ".join(" ".join(parsed.text).split())


def test_a_complete_run(tmp_path):
    run = examples.run(tmp_path / "run")
    text = told(run)
    f1 = json.loads(run.results.read_text())["test"]["f1"]
    best = "the weights of step 60 were the best on validation"
    assert f"Complete: 60 steps in 1 min 00 s; {best}. Test F1 {f1:.4f}" in text
    for part in (
        "Learning rate",
        "Training loss",
        "Validation F1",
        "Words a second",
        "Padding",
        "Peak memory",
    ):
        assert f"{part}" in text
    assert "Each type, on the test split" in text
    assert "Entities by what became of them" in text
    assert "train.learning_rate" not in text, "only what the file says"
    assert "/nowhere/else" in text
    assert "on the same ground" not in text and "A:" not in text, "there is one model, and it has a name"
    assert (
        "tiny: from 0.52 at step 20" in text and "Entities by what became of them, on the test split" in text
    )


def test_a_run_that_trains(tmp_path):
    run = examples.run(tmp_path / "run", complete=False)
    holder = {"host": platform.node(), "pid": os.getpid(), "since": "2026-01-01T00:00:00+00:00"}
    (run.folder / ".holder.json").write_text(json.dumps(holder))
    with (run.folder / ".lock").open("w"):
        text = told(run)
    assert "Training: step 60 of 100, epoch 1." in text
    assert "best validation F1 0.5600 at step 60" in text
    assert "once the run has written its predictions" in text


def test_a_run_that_was_stopped(tmp_path):
    run = examples.run(tmp_path / "run", complete=False)
    text = "Not complete, and no training is running: step 60 of 100, epoch 1. The same command "
    assert text + "starts over: there is no checkpoint." in told(run)
    (run.checkpoints / "best-000020").mkdir(parents=True)
    assert text + "starts over" in told(run), "weights alone cannot be resumed"
    (run.checkpoints / "step-000020").mkdir()
    assert text + "resumes it from its last checkpoint." in told(run)


@pytest.mark.parametrize(("losses", "best"), [((0.3, 0.1, 0.2), 40), ((0.3, 0.2, 0.2), 60)])
def test_of_equal_scores_the_lowest_loss_then_the_last_is_the_best(tmp_path, losses, best):
    """As the training has it."""
    run = examples.run(tmp_path / "run", complete=False)
    evaluations = [
        {"event": "evaluation", "split": "validation", "step": step, "f1": 0.5, "loss": loss}
        for step, loss in zip((20, 40, 60), losses, strict=True)
    ]
    run.metrics.write_text("".join(json.dumps(event) + "\n" for event in evaluations))
    assert f"best validation F1 0.5000 at step {best}" in told(run)


@pytest.mark.parametrize("value", ["null", "NaN", "Infinity"])
def test_losses_that_are_not_finite_are_named(tmp_path, value):
    """A training writes null; only other programs write NaN and Infinity."""
    run = examples.run(tmp_path / "run", complete=False)
    whole = run.metrics.read_text()
    run.metrics.write_text(re.sub(r'("step": [34]0,.*?"loss": )[0-9.]+', rf"\g<1>{value}", whole))
    text = told(run)
    assert "Training loss of tiny: 2 values are not finite and not drawn, the first at step 30." in text
    assert "Training loss over steps" in text
    run.metrics.write_text(re.sub(r'"(loss|f1|learning_rate)": [0-9.e-]+', rf'"\1": {value}', whole))
    text = told(run)
    assert "Training loss of tiny: 6 values are not finite" in text
    assert "Validation F1 of tiny: 3 values are not finite" in text
    assert "Training loss over steps" not in text
    run.metrics.write_text(whole.replace('"grad_norm": 1.0', f'"grad_norm": {value}', 1))
    named = "Gradient norm of tiny: one value is not finite and not drawn, at step 10." in told(run)
    assert named == (value != "null"), "where nothing is measured it is null too"


def test_metrics_that_cannot_be_read_are_no_empty_run(tmp_path):
    run = examples.run(tmp_path / "run", complete=False)
    run.metrics.unlink()
    run.metrics.mkdir()
    with pytest.raises(UserError, match=r"metrics\.jsonl: cannot be read: Is a directory"):
        write_run_report(run)
    assert not (run.folder / "report.html").exists()


@pytest.mark.parametrize("content", ["", "\n", '{"event": "train", "st', '{"event": "train", "step": 3}\n'])
def test_a_run_that_has_just_begun(tmp_path, content):
    run = examples.run(tmp_path / "run", complete=False)
    run.metrics.write_text(content)
    assert "Not complete" in told(run)


def test_a_torn_last_line_costs_only_itself(tmp_path):
    run = examples.run(tmp_path / "run", complete=False)
    before = told(run)
    with run.metrics.open("a") as file:
        file.write('{"event": "train", "step": 70, "total_st')
    assert told(run) == before


def test_steps_of_a_resumed_run_count_once(tmp_path):
    run = examples.run(tmp_path / "run", complete=False, steps=60)
    with run.metrics.open("a") as file:
        for event in ({"event": "resume", "step": 20}, *examples.events(40, first=21, loss=5.0)):
            file.write(json.dumps(event) + "\n")
    text = told(run)
    assert "step 40 of 100" in text
    # 2 / 20 before, 5 / 30 and 5 / 40 after; the old steps 30 to 60 are gone.
    assert "from 0.2 at step 10 to 0.125 at step 40, all within 0.1 to 0.2" in text


@pytest.mark.parametrize("gone", ["recipe", "metrics", "predictions"])
def test_what_a_run_lacks_is_left_out(tmp_path, gone):
    run = examples.run(tmp_path / "run")
    (run.predictions("test") if gone == "predictions" else getattr(run, gone)).unlink()
    text = told(run)
    assert ("The recipe's main settings" in text) == (gone != "recipe")
    assert ("No steps are known: metrics.jsonl has none." in text) == (gone == "metrics")
    assert ("Entities by what became of them" in text) == (gone != "predictions")
    assert ("Errors are not shown: its predictions are missing." in text) == (gone == "predictions")
    assert "yet" not in text and "once the run has written" not in text, "nothing comes any more"


def test_a_run_without_a_test_split(tmp_path):
    run = examples.run(tmp_path / "run")
    results = json.loads(run.results.read_text())
    del results["test"]
    run.results.write_text(json.dumps(results))
    run.predictions("test").unlink()
    text = told(run)
    assert "Complete: 60 steps in 1 min 00 s; the weights of step 60 were the best on validation." in text
    assert "Errors are not shown: it has no test split." in text
    assert "once the run has written" not in text


def test_damaged_files_are_survived(tmp_path):
    run = examples.run(tmp_path / "run")
    run.predictions("test").write_text('{"gold": ["O"]}\n')
    run.recipe.write_text("name: [\n")
    assert "The predictions cannot be read" in told(run)


@pytest.mark.parametrize("pid", ["1" + "0" * 30, "1e400", "[" * 100_000])
def test_a_damaged_note_of_who_trains_is_survived(tmp_path, pid):
    run = examples.run(tmp_path / "run", complete=False)
    note = f'{{"host": "{platform.node()}", "since": "2026-01-01T00:00:00+00:00", "pid": {pid}}}'
    (run.folder / ".holder.json").write_text(note)
    assert "no training is running" in told(run)


@pytest.mark.parametrize("odd", ["1" + "0" * 400, "1e30", "true", "[1]", '"x"'])
def test_odd_numbers_are_survived(tmp_path, odd):
    run = examples.run(tmp_path / "run", complete=False)
    line = ", ".join(f'"{key}": {odd}' for key in examples.events(10)[0] if key not in ("event", "step"))
    run.metrics.write_text(f'{{"event": "train", "step": 5, {line}}}\n' + run.metrics.read_text())
    text = told(run)
    assert "step 60 of 100" in text
    named = "Training loss of tiny: one value is not finite and not drawn, at step 5." in text
    assert named == (len(odd) > 400)


@pytest.mark.parametrize("odd", ['{"PER": 3, "ORG": {"f1": 0.25}}', '{"PER": null, "ORG": {"f1": 0.25}}'])
def test_types_without_scores_are_survived(tmp_path, odd):
    run = examples.run(tmp_path / "run")
    results = json.loads(run.results.read_text())
    run.results.write_text(json.dumps(results | {"test": {"per_type": json.loads(odd)}}))
    assert "PER – – – – ORG – – – 0.2500" in told(run)


def test_a_recipe_that_is_nested_too_deeply_is_left_out(tmp_path):
    run = examples.run(tmp_path / "run", complete=False)
    run.recipe.write_text("[" * 100_000)
    assert "Not complete" in told(run)


@pytest.mark.parametrize("content", ['{"test": ', "[]", "[" * 100_000])
def test_results_that_cannot_be_read_are_named(tmp_path, content):
    """The run may be complete, and the training refuses it as it is."""
    run = examples.run(tmp_path / "run")
    run.results.write_text(content)
    with pytest.raises(UserError) as refused:
        read_results(run)
    text = told(run)
    assert "It is unknown whether the run is complete: results.json " + refused.value.what in text
    assert "refuses this run until the file is fixed; without the file it starts over" in text
    assert "Errors are not shown: results.json has no labels." in text
    assert "Not complete" not in text and "Complete:" not in text


def test_results_that_say_nothing(tmp_path):
    run = examples.run(tmp_path / "run")
    run.results.write_text("{}")
    text = told(run)
    assert "Complete." in text and "results.json has no labels" in text


def test_another_folder(tmp_path):
    run = examples.run(tmp_path / "run", complete=False)
    assert write_run_report(run, tmp_path / "pages") == [tmp_path / "pages" / "report.html"]
    assert not (run.folder / "report.html").exists()


class TestCommand:
    def call(self, monkeypatch, *words: str) -> int:
        monkeypatch.setattr("sys.argv", ["ner-dist", "report", *words])
        with pytest.raises(SystemExit) as left:
            cli.main()
            raise SystemExit(0)
        return left.value.code

    def test_writes_and_says_where(self, tmp_path, monkeypatch, capsys):
        run = examples.run(tmp_path / "run", complete=False)
        assert self.call(monkeypatch, str(run.folder)) == 0
        assert capsys.readouterr().out == f"written to {run.folder / 'report.html'}\n"

    @pytest.mark.parametrize("kind", ["none", "empty", "file"])
    def test_no_run_is_one_line(self, tmp_path, monkeypatch, capsys, kind):
        path = tmp_path / kind
        if kind == "empty":
            path.mkdir()
        elif kind == "file":
            path.write_text("")
        assert self.call(monkeypatch, str(path)) == 2
        said = "there is no such run" if kind == "none" else "is not a run"
        assert capsys.readouterr().err == f"error: {path}: {said}; name the output directory of a training\n"
        assert not (path / "report.html").exists()

    def test_a_folder_that_is_a_file_is_found_before_the_work(self, tmp_path, monkeypatch, capsys):
        (tmp_path / "file").write_text("")
        run = examples.run(tmp_path / "run", complete=False)
        monkeypatch.setattr("ner_dist.report.write.run_page", lambda run: pytest.fail("the work was begun"))
        assert self.call(monkeypatch, str(run.folder), "--out", str(tmp_path / "file" / "below")) == 2
        error = capsys.readouterr().err
        assert error.startswith(
            f"error: --out {tmp_path / 'file' / 'below'}: lies below {tmp_path / 'file'}, which"
        )
        assert error.count("\n") == 1


def test_what_auto_chose_stands_beside_it():
    settings = {"train": {"epochs": "auto", "batch_tokens": 512}, "provenance": {"auto": {"epochs": 60}}}
    assert run_tables.recipe(settings).rows == [["train.epochs", "auto: 60"], ["train.batch_tokens", "512"]]


def test_the_operating_curve_is_drawn_with_what_targets_choose(tmp_path):
    run = examples.run(tmp_path / "run")
    assert "Operating points" not in told(run)
    run.model.mkdir()
    thresholds = [ThresholdPoint(0.0, 0.91, 0.8, 0.85), ThresholdPoint(0.625, 0.96, 0.5, 0.66)]
    biases = [BiasPoint(0.0, 0.91, 0.8, 0.85), BiasPoint(1.5, 0.6, 0.93, 0.73)]
    curve = OperatingCurve(1, "validation", 80, 120, "viterbi", 1.4, thresholds, biases)
    write_curve(run.model, curve)
    text = told(run)
    assert "--target-precision 0.9 threshold 0 0.9100 0.8000 0.8500" in text
    assert "--target-precision 0.95 threshold 0.625 0.9600 0.5000 0.6600" in text
    assert "--target-precision 0.98" not in text and "--target-recall 0.95" not in text
    assert "highest recall bias 1.5 0.6000 0.9300 0.7300" in text
    assert "--target-recall 0.9 bias 1.5 0.6000 0.9300 0.7300" in text
    assert "tags chosen by viterbi, 120 entities in 80 sentences" in text
    assert "threshold 0: precision 0.910, recall 0.800, F1 0.850. threshold 0.625: precision 0.960" in text
    (run.model / "operating_curve.json").write_text("{")
    text = told(run)
    assert "The operating curve is not shown: " in text and "cannot be read" in text
    assert "--target-precision" not in text
