"""What a training starts from: whether it is there, whether it has changed, and fetching all of it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ner_dist.errors import UserError
from ner_dist.recipe import SCRATCH
from ner_dist.run.directory import Run, read_results, step_checkpoints
from ner_dist.run.provenance import provenance_of
from ner_dist.runtime.ranks import on_main_rank

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ner_dist.data.prepare import Prepared
    from ner_dist.recipe import Data, Recipe

log = logging.getLogger(__name__)


def check_inputs(recipe: Recipe) -> None:
    """Find out at once that a file or folder which the recipe names is not there; the hub is not asked.

    A checkpoint to begin from is no longer needed once the run has one of its own.

    Raises:
        UserError: there is no such path, model's folder or checkpoint, or no file for a split.
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
            fix="name its folder, such as RUN/checkpoints/step-000500, or leave it at auto",
        )


def has_changed(data: Data, *, fingerprint: str, stamp: str | None) -> bool:
    """Whether a run's data is no longer what it was trained on; what is out of reach counts as unchanged.

    Args:
        data: of the run's recipe.
        fingerprint: of the words and tags that it was trained on.
        stamp: `source_stamp` of then; None for a run that did not record it. If it is the same, nothing is
            read.

    Raises:
        UserError: the data is there and cannot be read.
    """
    from ner_dist.data.sources import SYNTHETIC, load_corpus, source_stamp

    if data.path != SYNTHETIC and not Path(data.path).expanduser().exists():
        return False
    if source_stamp(data) == stamp:
        return False
    log.info("reading %s to see whether it has changed", data.path)
    return load_corpus(data).fingerprint != fingerprint


def already_complete(recipe: Recipe, run: Run, accelerator: Accelerator) -> bool:
    """Whether there is nothing left to train.

    Raises:
        UserError: the run is complete, but of data that has changed since.
    """
    if not on_main_rank(accelerator, lambda: run.complete):
        return False
    on_main_rank(accelerator, lambda: _check_data_of_results(recipe, run))
    f1 = read_results(run).get("test", {}).get("f1")
    scored = "" if f1 is None else f", test F1 {f1:.4f}"
    log.info("%s holds this run, complete%s; resume=never trains it again", run.folder, scored)
    return True


def _check_data_of_results(recipe: Recipe, run: Run) -> None:
    """What the results say of other data must not pass for what this one gives."""
    of_results = read_results(run).get("data", {}).get("fingerprint")
    if of_results is None:
        return
    try:
        changed = has_changed(
            recipe.data, fingerprint=of_results, stamp=provenance_of(run).get("data_source")
        )
    except UserError as error:
        log.warning("whether the data of this run has changed is not known: %s", error)
        return
    if changed:
        raise UserError(
            f"its words or tags are not those that {run.folder} was trained and scored on",
            where=f"data.path {recipe.data.path}",
            fix="restore them, train again with resume=never, or name another output_dir",
        )


def fetch(recipe: Recipe) -> Prepared:
    """Have all that the recipe's training needs on this machine's disk: data, tokens, the encoder's weights.

    Raises:
        UserError: data, labels or encoder cannot be used.
    """
    check_inputs(recipe)
    # What follows takes seconds to import.
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
