"""A checkpoint holds all that going on needs, is whole or not there, and never costs a training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from ner_dist import checkpoint
from ner_dist.errors import UserError
from tests import small

OVERRIDES = ["train.max_steps=8", "checkpoint.every=2"]


@pytest.fixture(scope="module")
def accelerator():
    return small.one_process()


@pytest.fixture
def start(tmp_path, accelerator):
    """Starts the training of this test's folder, or goes on with it."""
    recipe = small.recipe(tmp_path, *OVERRIDES)
    return lambda: small.session(recipe, accelerator=accelerator)


def run_steps(session, number):
    """Losses of the next steps; checkpoints are saved when they are due."""
    losses = []
    for _, step in zip(range(number), session.training.steps(), strict=False):
        losses.append(step.loss.item())
        if session.checkpoint_due(step):
            session.save_checkpoint()
    return losses


def state_of(session):
    """Every weight, moment and count of the optimiser, by name."""
    state = small.weights_of(session.training.model)
    for name, parameter in session.training.model.named_parameters():
        moments = session.training.optimizer.optimizer.state[parameter]
        state |= {f"{name} {key}": value.clone() for key, value in moments.items()}
    return state


def test_a_training_that_goes_on_ends_where_an_undisturbed_one_does_bit_for_bit(start, log_lines):
    first = start()
    head = run_steps(first, 4)
    tail, end = run_steps(first, 4), state_of(first)
    for folder in checkpoint.steps_saved(first.run.checkpoints)[1:]:
        folder.rename(folder.with_name(f"later-{folder.name}"))

    second = start()
    assert second.training.position == 4
    assert [line for line in log_lines if line.startswith("resuming after step 4 of 8")]
    assert run_steps(second, 4) == tail and len(head) == len(tail) == 4
    again = state_of(second)
    assert again.keys() == end.keys()
    assert all(torch.equal(value, again[name]) for name, value in end.items())


def test_what_was_best_so_far_is_remembered(start):
    session = start()
    run_steps(session, 1)
    session.best_f1, session.evaluations_without_gain = 0.625, 3
    session.save_checkpoint()
    again = start()
    assert (again.training.position, again.best_f1, again.evaluations_without_gain) == (1, 0.625, 3)


def test_tensors_are_stored_by_the_names_they_have_in_the_model(start):
    session = start()
    run_steps(session, 2)
    folder = checkpoint.step_folder(session.run.checkpoints, 2)
    weights, moments = checkpoint.read_weights(folder), checkpoint.read_moments(folder)
    expected = small.weights_of(session.training.model)
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weight, expected[name]) for name, weight in weights.items())
    assert moments.keys() == {f"{moment}.{name}" for name in expected for moment in checkpoint.MOMENTS}
    assert checkpoint.read_state(folder)["step"] == 2


def test_the_newest_checkpoints_are_kept_and_the_best(start, tmp_path):
    session = start()
    session._save(checkpoint.BEST, optimizer=False, state={"step": 0, "f1": 0.0})
    run_steps(session, 8)
    # The end of a training needs none.
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert names == ["best", "step-000004", "step-000006"]


def test_pruning_goes_by_the_step(tmp_path):
    for step in (90, 100, 1_000_000, 999_999):
        checkpoint.step_folder(tmp_path, step).mkdir()
    checkpoint.prune(tmp_path, keep=2)
    assert [path.name for path in checkpoint.steps_saved(tmp_path)] == ["step-999999", "step-1000000"]


def test_nothing_saved_is_no_checkpoint(tmp_path):
    assert checkpoint.steps_saved(tmp_path / "absent") == checkpoint.steps_saved(tmp_path) == []


def test_a_checkpoint_that_is_being_written_does_not_count(start, tmp_path):
    run_steps(start(), 2)
    half = tmp_path / "run" / "checkpoints" / ".step-000004.part"
    half.mkdir()
    (half / "weights.safetensors").write_bytes(b"half")
    assert start().training.position == 2


# ---- replacing


def content(folder):
    return (folder / "file").read_text()


@pytest.fixture
def folders(tmp_path):
    """(aside, in place), each with a file that says which it is."""
    made = tmp_path / "aside", tmp_path / "place"
    for folder, text in zip(made, ("new", "old"), strict=True):
        folder.mkdir()
        (folder / "file").write_text(text)
    return made


def test_a_folder_takes_the_place_of_another(folders, tmp_path):
    checkpoint.replace_folder(*folders)
    assert content(folders[1]) == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["place"]
    checkpoint.replace_folder(folders[1], tmp_path / "elsewhere")
    assert content(tmp_path / "elsewhere") == "new"


def test_what_an_interrupted_replacement_left_is_cleared(folders, tmp_path):
    left = tmp_path / ".place.old"
    left.mkdir()
    (left / "file").touch()
    checkpoint.replace_folder(*folders)
    assert content(folders[1]) == "new" and not left.exists()


def test_the_old_folder_survives_if_the_new_cannot_be_put_in_its_place(folders, tmp_path, monkeypatch):
    rename = Path.rename

    def fail_for_the_new(self, target):
        if self.name == "aside":
            raise OSError("interrupted")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new)
    with pytest.raises(OSError, match="interrupted"):
        checkpoint.replace_folder(*folders)
    kept = [path for path in tmp_path.iterdir() if path.name != "aside"]
    assert [content(path) for path in kept] == ["old"]
    assert content(folders[0]) == "new"


# ---- disks


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SafetensorError("I/O error")])
def test_a_full_disk_costs_a_checkpoint_and_not_the_training(start, tmp_path, monkeypatch, log_lines, error):
    session = start()
    run_steps(session, 2)

    def full(*_, **__):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr("safetensors.torch.save_file", full)
        assert len(run_steps(session, 2)) == 2
    assert [line for line in log_lines if "could not write" in line and "step-000004" in line]
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert names == ["step-000002"]
    run_steps(session, 2)
    assert [path.name for path in checkpoint.steps_saved(session.run.checkpoints)][-1] == "step-000006"


@pytest.mark.parametrize("name", ["weights.safetensors", "moments.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["cut", "removed"])
def test_a_checkpoint_that_cannot_be_read_is_named(start, name, damage):
    session = start()
    run_steps(session, 2)
    path = checkpoint.step_folder(session.run.checkpoints, 2) / name
    if damage == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.unlink()
    with pytest.raises(UserError, match="the checkpoint cannot be read") as caught:
        start()
    assert "step-000002" in caught.value.where
    assert caught.value.fix == "remove it"


def test_the_state_is_text(start):
    session = start()
    run_steps(session, 2)
    path = checkpoint.step_folder(session.run.checkpoints, 2) / "state.json"
    assert json.loads(path.read_text()) == {"step": 2, "best_f1": -1.0, "evaluations_without_gain": 0}
