"""Whatever happens in whatever order (train, save, kill, damage, resume), the end is straight training's."""

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

from ner_dist.training.trainer import Session
from tests import small

OVERRIDES = ["train.max_steps=10", "evaluation.every=3", "checkpoint.keep_last=2", "logging.every=4"]


class Life:
    """One process of a training: from its start, on whatever is on the disk, to its end or its kill."""

    def __init__(self, folder: Path, accelerator) -> None:
        recipe = small.recipe(folder, *OVERRIDES)
        self.stack = ExitStack()
        self.session = Session(recipe, run=small.run_of(recipe), accelerator=accelerator)
        self.session.find_checkpoint()
        self.session.load_data()
        self.session.build_model()
        self.recorder = self.stack.enter_context(self.session.recording())
        self.session.resume(self.recorder)
        self.steps = self.session.steps()

    def step(self) -> None:
        step = next(self.steps, None)
        if step is not None:
            self.recorder.add(step)
            if self.session.evaluation_due(step.number):
                self.session.evaluate(step.number, self.recorder)

    def end(self) -> dict:
        """Train to the end; everything that is left of the training."""
        while self.session.training.position < self.session.training.total:
            self.step()
        self.recorder.flush()
        session, parameters = self.session, dict(self.session.training.model.named_parameters())
        state = {name: parameter.detach().clone() for name, parameter in parameters.items()}
        for name, parameter in parameters.items():
            state |= {
                f"{name} {key}": v.clone()
                for key, v in session.training.optimizer.optimizer.state[parameter].items()
            }
        state["best"] = (session.best_step, session.best_f1, session.evaluations_without_gain)
        state["epoch loss"] = self.recorder.epoch_loss
        best = session.checkpoints.best(session.best_step)
        state["best weights"] = (best / "tensors-00001.safetensors").read_bytes()
        self.kill()
        return state

    def kill(self) -> None:
        self.session.checkpoints.wait()
        self.stack.close()


@pytest.fixture(scope="module")
def accelerator():
    return small.one_process()


@pytest.fixture(scope="module")
def straight(accelerator, tmp_path_factory):
    return Life(tmp_path_factory.mktemp("straight"), accelerator).end()


def equal(one, other) -> bool:
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


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
            self.life.session.save_checkpoint(self.life.recorder)

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
