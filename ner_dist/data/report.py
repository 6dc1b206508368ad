"""Log a summary of prepared data at every start: sizes, entities, and changes made while reading."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.blocks import occurrences
from ner_dist.data.entities import entities_by_type, report_entities
from ner_dist.data.labelled import label_splits
from ner_dist.data.notes import say_again
from ner_dist.data.prepared import DETAILS
from ner_dist.data.words_without_subwords import join_entities
from ner_dist.formatting import counted
from ner_dist.labels import OUTSIDE, UNLABELLED

if TYPE_CHECKING:
    from ner_dist.data.labelled import LabelledSplit
    from ner_dist.data.prepared import Prepared
    from ner_dist.labels import LabelSet

log = logging.getLogger(__name__)


def log_data(data: Prepared, labels: LabelSet) -> None:
    """Log the size of the data, changes made while reading, the types to learn, and types that are too rare.

    Raises:
        UserError: train contains no entity of the types to learn.
    """
    say_notes(data)
    begins = labels.coded()[0] == 1
    for name, split in label_splits(data, labels).items():
        entities = int(occurrences(split.tags, len(begins))[begins].sum())
        log.info(
            "%s: %d sentences, %d words, %d entities", name, split.n_sentences, len(split.tags), entities
        )
        report_without_subwords(name, split)
    left_out = [name for name in data.labels.types if name not in labels.types]
    log.info(
        "learning %s: %s%s",
        counted(len(labels.types), "type"),
        ", ".join(labels.types),
        f"; {', '.join(left_out)} become O" if left_out else "",
    )
    counts = {name: entities_by_type(split, data.labels) for name, split in data.splits.items()}
    report_entities(counts, labels)


def say_notes(data: Prepared) -> None:
    """Repeat the log of the preparation, unless this process has just shown it."""
    if not data.just_made:
        say_again(data.notes, log=log)
    details = data.folder / DETAILS
    if details.exists():
        log.info("every change to a span, with file and line, is in %s", details)


def report_without_subwords(name: str, split: LabelledSplit) -> None:
    """Log the number of words without subwords in a split, and the effect on its entities."""
    total, inside, missed = count_in_entities(split)
    if not total:
        return
    kinds = sorted(set(split.prepared.words(split.without_subwords())))
    says = f"{name}: {total} {'words have' if total > 1 else 'word has'} no subwords"
    says += f" ({', '.join(map(ascii, kinds[:3]))}{', …' if len(kinds) > 3 else ''}), {inside} of them inside"
    says += " gold entities: they carry no loss, and their tags follow from the words around them"
    if missed:
        says += f"; gold differs at {missed}, where an entity begins or ends: take these words out of it"
    log.log(logging.WARNING if inside else logging.INFO, "%s", says)


def count_in_entities(split: LabelledSplit) -> tuple[int, int, int]:
    """Words without subwords, those of them inside gold entities, and those whose gold tag the rule
    misses.
    """
    gaps, outside = split.without_subwords(), split.labels.label2id[OUTSIDE]
    gaps = gaps[split.tags[gaps] != UNLABELLED]
    ruled = np.where(split.tags == UNLABELLED, np.int16(outside), split.tags)
    join_entities(ruled, gaps, split.offsets, split.labels)
    inside = split.tags[gaps] != outside
    return len(gaps), int(inside.sum()), int((ruled[gaps] != split.tags[gaps]).sum())
