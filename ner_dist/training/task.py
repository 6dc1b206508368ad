"""The task of a training: the data in the recipe's labels, and a value for every `auto` setting.

A `Task` is complete once it exists, so that its users need not know the order in which its parts are made.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ner_dist.data.labelled import LabelledSplit, label_splits
from ner_dist.data.prepare import prepare
from ner_dist.data.prepared import Prepared
from ner_dist.data.report import log_data
from ner_dist.data.training_text import TrainingText
from ner_dist.errors import UserError
from ner_dist.model.encoder import width
from ner_dist.runtime.ranks import local_main_first
from ner_dist.training import auto
from ner_dist.training.loss import class_weights

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator
    from transformers import PretrainedConfig

    from ner_dist.labels import LabelSet
    from ner_dist.recipe import FixedRecipe, Recipe
    from ner_dist.training.checkpoint_files import CheckpointReader

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """Everything that determines the result of a training, independent of hardware."""

    recipe: Recipe
    fixed: FixedRecipe
    """The recipe with a value for every `auto`."""
    config: PretrainedConfig
    """Configuration of the encoder, as loaded."""
    data: Prepared
    labels: LabelSet
    splits: dict[str, LabelledSplit]
    """The splits by name, with tags in `labels`."""
    class_weights: torch.Tensor | None
    """float [labels], or None for equal ones."""

    @cached_property
    def training_text(self) -> TrainingText:
        """What there is to be seen in training, with all types of the data."""
        split = self.data.splits["train"]
        return TrainingText.from_split(split.tokens(), split.tags, split.offsets, self.data.labels)

    @property
    def subwords(self) -> int:
        """Number of subwords in the training split, special tokens included."""
        return int(self.splits["train"].encoded.lengths.sum())

    @property
    def width(self) -> int:
        """Hidden size of the encoder."""
        return width(self.config)

    @property
    def chosen(self) -> dict[str, float | bool]:
        """The value of each setting that the recipe leaves to `auto`."""
        return {key: getattr(self.fixed.train, key) for key in auto.automatic(self.recipe.train)}


def load_task(
    recipe: Recipe,
    config: PretrainedConfig,
    *,
    accelerator: Accelerator,
    resume_from: CheckpointReader | None = None,
) -> Task:
    """Prepare the data, or load it from the cache; choose the labels and the `auto` settings.

    Args:
        recipe: what to train.
        config: of its encoder.
        accelerator: one rank of each machine prepares the data.
        resume_from: checkpoint of a resumed run, which keeps its `auto` values.

    Raises:
        UserError: data or labels cannot be used, or the data has changed since the checkpoint was saved.
    """
    # One rank of a machine checks the cache for the others.
    main = accelerator.is_local_main_process
    data = local_main_first(accelerator, lambda: prepare(recipe, config, check=main))
    state = {} if resume_from is None else resume_from.state
    if resume_from is not None and state["data_fingerprint"] != data.fingerprint:
        raise UserError(
            f"the data has changed since {resume_from.folder} was saved",
            where=f"data.path {recipe.data.path}",
            fix="restore it, or train again from the start with resume=never",
        )
    labels = data.labels.select(recipe.labels)
    splits = label_splits(data, labels)
    # Before anything is written: a wrong type name is a mistake in the recipe.
    weights = class_weights(recipe.train, labels, splits["train"].tags)
    log_data(data, labels)
    fixed = auto.settle(
        recipe,
        subwords=int(splits["train"].encoded.lengths.sum()),
        width=width(config),
        family=config.model_type,
        earlier=None if resume_from is None else state.get("auto", {}),
    )
    task = Task(recipe, fixed, config, data, labels, splits, weights)
    if task.chosen:
        log.info(
            "auto: %s, for %s subwords and an encoder of width %d",
            ", ".join(f"train.{key}={auto.shown(value)}" for key, value in task.chosen.items()),
            f"{task.subwords:,}",
            task.width,
        )
    return task
