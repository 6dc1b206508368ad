"""Runs that started under an earlier default of a key are resumed by the same command."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml

from ner_dist.recipe import as_begun
from ner_dist.recipe_file import differing_keys, load_recipe
from tests import small
from tests.distributed.launching import RECIPE

FORMER = {"epochs": 2, "batch_tokens": 8192, "learning_rate": 5e-5}
FORMER_RUN = [*(f"train.{key}={value}" for key, value in FORMER.items()), "evaluation.every=epoch"]
# As RECIPE, less the numbers that it names.
OPEN = RECIPE.replace("max_steps: 20, learning_rate: 1.0e-3, batch_tokens: 768, ", "")


@pytest.fixture
def write(tmp_path):
    """A recipe of which training says nothing but this."""

    def write(*overrides: str):
        path = tmp_path / "open.yaml"
        path.write_text(OPEN)
        return load_recipe(path, [f"output_dir={tmp_path / 'run'}", *overrides])

    return write


@pytest.fixture
def begun(write, tmp_path):
    """The folder of a run of the former defaults, stopped after its first checkpoint."""
    folder = small.train(write(*FORMER_RUN, "checkpoint.every=1"))
    (folder / "results.json").unlink()
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    del recipe["data"]["repair"], recipe["provenance"]["data_source"]
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    newest = sorted(folder.glob("checkpoints/step-*"))
    shutil.rmtree(newest[-1])
    return folder


def test_the_same_command_goes_on_as_the_run_was_begun(write, begun, log_lines):
    small.train(write())
    (line,) = [line for line in log_lines if "was started with" in line]
    assert line == (
        f"{begun} was started with train.epochs=2, train.batch_tokens=8192, train.learning_rate=5e-05, "
        "evaluation.every=epoch, which the recipe leaves open: keeping these"
    )
    assert [line for line in log_lines if line.startswith("resuming after step")]
    train = json.loads((begun / "results.json").read_text())["train"]
    assert {key: train[key] for key in FORMER} == FORMER
    assert yaml.safe_load((begun / "recipe.yaml").read_text())["train"]["epochs"] == 2
    small.train(write())
    assert [line for line in log_lines if "holds this run, complete" in line]


def test_a_checkpoint_of_then_can_be_begun_from(write, begun, tmp_path):
    (checkpoint,) = begun.glob("checkpoints/step-*")
    start = [f"output_dir={tmp_path / 'other'}", f"resume={checkpoint}", "checkpoint.every=1"]
    other = small.train(write(*start))
    shutil.rmtree(checkpoint)
    # Nor is it needed again.
    (other / "results.json").unlink()
    small.train(write(*start))
    assert (other / "results.json").exists()


@pytest.mark.parametrize("named", ["train.epochs=auto", "train.epochs=3", "evaluation.every=auto"])
def test_what_is_named_is_another_recipe(write, named):
    assert differing_keys(write(*FORMER_RUN), write(named)) == [named.partition("=")[0]]
    assert differing_keys(write(*FORMER_RUN), write()) == []


def test_a_run_of_other_numbers_is_none_of_then(write):
    begun = write(*FORMER_RUN, "train.epochs=3")
    assert differing_keys(begun, write()) == ["train.epochs"]
    assert as_begun(write(), write()) == write()
