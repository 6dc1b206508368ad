"""Checkpoints hold everything to resume from, the right ones are kept, and no failed save ends a training."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import pytest
import torch

from ner_dist.errors import UserError
from ner_dist.training.checkpoint_files import CheckpointReader
from ner_dist.training.checkpoints import Checkpoints, _check_grace
from ner_dist.training.state_dict import MOMENTS, optimizer_scalars, restore
from tests import small

OVERRIDES = ["train.max_steps=8", "checkpoint.every=2", "evaluation.every=3"]


@pytest.fixture(scope="module")
def accelerator():
    return small.one_process()


@pytest.fixture
def start(tmp_path, accelerator):
    """Start the training of this test's folder, or resume it."""

    def begin(*overrides):
        trainer = small.trainer(small.recipe(tmp_path, *OVERRIDES, *overrides), accelerator=accelerator)
        with trainer.open_metrics_log() as metrics_log:
            trainer.resume(metrics_log)
        return trainer

    return begin


def run_steps(trainer, number):
    """Train the next steps, with evaluations and checkpoints that are due; return the losses."""
    losses = []
    with trainer.open_metrics_log() as metrics_log:
        for _, step in zip(range(number), trainer.steps(), strict=False):
            metrics_log.add(step)
            losses.append(step.loss.item())
            if trainer.evaluation_due(step.number):
                trainer.evaluate(step.number, metrics_log)
            if trainer.checkpoint_due(step.number):
                trainer.save_checkpoint(metrics_log)
    trainer.checkpoints.wait()
    return losses


def names(trainer):
    return sorted(path.name for path in trainer.run.checkpoints.iterdir())


def test_tensors_have_the_names_of_the_model_and_are_exact(start):
    trainer = start()
    run_steps(trainer, 2)
    saved = CheckpointReader(trainer.run.checkpoints / "step-000002")
    expected = small.weights_of(trainer.loop.model)
    assert saved.weights().keys() == expected.keys()
    assert all(torch.equal(weight, expected[name]) for name, weight in saved.weights().items())
    for name, parameter in trainer.loop.model.named_parameters():
        for moment in MOMENTS:
            held = trainer.loop.optimizer.optimizer.state[parameter][moment]
            assert torch.equal(saved.tensor(f"{moment}/{name}"), held)


def test_the_state_says_what_else_there_is(start):
    trainer = start()
    run_steps(trainer, 4)
    state = json.loads((trainer.run.checkpoints / "step-000004/state.json").read_text())
    assert (state["step"], state["adam_step"], state["best_step"], state["evaluated_step"]) == (4, 4, 3, 3)
    assert state["best_f1"] == trainer.best_f1 and state["loss_scale"] is None
    assert (state["strategy"], state["processes"]) == ("one process", 1)


def test_adams_step_is_its_own_count_not_the_position(start):
    """Steps that are not finite are left out of Adam's count, also after resuming."""
    trainer = start()
    trainer.loop.settings = trainer.loop.settings.model_copy(update={"max_nonfinite_steps": 9})
    run_steps(trainer, 1)
    parameter = next(trainer.loop.model.parameters())
    kept = parameter.detach().clone()
    with torch.no_grad():
        parameter.fill_(float("nan"))
    with trainer.open_metrics_log() as metrics_log:
        metrics_log.add(next(trainer.steps()))
    with torch.no_grad():
        parameter.copy_(kept)
    assert trainer.loop.step == 2
    assert optimizer_scalars(trainer.accelerator, trainer.loop.optimizer)["adam_step"] == 1


def test_the_newest_are_kept_and_the_best_that_they_name(start):
    trainer = start()
    trainer.best_f1 = -1.0
    run_steps(trainer, 8)
    best = {
        CheckpointReader(trainer.run.checkpoints / f"step-00000{step}").state["best_step"] for step in (6, 8)
    }
    assert names(trainer) == sorted({f"best-00000{step}" for step in best} | {"step-000006", "step-000008"})


def test_checkpoints_are_ordered_by_number(tmp_path, accelerator):
    for step in (90, 999_999, 1_000_000):
        (tmp_path / f"step-{step:06d}").mkdir()
    found = Checkpoints(tmp_path, accelerator=accelerator, keep_last=2).steps()
    assert [path.name for path in found] == ["step-000090", "step-999999", "step-1000000"]


def test_nothing_saved_is_no_checkpoint(tmp_path, accelerator):
    assert Checkpoints(tmp_path / "absent", accelerator=accelerator, keep_last=1).newest() is None


def test_the_newest_save_stays_whatever_else_lies_there(start):
    """Checkpoints of a higher number are leftovers: they must not push out what was just saved."""
    trainer = start("checkpoint.keep_last=1")
    for step in (900, 1000):
        (trainer.run.checkpoints / f"step-{step:06d}").mkdir(parents=True)
    run_steps(trainer, 2)
    assert "step-000002" in names(trainer)
    again = start("checkpoint.keep_last=1")
    assert again.loop.step == 2
    assert {"old-1-step-000900", "old-1-step-001000", "step-000002"} <= set(names(again))


def test_going_back_to_a_checkpoint_sets_later_ones_aside(start, tmp_path):
    trainer = start()
    run_steps(trainer, 4)
    again = start(f"resume={trainer.run.checkpoints / 'step-000002'}")
    assert again.loop.step == 2
    assert "old-1-step-000004" in names(again) and "step-000004" not in names(again)
    best = CheckpointReader(again.run.checkpoints / "old-1-step-000004").state["best_step"]
    run_steps(again, 2)
    assert f"best-{best:06d}" in names(again), "what was set aside must stay usable"


def test_a_copy_that_somebody_made_is_let_be(start):
    trainer = start()
    run_steps(trainer, 2)
    copy = trainer.run.checkpoints / "step-000002.bak"
    shutil.copytree(trainer.run.checkpoints / "step-000002", copy)
    again = start()
    run_steps(again, 4)
    assert again.loop.step == 6 and copy.exists()


def test_best_weights_that_find_no_room_leave_the_older_best(start, monkeypatch, log_lines):
    trainer = start()
    run_steps(trainer, 3)
    best, f1 = trainer.best_step, trainer.best_f1

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, trainer.open_metrics_log() as metrics_log:
        patched.setattr("ner_dist.training.checkpoint_files.write_parts", full)
        trainer.best_f1 = -1.0
        trainer.evaluate(3, metrics_log)
    assert trainer.best_step == best
    assert [line for line in log_lines if "best-000003 could not be written (No space left" in line]
    trainer.best_f1 = f1


def test_a_checkpoint_without_moments_restores_none(start):
    """A checkpoint from before the first step has no moments."""
    trainer = start()
    with trainer.open_metrics_log() as metrics_log:
        trainer.loop.step = 0
        trainer.saved_step = -1
        trainer.save_checkpoint(metrics_log)
    trainer.checkpoints.wait()
    saved = CheckpointReader(trainer.run.checkpoints / "step-000000")
    assert saved.state["adam_step"] == 0
    restore(
        saved,
        accelerator=trainer.accelerator,
        model=trainer.loop.model,
        optimizer=trainer.loop.optimizer,
    )
    assert not trainer.loop.optimizer.optimizer.state


def test_a_path_that_is_no_checkpoint_is_an_error(start, tmp_path):
    with pytest.raises(UserError, match="is not a usable checkpoint: SHA256SUMS is missing"):
        start(f"resume={tmp_path}")


@pytest.mark.parametrize(
    ("environment", "seconds", "told"),
    [
        ({}, 100, None),
        ({"TORCHELASTIC_RUN_ID": "x"}, 2, None),
        ({"TORCHELASTIC_RUN_ID": "x"}, 20, "TORCH_ELASTIC_SHUTDOWN_TIMEOUT=80"),
        ({"TORCHELASTIC_RUN_ID": "x", "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "80"}, 20, None),
    ],
)
def test_a_grace_too_short_for_a_save_is_told(monkeypatch, log_lines, environment, seconds, told):
    for name in ("TORCHELASTIC_RUN_ID", "TORCH_ELASTIC_SHUTDOWN_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    _check_grace(seconds)
    assert [told in line for line in log_lines] == [True] * (told is not None)


@pytest.fixture
def space(tmp_path, accelerator, monkeypatch):
    """The warning about a disk with so many MB free: weights of 4 MB, a checkpoint every 10 of 100 steps."""
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)

    def check(free, *, keep_last=3, every=10, steps=100):
        usage = SimpleNamespace(free=int(free * 1e6))
        monkeypatch.setattr("ner_dist.training.checkpoints.shutil.disk_usage", lambda path: usage)
        checkpoints = Checkpoints(folder, accelerator=accelerator, keep_last=keep_last)
        checkpoints.check_space(1_000_000, every=every, steps=steps)

    check.folder = folder
    return check


@pytest.mark.parametrize(
    ("free", "settings", "needed", "remedy"),
    [
        # Four checkpoints of 12 MB stand there at a time, two best weights and the model of 4 MB.
        (60, {}, None, None),
        (59, {}, "60.0 MB", "checkpoint.keep_last=2"),
        (47, {}, "60.0 MB", "checkpoint.keep_last=1"),
        (35, {}, "60.0 MB", "checkpoint.every=null"),
        (35, {"keep_last": 1}, "36.0 MB", "checkpoint.every=null"),
        # No more than are saved in all.
        (24, {"steps": 7}, None, None),
        (23, {"steps": 7}, "24.0 MB", "checkpoint.every=null"),
        (12, {"every": None}, None, None),
    ],
)
def test_too_little_space_is_told_before_the_training(space, log_lines, free, settings, needed, remedy):
    space(free, **settings)
    if needed is None:
        assert log_lines == []
    else:
        assert log_lines == [
            f"{space.folder.parent}: checkpoints, the best weights and the model need up to "
            f"{needed}, but only "
            f"{free}.0 MB are free: free disk space, or set {remedy}"
        ]


def test_no_space_for_the_model_is_an_error(space):
    with pytest.raises(UserError) as caught:
        space(7.9)
    assert str(caught.value) == (
        f"output_dir {space.folder.parent}: the best weights and the model need 8.0 MB, but only "
        f"7.9 MB are free; "
        "free disk space, or choose an output_dir on another disk"
    )


def test_what_the_run_holds_already_needs_no_more_space(space, log_lines):
    for name in ("step-000010", "best-000010"):
        (space.folder / name).mkdir()
        (space.folder / name / "tensors").write_bytes(bytes(20_000_000))
    space(20)
    assert log_lines == []


def test_the_space_that_a_training_takes_is_what_was_reckoned(start):
    trainer = start("checkpoint.keep_last=1")
    run_steps(trainer, 8)
    weights = sum(4 * parameter.numel() for parameter in trainer.loop.model.parameters())
    written = sum(path.stat().st_size for path in trainer.run.checkpoints.rglob("*.safetensors"))
    best = len(list(trainer.run.checkpoints.glob("best-*")))
    assert written == pytest.approx((3 + best) * weights, rel=0.05)
