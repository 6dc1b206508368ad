"""`ner-dist doctor`: the diagnosis of data, and with folds the spans that models contradict."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from ner_dist.doctor.examine import examine
from ner_dist.doctor.folds import in_turn, slurm_command, train_folds, write_folds
from ner_dist.doctor.page import diagnosis_page
from ner_dist.errors import UserError
from ner_dist.evaluation.json_form import as_json
from ner_dist.files import check_folder, write_atomically
from ner_dist.labels import look_up

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ner_dist.doctor.findings import Diagnosis
    from ner_dist.recipe import Recipe

log = logging.getLogger(__name__)

DIAGNOSIS, PAGE = "doctor.json", "doctor.html"


def diagnose(recipe: Recipe, *, with_encoder: bool, out: Path | None) -> tuple[Diagnosis, list[Path]]:
    """Check the data of a recipe without a model.

    Args:
        recipe: names the data, and what is done about its faults.
        with_encoder: measure lengths in subwords with the recipe's encoder.
        out: folder for doctor.json and doctor.html; None writes nothing.

    Returns:
        What was found, and what was written.

    Raises:
        UserError: the data cannot be read, or the folder cannot be written to.
    """
    if out is not None:
        check_folder(out, where="--out", files=(DIAGNOSIS, PAGE))
    found = examine(recipe, with_encoder=with_encoder)
    if out is None:
        return found, []
    pages = {
        DIAGNOSIS: json.dumps(as_json(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        PAGE: diagnosis_page(found),
    }
    for name, text in pages.items():
        write_atomically(out / name, text)
    return found, [out / name for name in pages]


def review(recipe: Recipe, *, folds: int, out: Path, train: bool) -> list[Path]:
    """Train the folds of a recipe, and write the spans that their models contradict.

    Args:
        recipe: how each fold is trained.
        folds: their number.
        out: folder for the folds and the results.
        train: train the folds that are not trained yet; otherwise only say how to.

    Returns:
        What was written; nothing if folds are not trained yet and are not to be.

    Raises:
        UserError: the data cannot be used, or the folder holds other folds.
    """
    # These imports take seconds.
    from ner_dist.data.sources import load_corpus
    from ner_dist.doctor.probabilities import out_of_fold
    from ner_dist.doctor.review import write_review
    from ner_dist.doctor.suspects import suspects

    check_folder(out, where="--out")
    corpus = load_corpus(recipe.data)
    if "train" not in corpus.splits:
        raise UserError("there is no training split to cut into folds", where="data.splits.train")
    written = write_folds(recipe, corpus, out, count=folds)
    if train:
        train_folds(written)
    elif missing := [fold for fold in written if not fold.run.complete]:
        print(f"{len(missing)} of {folds} folds are not trained yet. One after the other:")
        print(in_turn(missing))
        print(f"As an array of Slurm jobs:\n{slurm_command(out, folds)}")
        print("Then give this command again.")
        return []
    labels = corpus.labels.select(recipe.labels)
    split = corpus.splits["train"]
    tags = look_up(corpus.labels.projection(labels), split.tags)
    known = out_of_fold(written, labels=labels, offsets=split.offsets)
    found = suspects(split, tags, known, labels)
    log.info(
        "%d of %d spans are read in another way by models that have not seen them",
        *(sum(not suspect.agrees for suspect in found), len(found)),
    )
    return write_review(out, split, found, name="train", types=labels.types, fingerprint=corpus.fingerprint)


def is_recipe(data: str) -> bool:
    """Whether an argument names a recipe rather than data."""
    return data.endswith((".yaml", ".yml"))


def names_model(overrides: Sequence[str]) -> bool:
    """Whether overrides choose an encoder."""
    return any(text.startswith("model.name=") for text in overrides)
