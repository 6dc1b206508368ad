"""Determine which sentences and entities a model saw in training, for predictions that do not store it.

Predictions of earlier versions do not. The training split is read from the data that the run's recipe names.
Nothing is downloaded, and neither tokenizer nor encoder is needed.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.data.training_text import TrainingText, entities
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.comparison.predictions import Predictions
    from ner_dist.run.directory import Run

log = logging.getLogger(__name__)


def with_training(predictions: Predictions, run: Run) -> Predictions:
    """Add to a run's predictions what it saw in training.

    If its data is missing or has changed, the predictions are returned as they are, and the reason is logged.
    """
    if predictions.seen is not None or predictions.tokens is None:
        return predictions
    try:
        training = _read(run)
    except (UserError, OSError, ValueError, KeyError) as error:
        log.warning("%s: the training text cannot be read: %s", run.folder, error)
        return predictions
    of_gold = entities(predictions.tokens, predictions.gold, predictions.offsets, predictions.labels)
    return replace(
        predictions,
        in_train=np.array([training.holds(words) for words in predictions.tokens], dtype=bool),
        seen=training.seen(form for form, _ in chain.from_iterable(of_gold)),
    )


def _read(run: Run) -> TrainingText:
    # Imported late: a comparison of plain files needs none of them.
    from ner_dist.data.sources import is_here, load_corpus
    from ner_dist.recipe_file import load_recipe
    from ner_dist.run.provenance import provenance_of

    if not run.recipe.exists():
        raise UserError("there is no recipe", where=str(run.recipe))
    data = load_recipe(run.recipe).data
    if not is_here(data):
        raise UserError("is neither a file nor a folder here", where=data.path)
    corpus = load_corpus(data)
    fingerprint = provenance_of(run).get("data_fingerprint")
    if fingerprint and corpus.fingerprint != fingerprint:
        raise UserError("has changed since the run was trained", where=data.path)
    split = corpus.splits["train"]
    return TrainingText.from_split(split.tokens, split.tags, split.offsets, corpus.labels)
