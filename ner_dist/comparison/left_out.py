"""Which sentences a comparison leaves out: those that are not in every file, and those whose gold differs."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import fisher_exact

from ner_dist.comparison.scores import strict_scores
from ner_dist.data.unlabelled import NO_LABEL
from ner_dist.errors import UserError
from ner_dist.evaluation.json_form import OPTIONAL
from ner_dist.formatting import counted
from ner_dist.labels import UNLABELLED, look_up

if TYPE_CHECKING:
    from ner_dist.comparison.alignment import Alignment
    from ner_dist.comparison.predictions import Predictions
    from ner_dist.labels import LabelSet

log = logging.getLogger(__name__)

EXAMPLES = 5
"""Largest number of examples of sentences that are left out."""
HARDER_P = 0.001
"""Below this p-value, sentences that are left out count as harder than others."""
SHOWN_LENGTH = 200
"""Largest length of an example, in characters."""


@dataclass(frozen=True)
class LeftOutSentence:
    """A sentence that was not found in every file: its words, or its gold tags if there are no words."""

    id: str | None
    place: int
    """In its file, from 1."""
    tags: str | None = field(default=None, metadata=OPTIONAL)
    words: str | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class LeftOut:
    """The sentences of a model's first run that are not shared, with a few examples."""

    sentences: int
    examples: list[LeftOutSentence]


@dataclass(frozen=True)
class DisputedGold:
    """Shared sentences whose gold tags on the shared types are not the same in all files."""

    sentences: int
    words: int
    f1: dict[str, dict[str, float]]
    """By the model whose gold is taken, then by model: F1 on all shared sentences; means over runs."""


@dataclass(frozen=True)
class AlignmentSummary:
    """Summary of the alignment, with the sentences left out."""

    by: str
    """Criterion, as in `alignment.Alignment`."""
    sentences: int
    """That are compared: they are in all files, and their gold tags agree."""
    units: int
    """Distinct sentences."""
    only_in: dict[str, LeftOut]
    """By model."""
    disputed: DisputedGold | None
    """None if the gold tags of all shared sentences agree."""
    copies_unknown: bool
    """Whether it is unknown which sentences are copies: no file has words, and nothing else tells."""
    harder: list[str]
    """Remarks on sentences that a file leaves out, and that another model gets wrong more often."""
    notes: list[str]


def left_out(own: dict[str, list[Predictions]], alignment: Alignment) -> dict[str, LeftOut]:
    """By model: its sentences that are not in every file; each run's are logged."""
    found = {}
    at = 0
    for model, runs in own.items():
        for number, run in enumerate(runs):
            alone = np.setdiff1d(np.arange(len(run)), alignment.places[at + number])
            if len(alone):
                log.warning(
                    "%d of %d sentences of %s (%s) are left out: they were not found in all others",
                    *(len(alone), len(run), model, run.source),
                )
            if number == 0:
                examples = [_example(run, int(place)) for place in alone[:EXAMPLES]]
                found[model] = LeftOut(len(alone), examples)
        at += len(runs)
    return found


def harder(own: dict[str, list[Predictions]], alignment: Alignment, labels: LabelSet) -> list[str]:
    """Say whether sentences that others leave out are harder than the shared ones, by each model's errors.

    A file that leaves out what its model gets wrong looks better than it is. Fisher's exact test, one-sided.
    """
    remarks = []
    at = 0
    for model, runs in own.items():
        run, places = runs[0], alignment.places[at]
        at += len(runs)
        onto = run.labels.projection(labels)
        differs = (look_up(onto, run.gold) != onto[run.predicted]) & (run.gold != UNLABELLED)
        wrong = np.diff(np.concatenate([[0], np.cumsum(differs)])[run.offsets]) > 0
        shared = np.zeros(len(run), dtype=bool)
        shared[places] = True
        table = [[int((wrong & ~shared).sum()), int((~wrong & ~shared).sum())]]
        table.append([int((wrong & shared).sum()), int((~wrong & shared).sum())])
        if fisher_exact(table, alternative="greater").pvalue < HARDER_P:
            lacking = counted(sum(table[0]), "sentence")
            out, there = (100 * row[0] / max(sum(row), 1) for row in table)
            remarks.append(
                f"The {lacking} of {model} that other files lack are harder: {model} gets {out:.0f} % of "
                f"them wrong, and {there:.0f} % of the shared ones. A file that leaves out what its model "
                "gets wrong looks better than it is."
            )
    return remarks


def _example(run: Predictions, place: int) -> LeftOutSentence:
    start, end = run.offsets[place : place + 2]
    tags = " ".join(tag or NO_LABEL for tag in run.labels.tags_of(run.gold[start:end]))
    return LeftOutSentence(
        id=None if run.ids is None else run.ids[place],
        place=place + 1,
        tags=_shortened(tags) if run.tokens is None else None,
        words=None if run.tokens is None else _shortened(" ".join(run.tokens[place])),
    )


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]} …"


def differing_gold(taken: list[Predictions]) -> tuple[np.ndarray, int]:
    """Which sentences have other gold tags in another file, bool [N], and in how many words.

    Words without a label in either file do not differ.
    """
    differs = np.zeros(len(taken[0].gold), dtype=bool)
    for other in taken[1:]:
        known = (other.gold != UNLABELLED) & (taken[0].gold != UNLABELLED)
        differs |= known & (other.gold != taken[0].gold)
    until = np.concatenate([[0], np.cumsum(differs)])[taken[0].offsets]
    return np.diff(until) > 0, int(differs.sum())


def disputed_gold(
    models: list[str], taken: list[Predictions], differs: np.ndarray, words: int
) -> DisputedGold:
    """Score all shared sentences by the gold of each model's first run.

    Raises:
        UserError: no sentence is left where the gold agrees.
    """
    if differs.all():
        raise UserError(
            "the gold tags of all shared sentences differ: they follow another annotation",
            where=", ".join(dict.fromkeys(run.source for run in taken)),
            fix="compare predictions that were scored on one gold",
        )
    log.warning(
        "gold tags differ in %s of %s: these sentences are left out, and scored by each gold on their own",
        *(counted(words, "word"), counted(int(differs.sum()), "shared sentence")),
    )
    f1: dict[str, dict[str, float]] = {}
    for gold_of in dict.fromkeys(models):
        gold = taken[models.index(gold_of)].gold
        scores = np.array([strict_scores(gold, run.predicted, run.offsets, run.labels).f1 for run in taken])
        f1[gold_of] = {
            model: float(scores[[name == model for name in models]].mean()) for model in dict.fromkeys(models)
        }
    return DisputedGold(int(differs.sum()), words, f1)
