"""Seconds from the command to the first step of training, beside what importing torch and transformers takes.

    python benchmarks/startup.py [RECIPE [KEY=VALUE ...]] [--rounds 5]

The recipe is recipes/demo_full.yaml if none is given. Its data is prepared first. Rows: Python importing
torch and transformers; the same with the classes of a tagging model, which transformers imports only when
asked for them; `ner-dist --help`; `ner-dist train` until its first step stands in metrics.jsonl. They take
turns; printed are medians, lowest and highest.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RECIPE = Path(__file__).parents[1] / "recipes" / "demo_full.yaml"
IMPORTS = "import torch, transformers"
CLASSES = (
    f"{IMPORTS}; transformers.AutoModelForTokenClassification, transformers.RobertaForTokenClassification"
)
COMMAND = [sys.executable, "-m", "ner_dist.cli"]
ENVIRONMENT = os.environ | {"HF_HUB_OFFLINE": "1"}


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("recipe", nargs="?", default=str(RECIPE))
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--rounds", type=int, default=5)
    settings = parser.parse_args()
    recipe = [settings.recipe, *settings.overrides]
    subprocess.run([*COMMAND, "prepare", *recipe], check=True, env=ENVIRONMENT)
    seconds: dict[str, list[float]] = {}
    for _ in range(settings.rounds):
        for name, took in (
            ("import torch, transformers", finished([sys.executable, "-c", IMPORTS])),
            ("the same and the classes of a model", finished([sys.executable, "-c", CLASSES])),
            ("ner-dist --help", finished([*COMMAND, "--help"])),
            ("ner-dist train, to the first step", first_step(recipe)),
        ):
            seconds.setdefault(name, []).append(took)
    print("| | seconds | lowest–highest | × importing |\n|---|---|---|---|")
    importing = statistics.median(next(iter(seconds.values())))
    for name, all_rounds in seconds.items():
        middle = statistics.median(all_rounds)
        spread = f"{min(all_rounds):.2f}–{max(all_rounds):.2f}"
        print(f"| {name} | {middle:.2f} | {spread} | {middle / importing:.2f} |")


def finished(command: list[str]) -> float:
    """Seconds until a command has ended."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    return time.perf_counter() - began


def first_step(recipe: list[str]) -> float:
    """Seconds until a training has recorded its first step; the training is ended then."""
    with tempfile.TemporaryDirectory() as folder:
        metrics = Path(folder) / "run" / "metrics.jsonl"
        settings = [f"output_dir={metrics.parent}", "logging.every=1"]
        began = time.perf_counter()
        training = subprocess.Popen(
            [*COMMAND, "train", *recipe, *settings], stderr=subprocess.DEVNULL, env=ENVIRONMENT
        )
        try:
            while not (metrics.exists() and '"train"' in metrics.read_text(encoding="utf-8")):
                if training.poll() is not None:
                    raise SystemExit(f"the training ended with {training.returncode} before its first step")
                time.sleep(0.01)
            return time.perf_counter() - began
        finally:
            training.kill()
            training.wait()


if __name__ == "__main__":
    main()
