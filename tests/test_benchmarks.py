"""The throughput benchmark runs, counts alike for all contestants, and continues without those that fail."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.distributed.launching import environment

pytestmark = pytest.mark.soak

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def throughput(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "throughput.py"), *arguments]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300)


@pytest.fixture
def module(monkeypatch):
    """Import a module of the benchmarks, which import each other by their bare names."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> tuple[dict, str]:
    """The report and what is printed of two contestants, two layers of random weights and four steps."""
    path = tmp_path_factory.mktemp("throughput") / "report.json"
    size = ["--model=random-tiny", "--data=synthetic", "--steps=4", "--warmup=1", "--test-sentences=50"]
    done = throughput(*size, "--peers=trainer", "--precision=fp32", "--rounds=1", f"--json={path}")
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(path.read_text()), done.stdout


def test_contestants_train_the_same_words_in_the_same_steps(measured):
    ours, trainer = measured[0]["training"]
    assert (ours["name"], trainer["name"]) == ("ner_dist", "trainer")
    for row in (ours, trainer):
        assert row["steps"] == 4 and row["sentences_a_step"] == 32
        assert row["words_per_second"] > 0 and row["memory"] > 2**20 and 0 < row["utilisation"] < 1
        assert row["cores"] > 0
    ratio = ours["words_per_second"] / trainer["words_per_second"]
    assert trainer["ours_is_faster"] == pytest.approx(ratio)
    assert ours["subwords_per_second"] / trainer["subwords_per_second"] == pytest.approx(ratio)


def test_padding_is_what_the_encoder_saw(measured):
    ours, trainer = measured[0]["training"]
    assert 0 <= ours["padding_share"] < 0.15 < trainer["padding_share"] < 0.7


def test_evaluations_name_how_they_scored(measured):
    rows = measured[0]["evaluation"]
    assert [row["how"] for row in rows] == ["while it trains", "the saved model", "batch 8, its default"]
    assert all(row["words_per_second"] > 0 and 0 <= row["f1"] <= 1 for row in rows)


def test_tables_hold_a_row_for_everybody_and_their_versions(measured):
    counts, printed = measured
    lines = printed.splitlines()
    assert sum(line.startswith("| ner_dist | fp32 |") for line in lines) == 3
    assert sum(line.startswith("| Trainer, run_ner.py | fp32 |") for line in lines) == 2
    assert f"transformers {counts['versions']['trainer']['transformers']}" in printed


def test_who_cannot_run_has_the_reason_in_the_table(module, measured):
    counts, _ = measured
    failed = {"name": "flair", "title": "flair", "precision": "fp32", "rounds": 0, "failed": "KeyError: 'x'"}
    lines = module("speed_report").tables(counts | {"training": [*counts["training"], failed]})
    assert "| flair | fp32 | 0 | did not run: KeyError: 'x' |||||||||" in lines


def test_environment_that_cannot_be_made_says_why(module, monkeypatch, tmp_path):
    environments = module("environments")
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    monkeypatch.setitem(environments.PACKAGES, "nobody", ("ner-dist-has-no-such-peer==1",))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(environments.NotInstalled, match="ner-dist-has-no-such-peer"):
        environments.python_of("nobody")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--peers=trainer,nobody"], "--peers: there is no `nobody`; choose from padded, "),
        (["--precision=int8"], "--precision: there is no `int8`; choose from fp32, bf16, fp16"),
        (["--data=nowhere/at/all"], "nowhere/at/all"),
    ],
)
def test_wrong_arguments_are_told_on_one_line(arguments, message):
    done = throughput(*arguments)
    assert done.returncode == 2 and not done.stdout
    error = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(error) == 1 and message in error[0] and "Traceback" not in done.stderr


def test_what_a_cpu_can_show_of_the_check_for_gpus(tmp_path):
    """`make gpu-check ARGS=--smoke`: no check fails, and each leaves its figures."""
    command = [sys.executable, str(BENCHMARKS / "gpu_check.py"), "--smoke", f"--out={tmp_path}"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    results = json.loads((tmp_path / "gpu_check.json").read_text())
    passed = {name for name, result in results.items() if result["verdict"] == "PASS"}
    assert {"waits", "same_gradient_on_any_world", "overflow_leaves_weights", "copies_arrive"} <= passed
    assert results["training"]["found"][0]["words/s"] > 0 and results["variants"]["found"]
    assert {name for name, result in results.items() if result["verdict"] == "SKIP"} == {
        *("plans_of_cudnn", "repeats_by_length", "training_is_freed", "tests_of_the_repository")
    }


def test_simulation_agrees_with_what_two_processes_were_measured_at():
    command = [sys.executable, str(BENCHMARKS / "scale.py"), "--check"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    deviations = [float(line.split("|")[4].strip(" %")) for line in done.stdout.splitlines()[2:]]
    assert len(deviations) == 6 and max(map(abs, deviations)) < 10


def test_comparison_measures_time_memory_and_the_gain():
    command = [sys.executable, str(BENCHMARKS / "comparison.py"), "--sentences=400", "--types=4", "--runs=2"]
    done = subprocess.run(
        [*command, "--resamples=100", "--rescored=2"], env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "100 resamples of 400 sentences" in done.stdout and "4 types, 2 models of 2 runs" in done.stdout
    assert "peak memory" in done.stdout and "scoring every resample again" in done.stdout


def test_label_errors_are_planted_and_counted_in_every_list(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "label_errors.py"), "--data=synthetic", "--model=scratch"]
    command += [
        "--folds=2",
        "--only=1",
        "--again=1",
        "--sentences=800",
        f"--out={tmp_path}",
        "--train",
        "train.max_steps=200",
    ]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    first, again = json.loads((tmp_path / "result.json").read_text())
    assert set(again["planted"].values()) == {50}
    for result in (first, again):
        assert set(result["planted"]) == {"type", "boundary", "removed", "invented"}
        assert 2 * sum(result["found"]["ner-dist doctor"].values()) > sum(result["planted"].values()) / 2
    corrections = (tmp_path / "corrections.jsonl").read_text().splitlines()
    assert len(corrections) == sum(first["found"]["ner-dist doctor"].values())
    assert f"ner-dist train {tmp_path}/corrected.yaml train.seed=1" in done.stdout
