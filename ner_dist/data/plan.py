"""The plan: which examples each forward pass of an epoch holds, as a pure function of lengths and seed.

An epoch is cut into steps, a step into M micro-batches of about equal padded size. The plan knows nothing of
ranks: rank r of W runs the micro-batches r, r+W, … of every step. So the number of GPUs decides who computes
what, never what is computed.

Examples are sorted by length and cut into micro-batches, which leaves hardly any padding. So that a step
still sees the whole range of lengths, the sorted micro-batches are dealt into M strata, from the longest to
the shortest, and every step takes one of each at random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ner_dist.errors import UserError


@dataclass(frozen=True)
class Plan:
    """One epoch."""

    order: np.ndarray
    """int32 [E]: every example once."""
    bounds: np.ndarray
    """int64 [steps, M, 2]: micro-batch m of step s holds order[bounds[s, m, 0]:bounds[s, m, 1]], perhaps none."""

    @property
    def n_steps(self) -> int:
        return self.bounds.shape[0]

    @property
    def micro_batches(self) -> int:
        """M, the number of micro-batches a step is cut into."""
        return self.bounds.shape[1]

    def micro_batch(self, step: int, index: int) -> np.ndarray:
        """The examples of one forward pass."""
        start, end = self.bounds[step, index]
        return self.order[start:end]

    def step_examples(self, step: int) -> np.ndarray:
        """The examples of one optimiser step."""
        return np.concatenate([self.micro_batch(step, index) for index in range(self.micro_batches)])

    def step_cells(self, step: int, lengths: np.ndarray) -> int:
        """Padded subwords that one step holds."""
        return sum(_cells(lengths[self.micro_batch(step, index)]) for index in range(self.micro_batches))

    def padding_share(self, lengths: np.ndarray) -> float:
        """Share of the epoch's cells that hold no subword."""
        cells = sum(self.step_cells(step, lengths) for step in range(self.n_steps))
        return 1 - float(lengths.sum()) / cells


def plan_epoch(
    lengths: np.ndarray, *, batch_tokens: int, micro_batch_tokens: int, seed: int, epoch: int
) -> Plan:
    """Cut an epoch into steps and micro-batches.

    Args:
        lengths: subwords of each example, special tokens included, int [E].
        batch_tokens: padded subwords a step may hold.
        micro_batch_tokens: padded subwords a forward pass may hold; M = ceil(batch_tokens / micro_batch_tokens).
        seed: the recipe's seed.
        epoch: counted from 0; every epoch has a plan of its own, with the same number of steps.

    Raises:
        UserError: an example does not fit into a micro-batch.
    """
    micro_batches = -(-batch_tokens // micro_batch_tokens)
    limit = batch_tokens // micro_batches
    _check_fit(lengths, limit)
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths)).astype(np.int32)
    # Stable, so that examples of one length stay in random order.
    order = order[np.argsort(-lengths[order].astype(np.int32), kind="stable")]
    cuts = _cut(lengths[order], limit)
    return Plan(order=order, bounds=_deal(cuts, micro_batches, random))


def _check_fit(lengths: np.ndarray, limit: int) -> None:
    if not len(lengths):
        raise UserError("there are no training examples", where="data.splits.train")
    if lengths.max() > limit:
        raise UserError(
            f"the longest example has {lengths.max()} subwords, but a micro-batch holds {limit}",
            where="train.micro_batch_tokens",
            fix=f"raise train.micro_batch_tokens and train.batch_tokens, or set data.max_length to {limit}",
        )


def _cut(falling: np.ndarray, limit: int) -> np.ndarray:
    """Where micro-batches begin and end in examples of falling length, int64 [micro-batches + 1].

    The first example of a micro-batch is its longest, so its length says how many fit.
    """
    cuts = [0]
    total = len(falling)
    while cuts[-1] < total:
        cuts.append(min(total, cuts[-1] + limit // int(falling[cuts[-1]])))
    return np.array(cuts, dtype=np.int64)


def _deal(cuts: np.ndarray, micro_batches: int, random: np.random.Generator) -> np.ndarray:
    """Deal sorted micro-batches to steps, one of each stratum to every step, int64 [steps, M, 2]."""
    pairs = np.stack([cuts[:-1], cuts[1:]], axis=1)
    steps = -(-len(pairs) // micro_batches)
    bounds = np.zeros((steps, micro_batches, 2), dtype=np.int64)
    for stratum, members in enumerate(np.array_split(np.arange(len(pairs)), micro_batches)):
        # A stratum that is one short leaves one step, at random, with a micro-batch less.
        bounds[random.permutation(steps)[: len(members)], stratum] = pairs[members]
    # The place in the step decides the rank: no rank shall always get the longest sentences.
    places = random.permuted(np.tile(np.arange(micro_batches), (steps, 1)), axis=1)
    return np.take_along_axis(bounds, places[:, :, None], axis=1)


def rank_micro_batches(n: int, rank: int, world: int) -> list[int]:
    """The micro-batches of a step that one rank runs; -1 is empty work, so that all ranks run ceil(n / world)."""
    turns = range(-(-n // world))
    return [index if (index := rank + turn * world) < n else -1 for turn in turns]


@dataclass(frozen=True)
class EvaluationPlan:
    """The forward passes of an evaluation. Which examples share one does not depend on the number of ranks.

    Micro-batches are grouped into units, dealt to the ranks in turn. All windows of a sentence are in one unit.
    """

    order: np.ndarray
    """int32 [E]: every example once."""
    cuts: np.ndarray
    """int64 [K+1]: micro-batch k holds order[cuts[k]:cuts[k + 1]]."""
    unit: np.ndarray
    """int64 [K]: the unit of each micro-batch, rising."""
    sentence: np.ndarray
    """int32 [E]: the sentence of each example."""

    def rank_micro_batches(self, rank: int, world: int) -> list[np.ndarray]:
        """The examples of each forward pass of a rank; all ranks get equally many, the last ones perhaps empty."""
        owners = self.unit % world
        mine = [self.order[self.cuts[k] : self.cuts[k + 1]] for k in np.flatnonzero(owners == rank)]
        most = int(np.bincount(owners, minlength=world).max()) if len(owners) else 0
        return mine + [np.empty(0, dtype=np.int32)] * (most - len(mine))

    def rank_sentences(self, rank: int, world: int, *, n_sentences: int) -> np.ndarray:
        """The sentences that a rank scores, rising; one without examples belongs to rank 0."""
        owner = np.zeros(n_sentences, dtype=np.int64)
        owner[self.sentence[self.order]] = np.repeat(self.unit, np.diff(self.cuts)) % world
        return np.flatnonzero(owner == rank)


def plan_evaluation(lengths: np.ndarray, sentence: np.ndarray, *, batch_tokens: int) -> EvaluationPlan:
    """Cut a split into forward passes for scoring.

    Args:
        lengths: subwords of each example, int [E].
        sentence: the sentence of each example, int [E]; the windows of one sentence follow each other.
        batch_tokens: padded subwords a forward pass may hold; a longer example has a pass of its own.
    """
    windows = np.bincount(sentence, minlength=1)[sentence] if len(sentence) else sentence
    single = np.flatnonzero(windows == 1)
    single = single[np.argsort(-lengths[single].astype(np.int64), kind="stable")]
    cuts = list(_cut(lengths[single], max(batch_tokens, int(lengths.max(initial=1)))))
    unit = list(range(len(cuts) - 1))
    several = np.flatnonzero(windows > 1)
    for windows_of_one in np.split(several, np.flatnonzero(np.diff(sentence[several])) + 1) if len(several) else []:
        longest = int(lengths[windows_of_one].max())
        each = max(1, batch_tokens // longest)
        number = unit[-1] + 1 if unit else 0
        for start in range(0, len(windows_of_one), each):
            cuts.append(cuts[-1] + len(windows_of_one[start : start + each]))
            unit.append(number)
    return EvaluationPlan(
        order=np.concatenate([single, several]).astype(np.int32),
        cuts=np.array(cuts, dtype=np.int64),
        unit=np.array(unit, dtype=np.int64),
        sentence=sentence,
    )


def _cells(lengths: np.ndarray) -> int:
    return len(lengths) * int(lengths.max(initial=0))
