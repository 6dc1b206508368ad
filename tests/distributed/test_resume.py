"""A run that is killed goes on from its newest checkpoint, under another strategy and world too."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from tests.distributed.launching import RECIPE, events, train

pytestmark = pytest.mark.distributed

# Dies without a word after step 7, as a killed job does.
KILLED = """
import os
import sys

from ner_dist import recorder

add = recorder.Recorder.add


def add_and_die(self, step):
    add(self, step)
    if step.number == 7:
        os._exit(9)


recorder.Recorder.add = add_and_die

from ner_dist.train import main

sys.exit(main())
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(RECIPE + "checkpoint: {every: 5}\n")
    return path


@pytest.fixture(scope="module")
def undisturbed(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    train(recipe, f"output_dir={folder}", "train.max_steps=10")
    return folder


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, None),
        ("cpu", "zero2_bf16"),
        ("zero2_bf16", "zero3_bf16"),
        ("zero3_bf16", "zero1_bf16"),
        ("zero1_bf16", None),
    ],
)
def test_resuming_ends_where_the_undisturbed_run_does(recipe, undisturbed, tmp_path, before, after):
    folder, script = tmp_path / "run", tmp_path / "killed.py"
    script.write_text(KILLED)
    arguments = [f"output_dir={folder}", "train.max_steps=10"]
    train(recipe, *arguments, config=before, processes=before and 2, check=False, script=script)
    assert not (folder / "results.json").exists()
    done = train(recipe, *arguments, config=after, processes=after and 2)
    assert "resuming after step 5 of 10" in done.stderr
    expected = {event["step"]: event["loss"] for event in events(undisturbed)}
    got = [(event["step"], event["loss"]) for event in events(folder)]
    assert [step for step, _ in got] == [1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9, 10]
    for step, loss in got:
        assert loss == pytest.approx(expected[step], rel=1e-4)
    weights, reference = (load_file(path / "model/model.safetensors") for path in (folder, undisturbed))
    for name, weight in reference.items():
        if before == after is None:
            assert torch.equal(weights[name], weight), name
        torch.testing.assert_close(weights[name], weight, rtol=1e-3, atol=1e-5)
