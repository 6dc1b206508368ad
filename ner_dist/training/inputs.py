"""Check that a training's inputs exist and have not changed, and download them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ner_dist.errors import UserError
from ner_dist.recipe import SCRATCH
from ner_dist.recipe_file import differing_keys, load_recipe
from ner_dist.run.checksums import damage
from ner_dist.run.directory import Run, read_results, step_checkpoints
from ner_dist.run.provenance import provenance_of, write_recipe
from ner_dist.runtime.ranks import on_main_rank

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ner_dist.data.prepared import Prepared
    from ner_dist.recipe import Recipe
    from ner_dist.recipe_data import Data

log = logging.getLogger(__name__)


def check_inputs(recipe: Recipe) -> None:
    """Check that the files and folders named in the recipe exist; the hub is not contacted.

    A checkpoint to start from is no longer needed once the run has one of its own.

    Raises:
        UserError: a path, model folder or checkpoint does not exist, or a split has no file.
    """
    from ner_dist.data.sources import check_files
    from ner_dist.model.tokenizer import check_model_name

    check_files(recipe.data)
    if recipe.model.name != SCRATCH:
        check_model_name(recipe.model.name)
    if recipe.resume in ("auto", "never") or Path(recipe.resume).is_dir():
        return
    own = Run(Path(recipe.output_dir)).checkpoints
    if Path(recipe.resume).resolve().parent == own.resolve() or not step_checkpoints(own):
        raise UserError(
            "there is no such checkpoint",
            where=f"resume {recipe.resume}",
            fix="name a folder such as RUN/checkpoints/step-000500, or use auto",
        )


def has_changed(data: Data, *, fingerprint: str, stamp: str | None) -> bool:
    """Whether a run's data has changed since training; data that is not local counts as unchanged.

    Args:
        data: the recipe's `data`.
        fingerprint: fingerprint of the words and tags that the run was trained on.
        stamp: `source_stamp` at that time; None for a run that did not record it. If it is unchanged,
            no data is read.

    Raises:
        UserError: the data exists but cannot be read.
    """
    from ner_dist.data.sources import is_here, load_corpus, source_stamp

    if not is_here(data):
        return False
    if source_stamp(data) == stamp:
        return False
    log.info("reading %s to check for changes", data.path)
    return load_corpus(data).fingerprint != fingerprint


def already_complete(recipe: Recipe, run: Run, accelerator: Accelerator) -> bool:
    """Whether the run is already complete, and undamaged.

    Raises:
        UserError: the run is complete, but its data has changed since, or it is damaged and cannot be
            finished again.
    """
    if not on_main_rank(accelerator, lambda: run.complete and _is_sound(run)):
        return False
    on_main_rank(accelerator, lambda: _check_data_of_results(recipe, run))
    on_main_rank(accelerator, lambda: _restore_recipe(recipe, run))
    f1 = read_results(run).get("test", {}).get("f1")
    scored = "" if f1 is None else f", test F1 {f1:.4f}"
    log.info("%s holds this run, complete%s; resume=never trains it again", run.folder, scored)
    return True


def _is_sound(run: Run) -> bool:
    """Whether a complete run is undamaged; one that is not is finished again from its last checkpoint."""
    found = damage(run.folder)
    if found is None:
        try:
            read_results(run)
        except UserError as error:
            found = error
    if found is None:
        return True
    if not step_checkpoints(run.checkpoints):
        raise found
    log.warning("%s %s: finishing the run again from its last checkpoint", found.where, found.what)
    return False


def _restore_recipe(recipe: Recipe, run: Run) -> None:
    """Write recipe.yaml again if it is damaged; where and when the run was trained is lost then."""
    try:
        known = load_recipe(run.recipe)
    except UserError:
        known = None
    if known is None or differing_keys(known, recipe):
        fingerprint = read_results(run).get("data", {}).get("fingerprint", "")
        write_recipe(run, recipe, world={}, fingerprint=fingerprint)


def _check_data_of_results(recipe: Recipe, run: Run) -> None:
    """Refuse existing results if the data has changed since."""
    of_results = read_results(run).get("data", {}).get("fingerprint")
    if of_results is None:
        return
    try:
        changed = has_changed(
            recipe.data, fingerprint=of_results, stamp=provenance_of(run).get("data_source")
        )
    except UserError as error:
        log.warning("cannot check whether the data of this run has changed: %s", error)
        return
    if changed:
        raise UserError(
            f"its words or tags differ from those that {run.folder} was trained and scored on",
            where=f"data.path {recipe.data.path}",
            fix="restore them, train again with resume=never, or name another output_dir",
        )


def fetch(recipe: Recipe) -> Prepared:
    """Download and prepare everything that the training needs: data, subwords, encoder weights.

    Raises:
        UserError: data, labels or encoder cannot be used.
    """
    check_inputs(recipe)
    # These imports take seconds.
    from ner_dist.data.prepare import prepare
    from ner_dist.data.report import log_data
    from ner_dist.model.encoder import load_config, load_model

    config = load_config(recipe.model)
    data = prepare(recipe, config)
    labels = data.labels.select(recipe.labels)
    log_data(data, labels)
    if recipe.model.name != SCRATCH:
        load_model(recipe.model, config, labels, seed=recipe.train.seed, vocab_size=data.vocab_size)
    return data
