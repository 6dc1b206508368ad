"""Train a recipe with some keys changed, and print the scores on its test split.

python examples/train.py recipes/demo_full.yaml train.epochs=3
"""

import json
import sys

import ner_dist


def main(path: str, *overrides: str) -> None:
    recipe = ner_dist.load_recipe(path, overrides)
    run = ner_dist.train_recipe(recipe)
    scores = json.loads(run.results.read_text(encoding="utf-8"))["test"]
    for name, figures in scores["per_type"].items():
        print(f"{name:8} F1 {figures['f1']:.4f}")
    print(f"{'micro':8} F1 {scores['f1']:.4f}, model in {run.model}")


if __name__ == "__main__":
    main(*sys.argv[1:])
