"""Signals to every launcher that the README names, and kills of a launcher or a rank: ranks save and end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ner_dist.runtime.signals import EXIT_RESUME
from tests.distributed.launching import LAUNCH, RECIPE, REPOSITORY, environment

pytestmark = [pytest.mark.distributed, pytest.mark.soak]

SCRIPTS = Path(sys.executable).parent
WAYS = {
    "own": [sys.executable, "-m", "ner_dist.cli", "train", "--processes", "2"],
    "accelerate": [str(SCRIPTS / "accelerate"), "launch", "--config_file", str(LAUNCH / "cpu.yaml")],
    "accelerate, one process": [
        *(str(SCRIPTS / "accelerate"), "launch", "--config_file", str(LAUNCH / "single_gpu.yaml")),
    ],
    "torchrun": [str(SCRIPTS / "torchrun"), "--nproc-per-node", "2"],
}
MINUTE = 60.0


def start(way: str, folder: Path) -> subprocess.Popen:
    """Start a training that would take hours."""
    recipe = folder / "tiny.yaml"
    recipe.write_text(RECIPE + "checkpoint: {every: 1000}\nevaluation: {every: 100000}\n")
    module = [] if way == "own" else ["-m", "ner_dist.train"]
    words = [*WAYS[way], *module, str(recipe), f"output_dir={folder / 'run'}", "train.max_steps=100000"]
    with (folder / "log").open("w") as log:
        return subprocess.Popen(words, env=environment(), cwd=REPOSITORY, stdout=log, stderr=log)


def ranks_of(launcher: subprocess.Popen, number: int, *, after: str, log: Path) -> list[psutil.Process]:
    """The ranks once they are all there, and the log holds some text."""
    until = time.monotonic() + 2 * MINUTE
    while True:
        children = psutil.Process(launcher.pid).children(recursive=True)
        ranks = [child for child in children if _is_rank(child)]
        if len(ranks) == number and after in log.read_text():
            return ranks
        assert time.monotonic() < until and launcher.poll() is None, log.read_text()[-3000:]
        time.sleep(0.05)


def _is_rank(process: psutil.Process) -> bool:
    try:
        return "ner_dist.train" in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def all_end(ranks: list[psutil.Process]) -> bool:
    until = time.monotonic() + MINUTE
    while any(rank.is_running() and rank.status() != psutil.STATUS_ZOMBIE for rank in ranks):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM, signal.SIGKILL], ids=lambda it: it.name)
@pytest.mark.parametrize("after", ["", "step 5/"], ids=["while ranks start", "while they train"])
def test_ranks_save_and_end_with_their_launcher(tmp_path, way, number, after):
    launcher, log = start(way, tmp_path), tmp_path / "log"
    ranks = ranks_of(launcher, 1 if way == "accelerate, one process" else 2, after=after, log=log)
    try:
        launcher.send_signal(number)
        code = launcher.wait(MINUTE)
        assert all_end(ranks), f"ranks are left:\n{log.read_text()}"
    finally:
        for process in [rank for rank in ranks if rank.is_running()]:
            process.kill()
    if way == "own" and number != signal.SIGKILL:
        assert code == EXIT_RESUME
    saved = re.findall(r"saving after step (\d+)", log.read_text())
    assert len(saved) == bool(after), log.read_text()
    if after:
        assert (tmp_path / "run/checkpoints" / f"step-{int(saved[0]):06d}").is_dir()


@pytest.mark.parametrize("way", ["own", "accelerate", "torchrun"])
def test_the_other_ranks_of_one_that_was_killed_say_so_in_a_line(tmp_path, way):
    launcher, log = start(way, tmp_path), tmp_path / "log"
    ranks = ranks_of(launcher, 2, after="step 5/", log=log)
    os.kill(ranks[-1].pid, signal.SIGKILL)
    assert launcher.wait(MINUTE) == 1 and all_end(ranks)
    text = log.read_text()
    assert "error: another rank has ended or cannot be reached; repeat the command" in text
    assert "gloo" not in text
