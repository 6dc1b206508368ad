"""Start real trainings, in one process or several, and read what they wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
LAUNCH = REPOSITORY / "launch"

# Two layers from random weights, dropout on, three micro-batches a step: with two ranks one of them has
# empty work in every step.
RECIPE = """
name: tiny
output_dir: unset
model:
  name: scratch
  dropout: 0.1
  scratch: {vocab_size: 600, hidden_size: 32, layers: 2, heads: 2, max_length: 48}
data: {path: synthetic, synthetic: {train: 300, validation: 61, test: 83}, window_overlap: 8}
precision: fp32
train: {max_steps: 20, learning_rate: 1.0e-3, batch_tokens: 768, micro_batch_tokens: 256}
logging: {every: 1}
"""
# Of the runs that all distributed tests share.
STEPS = 24


def environment() -> dict[str, str]:
    """The environment of a child; idle threads sleep, since there may be more processes than cores."""
    return os.environ | {
        "OMP_WAIT_POLICY": "passive",
        "PYTHONPATH": str(REPOSITORY),
        "TOKENIZERS_PARALLELISM": "false",
    }


def launch_arguments(config: str | Path | None, *, processes: int | None = None) -> list[str]:
    """The command up to the module: plain Python, or `accelerate launch` with a config of launch/."""
    if config is None:
        return [sys.executable]
    path = config if isinstance(config, Path) else LAUNCH / f"{config}.yaml"
    count = [] if processes is None else ["--num_processes", str(processes)]
    return [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(path), *count]


def train(
    recipe: Path,
    *overrides: str,
    config: str | Path | None = None,
    processes: int | None = None,
    check: bool = True,
    script: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Train to the end and return what was printed.

    Args:
        recipe: the YAML file.
        overrides: `key=value`.
        config: name of a launch config, or its path; None is one process without `accelerate launch`.
        processes: instead of the config's number.
        check: fail if the training fails.
        script: a script to run in the place of `-m ner_dist.train`.
    """
    what = [str(script)] if script else ["-m", "ner_dist.train"]
    done = subprocess.run(
        [*launch_arguments(config, processes=processes), *what, str(recipe), *overrides],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert not check or done.returncode == 0, done.stderr[-6000:]
    return done


def events(run: Path, kind: str = "train") -> list[dict]:
    """The events of one kind in a run's metrics.jsonl."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [event for line in lines if (event := json.loads(line))["event"] == kind]


def results(run: Path) -> dict:
    return json.loads((run / "results.json").read_text())
