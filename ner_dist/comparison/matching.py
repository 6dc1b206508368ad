"""Match gold and predicted entities one to one, and name the kind of each error.

A gold and a predicted entity can be partners if they share a word. Each has at most one partner. The matching
is greedy and deterministic; pairs are taken in this order:

1. entities of the same words (neither overlaps another entity of the other side);
2. overlapping entities, those of the same type before those of different types;
3. then those that share more words;
4. then from left to right, by the gold entity and then by the predicted one.

Gold entities without a partner are missed, predicted ones spurious.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ner_dist.labels import LabelSet, Spans, extract_spans

KINDS = ("correct", "wrong_type", "wrong_boundary", "wrong_both", "missed", "spurious")
"""In order: same words and type; same words, other type; same type, other words; other words and type; gold
without partner; predicted without partner."""
CORRECT, WRONG_TYPE, WRONG_BOUNDARY, WRONG_BOTH, MISSED, SPURIOUS = range(len(KINDS))


@dataclass(frozen=True)
class Outcome:
    """Gold and predicted entities with their partners and kinds."""

    gold: Spans
    predicted: Spans
    partner: np.ndarray
    """int64 [gold]: index of each gold entity's partner among the predicted ones, -1 without one."""
    kind_of_gold: np.ndarray
    """int8 [gold]: index in `KINDS`; never spurious."""
    kind_of_predicted: np.ndarray
    """int8 [predicted]: index in `KINDS`; never missed."""

    def kinds(self) -> np.ndarray:
        """Number of entities of each kind, int64 [kinds]; a pair counts once."""
        spurious = int((self.kind_of_predicted == SPURIOUS).sum())
        counts = np.bincount(self.kind_of_gold, minlength=len(KINDS))
        counts[SPURIOUS] = spurious
        return counts

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the matched gold entities and of their partners, int64 [pairs] each."""
        gold = np.flatnonzero(self.partner >= 0)
        return gold, self.partner[gold]


def outcome(
    gold: np.ndarray, predicted: np.ndarray, offsets: np.ndarray, labels: LabelSet, *, strict: bool = True
) -> Outcome:
    """Match the entities of predicted tags with those of gold tags.

    Args:
        gold: label ids, int [W].
        predicted: label ids, int [W].
        offsets: int64 [N+1]: first words of the sentences.
        labels: the label set of the ids.
        strict: whether entities are those of strict IOB2, or an I- that continues nothing begins one too.
    """
    of_gold = extract_spans(gold, offsets, labels, strict=strict)
    of_predicted = extract_spans(predicted, offsets, labels, strict=strict)
    left, right = _overlapping(of_gold, of_predicted)
    same_words = (of_gold.start[left] == of_predicted.start[right]) & (
        of_gold.end[left] == of_predicted.end[right]
    )
    same_type = of_gold.type[left] == of_predicted.type[right]
    shared = np.minimum(of_gold.end[left], of_predicted.end[right]) - np.maximum(
        of_gold.start[left], of_predicted.start[right]
    )
    order = np.lexsort((right, left, -shared, ~same_type, ~same_words))
    taken = order[_greedy(left[order], right[order], len(of_gold.start), len(of_predicted.start))]

    kind = np.where(
        same_words,
        np.where(same_type, CORRECT, WRONG_TYPE),
        np.where(same_type, WRONG_BOUNDARY, WRONG_BOTH),
    )[taken]
    partner = np.full(len(of_gold.start), -1, dtype=np.int64)
    partner[left[taken]] = right[taken]
    kind_of_gold = np.full(len(of_gold.start), MISSED, dtype=np.int8)
    kind_of_gold[left[taken]] = kind
    kind_of_predicted = np.full(len(of_predicted.start), SPURIOUS, dtype=np.int8)
    kind_of_predicted[right[taken]] = kind
    return Outcome(of_gold, of_predicted, partner, kind_of_gold, kind_of_predicted)


def _overlapping(gold: Spans, predicted: Spans) -> tuple[np.ndarray, np.ndarray]:
    """Indices of all pairs that share a word. Entities of one side never overlap, and are in order."""
    first = np.searchsorted(predicted.end, gold.start, side="right")
    behind = np.searchsorted(predicted.start, gold.end, side="left")
    number = np.maximum(behind - first, 0)
    left = np.repeat(np.arange(len(gold.start)), number)
    within = np.arange(int(number.sum())) - np.repeat(np.cumsum(number) - number, number)
    return left, np.repeat(first, number) + within


def _greedy(left: np.ndarray, right: np.ndarray, n_left: int, n_right: int) -> np.ndarray:
    """Take pairs in their order if both of their sides are still free.

    This is computed in rounds over whole arrays: a round takes each pair that is the first for both of its
    sides, and drops all pairs that share a side with one taken. Every round takes at least the first pair
    left.

    Returns:
        Indices of the pairs taken, int64.
    """
    alive = np.arange(len(left))
    taken = []
    while len(alive):
        first_left, first_right = np.full(n_left, len(left)), np.full(n_right, len(left))
        np.minimum.at(first_left, left[alive], alive)
        np.minimum.at(first_right, right[alive], alive)
        best = alive[(first_left[left[alive]] == alive) & (first_right[right[alive]] == alive)]
        taken.append(best)
        free_left, free_right = np.ones(n_left, dtype=bool), np.ones(n_right, dtype=bool)
        free_left[left[best]], free_right[right[best]] = False, False
        alive = alive[free_left[left[alive]] & free_right[right[alive]]]
    return np.concatenate([*taken, np.empty(0, dtype=np.int64)])
