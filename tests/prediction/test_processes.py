"""`ner-dist predict` as a command: several processes, signals, and what a user sees."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ner_dist
from tests.distributed.launching import RECIPE, environment

pytestmark = pytest.mark.distributed
LINE = "Anna Berg visits York , and the minster of York .\n"
TEXTS = 9_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run, and a text of several chunks."""
    folder = tmp_path_factory.mktemp("processes")
    (folder / "tiny.yaml").write_text(RECIPE, encoding="utf-8")
    settings = ["train.max_steps=3", "evaluation.every=3", f"output_dir={folder / 'run'}"]
    ner_dist.train_recipe(ner_dist.load_recipe(folder / "tiny.yaml", settings))
    lines = (f"{number} {LINE}" for number in range(TEXTS))
    (folder / "in.txt").write_text("".join(lines), encoding="utf-8")
    return folder


def command(folder: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "ner_dist.cli", "predict", str(folder / "run"), *words]


@pytest.fixture(scope="module")
def whole(folder) -> bytes:
    """What one process writes."""
    out = folder / "one.jsonl"
    words = command(folder, str(folder / "in.txt"), "-o", str(out))
    done = subprocess.run(words, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    assert f"tagged {TEXTS:,} texts" in done.stderr
    assert len(out.read_text(encoding="utf-8").splitlines()) == TEXTS
    return out.read_bytes()


@pytest.mark.soak
def test_two_processes_that_are_stopped_and_started_again_write_the_same_bytes(folder, whole):
    out = folder / "two.jsonl"
    words = command(folder, str(folder / "in.txt"), "-o", str(out), "--processes", "2")
    parts = folder / f".{out.name}.parts"
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment())
    while not list(parts.glob("0*")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 75, said
    assert "repeat the command to continue" in said
    assert list(parts.glob("0*"))
    assert not out.exists()
    done = subprocess.run(words, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    assert "continuing with the chunks" in done.stderr
    assert out.read_bytes() == whole


def test_a_mistake_is_one_line(folder):
    done = subprocess.run(command(folder, "nothing.txt"), capture_output=True, text=True, env=environment())
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in done.stderr


@pytest.mark.soak
def test_it_works_in_a_pipe(folder):
    words = command(folder, "-")
    done = subprocess.run(words, input=LINE * 3, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == [LINE.strip()] * 3
