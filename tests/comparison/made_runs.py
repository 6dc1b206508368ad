"""Runs written by hand: four sentences, and models A and B that share the types PER and LOC."""

from __future__ import annotations

import json
import random
import warnings
from pathlib import Path
from typing import Any

from seqeval.metrics import v1
from seqeval.scheme import IOB2

from ner_dist.labels import split_tag

SENTENCES = [
    {"id": 0, "tokens": ["Anna", "saw", "a", "lynx"], "gold": ["B-PER", "O", "O", "B-ANIM"]},
    {"id": 1, "tokens": ["in", "New", "York"], "gold": ["O", "B-LOC", "I-LOC"]},
    {"id": 2, "tokens": ["York", "lost"], "gold": ["B-ORG", "O"]},
    {"id": 3, "tokens": ["it", "rained"], "gold": ["O", "O"]},
]
A_TYPES, B_TYPES = ["LOC", "PER", "ANIM"], ["PER", "ORG", "LOC"]


def tagged(types, *predicted):
    """The sentences for a run of some types: other types are O in its gold tags."""
    return [
        line | {"gold": project(line["gold"], types), "predicted": tags.split()}
        for line, tags in zip(SENTENCES, predicted, strict=True)
    ]


def project(tags, types):
    return [tag if split_tag(tag)[1] in types else "O" for tag in tags]


A_LINES = tagged(A_TYPES, "B-PER O O B-ANIM", "O B-LOC O", "B-LOC O", "O B-ANIM")
B_LINES = tagged(B_TYPES, "B-PER O O O", "O B-LOC I-LOC", "B-ORG O", "O I-LOC")


def figures(seed):
    made = random.Random(seed)
    names = ("loss", "precision", "recall", "f1", "accuracy")
    return {name: made.random() for name in names} | {"macro": {"f1": made.random()}}


def seqeval_on(lines, types, *, strict=True):
    gold, predicted = ([project(line[key], types) for line in lines] for key in ("gold", "predicted"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return v1.precision_recall_fscore_support(gold, predicted, average="micro", scheme=IOB2)[:3]


def write_run(folder: Path, types: list[str], lines: list[dict], **results: Any) -> Path:
    """A run with predictions and results, some of which may be given; named after its folder."""
    (folder / "predictions").mkdir(parents=True)
    path = folder / "predictions" / "test.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    test = figures(folder.name) | {"f1": float(seqeval_on(lines, types)[2])}
    whole = {"name": folder.name, "labels": types, "train": {"loss": 0.5}, "test": test} | results
    (folder / "results.json").write_text(json.dumps(whole))
    return folder
