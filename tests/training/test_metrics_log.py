"""The log of a running training: an event for every few steps, with the loss of their words."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ner_dist.errors import UserError
from ner_dist.run.directory import Run
from ner_dist.training.loop import Step
from ner_dist.training.metrics_log import MetricsLogger
from tests import small

FORMATS = Path(__file__).parents[2] / "docs" / "formats.md"


def step(number, *, loss=6.0, weight=3.0, total=100, ends_epoch=False, norm: float | None = 0.5, epoch=0):
    return Step(
        number=number,
        epoch=epoch,
        ends_epoch=ends_epoch,
        total=total,
        loss=torch.tensor(loss),
        weight=weight,
        grad_norm=None if norm is None else torch.tensor(norm),
        learning_rate=1e-3 / number,
        words=30,
        subwords=45,
        padded_tokens=50,
        seconds=0.25,
    )


@pytest.fixture(scope="module")
def accelerator():
    return small.one_process()


@pytest.fixture
def metrics_log(tmp_path, accelerator):
    """Make a metrics logger with overrides of the tiny recipe; close all at the end."""
    made = []

    def make(*overrides, resumed=None):
        recipe = small.recipe(tmp_path, *overrides)
        run = Run(tmp_path / "run")
        run.folder.mkdir(exist_ok=True)
        made.append(MetricsLogger(recipe, run, accelerator=accelerator, resumed=resumed))
        return made[-1].__enter__()

    yield make
    for one in made:
        one.__exit__()


def events(tmp_path):
    return [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]


def documented(kind: str) -> set[str]:
    """Keys of an event by docs/formats.md: those of its table and those of all events."""
    section = FORMATS.read_text().split("## metrics.jsonl\n")[1].split("\n## ")[0]
    tables = dict(re.findall(r"^(`\w+`|Every) events?[^|]*?:\n\n((?:\|.+\n)+)", section, flags=re.M))
    rows = re.findall(r"^\| (`.+?) \|", tables["Every"] + tables[f"`{kind}`"], flags=re.M)
    return set(re.findall(r"`(\w+)`", " ".join(rows)))


def test_events_have_the_documented_keys(tmp_path):
    run = small.train(small.recipe(tmp_path, "train.max_steps=4", "evaluation.every=2", "checkpoint.every=2"))
    written: dict[str, set[str]] = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        event = json.loads(line)
        written.setdefault(event["event"], set()).update(event)
    assert written.keys() == {"train", "evaluation", "checkpoint"}
    for kind, keys in written.items():
        assert keys | {"peak_memory_bytes"} == documented(kind) | {"peak_memory_bytes"}


def test_a_start_from_a_checkpoint_is_an_event(metrics_log, tmp_path):
    state = {"step": 40, "seconds": 55.0, "epoch_loss": [], "nonfinite_steps": 0, "trackers": {}}
    state |= {"best_f1": 0.75, "evaluation_seconds": 10.0}
    record = metrics_log("logging.every=5", resumed=state)
    record.add(step(45))
    resume, train = events(tmp_path)
    assert resume.keys() == documented("resume")
    assert (resume["event"], resume["step"]) == ("resume", 40) and resume["seconds"] >= 55
    # The best score so far, and two evaluations as long as the one before.
    assert train["best_f1"] == 0.75 and train["seconds_left"] >= 20
    assert record.state()["evaluation_seconds"] == 10.0


def test_a_training_event_says_how_far_it_is(metrics_log, tmp_path):
    metrics_log("logging.every=1").add(step(1, epoch=2))
    (event,) = events(tmp_path)
    assert (event["event"], event["step"], event["epoch"]) == ("train", 1, 3)  # epochs count from 1 here
    assert event["learning_rate"] == 1e-3 and event["grad_norm"] == 0.5
    assert event["total_steps"] == 100
    assert event["seconds"] >= 0
    written = datetime.fromisoformat(event["time"])
    assert abs(datetime.now(timezone.utc) - written) < timedelta(minutes=1)


def test_the_loss_is_the_sum_over_the_weight_of_the_steps_since_the_event_before(metrics_log, tmp_path):
    record = metrics_log("logging.every=3")
    values = [(1.0, 2.0), (5.0, 3.0), (9.0, 10.0), (4.0, 8.0), (2.0, 4.0), (1.0, 4.0)]
    for number, (loss, weight) in enumerate(values, start=1):
        record.add(step(number, loss=loss, weight=weight))
    # Not the mean of the steps' means, which is 1.02 for the first three.
    assert [event["loss"] for event in events(tmp_path)] == [15 / 15, 7 / 16]


def test_rates_and_padding_are_over_all_steps_of_the_event(metrics_log, tmp_path):
    record = metrics_log("logging.every=2")
    for number in (1, 2):
        record.add(step(number))
    (event,) = events(tmp_path)
    assert event["words_per_second"] == pytest.approx(60 / 0.5)
    assert event["subwords_per_second"] == pytest.approx(90 / 0.5)
    assert event["padding_share"] == pytest.approx(0.1)
    assert event["learning_rate"] == 1e-3 / 2  # of the last step


@pytest.mark.parametrize("every", [1, 4, 50])
def test_events_come_every_so_many_steps_and_at_the_ends_of_no_shorter_epochs(metrics_log, tmp_path, every):
    record = metrics_log(f"logging.every={every}")
    for number in range(1, 11):
        record.add(step(number, total=10, ends_epoch=number == 7))
    ends = {7, 10} if every <= 7 else {10}
    expected = sorted({number for number in range(1, 11) if number % every == 0} | ends)
    assert [event["step"] for event in events(tmp_path)] == expected


def test_what_waits_is_written_when_asked_and_nothing_twice(metrics_log, tmp_path):
    record = metrics_log("logging.every=50")
    record.add(step(1))
    assert events(tmp_path) == []
    record.flush()
    record.flush()
    assert len(events(tmp_path)) == 1


def test_the_log_says_how_far_it_is_as_the_event_does(metrics_log, tmp_path, log_lines):
    state = {"step": 50, "seconds": -600.0, "epoch_loss": [], "nonfinite_steps": 0, "trackers": {}}
    record = metrics_log("logging.every=10", resumed=state)
    record.began -= 600  # seconds ago, in which ten of the hundred steps were done
    record.add(step(60, total=100, epoch=1))
    assert log_lines == [
        "step 60/100  epoch 2  loss 2.0000  lr 1.67e-05  grad norm 0.50  120 words/s  "
        "padding 10.0 %  40 min left"
    ]
    assert events(tmp_path)[-1]["seconds_left"] == pytest.approx(40 * 60, rel=0.01)


def test_an_engine_that_tells_no_norm_is_no_fault(metrics_log, tmp_path, log_lines):
    metrics_log("logging.every=1").add(step(1, norm=None))
    assert events(tmp_path)[0]["grad_norm"] is None
    assert "grad norm –" in log_lines[0]


def test_the_loss_of_every_epoch_is_kept(metrics_log):
    record = metrics_log("logging.every=50")
    record.add(step(1, loss=6.0, weight=4.0))
    record.add(step(2, loss=1.0, weight=1.0, ends_epoch=True))
    record.add(step(3, loss=9.0, weight=2.0, epoch=1))
    record.flush()
    assert record.epoch_loss == {0: (7.0, 5.0), 1: (9.0, 2.0)}


def test_an_evaluation_is_an_event(metrics_log, tmp_path, log_lines):
    figures = {"loss": 0.25, "precision": 0.5, "recall": 0.75, "f1": 0.6, "accuracy": 0.9}
    figures |= {"words_per_second": 100.0, "scheme": "strict IOB2", "per_type": {}}
    metrics_log().evaluation("validation", 40, 1, SimpleNamespace(**figures))
    (event,) = events(tmp_path)
    assert event.pop("seconds") >= 0 and event.pop("time") and event.pop("format") == 2
    assert event.pop("seconds_left") is None  # before the first step
    figures.pop("per_type")
    assert event == figures | {"event": "evaluation", "split": "validation", "step": 40, "epoch": 2}
    assert log_lines == [
        "validation at step 40: F1 0.6000  precision 0.5000  recall 0.7500  accuracy 0.9000  "
        "loss 0.2500 (strict IOB2)"
    ]


def test_a_run_that_goes_on_adds_to_what_is_there(metrics_log, tmp_path):
    for number in (1, 2):
        metrics_log("logging.every=1").add(step(number))
    assert [event["step"] for event in events(tmp_path)] == [1, 2]


@pytest.mark.parametrize("fault", [{"loss": float("nan")}, {"norm": float("inf")}, {"loss": float("inf")}])
def test_faults_in_a_row_stop_it_wherever_the_events_fall(metrics_log, fault):
    record = metrics_log("logging.every=4", "train.max_nonfinite_steps=3")
    for number in range(1, 8):
        # Three in a row, from the end of one event to the middle of the next.
        record.add(step(number, **(fault if number in (1, 2, 4, 5, 6) else {})))
    with pytest.raises(UserError, match="3 steps in a row, up to step 6"):
        record.add(step(8))


def test_the_event_of_a_fault_is_written_before_it_stops(metrics_log, tmp_path):
    record = metrics_log("logging.every=1", "train.max_nonfinite_steps=1")
    with pytest.raises(UserError):
        record.add(step(1, norm=float("nan")))
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1


def test_tensorboard_gets_the_numbers(tmp_path, log_lines):
    pytest.importorskip("tensorboard")
    from accelerate.state import AcceleratorState
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from ner_dist.runtime.accelerator import start

    recipe = small.recipe(tmp_path, "logging.trackers=[tensorboard]", "logging.every=2")
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = start(recipe, model_type="roberta")
    run = Run(tmp_path / "run")
    run.folder.mkdir(exist_ok=True)
    with MetricsLogger(recipe, run, accelerator=accelerator) as record:
        for number in range(1, 5):
            record.add(step(number, loss=number))
        figures = dict.fromkeys(("loss", "precision", "recall", "f1", "accuracy", "words_per_second"), 0.5)
        record.evaluation("validation", 4, 0, SimpleNamespace(**figures, scheme="strict IOB2"))
    seen = EventAccumulator(str(run.folder / "ner_dist")).Reload()
    assert {"train/loss", "train/grad_norm", "validation/f1"} <= set(seen.Tags()["scalars"])
    losses = [(scalar.step, scalar.value) for scalar in seen.Scalars("train/loss")]
    assert losses == [(2, 0.5), (4, pytest.approx(7 / 6))]


def test_trackio_gets_the_numbers_of_all_starts_of_a_run(tmp_path, log_lines):
    pytest.importorskip("trackio")
    from accelerate.state import AcceleratorState
    from trackio.sqlite_storage import SQLiteStorage

    from ner_dist.runtime.accelerator import start

    recipe = small.recipe(tmp_path, "logging.trackers=[trackio]", "logging.every=2")
    run = Run(tmp_path / "run")
    run.folder.mkdir(exist_ok=True)
    resumed = None
    for first in (1, 5):
        AcceleratorState._reset_state(reset_partial_state=True)
        accelerator = start(recipe, model_type="roberta")
        with MetricsLogger(recipe, run, accelerator=accelerator, resumed=resumed) as record:
            for number in range(first, first + 4):
                record.add(step(number, loss=number))
            resumed = record.state() | {"step": number}
    (name,) = SQLiteStorage.get_runs("ner_dist")
    assert resumed["trackers"] == {"trackio": name}
    logged = [line for line in SQLiteStorage.get_logs("ner_dist", name) if "train/loss" in line]
    steps = {line["step"]: line["train/loss"] for line in logged}
    assert steps == {2: 0.5, 4: pytest.approx(7 / 6), 6: pytest.approx(11 / 6), 8: 2.5}
    assert "scratch" in SQLiteStorage.get_run_config("ner_dist", name)["model"]
