"""Tests that need a GPU: fp16 and bf16 train, under ZeRO with fused Adam too; the loss scale is kept."""

from __future__ import annotations

import json

import pytest

from tests.distributed.launching import RECIPE, events, results, train

pytestmark = [pytest.mark.gpu, pytest.mark.distributed]

CONFIGS = ["single_gpu", "ddp_{}", "zero1_{}", "zero2_{}", "zero3_{}", "zero3_offload_{}"]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(RECIPE.replace("precision: fp32\n", "") + "checkpoint: {every: 10}\n")
    return path


@pytest.fixture(scope="module")
def in_fp32(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fp32") / "run"
    train(recipe, f"output_dir={folder}", "precision=fp32", config="single_gpu")
    return events(folder)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("config", CONFIGS)
def test_half_precision_learns_as_fp32_does(recipe, in_fp32, tmp_path, config, precision):
    """One process, so that a machine with one GPU can run it."""
    name = config.format(precision)
    train(recipe, f"output_dir={tmp_path / 'run'}", f"precision={precision}", config=name, processes=1)
    assert results(tmp_path / "run")["environment"]["precision"] == precision
    last, expected = events(tmp_path / "run")[-1], in_fp32[-1]
    assert last["loss"] == pytest.approx(expected["loss"], rel=0.05)
    assert last["peak_memory_bytes"] > 0


@pytest.mark.parametrize("config", ["single_gpu", "zero2_fp16"])
def test_going_on_in_fp16_keeps_the_loss_scale(recipe, tmp_path, config):
    options = {"config": config, "processes": 1}
    train(recipe, f"output_dir={tmp_path / 'run'}", "precision=fp16", "train.max_steps=20", **options)
    state = json.loads((tmp_path / "run/checkpoints/step-000010/state.json").read_text())
    assert state["loss_scale"]["scale"] > 1 and state["adam_step"] <= 10
    begin = f"resume={tmp_path / 'run/checkpoints/step-000010'}"
    train(recipe, f"output_dir={tmp_path / 'again'}", "precision=fp16", begin, **options)
    assert [e["loss"] for e in events(tmp_path / "again")] == [
        e["loss"] for e in events(tmp_path / "run")[10:]
    ]
