"""The central promise: one process, DDP and ZeRO compute the same training."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from ner_dist.runtime.signals import EXIT_RESUME
from tests.distributed import faults
from tests.distributed.faults import fault
from tests.distributed.forked import STRATEGIES
from tests.distributed.launching import STEPS, events, results

pytestmark = pytest.mark.distributed


@pytest.mark.parametrize("strategy", ["ddp", "zero1", "zero2", "zero3"])
def test_losses_gradients_and_rates_agree_at_every_step(undisturbed, strategy):
    reference, other = events(undisturbed("one")), events(undisturbed(strategy))
    assert [event["step"] for event in other] == list(range(1, STEPS + 1))
    for expected, got in zip(reference, other, strict=True):
        assert got["loss"] == pytest.approx(expected["loss"], rel=1e-4)
        assert got["grad_norm"] == pytest.approx(expected["grad_norm"], rel=1e-3)
        assert got["learning_rate"] == expected["learning_rate"]
        assert got["padding_share"] == expected["padding_share"]


@pytest.mark.parametrize("strategy", ["ddp", "zero1", "zero2", "zero3"])
def test_saved_models_agree(undisturbed, strategy):
    expected, got = (load_file(undisturbed(name) / "model/model.safetensors") for name in ("one", strategy))
    assert expected.keys() == got.keys()
    for name, weight in expected.items():
        assert got[name].shape == weight.shape, name
        torch.testing.assert_close(
            got[name], weight, rtol=1e-3, atol=1e-5, msg=lambda text, n=name: f"{n}: {text}"
        )


@pytest.mark.parametrize("strategy", ["ddp", "zero3"])
def test_the_strategy_is_the_one_that_was_asked_for(undisturbed, strategy):
    environment = results(undisturbed(strategy))["environment"]
    assert environment["processes"] == 2
    assert environment["strategy"] == {"ddp": "DDP", "zero3": "ZeRO-3"}[strategy]


def test_dropout_is_on(undisturbed, server, tiny_recipe, tmp_path):
    """The agreement above would prove less if there were nothing random to agree on."""
    dry = server.start(tiny_recipe, f"output_dir={tmp_path}/dry", "model.dropout=0.0", "train.max_steps=1")
    assert dry.wait() == [0], dry.text()
    with_dropout, without = events(undisturbed("one"))[0], events(tmp_path / "dry")[0]
    assert with_dropout["loss"] != pytest.approx(without["loss"], rel=1e-4)


def test_the_number_of_forward_passes_of_a_rank_changes_nothing(undisturbed, server, tiny_recipe, tmp_path):
    """Five processes for three micro-batches a step: two have only empty work, and nothing changes."""
    stop = fault(faults.warn_after, step=8)
    job = server.start(
        tiny_recipe, f"output_dir={tmp_path / 'five'}", config="cpu", processes=5, faults=[stop]
    )
    assert set(job.wait()) == {EXIT_RESUME}, job.text()
    assert "leaves 2 of 5 forward passes idle on 5 processes" in job.text()
    got = events(tmp_path / "five")
    assert len(got) >= 8
    for expected, other in zip(events(undisturbed("one")), got, strict=False):
        assert other["loss"] == pytest.approx(expected["loss"], rel=1e-4)


def test_zero3_agrees_where_it_really_shards(server, tiny_recipe, tmp_path):
    """ZeRO-3 leaves parameters of fewer than 100,000 elements whole; these layers have more.

    Evaluations stand between the steps: what they gather must not linger in the training.
    """
    wide = ["model.scratch.hidden_size=160", "train.max_steps=8", "evaluation.every=3"]
    one = server.start(tiny_recipe, f"output_dir={tmp_path / 'one'}", *wide)
    assert one.wait() == [0], one.text()
    job = server.start(
        tiny_recipe, f"output_dir={tmp_path / 'zero3'}", *wide, config="zero3_bf16", processes=2
    )
    assert job.wait() == [0, 0], job.text()
    for expected, got in zip(events(tmp_path / "one"), events(tmp_path / "zero3"), strict=True):
        assert got["loss"] == pytest.approx(expected["loss"], rel=1e-4)
        assert got["grad_norm"] == pytest.approx(expected["grad_norm"], rel=1e-3)
    weights, reference = (load_file(tmp_path / name / "model/model.safetensors") for name in ("zero3", "one"))
    assert max(weight.numel() for weight in reference.values()) > 100_000
    for name, weight in reference.items():
        torch.testing.assert_close(weights[name], weight, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "strategy",
    [*(pytest.param(name, marks=pytest.mark.soak) for name in ("zero1", "zero2")), "zero3"],
)
def test_zero_in_16_bits_begins_with_fp32_weights_and_adds_gradients_in_fp32(
    server, tiny_recipe, tmp_path, strategy
):
    config, processes = STRATEGIES[strategy]
    options = ["precision=bf16", "train.max_steps=1", "train.learning_rate=1.0e-12", "checkpoint.every=null"]
    job = server.start(
        *(tiny_recipe, f"output_dir={tmp_path / 'run'}", *options),
        config=config,
        processes=processes,
        faults=[fault(faults.note_engine, out=str(tmp_path))],
    )
    assert set(job.wait()) == {0}, job.text()
    weights = load_file(tmp_path / "run/model/model.safetensors")
    drawn = weights["roberta.embeddings.word_embeddings.weight"]
    rounded = drawn.bfloat16().float() == drawn
    # Padding is 0; of the others one in 2**16 fits into 16 bits by chance.
    assert rounded.float().mean() < 0.01
    for rank in range(processes):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == {
            "sums": ["torch.float32"],
            "times": False,
        }
