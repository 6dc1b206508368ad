"""Batch plan: the examples of each forward pass in an epoch, as a pure function of lengths and seed.

An epoch is cut into steps, a step into M micro-batches of about equal padded size. The plan knows nothing of
ranks: rank r of W runs the micro-batches r, r+W, … of every step. So the number of GPUs decides which rank
computes a micro-batch, never the result.

Examples are sorted by length and cut into micro-batches, which leaves hardly any padding. So that a step
still sees the whole range of lengths, the sorted micro-batches are dealt into M strata, from the longest to
the shortest, and every step takes one of each at random.

Random numbers are raw 64-bit words of PCG64, and random orders are stable sorts of them. Both are the same on
every platform and in every version of NumPy, unlike NumPy's shuffles and permutations: a run may be resumed
on another machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ner_dist.errors import UserError


@dataclass(frozen=True)
class Plan:
    """The batch plan of one epoch."""

    order: np.ndarray
    """int32 [E]: every example once, by descending length."""
    bounds: np.ndarray
    """int64 [steps, M, 2]: micro-batch m of step s holds order[start:end], [start, end] = bounds[s, m]."""

    @property
    def n_steps(self) -> int:
        result: int = self.bounds.shape[0]
        return result

    @property
    def micro_batches(self) -> int:
        """M, the number of micro-batches a step is cut into."""
        result: int = self.bounds.shape[1]
        return result

    def micro_batch(self, step: int, index: int) -> np.ndarray:
        """The examples of one forward pass."""
        start, end = self.bounds[step, index]
        return self.order[start:end]

    def step_examples(self, step: int) -> np.ndarray:
        """The examples of one optimiser step."""
        return np.concatenate([self.micro_batch(step, index) for index in range(self.micro_batches)])

    def step_padded_tokens(self, step: int, lengths: np.ndarray) -> int:
        """Number of padded subwords in one step."""
        starts, ends = self.bounds[step].T
        # The first example of a micro-batch is its longest.
        return int(((ends - starts) * lengths[self.order[starts]].astype(np.int64)).sum())


def plan_epoch(
    lengths: np.ndarray, *, batch_tokens: int, micro_batch_tokens: int, seed: int, epoch: int
) -> Plan:
    """Cut an epoch into steps and micro-batches.

    Args:
        lengths: subwords of each example, special tokens included, int [E].
        batch_tokens: padded subwords a step may hold.
        micro_batch_tokens: padded subwords a forward pass may hold; M = ceil(batch_tokens / this).
        seed: the recipe's seed.
        epoch: index from 0; every epoch has another plan, with the same number of steps.

    Raises:
        UserError: there are no examples, or one does not fit into a micro-batch.
    """
    micro_batches = -(-batch_tokens // micro_batch_tokens)
    limit = batch_tokens // micro_batches
    check_fit(lengths, limit)
    chance = np.random.PCG64([seed, epoch])
    order = by_falling_length(lengths, chance)
    return Plan(order=order, bounds=_deal(_cut(lengths[order], limit), micro_batches, chance))


def check_fit(lengths: np.ndarray, limit: int) -> None:
    """Refuse examples that do not fit into micro-batches of `limit` subwords."""
    if not len(lengths):
        raise UserError("there are no training examples", where="data.splits.train")
    if lengths.max() > limit:
        raise UserError(
            f"the longest example has {lengths.max()} subwords, but a micro-batch holds {limit}",
            where="train.micro_batch_tokens",
            fix=f"raise train.micro_batch_tokens and train.batch_tokens, or set data.max_length to {limit}",
        )


def by_falling_length(lengths: np.ndarray, chance: np.random.PCG64) -> np.ndarray:
    """Sort examples from the longest to the shortest, equal lengths in random order, int32 [E]."""
    keys = chance.random_raw(len(lengths))
    keys >>= np.uint64(32)
    # One number to sort by: how far the length is from the longest, then chance.
    keys |= (lengths.max() - lengths).astype(np.uint64) << np.uint64(32)
    return np.argsort(keys, kind="stable").astype(np.int32)


def _cut(falling: np.ndarray, limit: int) -> np.ndarray:
    """Cut examples of descending length into micro-batches; their bounds, int64 [micro-batches + 1].

    The first example of a micro-batch is its longest, so its length says how many fit.
    """
    cuts = [0]
    total = len(falling)
    while cuts[-1] < total:
        cuts.append(min(total, cuts[-1] + limit // int(falling[cuts[-1]])))
    return np.array(cuts, dtype=np.int64)


def _deal(cuts: np.ndarray, micro_batches: int, chance: np.random.PCG64) -> np.ndarray:
    """Deal sorted micro-batches to steps, one of each stratum to every step, int64 [steps, M, 2]."""
    count = len(cuts) - 1
    steps = -(-count // micro_batches)
    bounds = np.zeros((steps, micro_batches, 2), dtype=np.int64)
    # The strata that are one short leave their gaps in different steps, as far as there are steps.
    gap_steps = shuffled(steps, chance)
    gaps = 0
    for stratum, members in enumerate(np.array_split(np.arange(count), micro_batches)):
        places = shuffled(steps, chance)
        if len(members) < steps:
            places = places[places != gap_steps[gaps % steps]]
            gaps += 1
        bounds[places, stratum, 0], bounds[places, stratum, 1] = cuts[members], cuts[members + 1]
    # The place in the step decides the rank: no rank shall always get the longest sentences.
    keys = chance.random_raw(steps * micro_batches).reshape(steps, micro_batches)
    return np.take_along_axis(bounds, np.argsort(keys, axis=1, kind="stable")[:, :, None], axis=1)


def shuffled(count: int, chance: np.random.PCG64) -> np.ndarray:
    """The numbers from 0 to `count` - 1 in random order, int64 [count]."""
    return np.argsort(chance.random_raw(count), kind="stable")


def rank_micro_batches(n: int, rank: int, world: int) -> list[int]:
    """Micro-batches of a step for one rank; -1 is an empty one, so that every rank runs ceil(n / world)."""
    turns = range(-(-n // world))
    return [index if (index := rank + turn * world) < n else -1 for turn in turns]


@dataclass(frozen=True)
class EvaluationPlan:
    """The forward passes of an evaluation; their examples do not depend on the number of ranks.

    Micro-batches are grouped into units, dealt to the ranks in turn. A sentence is never split over units.
    """

    order: np.ndarray
    """int32 [E]: every example once."""
    cuts: np.ndarray
    """int64 [K+1]: micro-batch k holds order[cuts[k]:cuts[k + 1]]."""
    shard: np.ndarray
    """int64 [K]: the unit of each micro-batch, rising."""
    sentence: np.ndarray
    """int32 [E]: the sentence of each example."""

    def rank_micro_batches(self, rank: int, world: int) -> list[np.ndarray]:
        """Examples of each forward pass of a rank; all ranks get the same number, some perhaps empty."""
        owners = self.shard % world
        mine = [self.order[self.cuts[k] : self.cuts[k + 1]] for k in np.flatnonzero(owners == rank)]
        most = int(np.bincount(owners, minlength=world).max())
        return mine + [np.empty(0, dtype=np.int32)] * (most - len(mine))

    def rank_sentences(self, rank: int, world: int, *, n_sentences: int) -> np.ndarray:
        """Sentences that a rank scores, ascending; sentences without examples belong to rank 0."""
        owner = np.zeros(n_sentences, dtype=np.int64)
        owner[self.sentence[self.order]] = np.repeat(self.shard, np.diff(self.cuts)) % world
        return np.flatnonzero(owner == rank)


def plan_evaluation(lengths: np.ndarray, sentence: np.ndarray, *, batch_tokens: int) -> EvaluationPlan:
    """Cut a split into forward passes for scoring.

    Sentences are sorted by their longest window and packed whole; one whose windows do not fit into a
    micro-batch has several micro-batches of its own, which form one unit.

    Args:
        lengths: subwords of each example, int [E].
        sentence: the sentence of each example, int [E], rising.
        batch_tokens: padded subwords a forward pass may hold; a longer example has a pass of its own.
    """
    first = np.flatnonzero(np.diff(sentence, prepend=-1))
    windows = np.diff(first, append=len(sentence))
    longest = np.maximum.reduceat(lengths, first) if len(first) else np.empty(0, dtype=np.int64)
    by_length = np.argsort(-longest.astype(np.int64), kind="stable")
    windows, longest = windows[by_length], longest[by_length]
    ends = np.concatenate([[0], np.cumsum(windows)])

    cuts: list[int] = [0]
    shard: list[int] = []
    at = 0
    while at < len(by_length):
        room = max(1, batch_tokens // int(longest[at]))
        behind = int(np.searchsorted(ends, ends[at] + room, side="right")) - 1
        # Not even one sentence fits: it is cut into micro-batches that stay together.
        behind = max(behind, at + 1)
        pieces = [*range(cuts[-1] + room, int(ends[behind]), room), int(ends[behind])]
        shard += [shard[-1] + 1 if shard else 0] * len(pieces)
        cuts += pieces
        at = behind
    within = np.arange(len(sentence)) - np.repeat(ends[:-1], windows)
    return EvaluationPlan(
        order=(np.repeat(first[by_length], windows) + within).astype(np.int32),
        cuts=np.array(cuts, dtype=np.int64),
        shard=np.array(shard, dtype=np.int64),
        sentence=sentence,
    )
