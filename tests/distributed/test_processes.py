"""`ner-dist train --processes N`: one-line errors, signals that save, no rank left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from unittest import mock

import psutil
import pytest

from ner_dist.runtime import launcher
from ner_dist.runtime.signals import EXIT_RESUME
from tests.command_line import ner_dist
from tests.distributed.launching import LAUNCH, RECIPE, environment, events, results, train

COMMAND = [sys.executable, "-m", "ner_dist.cli", "train"]
# The number of threads decides the order in which sums are made.
ENVIRONMENT = environment() | {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(RECIPE.replace("precision: fp32", "precision: auto"))
    return path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], env=ENVIRONMENT, capture_output=True, text=True, timeout=300
    )


def wait_for(condition: Callable[[], bool], *, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.soak
@pytest.mark.distributed
def test_it_is_the_training_of_accelerate_launch(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    options = [str(recipe), "train.max_steps=4"]
    config = LAUNCH / "zero2_bf16.yaml"
    train(recipe, "train.max_steps=4", f"output_dir={tmp_path / 'theirs'}", config=config, processes=2)
    done = run(*options, f"output_dir={tmp_path / 'ours'}", "--launch-config", config, "--processes", "2")
    assert done.returncode == 0, done.stderr
    environments = [results(tmp_path / name)["environment"] for name in ("ours", "theirs")]
    assert environments[0] == environments[1]
    assert environments[0]["strategy"] == "ZeRO-2" and environments[0]["processes"] == 2
    losses = [[event["loss"] for event in events(tmp_path / name)] for name in ("ours", "theirs")]
    assert losses[0] == losses[1] and len(losses[0]) == 4
    assert done.stderr.count("ZeRO-2 on CPU, 2 processes") == 1


@pytest.mark.distributed
def test_what_the_ranks_find_wrong_is_one_line(recipe, tmp_path):
    done = run(recipe, f"output_dir={tmp_path / 'run'}", "labels=[LAW]", "--processes", "2")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].endswith("starting 2 processes")
    (line,) = [line for line in done.stderr.splitlines() if not line[0].isdigit()]
    assert line.startswith("error: labels: the data has no type `LAW`; it has PER, ")
    assert done.stderr.endswith(f"{line}\n") and done.stdout == ""


@pytest.mark.distributed
def test_signals_save_and_no_rank_outlives_the_launcher(recipe, tmp_path):
    log = tmp_path / "log"
    options = [recipe, f"output_dir={tmp_path / 'run'}", "train.max_steps=100000", "evaluation.every=100000"]

    def training(after: str) -> tuple[subprocess.Popen, list[psutil.Process]]:
        with log.open("a") as file:
            process = subprocess.Popen(
                [*COMMAND, *map(str, options), "--processes", "2"], env=ENVIRONMENT, stderr=file
            )
        wait_for(lambda: after in log.read_text() or process.poll() is not None)
        ranks = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if "ner_dist.train" in child.cmdline()
        ]
        assert len(ranks) == 2, log.read_text()
        return process, ranks

    process, ranks = training("step 5/")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == EXIT_RESUME
    said = log.read_text()
    assert "SIGINT: saving after step" in said and "Traceback" not in said
    assert said.endswith("of 100000: repeat the command to resume\n")
    assert not any(rank.is_running() for rank in ranks)

    process, ranks = training("resuming after step")
    process.kill()
    process.wait()
    wait_for(lambda: not any(rank.is_running() for rank in ranks), seconds=60)
    assert "Traceback" not in log.read_text()


class TestBeforeAnythingIsStarted:
    @pytest.fixture(autouse=True)
    def _environment(self):
        with mock.patch.dict(os.environ):
            yield

    @pytest.fixture
    def refused(self, recipe, tmp_path, capsys):
        def refused(*arguments: str, config: str | None = None) -> str:
            if config is not None:
                path = tmp_path / "launch.yaml"
                path.write_text(config)
                arguments = (*arguments, "--launch-config", str(path))
            assert ner_dist("train", str(recipe), f"output_dir={tmp_path / 'run'}", *arguments) == 2
            *others, said = capsys.readouterr().err.splitlines()
            assert all(line.endswith("starting 2 processes") for line in others)
            return said.replace(str(tmp_path), "")

        return refused

    def test_a_mistake_in_the_recipe(self, refused):
        assert "unknown key `train.epoch`; did you mean `train.epochs`?" in refused(
            "train.epoch=1", "--processes", "2"
        )

    def test_more_processes_than_gpus(self, refused, monkeypatch):
        monkeypatch.setattr(launcher, "_gpus", lambda: 1)
        assert refused("--processes", "2") == (
            "error: --processes: 2 processes need 2 GPUs, and this machine has 1; pass --processes 1"
        )

    def test_a_launch_config_for_several_machines(self, refused):
        said = refused("--launch-config", str(LAUNCH / "multi_node_zero2_bf16.yaml"), "--processes", "2")
        assert (
            "is for 2 machines, but --processes starts processes on one; ner-dist launch-help prints" in said
        )

    def test_a_launch_config_for_one_process(self, refused):
        said = refused("--launch-config", str(LAUNCH / "single_gpu.yaml"), "--processes", "2")
        assert "starts one process, and this is 1 node x 2 processes; use one of launch/" in said

    def test_deepspeed_that_is_not_installed(self, refused, monkeypatch):
        monkeypatch.setattr(launcher.importlib.util, "find_spec", lambda name: None)
        assert refused("--launch-config", str(LAUNCH / "zero2_bf16.yaml"), "--processes", "2") == (
            "error: the launch config asks for DeepSpeed, which is not installed; "
            "pip install 'ner_dist[deepspeed]'"
        )

    @pytest.mark.parametrize(
        ("config", "said"),
        [
            ("distributed_type: MULTI_GPU\n", "does not say how many processes to start; pass --processes N"),
            (
                "distributed_type: MULTI_GPU\nnum_processes: two\n",
                "num_processes is 'two', not a whole number; compare it with the configs in launch/",
            ),
            ("distributed_type: FSDP\n", "distributed_type is FSDP, and ner_dist trains under NO, MULTI_GPU"),
            ("a: [\n", "error: launch config /launch.yaml:2: is not YAML"),
            (
                "distributed_type: MULTI_GPU\nnum_processes: 2\nnum_procesess: 3\n",
                "had unknown keys (['num_procesess'])",
            ),
            (
                "distributed_type: MULTI_GPU\nnum_processes: 2\nmixed_precision: bf61\n",
                "cannot be used: Unknown mixed_precision mode: bf61",
            ),
        ],
    )
    def test_a_launch_config_that_is_wrong(self, refused, config, said):
        assert said in refused(config=config)
