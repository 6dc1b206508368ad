"""Any sequence of training, saving, killing, damage and resuming ends like an uninterrupted training."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests import small

OVERRIDES = ["train.max_steps=10", "evaluation.every=3", "checkpoint.keep_last=2", "logging.every=4"]


class Life:
    """One process of a training, from its start with the files on disk to its end or kill."""

    def __init__(self, folder: Path, accelerator) -> None:
        recipe = small.recipe(folder, *OVERRIDES)
        self.stack = ExitStack()
        self.trainer = small.trainer(recipe, accelerator=accelerator)
        self.metrics_log = self.stack.enter_context(self.trainer.open_metrics_log())
        self.trainer.resume(self.metrics_log)
        self.steps = self.trainer.steps()

    def step(self) -> None:
        step = next(self.steps, None)
        if step is not None:
            self.metrics_log.add(step)
            if self.trainer.evaluation_due(step.number):
                self.trainer.evaluate(step.number, self.metrics_log)

    def end(self) -> dict:
        """Train to the end; everything that is left of the training."""
        while self.trainer.loop.step < self.trainer.loop.total:
            self.step()
        self.metrics_log.flush()
        trainer, parameters = self.trainer, dict(self.trainer.loop.model.named_parameters())
        state = {name: parameter.detach().clone() for name, parameter in parameters.items()}
        for name, parameter in parameters.items():
            state |= {
                f"{name} {key}": v.clone()
                for key, v in trainer.loop.optimizer.optimizer.state[parameter].items()
            }
        state["best"] = (trainer.best_step, trainer.best_f1, trainer.evaluations_without_gain)
        state["epoch loss"] = self.metrics_log.epoch_loss
        best = trainer.checkpoints.best(trainer.best_step)
        state["best weights"] = (best / "tensors-00001.safetensors").read_bytes()
        self.kill()
        return state

    def kill(self) -> None:
        self.trainer.checkpoints.wait()
        self.stack.close()


@pytest.fixture(scope="module")
def accelerator():
    return small.one_process()


@pytest.fixture(scope="module")
def straight(accelerator, tmp_path_factory):
    return Life(tmp_path_factory.mktemp("straight"), accelerator).end()


def equal(one, other) -> bool:
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


@pytest.mark.soak
def test_any_sequence_of_events_ends_as_straight_training_does(accelerator, straight):
    class Machine(RuleBasedStateMachine):
        @initialize()
        def begin(self):
            self.folder = Path(tempfile.mkdtemp())
            self.life = Life(self.folder, accelerator)

        @rule(number=st.integers(1, 4))
        def train(self, number):
            for _ in range(number):
                self.life.step()

        @rule()
        def save(self):
            self.life.trainer.save_checkpoint(self.life.metrics_log)

        @rule()
        def save_and_go_on_in_another_process(self):
            self.save()
            self.kill_and_start(None, 0, 0)

        @rule(
            how=st.sampled_from([None, "cut", "flip", "remove", "half a save"]),
            which=st.integers(0, 2),
            at=st.integers(0, 10**9),
        )
        def kill_and_start(self, how, which, at):
            self.life.kill()
            if how == "half a save":
                half = self.folder / "run/checkpoints/.step-000005.part"
                half.mkdir(exist_ok=True)
                (half / "tensors-00001.safetensors").write_bytes(b"half")
            elif how is not None:
                self.damage_the_newest(how, which, at)
            self.life = Life(self.folder, accelerator)

        def damage_the_newest(self, how, which, at):
            saved = sorted(self.folder.glob("run/checkpoints/step-*"))
            files = sorted(saved[-1].iterdir()) if saved else []
            if which >= len(files) or not (content := bytearray(files[which].read_bytes())):
                return
            at %= len(content)
            if how == "remove":
                files[which].unlink()
            elif how == "cut":
                files[which].write_bytes(content[:at])
            else:
                content[at] ^= 1
                files[which].write_bytes(content)

        def teardown(self):
            end = self.life.end()
            shutil.rmtree(self.folder)
            assert end.keys() == straight.keys()
            differing = [name for name, value in straight.items() if not equal(value, end[name])]
            assert not differing

    Machine.TestCase.settings = settings(max_examples=20, stateful_step_count=8, deadline=None)
    case = Machine.TestCase()
    case.runTest()
