"""Log the model and the schedule of a training at its start, with warnings about its settings."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ner_dist.formatting import counted
from ner_dist.training import auto

if TYPE_CHECKING:
    from ner_dist.training.loop import TrainLoop
    from ner_dist.training.task import Task

log = logging.getLogger(__name__)

WORTH_COMPILING = 10_000
"""Steps from which on compiled layers, which save milliseconds of each, win back the time of compiling."""


def log_start(task: Task, loop: TrainLoop, *, parameters: int, processes: int) -> None:
    """Log what is about to be trained.

    Args:
        task: data and settings.
        loop: the steps.
        parameters: number of parameters of the model.
        processes: number of ranks.
    """
    settings = task.fixed.train
    log.info(
        "%s, %.1f M parameters, %d labels; %d steps of %s, %d per epoch",
        task.recipe.model.name,
        parameters / 1e6,
        len(task.labels),
        loop.total,
        counted(settings.micro_batches, "micro-batch", "micro-batches"),
        loop.steps_per_epoch,
    )
    log.info(
        "learning rate %.3g (%s, after a warm-up over %.0f %% of the steps); "
        "%d subwords per step, about %d sentences",
        settings.learning_rate,
        settings.schedule,
        100 * settings.warmup_ratio,
        settings.batch_tokens,
        round(task.splits["train"].n_sentences / loop.steps_per_epoch),
    )
    borrowed = auto.borrowed(task.recipe)
    too_few = auto.too_few_steps(task.recipe, loop.total, subwords=task.subwords, width=task.width)
    for warning in filter(None, (borrowed, too_few)):
        log.warning(warning)
    if task.recipe.model.compile and loop.total < WORTH_COMPILING:
        log.warning(
            "model.compile: compiling takes about a minute in all, which %d steps will not win back",
            loop.total,
        )
    _warn_of_idle_passes(settings.micro_batches, settings.batch_tokens, processes)
    if task.recipe.evaluation.early_stopping and "validation" not in task.splits:
        log.warning("evaluation.early_stopping has no effect: there is no validation split")


def _warn_of_idle_passes(micro_batches: int, batch_tokens: int, processes: int) -> None:
    """Warn if a step's micro-batches cannot be divided evenly among the ranks."""
    turns = -(-micro_batches // processes)
    idle = turns * processes - micro_batches
    if idle:
        log.warning(
            "a step of %s leaves %d of %d forward passes idle on %d processes: "
            "train.micro_batch_tokens=%d would fill them",
            counted(micro_batches, "micro-batch", "micro-batches"),
            idle,
            turns * processes,
            processes,
            -(-batch_tokens // (turns * processes)),
        )
