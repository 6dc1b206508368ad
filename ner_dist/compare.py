"""Comparing two models: each on its own labels, and both on the types they share, on the same sentences.

A model that learns fewer types has an easier task, so the headline scores of two label sets do not say which
model is better. The second table does: gold and predictions of both are projected onto the shared types.
Each model may have been trained with several seeds (`seeds.py`).
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
from ner_dist.run import Run, check_folder, find_run, read_results, write_atomically
from ner_dist.seeds import Seeds, pairs, summary, two_models

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

log = logging.getLogger(__name__)

FIGURES = ("loss", "precision", "recall", "f1", "accuracy")
NOTHING = "–"


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


def compare(*paths: str | Path, out: str | Path) -> dict[str, Any]:
    """Compare complete runs: one of each model, or several with different seeds.

    Args:
        paths: the runs. Two are A and B, whatever they are; of more, those whose recipes differ in nothing
            but the seed are one model, and A is that of the first.
        out: folder for `compare.json`.

    Returns:
        What is written. Of two runs: `runs`, `headline`, `shared`, `scheme`. Of more: `runs`, every pair's
        comparison by its seed under `seeds`, and `mean` and `spread` over them as `seeds.summary` makes them.

    Raises:
        UserError: a run is missing or incomplete, the runs are not of two models, or the two share no seed,
            no type or no test sentence.
    """
    out = Path(out)
    check_folder(out, where="--out")
    runs = _complete(paths)
    comparison = _two_runs(*runs) if len(runs) == 2 else _seeds_of_two(*two_models(runs))
    write_atomically(out / "compare.json", json.dumps(comparison, indent=1) + "\n")
    return comparison


def _complete(paths: Sequence[str | Path]) -> list[Run]:
    """The runs; those that are not complete are all named at once."""
    if len(paths) < 2:
        raise UserError("a comparison is of two runs or more", fix="name the output directories of trainings")
    unfinished = [str(path) for path in paths if not Run(Path(path)).complete]
    if len(unfinished) > 1:
        raise UserError(
            f"{len(unfinished)} of {len(paths)} runs are not complete: {', '.join(unfinished)}",
            fix="train them to the end first",
        )
    return [find_run(path) for path in paths]


def _two_runs(a: Run, b: Run) -> dict[str, Any]:
    runs = {"A": a, "B": b}
    results = {name: _results(run) for name, run in runs.items()}
    return {
        "runs": {
            name: {"path": str(run.folder), "name": results[name]["name"], "labels": results[name]["labels"]}
            for name, run in runs.items()
        },
        "headline": {name: _headline(result) for name, result in results.items()},
        "shared": _on_shared_types(runs, results),
        "scheme": metrics.STRICT,
    }


def _seeds_of_two(a: Seeds, b: Seeds) -> dict[str, Any]:
    models = {"A": a, "B": b}
    results = {name: [_results(run) for run in model.runs.values()] for name, model in models.items()}
    seeds = {seed: _two_runs(a.runs[seed], b.runs[seed]) for seed in pairs(a, b)}
    return {
        "runs": {
            name: {
                "paths": {str(seed): str(run.folder) for seed, run in model.runs.items()},
                "name": results[name][0]["name"],
                "labels": results[name][0]["labels"],
            }
            for name, model in models.items()
        },
        **summary(
            seeds, {name: [_headline(result) for result in results[name]] for name in models}, FIGURES[1:]
        ),
        "seeds": {str(seed): pair for seed, pair in seeds.items()},
        "scheme": metrics.STRICT,
    }


def _results(run: Run) -> dict[str, Any]:
    result = read_results(run)
    if "test" not in result:
        raise UserError("has no test figures", where=str(run.results), fix="train with data.splits.test set")
    return result


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
    """Show the comparison on the terminal; over several seeds, as mean ± standard deviation."""
    from rich.console import Console

    console = Console()
    console.print(_own_labels(comparison))
    console.print(_same_ground(comparison))


def _own_labels(comparison: dict[str, Any]) -> Table:
    names = {
        name: f"{name} ({run['name']}, {len(run['labels'])} types)"
        for name, run in comparison["runs"].items()
    }
    caption = f"Entities: micro average, {comparison['scheme']}."
    if "seeds" in comparison:
        numbers = {name: len(comparison["runs"][name]["paths"]) for name in names}
        shown = ", ".join(f"{name} n = {number}" for name, number in numbers.items())
        caption += f" Mean ± standard deviation over seeds: {shown}."
    table = _table("Each model on its own labels", [*names.values()], caption=caption)
    rows = [("training loss", "train", "loss")]
    rows += [
        (f"{split} {'F1' if key == 'f1' else key}", split, key)
        for split in ("validation", "test")
        for key in FIGURES
    ]
    for title, split, key in rows:
        cells = [_cell(comparison, "headline", name, split, key) for name in names]
        if cells != [NOTHING] * len(cells):
            table.add_row(title, *cells)
    return table


def _same_ground(comparison: dict[str, Any]) -> Table:
    several = comparison.get("seeds")
    shared = next(iter(several.values()))["shared"] if several else comparison["shared"]
    caption = f"Test split, {shared['sentences']:,} sentences that both tagged; other types count as O."
    if several:
        caption += f" Mean ± standard deviation, n = {len(several)} pairs of seed {', '.join(several)}."
    title = f"Both on the same ground: {', '.join(shared['types'])}"
    table = _table(title, ["A", "B", "B - A"], caption=caption, min_width=70)
    for key in FIGURES[1:]:
        cells = [_cell(comparison, "shared", name, key) for name in ("A", "B")]
        if several:
            cells.append(_cell(comparison, "shared", "difference", key, sign="+"))
        else:
            cells.append(f"{shared['B'][key] - shared['A'][key]:+.4f}")
        table.add_row(f"test {'F1' if key == 'f1' else key}", *cells)
    return table


def _table(title: str, columns: list[str], **settings: Any) -> Table:
    from rich.table import Table

    table = Table(title=title, **settings)
    table.add_column("figure")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _cell(comparison: dict[str, Any], *place: str, sign: str = "") -> str:
    """The figure at a place of the comparison, with its spread if it is a mean over seeds."""
    several = "seeds" in comparison
    value = _at(comparison["mean"] if several else comparison, place)
    spread = _at(comparison["spread"], place) if several else None
    if value is None:
        return NOTHING
    return f"{value:{sign}.4f}" + ("" if spread is None else f" ± {spread:.4f}")


def _at(tree: Any, place: tuple[str, ...]) -> float | None:
    for name in place:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree
