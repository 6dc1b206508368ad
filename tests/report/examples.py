"""Predictions, runs and comparisons to report on."""

from __future__ import annotations

import json
import random
from pathlib import Path

from ner_dist.comparison.compare import compare
from ner_dist.comparison.results import Comparison
from ner_dist.files import write_all
from ner_dist.report.write import reports
from ner_dist.run.directory import Run

TYPES = ("PER", "ORG", "LOC", "DIS")
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img/src=x/onerror=alert(1)>",
    "<!--<script>",
    "שלום",
    "مرحبا",
    "👩‍👩‍👧‍👦",
    "\u202eesrever",
    "x" * 10_000,
    "&lt;b&gt;",
    "\u2028",
    "{{ 7 * 7 }}",
    "`|*_[a](b)",
)


def sentences(number: int, *, types: tuple[str, ...] = TYPES, seed: int = 0) -> list[dict]:
    """Sentences of 4 to 24 words with gold tags, ids and words; some hold an entity of two words."""
    dice = random.Random(seed)
    made = []
    for i in range(number):
        length = dice.randint(4, 24)
        gold = ["O"] * length
        place = dice.randint(0, 2)
        while place < length - 1:
            name = dice.choice(types)
            gold[place] = f"B-{name}"
            if dice.random() < 0.5:
                gold[place + 1] = f"I-{name}"
            place += dice.randint(2, 9)
        made.append({"id": i, "tokens": [f"w{dice.randint(0, 999)}" for _ in range(length)], "gold": gold})
    return made


def tagged(made: list[dict], *, errors: float, seed: int, types: tuple[str, ...] = TYPES) -> list[dict]:
    """Predicted tags of a model with some errors; with probabilities."""
    dice = random.Random(seed)
    said = []
    for sentence in made:
        predicted = list(sentence["gold"])
        for i in range(len(predicted)):
            if dice.random() < errors:
                predicted[i] = dice.choice(["O", *(f"B-{name}" for name in types)])
        said.append(sentence | {"predicted": predicted})
    return said


def write_report(comparison: Comparison, out: Path, *, html: bool = True) -> list[Path]:
    """Write the reports of a comparison, as `ner-dist compare` does; return their paths."""
    pages = {out / name: text for name, text in reports(comparison, html=html).items()}
    write_all(pages)
    return list(pages)


def write(
    path: Path, said: list[dict], *, keep: tuple[str, ...] = ("id", "tokens", "gold", "predicted")
) -> Path:
    """A file of predictions with some of the columns."""
    lines = [json.dumps({key: line[key] for key in keep if key in line}) for line in said]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def comparison(
    folder: Path,
    *,
    number: int = 120,
    models: int = 2,
    types: tuple[str, ...] = TYPES,
    keep: tuple[str, ...] = ("id", "tokens", "gold", "predicted"),
    confident: bool = False,
) -> Comparison:
    """Plain files of as many models, compared. `confident`: with probabilities."""
    made = sentences(number, types=types)
    paths = []
    for model in range(models):
        said = tagged(made, errors=0.04 + 0.03 * model, seed=model, types=types)
        if confident:
            said = [
                line | {"confidence": [0.6 + (i % 4) / 10 for i in range(len(line["gold"]))]} for line in said
            ]
        columns = (*keep, "confidence") if confident else keep
        paths.append(write(folder / f"model-{model}.jsonl", said, keep=columns))
    return compare(*paths, out=folder, resamples=200)


def hostile_comparison(folder: Path) -> Comparison:
    """Sentences with words and an id that try to inject markup or mislead the reader."""
    made = sentences(30)
    for sentence, word in zip(made, HOSTILE, strict=False):
        sentence["tokens"][0] = word
        sentence["gold"][0] = "B-PER"
        sentence["gold"][1] = "O"
    made[0]["id"] = "<b>id</b>"
    paths = []
    for model in range(2):
        said = tagged(made, errors=0.1, seed=model)
        for line in said:  # every sentence has an error to be shown
            line["predicted"][0] = "O" if model == 0 else "B-ORG"
        paths.append(write(folder / f"<i>{model}.jsonl", said))
    return compare(*paths, out=folder, resamples=200)


def run(folder: Path, *, complete: bool = True, seed: int = 13, steps: int = 60) -> Run:
    """A run, complete or in training."""
    there = Run(folder)
    folder.mkdir(parents=True)
    there.recipe.write_text(
        f"name: tiny\noutput_dir: {folder}\ndata: {{path: /nowhere/else}}\ntrain: {{seed: {seed}}}\n"
        "provenance: {started: 2026-01-01T00:00:00+00:00, processes: 1}\n",
        encoding="utf-8",
    )
    there.metrics.write_text("".join(json.dumps(event) + "\n" for event in events(steps)), encoding="utf-8")
    if complete:
        said = tagged(sentences(80), errors=0.05, seed=seed)
        write(there.predictions("test"), said)
        there.results.write_text(json.dumps(results(said)), encoding="utf-8")
    return there


def events(steps: int, *, first: int = 1, loss: float = 2.0) -> list[dict]:
    """The events of steps `first` to `steps`, each tenth a training event, each twentieth an evaluation."""
    found = []
    for step in range(first + -first % 10, steps + 1, 10):
        found.append(
            {
                "event": "train",
                "step": step,
                "total_steps": 100,
                "epoch": 1,
                "loss": loss / step,
                "learning_rate": 1e-3 * (1 - step / 100),
                "grad_norm": 1.0,
                "words_per_second": 1000.0 + step,
                "padding_share": 0.02,
                "peak_memory_bytes": 3 << 30,
                "seconds": float(step),
                "time": "2026-01-01T00:00:00+00:00",
            }
        )
        if step % 20 == 0:
            scores = {"precision": 0.6, "recall": 0.5, "f1": 0.5 + step / 1000, "accuracy": 0.9, "loss": 0.3}
            found.append(
                {
                    "event": "evaluation",
                    "split": "validation",
                    "step": step,
                    "epoch": 1,
                    "seconds": step + 0.5,
                }
                | scores
            )
    return found


def results(said: list[dict]) -> dict:
    """results.json of a run with these predictions."""
    from seqeval.metrics import f1_score, precision_score, recall_score
    from seqeval.scheme import IOB2

    tags = [line["gold"] for line in said], [line["predicted"] for line in said]
    strict = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
    scores = {
        "loss": 0.2,
        "precision": float(precision_score(*tags, **strict)),
        "recall": float(recall_score(*tags, **strict)),
        "f1": float(f1_score(*tags, **strict)),
        "accuracy": 0.95,
        "macro": {"precision": 0.5, "recall": 0.5, "f1": 0.5},
        "per_type": {name: {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 10} for name in TYPES},
        "scheme": "strict IOB2",
    }
    return {
        "name": "tiny",
        "labels": list(TYPES),
        "train": {"loss": 0.1, "steps": 60, "best_step": 60, "seconds": 60.0},
        "validation": scores,
        "test": scores,
    }
