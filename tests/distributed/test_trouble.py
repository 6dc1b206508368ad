"""Damaged checkpoints, full disks, changed recipes, two runs on one directory: what was saved is not lost."""

from __future__ import annotations

import json
import platform
import re
import shutil
import signal
import subprocess

import pytest
import torch
from safetensors.torch import load_file

from ner_dist.runtime.signals import EXIT_RESUME
from tests.distributed import faults
from tests.distributed.faults import fault
from tests.distributed.launching import RECIPE, events

pytestmark = pytest.mark.distributed

WAITING = fault(faults.wait_in, step=6)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    text = RECIPE.replace("max_steps: 20", "max_steps: 12")
    path.write_text(text + "checkpoint: {every: 2}\nevaluation: {every: 3}\n")
    return path


@pytest.fixture(scope="module")
def finished(server, recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    job = server.start(recipe, f"output_dir={folder}")
    assert job.wait() == [0], job.text()
    return folder


@pytest.fixture(scope="module")
def killed_once(server, recipe, tmp_path_factory):
    """A run that was killed in step 6, with checkpoints of steps 2 and 4."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    job = server.start(recipe, f"output_dir={folder}", faults=[WAITING])
    job.wait_for("waiting")
    job.wait_for("saved step-000004")
    job.send(signal.SIGKILL)
    job.wait()
    assert sorted(path.name for path in folder.glob("checkpoints/step-*")) == ["step-000002", "step-000004"]
    return folder


@pytest.fixture
def killed(killed_once, tmp_path):
    """A copy of that run for one test."""
    return shutil.copytree(killed_once, tmp_path / "run")


def same_weights(run, other) -> bool:
    one, two = (load_file(folder / "model/model.safetensors") for folder in (run, other))
    return one.keys() == two.keys() and all(torch.equal(weight, two[name]) for name, weight in one.items())


def error_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and "Traceback" not in text, text
    return lines[0]


def test_the_checkpoint_before_a_damaged_one_is_used(server, recipe, finished, killed):
    """Detection of every kind of damage is tested in tests/training/test_checkpoint_files.py."""
    path = killed / "checkpoints/step-000004/tensors-00001.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    job = server.start(recipe, f"output_dir={killed}")
    assert job.wait() == [0], job.text()
    assert re.search(
        r"warning: .*step-000004 is damaged \(.*\): going back to the checkpoint before it", job.text()
    )
    assert "resuming after step 2 of 12" in job.text()
    assert same_weights(killed, finished)


def test_a_checkpoint_whose_best_weights_are_damaged_is_not_used(server, recipe, finished, killed):
    best = killed / "checkpoints/best-000003/tensors-00001.safetensors"
    best.write_bytes(best.read_bytes()[:-4])
    job = server.start(recipe, f"output_dir={killed}")
    assert job.wait() == [0], job.text()
    assert "best-000003" in job.text() and "resuming after step 2 of 12" in job.text()
    assert same_weights(killed, finished)


def test_a_run_without_a_sound_checkpoint_begins_anew_and_says_so(server, recipe, finished, killed):
    for path in killed.glob("checkpoints/step-*/state.json"):
        path.unlink()
    job = server.start(recipe, f"output_dir={killed}")
    assert job.wait() == [0], job.text()
    assert job.text().count("is damaged") == 2 and "resuming" not in job.text()
    assert same_weights(killed, finished)


def test_what_an_interrupted_save_left_is_cleared_away(server, recipe, finished, killed):
    half = killed / "checkpoints/.step-000006.part"
    half.mkdir()
    (half / "tensors-00001.safetensors").write_bytes(b"half")
    job = server.start(recipe, f"output_dir={killed}")
    assert job.wait() == [0], job.text()
    assert same_weights(killed, finished)
    assert not list(killed.glob("checkpoints/.*"))


def test_a_full_disk_costs_checkpoints_and_not_the_training(server, recipe, finished, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    size = sum(path.stat().st_size for path in (finished / "checkpoints/step-000012").iterdir())
    room = 8 * size
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", disk], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted: that needs root")
    try:
        full = fault(faults.fill_disk_after_checkpoint, step=4, file=str(disk / "filler"))
        job = server.start(recipe, f"output_dir={disk / 'run'}", faults=[full])
        job.wait()
        assert re.search(
            r"warning: .*step-000006 could not be written \(No space left on device\)", job.text()
        )
        assert "step-000004 remains the newest checkpoint" in job.text()
        assert "step 12/12" in job.text()
        assert job.wait() == [2]
        line = error_line(job.text())
        assert "No space left on device" in line and "repeat the command" in line
        (disk / "filler").unlink()
        job = server.start(recipe, f"output_dir={disk / 'run'}")
        assert job.wait() == [0], job.text()
        assert same_weights(disk / "run", finished)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_read_only_file_system_is_refused_before_anything_is_trained(server, recipe, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("a file system cannot be mounted: that needs root")
    try:
        job = server.start(recipe, f"output_dir={disk / 'run'}")
        assert job.wait() == [2]
        assert f"output_dir {disk / 'run'}: cannot be written to" in error_line(job.text())
        assert "step 1/" not in job.text()
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_second_run_on_the_same_directory_is_refused_with_host_and_pid(server, recipe, tmp_path):
    folder = tmp_path / "run"
    first = server.start(recipe, f"output_dir={folder}", config="cpu", processes=2, faults=[WAITING])
    first.wait_for("waiting")
    before = (folder / "metrics.jsonl").read_bytes()
    second = server.start(recipe, f"output_dir={folder}", config="cpu", processes=2)
    assert second.wait(60) == [2, 2]
    line = error_line(second.text())
    assert f"process {first.pids[0]} on {platform.node()} is training here" in line
    assert (folder / "metrics.jsonl").read_bytes() == before
    first.send(signal.SIGKILL)
    first.wait()
    third = server.start(recipe, f"output_dir={folder}", config="cpu", processes=2)
    assert third.wait() == [0, 0], third.text()
    assert "resuming after step 4 of 12" in third.text()


def test_a_recipe_that_trains_something_else_is_refused_with_the_keys(server, recipe, killed):
    job = server.start(recipe, f"output_dir={killed}", "train.learning_rate=2.0e-3", "train.seed=14")
    assert job.wait() == [2]
    assert "they differ in train.learning_rate, train.seed" in error_line(job.text())


def test_what_does_not_change_the_maths_may_change(server, recipe, finished, killed):
    changed = [
        "logging.every=5",
        "checkpoint.keep_last=1",
        "checkpoint.every=3",
        "model.gradient_checkpointing=true",
    ]
    job = server.start(recipe, f"output_dir={killed}", *changed)
    assert job.wait() == [0], job.text()
    assert "resuming after step 4 of 12" in job.text()
    assert [path.name for path in killed.glob("checkpoints/step-*")] == ["step-000012"]
    expected, got = (load_file(run / "model/model.safetensors") for run in (finished, killed))
    for name, weight in expected.items():
        torch.testing.assert_close(got[name], weight, rtol=1e-4, atol=1e-6)


def test_resume_never_moves_the_run_aside_and_begins_anew(server, recipe, finished, killed):
    job = server.start(recipe, f"output_dir={killed}", "resume=never")
    assert job.wait() == [0], job.text()
    assert "resuming" not in job.text() and f"moved the old run to {killed}.old-1" in job.text()
    assert (killed.with_name("run.old-1") / "checkpoints/step-000004/state.json").exists()
    assert same_weights(killed, finished)


def test_a_run_may_begin_from_another_runs_checkpoint(server, recipe, finished, killed, tmp_path):
    begin = f"resume={killed / 'checkpoints/step-000002'}"
    job = server.start(recipe, f"output_dir={tmp_path / 'other'}", begin)
    assert job.wait() == [0], job.text()
    assert "resuming after step 2 of 12" in job.text()
    assert same_weights(tmp_path / "other", finished)
    changed = server.start(recipe, f"output_dir={tmp_path / 'third'}", begin, "train.weight_decay=0.2")
    assert changed.wait() == [2]
    assert "train.weight_decay" in error_line(changed.text())
    absent = server.start(recipe, f"output_dir={tmp_path / 'fourth'}", "resume=nowhere")
    assert absent.wait() == [2]
    assert "resume nowhere" in error_line(absent.text())


def test_data_that_changed_under_a_checkpoint_is_refused(server, recipe, killed, tmp_path):
    state = killed / "recipe.yaml"
    assert "data_fingerprint" in state.read_text()
    saved = killed / "checkpoints/step-000004/state.json"
    # The embedded corpus cannot change by itself; a checkpoint of other data stands for it.
    content = json.loads(saved.read_text())
    content["data_fingerprint"] = "other"
    saved.write_text(json.dumps(content))
    shutil.copy(saved, tmp_path / "state.json")
    sums = saved.with_name("SHA256SUMS")
    digest = subprocess.run(["sha256sum", saved], capture_output=True, text=True, check=True).stdout.split()[
        0
    ]
    sums.write_text(re.sub(r"\w+(?=  state.json)", digest, sums.read_text()))
    job = server.start(recipe, f"output_dir={killed}")
    assert job.wait() == [2]
    assert "the data has changed since" in error_line(job.text())


def test_a_signal_before_training_ends_at_once_with_the_same_code(server, recipe, tmp_path):
    job = server.start(recipe, f"output_dir={tmp_path / 'run'}", faults=[fault(faults.wait_in_preparation)])
    job.wait_for("preparing")
    job.send(signal.SIGTERM)
    assert job.wait(10) == [EXIT_RESUME]


def test_a_second_ctrl_c_ends_at_once(server, recipe, tmp_path):
    job = server.start(recipe, f"output_dir={tmp_path / 'run'}", faults=[WAITING])
    job.wait_for("waiting")
    job.send(signal.SIGINT)
    assert not job.poll(1.5)
    job.send(signal.SIGINT)
    assert job.wait(10) == [-signal.SIGINT]


@pytest.mark.parametrize(
    ("slow", "when"),
    [
        (fault(faults.wait_in_preparation, seconds=1.0), "preparing"),
        pytest.param(fault(faults.slow_steps_and_saves), "step 2/", marks=pytest.mark.soak),
    ],
)
def test_without_one_of_its_ranks_a_training_ends_with_one_line(server, recipe, tmp_path, slow, when):
    job = server.start(recipe, f"output_dir={tmp_path / 'run'}", config="cpu", processes=2, faults=[slow])
    job.wait_for(when)
    job.send(signal.SIGKILL, 1)
    assert job.wait(30) == [1, -9]
    line = error_line(job.text())
    assert line.endswith("; repeat the command to resume from the last checkpoint")


def test_metrics_tell_of_saves_and_of_going_on(server, recipe, killed):
    assert server.start(recipe, f"output_dir={killed}").wait() == [0]
    saves = events(killed, "checkpoint")
    assert {"name", "step", "bytes", "seconds", "blocked_seconds"} <= saves[0].keys()
    assert [event["step"] for event in events(killed, "resume")] == [4]
