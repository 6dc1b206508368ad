"""K folds of a training split: each model is trained on the others, and judges the fold that it has not seen.

OUT/folds/folds.json            what the folds depend on: their number, the data and the recipe
OUT/folds/fold-K/data/          train.jsonl, and test.jsonl with the sentences that are held out
OUT/folds/fold-K/recipe.yaml    an ordinary recipe: `ner-dist train` and Slurm jobs take it
OUT/folds/fold-K/run/           its run
OUT/folds/runs.tsv              the recipes as Slurm's array takes them
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.data.duplicates import sentence_key
from ner_dist.data.writers import jsonl, write_lines
from ner_dist.errors import UserError
from ner_dist.files import read_json, typed, write_atomically
from ner_dist.outside import command_line
from ner_dist.recipe import Recipe
from ner_dist.recipe_data import Data, SplitNames
from ner_dist.recipe_file import load_recipe, to_yaml
from ner_dist.run.directory import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.data.corpus import Corpus, Split
    from ner_dist.labels import LabelSet

log = logging.getLogger(__name__)

HELD_OUT = "test"
"""Split of a fold's data that its model has not seen."""


@dataclass(frozen=True)
class Fold:
    """One fold on disk."""

    number: int
    """From 1."""
    folder: Path
    sentences: np.ndarray
    """int64 [n]: sentences of the split that are held out, ascending."""

    @property
    def recipe(self) -> Path:
        return self.folder / "recipe.yaml"

    @property
    def run(self) -> Run:
        return Run(self.folder / "run")

    @property
    def probabilities(self) -> Path:
        return self.folder / "probabilities.npz"


def assign(split: Split, folds: int, *, seed: int) -> np.ndarray:
    """The fold of every sentence, int64 [N], from 0. Sentences of the same words are in one fold.

    Args:
        split: the sentences.
        folds: their number.
        seed: decides which sentence is in which fold.

    Raises:
        UserError: there are fewer distinct sentences than folds.
    """
    groups: dict[str, int] = {}
    group = np.array([groups.setdefault(sentence_key(words), len(groups)) for words in split.tokens])
    if len(groups) < folds:
        what = f"train has {len(groups)} distinct sentences, which are fewer than {folds} folds"
        raise UserError(what, where="--folds", fix="ask for fewer folds")
    place = np.random.default_rng(seed).permutation(len(groups))
    fold_of: np.ndarray = (place % folds)[group]
    return fold_of


def write_folds(recipe: Recipe, corpus: Corpus, out: Path, *, count: int) -> list[Fold]:
    """Write data and recipe of every fold, or find those that were written before.

    Args:
        recipe: what to train each fold with.
        corpus: its data; `train` is cut into folds.
        out: folder of the diagnosis.
        count: number of folds.

    Raises:
        UserError: the folder holds folds of other data, another recipe or another number.
    """
    folder = out / "folds"
    split = corpus.splits["train"]
    fold_of = assign(split, count, seed=recipe.train.seed)
    folds = [
        Fold(number + 1, folder / f"fold-{number + 1}", np.flatnonzero(fold_of == number))
        for number in range(count)
    ]
    asked = {"folds": count, "fingerprint": corpus.fingerprint, "recipe": _of_training(recipe)}
    if (written := read_json(folder / "folds.json")) and written != asked:
        differ = {"folds": "number of folds", "fingerprint": "data", "recipe": "recipe"}
        what = " and ".join(name for key, name in differ.items() if written.get(key) != asked[key])
        fix = "name another --out, or delete the folder"
        raise UserError(f"holds folds that differ in the {what}", where=str(folder), fix=fix)
    if not written:
        for fold in folds:
            _write(fold, fold_of == fold.number - 1, split, corpus.labels, recipe)
        lines = [f"{fold.recipe}\n" for fold in folds]
        write_atomically(folder / "runs.tsv", "".join(lines))
        write_atomically(folder / "folds.json", json.dumps(asked, indent=1) + "\n")
    return folds


def train_folds(folds: Sequence[Fold]) -> None:
    """Train, one after the other, the folds that are not trained yet."""
    from ner_dist.train import train

    for fold in folds:
        if fold.run.complete:
            log.info("fold %d of %d: trained before", fold.number, len(folds))
            continue
        log.info("fold %d of %d: training", fold.number, len(folds))
        train(load_recipe(fold.recipe))


def slurm_command(out: Path, count: int) -> str:
    """The command that trains the folds as an array of Slurm jobs."""
    from ner_dist.cluster import slurm
    from ner_dist.cluster.experiment import find_script

    folder = out / "folds"
    options = [f"--array=0-{count - 1}", f"--output={folder}/fold-%a.log"]
    arguments = ["--runs", str(folder / "runs.tsv")]
    return command_line(slurm.sbatch_command(options, find_script("train.sbatch"), arguments))


def in_turn(folds: Sequence[Fold]) -> str:
    """The commands that train the folds one by one."""
    return "\n".join(f"ner-dist train {typed(fold.recipe)}" for fold in folds)


def _of_training(recipe: Recipe) -> dict[str, Any]:
    """What a fold's probabilities depend on, beside the data."""
    windows = {"max_length", "window_overlap"}
    return recipe.model_dump(
        mode="json",
        include={"model": True, "labels": True, "train": True, "precision": True, "data": windows},
    )


def _write(fold: Fold, held_out: np.ndarray, split: Split, labels: LabelSet, recipe: Recipe) -> None:
    data = fold.folder / "data"
    for name, chosen in (("train", ~held_out), (HELD_OUT, held_out)):
        write_sentences(data / f"{name}.jsonl", split.keep(chosen), labels)
    of_fold = recipe.model_copy(
        update={
            "name": f"{recipe.name}.fold-{fold.number}",
            "output_dir": str(fold.run.folder),
            "overwrite": False,
            "resume": "auto",
            "data": Data(
                path=str(data),
                splits=SplitNames(validation=None),
                # Every fold has the same labels, even if a rare type is in one fold alone.
                label_names=list(labels.tags),
                deduplicate=False,
                max_length=recipe.data.max_length,
                window_overlap=recipe.data.window_overlap,
                cache_dir=recipe.data.cache_dir,
            ),
            "evaluation": recipe.evaluation.model_copy(update={"early_stopping": None}),
        }
    )
    write_atomically(fold.recipe, to_yaml(of_fold))


def write_sentences(path: Path, split: Split, labels: LabelSet) -> None:
    """Write sentences as JSON lines of `tokens` and `ner_tags`.

    Args:
        path: the file.
        split: the sentences.
        labels: what its label ids mean.
    """
    bounds = pairwise(split.offsets)
    tags = (labels.tags_of(split.tags[start:end]) for start, end in bounds)
    write_lines(path, jsonl(zip(split.tokens, tags, strict=True)))
