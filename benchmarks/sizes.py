"""F1 by size of the training data: `auto` against transformers' `run_ner.py` and a Trainer tuned by hand.

    NER_DIST_REAL_DATA=FOLDER python benchmarks/sizes.py --model FOLDER [--sets A,B] [--seeds 13,14,15]

All fine-tune the same encoder on the same sentences in the same precision; F1 is strict IOB2, counted by
ner_dist from the predictions that each wrote:

    auto      ner-dist train recipes/own_data.yaml, nothing set but the data, the encoder and the seed
    run_ner   transformers' Trainer as run_ner.py sets it up, at its defaults: 3 epochs of 8 sentences at 5e-5
    tuned     the same Trainer with a rate and a number of epochs chosen on validation (`TUNED`), warm-up, 16
              sentences a step, and the weights of the best of twenty evaluations

What is in --out already is not trained again, so that the table can be made in parts.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from ner_dist.comparison.prediction_files import read_file

REPOSITORY = Path(__file__).parents[1]
WORKER = Path(__file__).parent / "peers" / "run_ner.py"
SPLITS = ("train", "validation", "test")
DRAWN_WITH = 7


@dataclass(frozen=True)
class Set:
    """A data set, or some of its training sentences."""

    folder: str
    train: int | None = None
    """Training sentences that are drawn; None for all."""
    validation: int | None = None


SETS = {
    "crossner-200": Set("crossner_science"),
    "wikineural-2000": Set("wikineural_en_resplit", train=2000, validation=2000),
    "multiconer-2000": Set("multiconer_v2_en", train=2000),
    "wikineural-11590": Set("wikineural_en_resplit", validation=2000),
    "multiconer-14998": Set("multiconer_v2_en"),
}
# Learning rate and epochs of the hand-tuned Trainer: about 1,000 steps or more, as more gained nothing.
TUNED = {
    "crossner-200": (2.8e-4, 60),
    "wikineural-2000": (2.8e-4, 8),
    "multiconer-2000": (2.8e-4, 12),
    "wikineural-11590": (2.8e-4, 3),
    "multiconer-14998": (2.8e-4, 4),
}
CONTESTANTS = ("auto", "run_ner", "tuned")


def main() -> None:
    """Train what is missing, and print the table."""
    arguments = _arguments()
    out = Path(arguments.out)
    for name in arguments.sets:
        _write(out / "data" / name, SETS[name])
    with ThreadPoolExecutor(arguments.jobs) as pool:
        runs = product(arguments.sets, arguments.contestants, arguments.seeds)
        list(pool.map(lambda run: _train(*run, out=out, arguments=arguments), runs))
    print("\n".join(_table(out, arguments)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="folder of the encoder")
    parser.add_argument("--sets", type=_names(SETS), default=list(SETS), help=f"of {', '.join(SETS)}")
    parser.add_argument("--contestants", type=_names(CONTESTANTS), default=list(CONTESTANTS))
    parser.add_argument(
        "--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[13, 14, 15]
    )
    parser.add_argument("--precision", default="bf16", choices=("fp32", "bf16", "fp16"))
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time, which share the cores")
    parser.add_argument("--out", default="runs/sizes", help="folder for data and runs")
    return parser.parse_args()


def _names(known: Any) -> Any:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(f"{unknown.pop()} is none of {', '.join(known)}")
        return names

    return parse


def _write(folder: Path, chosen: Set) -> None:
    """The sentences of a set; the same ones at every call."""
    source = Path(os.environ["NER_DIST_REAL_DATA"]) / chosen.folder
    folder.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        lines = (source / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        wanted = getattr(chosen, split, None)
        if wanted is not None:
            lines = random.Random(DRAWN_WITH).sample(lines, wanted)
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _folder(out: Path, name: str, contestant: str, seed: int) -> Path:
    return out / f"{name}-{contestant}-{seed}"


def _predictions(folder: Path, contestant: str, split: str) -> Path:
    return folder / ("predictions" if contestant == "auto" else "") / f"{split}.jsonl"


def _train(name: str, contestant: str, seed: int, *, out: Path, arguments: argparse.Namespace) -> None:
    folder, data = _folder(out, name, contestant, seed), out / "data" / name
    if _predictions(folder, contestant, "test").exists():
        return
    threads = max(1, (os.cpu_count() or 1) // arguments.jobs)
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive",
        "PYTHONPATH": str(REPOSITORY),
    }  # fmt: skip
    if contestant == "auto":
        command = [
            *(sys.executable, "-m", "ner_dist.train", str(REPOSITORY / "recipes" / "own_data.yaml")),
            *(f"output_dir={folder}", f"data.path={data}", f"model.name={arguments.model}"),
            *(f"train.seed={seed}", f"precision={arguments.precision}", "checkpoint.every=null"),
        ]
        settings = None
    else:
        command = [sys.executable, str(WORKER)]
        settings = json.dumps(_trainer_settings(name, contestant, seed, folder, data, arguments, threads))
    folder.mkdir(parents=True, exist_ok=True)
    with (out / f"{folder.name}.log").open("w") as log:
        subprocess.run(
            command, env=environment, input=settings, stdout=log, stderr=log, text=True, check=True
        )


def _trainer_settings(
    name: str,
    contestant: str,
    seed: int,
    folder: Path,
    data: Path,
    arguments: argparse.Namespace,
    threads: int,
) -> dict[str, Any]:
    tags = {tag for split in SPLITS for row in _rows(data / f"{split}.jsonl") for tag in row["ner_tags"]}
    types = sorted({tag[2:] for tag in tags - {"O"}})
    how: dict[str, Any] = {
        "learning_rate": 5e-5,
        "epochs": 3,
        "sentences": 8,
        "warmup_ratio": 0.0,
        "best": False,
    }
    if contestant == "tuned":
        rate, epochs = TUNED[name]
        how = {"learning_rate": rate, "epochs": epochs, "sentences": 16, "warmup_ratio": 0.1, "best": True}
    return how | {
        "model": arguments.model,
        "data": str(data),
        "out": str(folder),
        "scratch": str(folder / "scratch"),
        "tags": ["O", *(f"{prefix}-{kind}" for kind in types for prefix in "BI")],
        "max_length": 512,
        "seed": seed,
        "precision": arguments.precision,
        "train_sentences": None,
        "threads": threads,
    }


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _table(out: Path, arguments: argparse.Namespace) -> list[str]:
    heads = [
        f"{contestant}, {split}" for contestant in arguments.contestants for split in ("validation", "test")
    ]
    lines = [f"| training data | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for name in arguments.sets:
        padded_tokens = []
        for contestant, split in product(arguments.contestants, ("validation", "test")):
            scores = [
                read_file(_predictions(_folder(out, name, contestant, seed), contestant, split)).scores.f1
                for seed in arguments.seeds
            ]
            spread = f" ± {statistics.stdev(scores):.4f}" if len(scores) > 1 else ""
            padded_tokens.append(f"{statistics.fmean(scores):.4f}{spread}")
        lines.append(f"| {name} | {' | '.join(padded_tokens)} |")
    return lines


if __name__ == "__main__":
    main()
