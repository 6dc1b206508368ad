"""Packed plan (plan v2): each forward pass is one row of several whole sentences, without padding between.

As in `batch_plan.py`, an epoch is cut into steps, a step into M micro-batches, and the plan is a pure
function of lengths, seed and epoch. But a micro-batch is not a rectangle of sentences of about one length. It
is a row of T subwords that holds sentences of all lengths: with one micro-batch a step, a step still sees
them all, and every forward pass of a training has the same shape.

Examples are dealt to the rows in rounds, from the longest to the shortest: in every round the emptiest rows
get one each, the emptiest the longest. So the rows end up equally full, to a few subwords. How full they are
depends on the lengths alone, not on chance, so that every epoch has the same number of steps. Chance decides
which of the examples of one length a row gets, and which rows make a step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ner_dist.data.batch_plan import Plan, by_falling_length, check_fit, shuffled

FAMILIES = frozenset(
    {"albert", "bert", "camembert", "distilbert", "electra", "modernbert", "roberta", "xlm-roberta"}
)
"""Each `config.model_type` whose encoders take packed rows, through transformers' attention interface."""

# A round for fewer than this part of the rows is not worth its sorting.
_FEW = 8


@dataclass(frozen=True)
class PackedPlan(Plan):
    """The packed plan of one epoch. `order` lists the examples of each micro-batch by descending length."""

    row_length: int
    """T, subwords of a row with its tail of padding; the same in every epoch."""
    most_examples: int
    """Most examples that a row holds; the same in every epoch."""
    longest: int
    """Subwords of the longest example."""

    def step_padded_tokens(self, step: int, lengths: np.ndarray) -> int:
        filled = np.diff(self.bounds[step], axis=1) > 0
        return int(filled.sum()) * self.row_length


def plan_packed_epoch(
    lengths: np.ndarray, *, batch_tokens: int, micro_batch_tokens: int, seed: int, epoch: int
) -> PackedPlan:
    """Cut an epoch into steps and rows; arguments and errors as in `batch_plan.plan_epoch`."""
    micro_batches = -(-batch_tokens // micro_batch_tokens)
    limit = batch_tokens // micro_batches
    check_fit(lengths, limit)
    chance = np.random.PCG64([seed, epoch])
    order = by_falling_length(lengths, chance)
    row_of, fill = _deal_into_fewest(lengths[order].astype(np.int64), limit, micro_batches)

    by_row = np.argsort(row_of, kind="stable")
    sizes = np.bincount(row_of, minlength=len(fill))
    ends = np.cumsum(sizes)
    # The place in the step decides the rank: rows are in random order within a step as well.
    rows = shuffled(len(fill), chance)
    return PackedPlan(
        order=order[by_row],
        bounds=np.stack([ends - sizes, ends], axis=1)[rows].reshape(-1, micro_batches, 2),
        row_length=int(fill.max()),
        most_examples=int(sizes.max()),
        longest=int(lengths.max()),
    )


def _deal_into_fewest(falling: np.ndarray, limit: int, micro_batches: int) -> tuple[np.ndarray, np.ndarray]:
    """Deal examples to as few steps of `micro_batches` rows as hold them.

    Args:
        falling: lengths, descending, int64 [E].
        limit: subwords that a row holds; no example is longer.
        micro_batches: rows of a step.

    Returns:
        The row of each example, int64 [E], and the subwords of each row, int64 [rows].
    """
    steps, more = -(-int(falling.sum()) // (limit * micro_batches)), 1
    while True:
        row_of, fill = _deal(falling, steps * micro_batches)
        if fill.max() <= limit:
            return row_of, fill
        # As soon as every example has a row of its own, they fit.
        steps, more = steps + more, 2 * more


def _deal(falling: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray]:
    row_of, fill = np.empty(len(falling), dtype=np.int64), np.zeros(rows, dtype=np.int64)
    first = 0
    while first < len(falling):
        # Rows that a long example filled wait until the others have caught up.
        open_rows = int((fill + falling[first] <= fill.max()).sum())
        if open_rows < rows / _FEW:
            open_rows = rows
        of_round = falling[first : first + open_rows]
        emptiest = np.argsort(fill, kind="stable")[: len(of_round)]
        row_of[first : first + len(of_round)] = emptiest
        fill[emptiest] += of_round
        first += len(of_round)
    return row_of, fill
