"""F1 of packed rows and of 16-bit copies of the weights, against padded batches under autocast.

    python benchmarks/packed_quality.py --model MINILM --data DATA --out OUT [--seeds 13,14,15]

The same training each time, in bf16, a seed at a time. A run that is complete is not trained again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean

from accelerate.state import AcceleratorState

import ner_dist
from ner_dist.training import trainer

WAYS = {
    "padded, autocast": (False, False),
    "packed, autocast": (True, False),
    "packed, 16-bit copies": (True, True),
}
"""Whether sentences are packed, and whether the weights have copies."""
RECIPE = Path(__file__).parents[1] / "recipes" / "own_data.yaml"


def main() -> None:
    """Train all, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of an encoder")
    parser.add_argument("--data", required=True, help="data with train, validation and test")
    parser.add_argument("--out", required=True, type=Path, help="folder for the runs")
    parser.add_argument("--seeds", default="13,14,15")
    parser.add_argument("--epochs", type=int, default=4)
    arguments = parser.parse_args()
    suits = trainer.copies_suit
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for seed in seeds:
        for way, (packing, copies) in WAYS.items():
            trainer.copies_suit = suits if copies else (lambda *_, **__: False)
            out = arguments.out / f"{way.replace(', ', '-').replace(' ', '-')}-{seed}"
            found[way].append(_f1(arguments, out, seed=seed, packing=packing))
    print(f"| test F1, strict | {' | '.join(map(str, seeds))} | mean |")
    print("|---" * (len(seeds) + 2) + "|")
    for way, scores in found.items():
        print(f"| {way} | {' | '.join(f'{score:.4f}' for score in scores)} | {mean(scores):.4f} |")


def _f1(arguments: argparse.Namespace, out: Path, *, seed: int, packing: bool) -> float:
    results = out / "results.json"
    if not results.exists():
        AcceleratorState._reset_state(reset_partial_state=True)
        settings = {
            "model.name": arguments.model,
            "data.path": arguments.data,
            "output_dir": out,
            "precision": "bf16",
            "train.seed": seed,
            "train.packing": str(packing).lower(),
            "train.epochs": arguments.epochs,
            "train.batch_tokens": 1024,
            "train.micro_batch_tokens": 512,
            "train.learning_rate": 5e-4,
            "evaluation.every": 1000,
            "evaluation.decode": "greedy",
        }
        ner_dist.train_recipe(
            ner_dist.load_recipe(RECIPE, [f"{key}={value}" for key, value in settings.items()])
        )
    f1: float = json.loads(results.read_text(encoding="utf-8"))["test"]["f1"]
    return f1


if __name__ == "__main__":
    main()
