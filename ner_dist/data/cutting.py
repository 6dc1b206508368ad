"""Cut validation and test from train, for data that has no such splits (`data.split`).

Whole documents are cut off where they are known, since sentences of one document tell of each other; else
sentences, with all their copies on one side. The cut is a function of the seed and the order of the data:
random numbers are raw 64-bit words of PCG64, as in `batch_plan.py`, so that it is the same on any machine.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.data.duplicates import first_occurrence
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.data.corpus import Split
    from ner_dist.recipe_data import Cut

log = logging.getLogger(__name__)

_ORDER = ("test", "validation")
"""Test comes first: it stays the same whatever share is cut off as validation."""


def cut_from_train(train: Split, cut: Cut, names: list[str], *, where: str) -> tuple[dict[str, Split], str]:
    """Cut splits off from train.

    Args:
        train: the sentences as read, copies among them.
        cut: the share of each split, and the seed.
        names: the splits to cut, among `validation` and `test`.
        where: the data, for messages.

    Returns:
        Train and the others, and what was cut: `document` or `sentence`.

    Raises:
        UserError: there are too few sentences to cut.
    """
    names = [name for name in _ORDER if name in names]
    group, by = _groups(train, len(names) + 1, where=where)
    sizes = np.bincount(group)
    if len(sizes) <= len(names):
        raise UserError(
            f"{len(sizes)} distinct sentences are too few to cut {' and '.join(names)} off",
            where=where,
            fix="add data, or set data.split.validation and data.split.test to null",
        )
    order = np.argsort(np.random.PCG64([cut.seed, len(sizes)]).random_raw(len(sizes)), kind="stable")
    of_group = np.full(len(sizes), -1)
    at = 0
    for place, name in enumerate(names):
        # As near to the share as whole groups come, at least one, and one is left for each of the others.
        taken = np.cumsum(sizes[order[at : len(order) - (len(names) - place)]])
        number = 1 + int(np.argmin(np.abs(taken - getattr(cut, name) * len(train))))
        of_group[order[at : at + number]] = place
        at += number
    parts = {"train": train.keep(of_group[group] < 0)}
    parts |= {name: train.keep(of_group[group] == place) for place, name in enumerate(names)}
    each = ", ".join(f"{name} {len(part):,}" for name, part in parts.items())
    log.info(
        "%s: it has no %s, cut off from train by %s (data.split, seed %d); sentences: %s",
        *(where, " and no ".join(names), by, cut.seed, each),
    )
    return parts, by


def _groups(train: Split, parts: int, *, where: str) -> tuple[np.ndarray, str]:
    """What each sentence is cut with, int64 [N], numbered from 0 in order of appearance; and what that is."""
    if train.documents is not None:
        number: dict[str, int] = {}
        group = [number.setdefault(name, len(number)) for name in train.documents]
        if len(number) >= parts:
            return np.array(group, dtype=np.int64), "document"
        log.warning("%s: %d documents cannot be cut in %d: cut by sentence", where, len(number), parts)
    return np.unique(first_occurrence(train), return_inverse=True)[1].astype(np.int64), "sentence"
