"""An interrupted run resumes exactly, under other strategies too, with any remains on the disk."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import time
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ner_dist.runtime.signals import EXIT_RESUME
from tests.distributed import faults
from tests.distributed.faults import fault
from tests.distributed.forked import STRATEGIES
from tests.distributed.launching import STEPS, environment, events, launch_arguments

pytestmark = pytest.mark.distributed

# Few words and steps: bf16 is slow where a CPU has to emulate it.
SMALL = ["train.batch_tokens=192", "train.micro_batch_tokens=64", "train.max_steps=10"]
SMALL += ["data.synthetic.validation=10", "data.synthetic.test=10"]


def tensors_of(checkpoint):
    """Every tensor of a checkpoint by its name, from all its files."""
    tensors = {}
    for path in checkpoint.glob("tensors-*.safetensors"):
        tensors |= load_file(path)
    return tensors


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


@pytest.mark.parametrize(
    ("strategy", "kills"),
    [
        ("one", 3),
        *(pytest.param(name, 8, marks=pytest.mark.soak) for name in ("one", "ddp", "zero2", "zero3")),
    ],
)
def test_killed_at_random_moments_it_ends_as_if_nothing_had_happened(
    server, tiny_recipe, undisturbed, tmp_path, strategy, kills
):
    """By SIGTERM, all ranks at once, and one rank alone, while it trains, saves, evaluates or starts."""
    config, processes = STRATEGIES[strategy]
    reference, folder, chance = undisturbed(strategy), tmp_path / "run", random.Random(strategy)
    found = set()
    for kind in itertools.islice(itertools.cycle(["term", "all", "one rank"]), kills):
        job = server.start(
            tiny_recipe,
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
    job = server.start(tiny_recipe, f"output_dir={folder}", config=config, processes=processes)
    assert set(job.wait()) == {0}, job.text()
    assert_same_end(folder, reference)


@pytest.fixture(scope="module")
def stopped(server, tiny_recipe, tmp_path_factory):
    """A run of two ranks under ZeRO-2 that a scheduler's warning ended after step 10."""
    config, processes = STRATEGIES["zero2"]
    folder = tmp_path_factory.mktemp("stopped") / "run"
    warned = fault(faults.warn_after, step=10)
    job = server.start(
        tiny_recipe, f"output_dir={folder}", config=config, processes=processes, faults=[warned]
    )
    assert set(job.wait()) == {EXIT_RESUME}, job.text()
    return folder


def _soaked(strategy: str) -> Any:
    """A parameter; DDP and ZeRO-1 shard less than ZeRO-2 and -3, and are left to `make soak`."""
    return pytest.param(strategy, marks=pytest.mark.soak) if strategy in ("ddp", "zero1") else strategy


class TestAnyStrategyGoesOnFromAnyOther:
    """A checkpoint is a file: what goes from one strategy to another goes through it.

    So that all of them save the same, and each goes on from one, is as good as every pair.
    """

    SAVED = "step-000012"

    @pytest.mark.parametrize("strategy", [_soaked(name) for name in STRATEGIES if name != "one"])
    def test_all_save_the_same(self, undisturbed, strategy):
        folders = [undisturbed(name) / "checkpoints" / self.SAVED for name in ("one", strategy)]
        one, other = map(tensors_of, folders)
        assert {name.split("/")[0] for name in one} == {"weight", "exp_avg", "exp_avg_sq"}
        assert other.keys() == one.keys()
        for name, tensor in one.items():
            torch.testing.assert_close(
                other[name], tensor, rtol=1e-3, atol=1e-5, msg=lambda text, n=name: f"{n}: {text}"
            )
        one, other = (json.loads((folder / "state.json").read_text()) for folder in folders)
        assert other["best_loss"] == pytest.approx(one["best_loss"], rel=1e-4)
        ours, theirs = dict(one["epoch_loss"]), dict(other["epoch_loss"])
        assert theirs == {epoch: pytest.approx(sums, rel=1e-4) for epoch, sums in ours.items()}
        for name in ("best_loss", "epoch_loss", "seconds", "evaluation_seconds"):
            del one[name], other[name]
        for name in ("strategy", "processes", "recipe"):
            del one[name], other[name]
        assert other == one

    @pytest.mark.parametrize("after", [_soaked(name) for name in STRATEGIES])
    def test_each_goes_on_from_one(self, server, tiny_recipe, undisturbed, stopped, tmp_path, after):
        saved = max((stopped / "checkpoints").glob("step-*"))
        at = int(saved.name.removeprefix("step-"))
        assert 10 <= at <= 12
        folder = shutil.copytree(stopped, tmp_path / "run")
        job = self._train(server, tiny_recipe, f"output_dir={folder}", strategy=after)
        self._assert_goes_on(folder, job, at, undisturbed("one"))
        if after == "zero2":
            assert_same_end(folder, undisturbed("zero2"))

    @pytest.mark.parametrize(("before", "after"), [("one", "zero3"), ("zero3", "ddp")])
    def test_a_pair_that_shards_otherwise(self, server, tiny_recipe, undisturbed, tmp_path, before, after):
        begin = f"resume={undisturbed(before) / 'checkpoints' / self.SAVED}"
        folder = tmp_path / "run"
        job = self._train(server, tiny_recipe, f"output_dir={folder}", begin, strategy=after)
        self._assert_goes_on(folder, job, 12, undisturbed("one"))

    def _train(self, server, recipe, *overrides, strategy):
        config, processes = STRATEGIES[strategy]
        job = server.start(recipe, *overrides, config=config, processes=processes)
        assert set(job.wait()) == {0}, job.text()
        return job

    def _assert_goes_on(self, run, job, at, reference):
        """The later steps are those of the undisturbed run."""
        assert f"resuming after step {at} of {STEPS}" in job.text()
        later = [event for event in events(run) if event["step"] > at]
        expected = [event for event in events(reference) if event["step"] > at]
        assert [event["step"] for event in later] == list(range(at + 1, STEPS + 1))
        for event, wanted in zip(later, expected, strict=True):
            assert event["loss"] == pytest.approx(wanted["loss"], rel=1e-4), event["step"]
            assert event["learning_rate"] == wanted["learning_rate"]


@pytest.mark.parametrize(
    "strategy",
    [
        "ddp",
        "zero2",
        "zero3, sharded",
        pytest.param("zero1", marks=pytest.mark.soak),
        pytest.param("zero3", marks=pytest.mark.soak),
    ],
)
def test_bf16_goes_on_bit_for_bit(server, tiny_recipe, tmp_path, strategy):
    """ZeRO-3 shards only parameters of 100,000 elements and more: one case has such."""
    config, processes = STRATEGIES[strategy.split(",")[0]]
    options = {"config": config.replace("cpu", "ddp_bf16"), "processes": processes}
    settings = ["precision=bf16", *SMALL]
    settings += ["model.scratch.hidden_size=160"] if "sharded" in strategy else []
    straight, folder = tmp_path / "straight", tmp_path / "run"
    job = server.start(tiny_recipe, f"output_dir={straight}", *settings, **options)
    assert set(job.wait()) == {0}, job.text()
    begin = f"resume={straight / 'checkpoints/step-000008'}"
    job = server.start(tiny_recipe, f"output_dir={folder}", *settings, begin, **options)
    assert set(job.wait()) == {0}, job.text()
    assert "resuming after step 8 of 10" in job.text()
    assert_same_end(folder, straight)


@pytest.mark.parametrize(
    "strategy", ["zero2", *(pytest.param(name, marks=pytest.mark.soak) for name in ("ddp", "zero3"))]
)
def test_it_can_be_stopped_before_adam_has_moments(server, tiny_recipe, tmp_path, strategy):
    config, processes = STRATEGIES[strategy]
    where = {"config": config, "processes": processes}
    options = [f"output_dir={tmp_path / 'run'}", "train.max_steps=6"]
    job = server.start(
        tiny_recipe,
        *options,
        faults=[fault(faults.warn_after, step=1), fault(faults.no_finite_loss_in, passes=6)],
        **where,
    )
    assert set(job.wait()) == {EXIT_RESUME}, job.text()
    job = server.start(tiny_recipe, *options, **where)
    assert set(job.wait()) == {0}, job.text()
    assert "resuming after step" in job.text()


def test_sigterm_to_accelerate_launch_saves_and_the_same_command_goes_on(
    server, tiny_recipe, undisturbed, tmp_path
):
    folder = tmp_path / "run"
    words = [*launch_arguments("cpu"), "-m", "ner_dist.train", str(tiny_recipe), f"output_dir={folder}"]
    process = subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "step 3/" in line:
            os.kill(process.pid, signal.SIGTERM)
            break
    text = process.stderr.read()
    assert process.wait() != 0
    assert "SIGTERM: saving after step" in text
    assert "repeat the command to resume" in text
    job = server.start(tiny_recipe, f"output_dir={folder}", config="cpu", processes=2)
    assert job.wait() == [0, 0], job.text()
    assert "resuming after step" in job.text()
    assert_same_end(folder, undisturbed("ddp"))


def test_a_rank_that_fails_names_step_and_sentences_and_nobody_hangs(server, tiny_recipe, tmp_path):
    job = server.start(
        tiny_recipe,
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


def test_a_rank_without_memory_says_what_to_change(server, tiny_recipe, tmp_path):
    broken = fault(faults.break_batch, of_rank=1, number=6, out_of_memory=True)
    job = server.start(
        tiny_recipe, f"output_dir={tmp_path / 'run'}", config="cpu", processes=2, faults=[broken]
    )
    codes = job.wait(60)
    assert codes[1] == 2 and codes[0] in (1, 2)
    (line,) = [line for line in job.text().splitlines() if line.startswith("error: rank 1")]
    assert "ran out of GPU memory in step 3" in line and "train.micro_batch_tokens" in line


@pytest.mark.parametrize("hurried", [0, 1])
def test_minutes_between_checkpoints_are_counted_by_rank_0_for_all(server, tiny_recipe, tmp_path, hurried):
    """A minute passes within any step of one rank."""
    options = ["checkpoint.every=1min", "train.max_steps=9", "evaluation.every=100"]
    job = server.start(
        *(tiny_recipe, f"output_dir={tmp_path / 'run'}", *options),
        config="cpu",
        processes=2,
        faults=[fault(faults.hurry_clock, of_rank=hurried, faster=1e6)],
    )
    assert set(job.wait()) == {0}, job.text()
    saved = [event["step"] for event in events(tmp_path / "run", "checkpoint") if "step" in event["name"]]
    if hurried:
        assert saved == [9]
    else:
        # Asked after the first step, heard by all after the second; what was asked before a save is void.
        assert saved[0] == 3 and saved[-1] == 9
        assert {later - earlier for earlier, later in itertools.pairwise(saved[:-1])} <= {2, 3}
