"""`ner-dist status` on real trainings while they run and after, and on an experiment's jobs."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from filelock import FileLock

from ner_dist.cluster.status import overview
from ner_dist.errors import UserError
from tests import small
from tests.distributed.launching import RECIPE, environment


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """A finished run, to be copied."""
    folder = tmp_path_factory.mktemp("complete")
    return small.train(small.recipe(folder, "train.max_steps=8", "evaluation.every=4", "checkpoint.every=4"))


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch, tmp_path_factory):
    """Hide a real Slurm of this machine; `squeue` below replaces its answer."""
    folder = tmp_path_factory.mktemp("bin")
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def squeue(no_slurm):
    """Let squeue answer like a real one, with `%A|%F|%K|%T|%r|%S|%L|%l|%N` per line."""

    def answer(*lines: str) -> None:
        path = no_slurm / "squeue"
        path.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines))
        path.chmod(0o755)

    answer()
    return answer


@pytest.fixture
def training(tmp_path):
    """Start real trainings in tmp_path/run, and end them after the test."""
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    started: list[subprocess.Popen] = []

    def start(*overrides: str) -> subprocess.Popen:
        settings = [f"output_dir={tmp_path / 'run'}", "train.max_steps=100000", *overrides]
        command = [sys.executable, "-m", "ner_dist.train", str(tmp_path / "tiny.yaml"), *settings]
        started.append(subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def until(condition, *, seconds=90):
    deadline = time.monotonic() + seconds
    while not (seen := condition()):
        assert time.monotonic() < deadline, "it did not come to this"
        time.sleep(0.05)
    return seen


def only(folder: Path):
    (run,) = overview([str(folder)]).runs
    return run


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ner_dist.cli", "status", *arguments]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)


def reached(folder: Path, step: int):
    def look():
        run = only(folder) if (folder / ".holder.json").exists() else None
        return run if run and run.pace.step >= step else None

    return look


@pytest.mark.soak
def test_a_training_that_runs_and_is_then_asked_to_stop(training, tmp_path):
    process = training("evaluation.every=5")
    run = until(reached(tmp_path / "run", 12))
    assert (run.state, run.phase, run.nodes) == ("running", "training", platform.node())
    assert run.pace.total == 100_000 and run.pace.f1 is not None and run.pace.best_f1 >= run.pace.f1
    assert run.pace.words_per_second > 0 and run.silent is None and run.heard < 30
    # So many more steps, each at least as long as a step alone took.
    assert run.left > 100 * run.pace.trained
    assert abs(run.ends - datetime.now(timezone.utc) - timedelta(seconds=run.left)) < timedelta(seconds=30)
    done = cli(str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "/100000" in done.stdout and f"on {platform.node()}" in done.stdout
    assert "1 run: 1 running; all done by about" in done.stdout
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 75
    run = only(tmp_path)
    assert (run.state, run.checkpoint) == ("stopped", run.pace.step)
    assert run.left > 0 and run.ends is None
    assert f"the next start resumes from step {run.pace.step}" in cli(str(tmp_path)).stdout


def test_a_killed_training_is_told_from_one_that_runs(training, tmp_path):
    process = training("checkpoint.every=3")
    until(reached(tmp_path / "run", 8))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / "run" / ".holder.json").exists()
    run = only(tmp_path)
    assert run.state == "stopped" and run.checkpoint % 3 == 0
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    assert only(tmp_path).state == "failed"
    assert "the next start begins at step 0" in cli(str(tmp_path)).stdout


def test_a_process_that_lives_but_does_not_hold_the_directory_is_another(complete, tmp_path):
    run = shutil.copytree(complete, tmp_path / "run")
    (run / "results.json").unlink()
    holder = {"host": platform.node(), "pid": os.getpid(), "since": "2026-01-01T00:00:00+00:00"}
    (run / ".holder.json").write_text(json.dumps(holder))
    lock = FileLock(run / ".lock")
    with lock:
        assert only(run).state == "running"
    assert only(run).state == "stopped"


def test_a_complete_run(complete, tmp_path):
    shutil.copytree(complete, tmp_path / "a" / "run")
    results = json.loads((complete / "results.json").read_text())
    run = only(tmp_path)
    assert (run.name, run.state, run.pace.step, run.pace.total) == ("a/run", "complete", 8, 8)
    assert run.test_f1 == results["test"]["f1"] and run.elapsed == results["train"]["seconds"]
    assert run.left == 0 and run.ends is None


def test_the_best_f1_is_known_however_long_ago_it_was(complete, tmp_path):
    run = shutil.copytree(complete, tmp_path / "run")
    best = max(json.loads(path.read_text())["f1"] for path in run.glob("checkpoints/best-*/state.json"))
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(line for line in lines if '"evaluation"' not in line))
    assert only(run).pace.best_f1 == best and only(run).pace.f1 is None


def test_a_line_that_is_being_written_hides_nothing(complete, tmp_path):
    run = shutil.copytree(complete, tmp_path / "run")
    (run / "results.json").unlink()
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"event": "train", "step": 9, "total_st')
    assert (only(run).state, only(run).pace.step) == ("stopped", 8)


def elsewhere(run: Path, *, ago: float) -> None:
    """Make the run look trained on another machine, with its last sign of life `seconds` ago."""
    (run / "results.json").unlink(missing_ok=True)
    moment = (datetime.now(timezone.utc) - timedelta(seconds=ago)).isoformat(timespec="seconds")
    events = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    lines = [json.dumps(event | {"time": moment, "total_steps": 9}) + "\n" for event in events]
    (run / "metrics.jsonl").write_text("".join(lines))
    (run / ".holder.json").write_text(json.dumps({"host": "far", "pid": 1, "since": moment}))


def test_another_machine_s_training_is_believed_until_it_is_silent_for_long(complete, tmp_path):
    run = shutil.copytree(complete, tmp_path / "run")
    elsewhere(run, ago=5)
    assert (only(run).state, only(run).silent, only(run).nodes) == ("running", None, "far")
    elsewhere(run, ago=12 * 60)
    assert only(run).state == "running" and only(run).silent == pytest.approx(720, abs=30)
    assert "silent for 12 min" in cli(str(run)).stdout
    elsewhere(run, ago=2 * 3600)
    assert only(run).state == "stopped"


def test_runs_are_found_below_but_not_in_what_runs_leave_or_put_aside(complete, tmp_path):
    for name in ("one", "deep/er/two", "one.old-1", "one/model/three", "deep/.hidden"):
        (tmp_path / name).mkdir(parents=True)
        shutil.copy(complete / "recipe.yaml", tmp_path / name)
        shutil.copy(complete / "metrics.jsonl", tmp_path / name)
    assert {run.name for run in overview([str(tmp_path)]).runs} == {"one", "deep/er/two"}
    both = overview([str(tmp_path / "one"), str(tmp_path / "one.old-1"), str(tmp_path / "one")]).runs
    assert [run.name for run in both] == [str(tmp_path / "one"), str(tmp_path / "one.old-1")]


def test_a_folder_without_runs_is_one_line(tmp_path):
    done = cli(str(tmp_path))
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.splitlines() == [
        f"error: {tmp_path}: holds no runs; name the output_dir of a training, or a folder above it"
    ]
    with pytest.raises(UserError, match="no such folder"):
        overview([str(tmp_path / "missing")])


@pytest.fixture
def experiment(complete, tmp_path, monkeypatch):
    """Runs 0 to 3 of array 120, compared by job 124: one complete, one half way, two without a trace."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "exp"
    shutil.copytree(complete, folder / "full" / "seed-1")
    half = shutil.copytree(complete, folder / "full" / "seed-2")
    (half / "results.json").unlink()
    lines = (half / "metrics.jsonl").read_text().splitlines(keepends=True)
    (half / "metrics.jsonl").write_text("".join(line for line in lines if json.loads(line)["step"] <= 4))
    shutil.rmtree(half / "checkpoints" / "step-000008")
    starts = [
        {"restart": n, "step": 2 * n, "at": "2026-01-01T00:00:00+00:00", "nodes": ["n1"]} for n in (0, 1)
    ]
    facts = {"job": "122", "array_job": "120", "array_task": 1, "starts": starts}
    (half / "slurm.json").write_text(json.dumps(facts))
    names = ["full/seed-1", "full/seed-2", "subset/seed-1", "subset/seed-2"]
    runs = [{"index": i, "name": name, "folder": f"exp/{name}"} for i, name in enumerate(names)]
    jobs = {"array": "120", "compare": "124", "submitted": "2026-01-01T00:00:00+00:00", "runs": runs}
    (folder / "jobs.json").write_text(json.dumps(jobs))
    (folder / "logs").mkdir()
    return folder


def states(folder):
    return {run.name: run.state for run in overview([str(folder)]).runs}


def test_an_experiment_s_runs_are_shown_before_they_begin(experiment, squeue):
    squeue(
        "122|120|1|RUNNING|None|1767225600|1:00|1:00:00|n1",
        "120|120|2|PENDING|Resources|4102444800|1:00:00|1:00:00|",
        "120|120|3|PENDING|Priority|N/A|1:00:00|1:00:00|",
        "124|124|N/A|PENDING|Dependency|N/A|30:00|30:00|",
    )
    seen = overview([str(experiment)])
    assert [(run.name, run.state, run.job_name) for run in seen.runs] == [
        ("full/seed-2", "running", "120_1"),
        ("subset/seed-1", "pending", "120_2"),
        ("subset/seed-2", "pending", "120_3"),
        ("full/seed-1", "complete", "120_0"),
    ]
    assert seen.runs[0].restarts == 1 and seen.problem is None
    (comparison,) = seen.comparisons
    assert (comparison.job, comparison.state, comparison.reason) == ("124", "pending", "Dependency")
    shown = cli(str(experiment)).stdout
    assert "on n1; 1 min 00 s left of its time limit" in shown and "1 restart so far" in shown
    assert "waits (Resources), start expected" in shown
    assert "comparison of" in shown and "(job 124) waits (Dependency)" in shown
    assert "4 runs: 1 running, 2 pending, 1 complete" in shown


def test_a_task_that_ended_without_results_has_failed_and_its_log_is_named(experiment, squeue):
    (experiment / "logs" / "train-120_2.log").write_text("error: no such recipe\n")
    (experiment / "logs" / "train-120_2.task-1.log").write_text("")
    assert states(experiment) == {
        "full/seed-1": "complete",
        "full/seed-2": "stopped",  # with a checkpoint of its last step
        "subset/seed-1": "failed",
        "subset/seed-2": "failed",
    }
    failed = next(run for run in overview([str(experiment)]).runs if run.name == "subset/seed-1")
    assert failed.log == str(experiment / "logs" / "train-120_2.log")
    shutil.rmtree(experiment / "full" / "seed-2" / "checkpoints" / "step-000004")
    assert states(experiment)["full/seed-2"] == "failed"


def test_without_slurm_nobody_is_said_to_have_failed_who_may_be_waiting(experiment):
    seen = overview([str(experiment)])
    assert {run.state for run in seen.runs if run.name.startswith("subset")} == {"not started"}
    assert seen.problem.startswith("no Slurm here")
    assert "no Slurm here" in cli(str(experiment)).stdout
    assert seen.comparisons[0].state == "unknown"


def test_a_requeued_job_is_pending_and_keeps_what_it_reached(experiment, squeue):
    squeue("122|120|1|PENDING|BeginTime|1767225600|1:00:00|1:00:00|")
    run = next(run for run in overview([str(experiment)]).runs if run.name == "full/seed-2")
    assert (run.state, run.pace.step, run.pace.total) == ("pending", 4, 8)
    assert run.ends == run.job.start + timedelta(seconds=run.left)


def test_a_time_limit_that_is_too_short_is_told(experiment, squeue):
    half = experiment / "full" / "seed-2"
    events = [json.loads(line) for line in (half / "metrics.jsonl").read_text().splitlines()]
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with (half / "metrics.jsonl").open("w") as file:
        for event in events:
            pace = {"seconds_per_step": 10.0, "seconds_left": 10.0 * (604 - event["step"])}
            event |= pace | {"total_steps": 604, "seconds": 10 * event["step"], "time": now}
            file.write(json.dumps(event) + "\n")
    squeue("122|120|1|RUNNING|None|1767225600|10:00|1:00:00|n1")
    run = next(run for run in overview([str(experiment)]).runs if run.name == "full/seed-2")
    # 600 steps of 10 s are 100 minutes: 90 more than the ten that are left.
    assert run.over == pytest.approx(5400, abs=60) and run.resumes == 2
    assert (
        "the limit is 1 h 30 min too short: will be requeued and resumed ~2 times"
        in cli(str(experiment)).stdout
    )


def test_the_comparison_s_result_is_named_if_it_is_of_this_submission(experiment, squeue):
    assert overview([str(experiment)]).comparisons[0].state == "failed"
    (experiment / "comparison").mkdir()
    result = experiment / "comparison" / "compare.json"
    result.write_text("{}")
    (comparison,) = overview([str(experiment)]).comparisons
    assert (comparison.state, comparison.result) == ("done", str(result))
    jobs = json.loads((experiment / "jobs.json").read_text())
    (experiment / "jobs.json").write_text(json.dumps(jobs | {"submitted": "2100-01-01T00:00:00+00:00"}))
    assert overview([str(experiment)]).comparisons[0].state == "failed"


def test_json_has_every_fact(experiment, squeue):
    squeue("122|120|1|RUNNING|None|1767225600|1:00|1:00:00|n1")
    seen = json.loads(cli(str(experiment), "--json").stdout)
    assert seen["counts"]["running"] == 1 and seen["counts"]["complete"] == 1
    run = seen["runs"][0]
    assert run["job"]["left"] == 60 and run["job"]["start"] == "2026-01-01T00:00:00+00:00"
    assert run["pace"]["step"] == 4 and run["restarts"] == 1 and run["state"] == "running"
    assert seen["comparisons"][0]["job"] == "124"


def test_nothing_is_folded_where_there_is_no_terminal(complete, tmp_path):
    name = "a-run-with-a-name-that-no-narrow-table-would-hold/" * 2
    shutil.copytree(complete, tmp_path / name)
    assert name.rstrip("/") in cli(str(tmp_path)).stdout


def test_neither_torch_nor_transformers_is_imported(complete):
    code = (
        "import sys; from ner_dist.cluster.status_table import show_status;"
        f"show_status([{str(complete)!r}], as_json=False);"
        "assert not {'torch', 'transformers', 'accelerate'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True, stdout=subprocess.DEVNULL)
