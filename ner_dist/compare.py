"""Comparing two runs: each on its own labels, and both on the types they share, on the same sentences.

A model that learns fewer types has an easier task, so the headline scores of two label sets do not say which
model is better. The second table does: gold and predictions of both are projected onto the shared types.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist import metrics
from ner_dist.errors import UserError
from ner_dist.labels import LabelSet
from ner_dist.results import read_predictions
from ner_dist.run import check_folder, find_run, read_results, write_atomically

if TYPE_CHECKING:
    from ner_dist.run import Run

log = logging.getLogger(__name__)

FIGURES = ("loss", "precision", "recall", "f1", "accuracy")


@dataclass(frozen=True)
class Predictions:
    """One run's test sentences with gold and predicted tags, flat."""

    labels: LabelSet
    keys: list[tuple[int, str]]
    """Id and words of each sentence: what has to be equal for two sentences to be the same."""
    gold: np.ndarray
    predicted: np.ndarray
    offsets: np.ndarray

    def of(self, sentences: list[int], labels: LabelSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Gold, predicted and offsets of some sentences, projected onto `labels`."""
        lengths = np.diff(self.offsets)[sentences]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        words = np.repeat(self.offsets[:-1][sentences] - offsets[:-1], lengths) + np.arange(offsets[-1])
        projection = self.labels.projection(labels)
        return projection[self.gold[words]], projection[self.predicted[words]], offsets


def compare(path_a: str | Path, path_b: str | Path, *, out: str | Path) -> dict[str, Any]:
    """Compare two complete runs; the figures are returned and written to `out/compare.json`.

    Raises:
        UserError: a run is missing or incomplete, or the two share no type or no test sentence.
    """
    out = Path(out)
    check_folder(out, where="--out")
    runs = {"A": find_run(path_a), "B": find_run(path_b)}
    results = {name: read_results(run) for name, run in runs.items()}
    for name, run in runs.items():
        if "test" not in results[name]:
            raise UserError(
                "has no test figures", where=str(run.results), fix="train with data.splits.test set"
            )
    comparison = {
        "runs": {
            name: {"path": str(run.folder), "name": results[name]["name"], "labels": results[name]["labels"]}
            for name, run in runs.items()
        },
        "headline": {name: _headline(result) for name, result in results.items()},
        "shared": _on_shared_types(runs, results),
        "scheme": metrics.STRICT,
    }
    write_atomically(out / "compare.json", json.dumps(comparison, indent=1) + "\n")
    return comparison


def _headline(result: dict[str, Any]) -> dict[str, Any]:
    """The published table's figures: each model on its own labels."""
    figures = {"train": {"loss": result["train"]["loss"]}}
    for split in ("validation", "test"):
        if split in result:
            figures[split] = {key: result[split][key] for key in FIGURES}
            figures[split]["macro_f1"] = result[split]["macro"]["f1"]
    return figures


def _on_shared_types(runs: dict[str, Run], results: dict[str, Any]) -> dict[str, Any]:
    """Both models on the types that both know and the sentences that both tagged."""
    types = [name for name in results["A"]["labels"] if name in results["B"]["labels"]]
    if not types:
        raise UserError(
            "the runs share no entity type "
            f"({', '.join(results['A']['labels'])}; {', '.join(results['B']['labels'])})",
            where=f"{runs['A'].folder}, {runs['B'].folder}",
        )
    labels = LabelSet.from_types(types)
    sides = {name: _read(runs[name], results[name]["labels"]) for name in runs}
    place = {key: i for i, key in enumerate(sides["B"].keys)}
    pairs = [(i, place[key]) for i, key in enumerate(sides["A"].keys) if key in place]
    if not pairs:
        raise UserError(
            "the runs share no test sentence: they were scored on different data",
            where=f"{runs['A'].folder}, {runs['B'].folder}",
        )
    figures: dict[str, Any] = {}
    gold = []
    for name, sentences in zip(("A", "B"), map(list, zip(*pairs, strict=True)), strict=True):
        own_gold, predicted, offsets = sides[name].of(sentences, labels)
        gold.append(own_gold)
        counts = metrics.count(own_gold, predicted, offsets, labels, strict=True)
        figures[name] = metrics.scores(counts, labels.types) | {
            "accuracy": metrics.token_accuracy(own_gold, predicted)
        }
    unequal = int((gold[0] != gold[1]).sum())
    if unequal:
        log.warning("the runs disagree on the gold tags of %d words in the sentences they share", unequal)
    alone = {name: len(side.keys) - len(pairs) for name, side in sides.items()}
    for name, number in alone.items():
        if number:
            log.warning(
                "%d of %d sentences of %s are not in the other run", number, len(sides[name].keys), name
            )
    return {
        "types": types,
        "sentences": len(pairs),
        "sentences_only_in": alone,
        "words_with_other_gold": unequal,
        **figures,
    }


def _read(run: Run, types: list[str]) -> Predictions:
    labels = LabelSet.from_types(types)
    path = run.predictions("test")
    keys, lengths = [], []
    tags: dict[str, list[str]] = {"gold": [], "predicted": []}
    for line in read_predictions(path):
        keys.append((line["id"], " ".join(line["tokens"])))
        lengths.append(len(line["gold"]))
        for column, flat in tags.items():
            flat.extend(line[column])
    try:
        ids = {
            column: np.fromiter(map(labels.label2id.__getitem__, flat), dtype=np.int16, count=len(flat))
            for column, flat in tags.items()
        }
    except KeyError as error:
        raise UserError(f"tag {error} is not one of the run's labels", where=str(path)) from None
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Predictions(labels=labels, keys=keys, offsets=offsets, **ids)


def print_table(comparison: dict[str, Any]) -> None:
    """Show the comparison on the terminal."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    names = {
        name: f"{name} ({run['name']}, {len(run['labels'])} types)"
        for name, run in comparison["runs"].items()
    }
    headline = comparison["headline"]
    table = Table(
        title="Each model on its own labels", caption=f"Entities: micro average, {comparison['scheme']}."
    )
    for column in ("figure", *names.values()):
        table.add_column(column, justify="left" if column == "figure" else "right")
    table.add_row("training loss", *(_number(headline[name]["train"]["loss"]) for name in names))
    for split in ("validation", "test"):
        for key in FIGURES:
            row = [headline[name].get(split, {}).get(key) for name in names]
            if any(value is not None for value in row):
                table.add_row(f"{split} {'F1' if key == 'f1' else key}", *map(_number, row))
    console.print(table)

    shared = comparison["shared"]
    table = Table(
        title=f"Both on the same ground: {', '.join(shared['types'])}",
        min_width=70,
        caption=f"Test split, {shared['sentences']:,} sentences that both tagged; other types count as O.",
    )
    for column in ("figure", *names, "B - A"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for key in FIGURES[1:]:
        a, b = shared["A"][key], shared["B"][key]
        table.add_row(f"test {'F1' if key == 'f1' else key}", _number(a), _number(b), f"{b - a:+.4f}")
    console.print(table)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
