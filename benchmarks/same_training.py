"""Measure how far the losses of one process, DDP and ZeRO differ: "The same training" in RESULTS.md.

    python benchmarks/same_training.py [--recipe recipes/demo_full.yaml] [--steps 20]

Trains the recipe in fp32, dropout on, under each launch config with two processes, and compares every step
with one process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

CONFIGS = {
    "one process": None,
    "DDP": "cpu",
    "ZeRO-1": "zero1_bf16",
    "ZeRO-2": "zero2_bf16",
    "ZeRO-3": "zero3_bf16",
}


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--recipe", default="recipes/demo_full.yaml")
    parser.add_argument("--steps", type=int, default=20)
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = {name: losses(name, Path(folder), settings) for name in CONFIGS}
    reference = runs["one process"]
    print("| 2 processes | largest relative difference: loss | gradient norm | learning rates |")
    print("|---|---|---|---|")
    for name, run in runs.items():
        if name != "one process":
            loss, norm = (
                max(abs(a[key] - b[key]) / b[key] for a, b in zip(run, reference, strict=True))
                for key in ("loss", "grad_norm")
            )
            rates = all(a["learning_rate"] == b["learning_rate"] for a, b in zip(run, reference, strict=True))
            print(f"| {name} | {loss:.1e} | {norm:.1e} | {'equal' if rates else 'DIFFERENT'} |")


def losses(name: str, folder: Path, settings: argparse.Namespace) -> list[dict]:
    """The training events of one run."""
    config, out = CONFIGS[name], folder / name.replace(" ", "_")
    launch = [
        "-m",
        "accelerate.commands.launch",
        "--config_file",
        f"launch/{config}.yaml",
        "--num_processes",
        "2",
    ]
    command = [sys.executable, *(launch if config else []), "-m", "ner_dist.train", settings.recipe]
    options = [f"output_dir={out}", f"train.max_steps={settings.steps}", "logging.every=1", "precision=fp32"]
    subprocess.run([*command, *options], check=True, capture_output=True)
    lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    return [event for event in lines if event["event"] == "train"]


if __name__ == "__main__":
    main()
