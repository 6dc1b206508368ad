"""The checks without a model: read the data as it is, look at it, and return what was found."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ner_dist.data.notes import recorded
from ner_dist.data.sources import load_corpus
from ner_dist.doctor.checks.characters import check_characters
from ner_dist.doctor.checks.repeats import check_repeats
from ner_dist.doctor.checks.shifts import check_shifts
from ner_dist.doctor.checks.surfaces import check_surfaces
from ner_dist.doctor.checks.tags import check_tags
from ner_dist.doctor.findings import SEVERITIES, Diagnosis
from ner_dist.doctor.inspected import Inspected
from ner_dist.doctor.sizes import sizes, with_subwords

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ner_dist.recipe import Recipe

log = logging.getLogger(__name__)


def examine(recipe: Recipe, *, with_encoder: bool) -> Diagnosis:
    """Check the data of a recipe.

    Args:
        recipe: its data, and what it does about faults: a fault that a key handles is of severity `info`.
        with_encoder: measure lengths in subwords with the recipe's encoder.

    Raises:
        UserError: the data cannot be read.
    """
    # As it lies there: what the recipe drops or repairs is found, too.
    as_written = {"deduplicate": False, "drop_test_sentences_from_train": False, "repair": "none"}
    log.info("reading %s", recipe.data.path)
    # The findings say it in other words, so the log of reading is kept for the page.
    with quiet(), recorded() as notes:
        corpus = load_corpus(recipe.data.model_copy(update=as_written))
    splits = {name: Inspected(name, split, corpus.labels) for name, split in corpus.splits.items()}
    log.info("checking %s", ", ".join(f"{name} ({len(split.split):,})" for name, split in splits.items()))
    findings = [
        *check_tags(splits, recipe.data, corpus.counts, chosen=recipe.labels),
        *check_repeats(splits, recipe.data),
        *check_surfaces(splits),
        *check_shifts(splits),
        *check_characters(splits),
    ]
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    counted, steps = sizes(splits, corpus.counts), None
    if with_encoder:
        with quiet():
            counted, steps = with_subwords(counted, recipe)
    return Diagnosis(recipe.data.path, counted, steps, findings, [text for _, text in notes])


@contextmanager
def quiet() -> Iterator[None]:
    """Show no log of reading data in the block."""
    logger = logging.getLogger("ner_dist.data")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
