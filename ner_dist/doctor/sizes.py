"""Sizes of the splits: words, entities, lengths in subwords, and the plan of the training."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.doctor.findings import SplitSizes, Steps, Subwords
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformers import PretrainedConfig

    from ner_dist.data.prepared import PreparedSplit
    from ner_dist.doctor.inspected import Inspected
    from ner_dist.recipe import Recipe

log = logging.getLogger(__name__)


def sizes(splits: Mapping[str, Inspected], counts: Mapping[str, int | str]) -> dict[str, SplitSizes]:
    """Count each split as it is read.

    Args:
        splits: as read.
        counts: of the corpus: `<split>_scheme`.
    """
    return {name: _of_split(split, str(counts.get(f"{name}_scheme", ""))) for name, split in splits.items()}


def _of_split(split: Inspected, scheme: str) -> SplitSizes:
    lengths = np.diff(split.split.offsets)
    types = Counter(entity.type for entity in split.entities)
    return SplitSizes(
        sentences=len(split.split),
        words=len(split.split.tags),
        entities=len(split.entities),
        types={name: types[name] for name in split.labels.types},
        without_entities=len(split.split) - len({entity.sentence for entity in split.entities}),
        scheme=scheme,
        words_median=float(np.median(lengths)),
        words_longest=int(lengths.max()),
    )


def with_subwords(
    counted: dict[str, SplitSizes], recipe: Recipe
) -> tuple[dict[str, SplitSizes], Steps | None]:
    """The sizes with lengths in subwords, and the plan of the training.

    Both are left out, with a line in the log, if the recipe's encoder is not on this machine.

    Args:
        counted: what `sizes` returns.
        recipe: its data is prepared as for a training.
    """
    # These imports take seconds.
    from ner_dist.data.prepare import prepare, window_limit
    from ner_dist.model.encoder import load_config

    try:
        config = load_config(recipe.model)
        data = prepare(recipe, config)
    except UserError as error:
        log.warning("lengths in subwords are left out: %s", error)
        return counted, None
    limit = window_limit(recipe, config)
    unknown = data.tokenizer.unk_token_id
    measured = {
        name: replace(own, subwords=_subwords(data.splits[name], limit, unknown))
        for name, own in counted.items()
        if name in data.splits
    }
    steps = _steps(recipe, data.splits["train"], config) if "train" in data.splits else None
    return counted | measured, steps


def _subwords(split: PreparedSplit, limit: int, unknown: int | None) -> Subwords:
    encoded = split.encoded
    windows = np.bincount(encoded.sentence, minlength=split.n_sentences)
    # Windows of one sentence overlap, so this is an upper bound for a sentence that was cut.
    lengths = np.bincount(encoded.sentence, weights=encoded.lengths, minlength=split.n_sentences)
    first = encoded.word_index >= 0
    lost = len(split.tags) - int(first.sum())
    if unknown is not None:
        lost += int((encoded.input_ids[first] == unknown).sum())
    return Subwords(
        median=float(np.median(lengths)),
        p99=float(np.percentile(lengths, 99)),
        longest=int(lengths.max()),
        limit=limit,
        sentences_cut=int((windows > 1).sum()),
        unknown_words=lost,
    )


def _steps(recipe: Recipe, train: PreparedSplit, config: PretrainedConfig) -> Steps:
    from ner_dist.model.encoder import width
    from ner_dist.training.auto import settle
    from ner_dist.training.micro_batches import plan_training

    lengths = train.encoded.lengths
    settings = settle(
        recipe, subwords=int(lengths.sum()), width=width(config), family=config.model_type
    ).train
    plan = plan_training(lengths, settings)
    padded = sum(plan.step_padded_tokens(step, lengths) for step in range(plan.n_steps))
    return Steps(
        epochs=settings.epochs,
        steps_per_epoch=plan.n_steps,
        steps=settings.max_steps or settings.epochs * plan.n_steps,
        batch_tokens=settings.batch_tokens,
        padding_share=1 - int(lengths.sum()) / padded,
    )
