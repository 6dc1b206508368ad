"""A run that ends before its time goes on where it was: exactly, elsewhere too, whatever lies on the disk."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time

import pytest
import torch
from safetensors.torch import load_file

from ner_dist.runtime.signals import EXIT_RESUME
from tests.distributed import faults
from tests.distributed.faults import fault
from tests.distributed.forked import STRATEGIES, trained_once
from tests.distributed.launching import RECIPE, environment, events, launch_arguments, train

pytestmark = pytest.mark.distributed

STEPS = 24
# Few words and steps: bf16 is slow where a CPU has to emulate it.
SMALL = ["train.batch_tokens=192", "train.micro_batch_tokens=64", "train.max_steps=14"]
SMALL += ["data.synthetic.validation=10", "data.synthetic.test=10"]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(
        RECIPE.replace("max_steps: 20", f"max_steps: {STEPS}")
        + "checkpoint: {every: 4}\nevaluation: {every: 6}\n"
    )
    return path


@pytest.fixture(scope="module")
def undisturbed(server, recipe, tmp_path_factory):
    """The run of each strategy that nothing happened to, trained when first asked for."""
    return trained_once(server, recipe, tmp_path_factory.mktemp("undisturbed"))


def assert_same_end(run, reference):
    """Weights and figures are those of the undisturbed run, bit for bit."""
    weights, expected = (load_file(folder / "model/model.safetensors") for folder in (run, reference))
    assert all(torch.equal(weights[name], weight) for name, weight in expected.items())
    got, wanted = (json.loads((folder / "results.json").read_text()) for folder in (run, reference))
    for result in (got, wanted):
        del result["train"]["seconds"]
        for split in ("validation", "test"):
            del result[split]["words_per_second"]
    assert got == wanted
    assert (run / "predictions/test.jsonl").read_bytes() == (
        reference / "predictions/test.jsonl"
    ).read_bytes()


@pytest.mark.parametrize("strategy", ["one", "ddp", "zero2"])
def test_killed_at_random_moments_it_ends_as_if_nothing_had_happened(
    server, recipe, undisturbed, tmp_path, strategy
):
    """Eight kills each: of one rank, of all, and by SIGTERM, while it trains, saves, evaluates or starts."""
    config, processes = STRATEGIES[strategy]
    reference, folder, chance = undisturbed(strategy), tmp_path / "run", random.Random(strategy)
    found = set()
    for kind in ["term", "all", "one rank"] * 2 + ["term", "all"]:
        job = server.start(
            recipe,
            f"output_dir={folder}",
            config=config,
            processes=processes,
            faults=[fault(faults.slow_steps_and_saves)],
        )
        job.wait_for("steps of")
        time.sleep(chance.random() * 0.8)
        if kind == "one rank":
            job.send(signal.SIGKILL, chance.randrange(processes))
        else:
            job.send(signal.SIGKILL if kind == "all" else signal.SIGTERM)
        codes = job.wait(60)
        if set(codes) == {0}:
            break
        assert set(codes) <= ({EXIT_RESUME, 0} if kind == "term" else {-9, 1}), job.text()
        found.add(kind)
    assert found >= {"term", "all"}
    job = server.start(recipe, f"output_dir={folder}", config=config, processes=processes)
    assert set(job.wait()) == {0}, job.text()
    assert_same_end(folder, reference)


@pytest.mark.parametrize("before", STRATEGIES)
def test_any_strategy_goes_on_from_any_other(server, recipe, undisturbed, tmp_path, before):
    """The matrix: every pair, with the losses of the undisturbed run; bit for bit where nothing changed."""
    config, processes = STRATEGIES[before]
    start = tmp_path / "start"
    job = server.start(
        recipe,
        f"output_dir={start}",
        config=config,
        processes=processes,
        faults=[fault(faults.warn_after, step=10)],
    )
    assert set(job.wait()) == {EXIT_RESUME}, job.text()
    saved = sorted((start / "checkpoints").glob("step-*"))[-1]
    at = int(saved.name.removeprefix("step-"))
    assert 10 <= at <= 12, job.text()
    expected = {event["step"]: event for event in events(undisturbed("one"))}
    for after, (config, processes) in STRATEGIES.items():
        folder = tmp_path / after
        shutil.copytree(start, folder)
        job = server.start(recipe, f"output_dir={folder}", config=config, processes=processes)
        assert set(job.wait()) == {0}, job.text()
        assert f"resuming after step {at} of {STEPS}" in job.text()
        later = [event for event in events(folder) if event["step"] > at]
        assert [event["step"] for event in later] == list(range(at + 1, STEPS + 1))
        for event in later:
            assert event["loss"] == pytest.approx(expected[event["step"]]["loss"], rel=1e-4), (before, after)
            assert event["learning_rate"] == expected[event["step"]]["learning_rate"]
        if before == after:
            assert_same_end(folder, undisturbed(before))


@pytest.mark.parametrize("strategy", ["ddp", "zero1", "zero2", "zero3", "zero3, sharded"])
def test_bf16_goes_on_bit_for_bit(server, recipe, tmp_path, strategy):
    """ZeRO-3 shards only parameters of 100,000 elements and more: the last case has such."""
    config, processes = STRATEGIES[strategy.split(",")[0]]
    options = {"config": config.replace("cpu", "ddp_bf16"), "processes": processes}
    settings = ["precision=bf16", *SMALL]
    settings += ["model.scratch.hidden_size=160"] if "sharded" in strategy else []
    straight, folder = tmp_path / "straight", tmp_path / "run"
    assert set(server.start(recipe, f"output_dir={straight}", *settings, **options).wait()) == {0}
    job = server.start(
        recipe,
        f"output_dir={folder}",
        *settings,
        faults=[fault(faults.die_after_checkpoint, step=12)],
        **options,
    )
    assert 9 in job.wait()
    job = server.start(recipe, f"output_dir={folder}", *settings, **options)
    assert set(job.wait()) == {0}, job.text()
    assert "resuming after step 12" in job.text()
    assert_same_end(folder, straight)


@pytest.mark.parametrize("strategy", ["ddp", "zero2", "zero3"])
def test_it_can_be_stopped_before_adam_has_moments(server, recipe, tmp_path, strategy):
    config, processes = STRATEGIES[strategy]
    where = {"config": config, "processes": processes}
    job = server.start(
        recipe,
        f"output_dir={tmp_path / 'run'}",
        faults=[fault(faults.warn_after, step=1), fault(faults.no_finite_loss_in, passes=6)],
        **where,
    )
    assert set(job.wait()) == {EXIT_RESUME}, job.text()
    job = server.start(recipe, f"output_dir={tmp_path / 'run'}", **where)
    assert set(job.wait()) == {0}, job.text()
    assert "resuming after step" in job.text()


def test_sigterm_to_accelerate_launch_saves_and_the_same_command_goes_on(recipe, undisturbed, tmp_path):
    folder = tmp_path / "run"
    words = [*launch_arguments("cpu"), "-m", "ner_dist.train", str(recipe), f"output_dir={folder}"]
    process = subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "step 3/" in line:
            os.kill(process.pid, signal.SIGTERM)
            break
    text = process.stderr.read()
    assert process.wait() != 0
    assert "SIGTERM: saving after step" in text
    assert "the same command goes on from there" in text
    done = train(recipe, f"output_dir={folder}", config="cpu")
    assert "resuming after step" in done.stderr
    assert_same_end(folder, undisturbed("ddp"))


def test_a_rank_that_fails_names_step_and_sentences_and_nobody_hangs(server, recipe, tmp_path):
    job = server.start(
        recipe,
        f"output_dir={tmp_path / 'run'}",
        config="cpu",
        processes=2,
        faults=[fault(faults.break_batch, of_rank=1, number=6)],
    )
    began = time.monotonic()
    assert set(job.wait(60)) == {1}
    assert time.monotonic() - began < 60
    line = next(line for line in job.text().splitlines() if "rank 1 failed" in line)
    assert "step 3" in line and "training sentences" in line and "a broken batch" in line


def test_a_rank_without_memory_says_what_to_change(server, recipe, tmp_path):
    broken = fault(faults.break_batch, of_rank=1, number=6, out_of_memory=True)
    job = server.start(recipe, f"output_dir={tmp_path / 'run'}", config="cpu", processes=2, faults=[broken])
    codes = job.wait(60)
    assert codes[1] == 2 and codes[0] in (1, 2)
    (line,) = [line for line in job.text().splitlines() if line.startswith("error: rank 1")]
    assert "ran out of GPU memory in step 3" in line and "train.micro_batch_tokens" in line
