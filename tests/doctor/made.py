"""Small corpora with one planted fault each, and their clean counterparts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ner_dist.doctor.examine import examine
from ner_dist.doctor.findings import Diagnosis, Finding
from ner_dist.recipe import Recipe
from ner_dist.recipe_data import Data

Sentence = tuple[str, str]
"""Words and tags, each with blanks between."""

NAMES = ("Anna", "Bruno", "Clara", "David", "Erika", "Felix", "Greta", "Hanno", "Irene", "Jonas")
PLACES = ("York", "Bonn", "Kyiv", "Oslo", "Rome", "Lima", "Cairo", "Delhi", "Tunis", "Perth")
VERBS = ("visits", "leaves", "sees", "likes", "paints", "shows", "maps", "knows")


def clean(number: int, *, start: int = 0) -> list[Sentence]:
    """Sentences without faults, each with other words."""
    made = []
    for i in range(start, start + number):
        name, place = NAMES[i % 10], PLACES[i // 10 % 10]
        words = f"Mr {name} Berg{i} {VERBS[i % 8]} the old town of {place} on day {i} ."
        made.append((words, "O B-PER I-PER O O O O O B-LOC O O O O"))
    return made


def write(folder: Path, **splits: Sequence[Sentence]) -> Path:
    """JSON lines of each split."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, sentences in splits.items():
        rows = ({"tokens": words.split(" "), "ner_tags": tags.split(" ")} for words, tags in sentences)
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder


def recipe(folder: Path, *, labels: list[str] | None = None, **settings) -> Recipe:
    missing = {
        name: None for name in ("train", "validation", "test") if not (folder / f"{name}.jsonl").exists()
    }
    missing.pop("train", None)
    return Recipe(
        name="made",
        output_dir=str(folder / "run"),
        data=Data(path=str(folder), splits=missing, **settings),
        labels=labels or "all",
    )


def diagnosis(
    folder: Path,
    *,
    settings: dict | None = None,
    labels: list[str] | None = None,
    **splits: Sequence[Sentence],
) -> Diagnosis:
    """The diagnosis of some sentences."""
    write(folder, **splits)
    return examine(recipe(folder, labels=labels, **settings or {}), with_encoder=False)


def of(found: Diagnosis, check: str) -> list[Finding]:
    """The findings of one check."""
    return [finding for finding in found.findings if finding.check == check]
