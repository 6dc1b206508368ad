"""The training loop: a generator of optimiser steps. Logging, scoring and saving are up to the caller.

A step is defined by the plan, never by the hardware. The plan cuts it into M micro-batches; rank r of W runs
the micro-batches r, r+W, … and dropout is seeded by (seed, step, micro-batch), so that any number of ranks
computes the same gradient up to the order of summation:

    gradient = sum over ranks and micro-batches of d(sum of word losses) / (weight of all words of the step)

The denominator is known to every rank from the plan. DDP and ZeRO average over ranks where we want the sum;
hence the factor W.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.parallel import DistributedDataParallel

from ner_dist.data.batch_plan import Plan, rank_micro_batches
from ner_dist.labels import UNLABELLED
from ner_dist.training.optimizer import learning_rate, set_learning_rate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accelerate import Accelerator
    from accelerate.optimizer import AcceleratedOptimizer

    from ner_dist.data.labelled import LabelledSplit
    from ner_dist.recipe import FixedTrain
    from ner_dist.training.loss import TaggingLoss
    from ner_dist.training.micro_batches import MicroBatches
    from ner_dist.training.weight_copies import WeightCopies


@dataclass(frozen=True)
class Step:
    """One finished optimiser step. Tensors stay on the device: reading them waits for it."""

    number: int
    """Counted from 1."""
    epoch: int
    """Counted from 0."""
    ends_epoch: bool
    total: int
    """Number of steps of the whole training."""
    loss: torch.Tensor
    """Sum of word losses over this rank's micro-batches, fp32 scalar."""
    weight: float
    """Denominator of the loss over all ranks: the number of labelled words, or their class weights."""
    grad_norm: torch.Tensor | float | None
    """Norm of the whole gradient before clipping; None if the engine does not report it."""
    learning_rate: float
    words: int
    """Labelled words of all ranks; `subwords` and `padded_tokens` count subwords without and with padding."""
    subwords: int
    padded_tokens: int
    seconds: float
    """Seconds since the previous step."""


@dataclass(frozen=True)
class AtWork:
    """The work that a rank is doing, for error messages."""

    step: int
    micro_batch: int
    """-1 for empty work."""
    examples: np.ndarray


class TrainLoop:
    """Model, optimiser and data of the training. `steps` trains; `step` is the number of steps done."""

    def __init__(
        self,
        settings: FixedTrain,
        *,
        accelerator: Accelerator,
        model: torch.nn.Module,
        optimizer: AcceleratedOptimizer,
        loss: TaggingLoss,
        micro_batches: MicroBatches,
        copies: WeightCopies | None = None,
    ) -> None:
        """
        Args:
            settings: the recipe's `train`.
            accelerator: the process group.
            model: the prepared model.
            optimizer: the prepared optimiser.
            loss: loss summed over labelled words.
            micro_batches: the training data.
            copies: 16-bit copies of the weights to compute with, instead of autocast.
        """
        self.settings, self.accelerator, self.model, self.optimizer = settings, accelerator, model, optimizer
        self.loss = loss.to(accelerator.device)
        self.copies = copies
        self.micro_batches, split = micro_batches, micro_batches.split
        self.lengths = split.encoded.lengths
        self.words = split.encoded.words_per_example(split.tags != UNLABELLED)
        self.weights = _example_weights(split, loss=loss, words=self.words)
        self.step = 0
        self.at_work: AtWork | None = None
        self._since = time.perf_counter()
        self.steps_per_epoch = micro_batches.plan(0).n_steps
        self.total = settings.max_steps or settings.epochs * self.steps_per_epoch

    def steps(self) -> Iterator[Step]:
        """Train from `step` to the end; yield each step when it is done."""
        self.model.train()
        self.restart_clock()
        while self.step < self.total:
            epoch, index = divmod(self.step, self.steps_per_epoch)
            plan = self.micro_batches.plan(epoch)
            rate = learning_rate(self.step + 1, total=self.total, settings=self.settings)
            set_learning_rate(self.optimizer, rate)
            examples = plan.step_examples(index)
            weight = float(self.weights[examples].sum())
            loss, norm = self._step(plan, index, weight=weight)
            self.step += 1
            now = time.perf_counter()
            seconds, self._since = now - self._since, now
            yield Step(
                number=self.step,
                epoch=epoch,
                ends_epoch=index + 1 == self.steps_per_epoch,
                total=self.total,
                loss=loss,
                weight=weight,
                grad_norm=norm,
                learning_rate=rate,
                words=int(self.words[examples].sum()),
                subwords=int(self.lengths[examples].sum()),
                padded_tokens=plan.step_padded_tokens(index, self.lengths),
                seconds=seconds,
            )
            if not self.model.training:  # a third of a millisecond, for a model that was scored meanwhile
                self.model.train()

    def restart_clock(self) -> None:
        """Restart the step timer, so that evaluation is not counted in the next step's seconds."""
        self._since = time.perf_counter()

    def _step(
        self, plan: Plan, index: int, *, weight: float
    ) -> tuple[torch.Tensor, torch.Tensor | float | None]:
        """Run this rank's micro-batches of one step and update the weights."""
        world = self.accelerator.num_processes
        mine = rank_micro_batches(plan.micro_batches, self.accelerator.process_index, world)
        loss_sum = torch.zeros((), device=self.accelerator.device)
        for turn, micro_batch in enumerate(mine):
            examples = plan.micro_batch(index, micro_batch) if micro_batch >= 0 else np.empty(0, np.int64)
            batch = self.micro_batches.build(plan, examples)
            _seed_dropout(self.accelerator.device, _dropout_seed(self.settings.seed, self.step, micro_batch))
            self.at_work = AtWork(step=self.step + 1, micro_batch=micro_batch, examples=examples)
            with self._synchronise(turn == len(mine) - 1), self._computing(refresh=turn == 0):
                logits = self.model(**batch.inputs()).logits
                loss = self.loss(batch.of_targets(logits), batch.targets, batch.sources)
                # A step with zero weight (class weights may be 0) has no loss.
                self.accelerator.backward(loss * (world / weight if weight else 0.0))
            loss_sum += loss.detach()
        update = self._update()
        self.at_work = None
        return loss_sum, update

    def computing(self) -> AbstractContextManager[None]:
        """Compute with the weights as they are now, in the training's precision."""
        return self._computing(refresh=True)

    def _computing(self, *, refresh: bool) -> AbstractContextManager[None]:
        if self.copies is None:
            return nullcontext()
        if refresh:
            self.copies.refresh()
        return self.copies.in_use()

    def _synchronise(self, last: bool) -> AbstractContextManager[Any]:
        """Exchange gradients (under DeepSpeed, step) only with the last micro-batch."""
        self.accelerator.sync_gradients = last
        if not last and isinstance(self.model, DistributedDataParallel):
            return self.model.no_sync()
        return nullcontext()

    def _update(self) -> torch.Tensor | float | None:
        """Clip, step and zero gradients; a gradient that is not finite leaves the weights unchanged."""
        accelerator = self.accelerator
        limit = self.settings.max_grad_norm or float("inf")
        if accelerator.distributed_type == "DEEPSPEED":
            # The engine clipped and stepped in the last backward.
            of_engine: torch.Tensor | float | None = accelerator.clip_grad_norm_(
                self.model.parameters(), limit
            )
            return of_engine
        norm: torch.Tensor = accelerator.clip_grad_norm_(self.model.parameters(), limit)
        if accelerator.scaler is None:
            # As GradScaler does for fused optimisers: skip the step without waiting for the device.
            self.optimizer.optimizer.found_inf = (~torch.isfinite(norm)).float()
        self.optimizer.step()
        # DDP's gradients are its buckets: allocated elsewhere, they would have to be copied into them.
        self.optimizer.zero_grad(set_to_none=not isinstance(self.model, DistributedDataParallel))
        return norm


def _example_weights(split: LabelledSplit, *, loss: TaggingLoss, words: np.ndarray) -> np.ndarray:
    """Contribution of each example to the loss denominator: its words, or their weights, [E]."""
    if loss.weights is None and split.annotation is None:
        return words
    of_word, example = split.labelled_words()
    weights = np.ones(len(of_word))
    if loss.weights is not None:
        weights = loss.weights.cpu().numpy().astype(np.float64)[split.tags[of_word]]
    if split.annotation is not None:
        weights = weights * split.annotation.weights[split.annotation.source[of_word]]
    return np.bincount(example, weights=weights, minlength=len(words))


def _seed_dropout(device: torch.device, seed: int) -> None:
    """Seed the generators of the CPU and of the GPU in use; `torch.manual_seed` takes 0.1 ms for others."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        torch.cuda.default_generators[index].manual_seed(seed)


def _dropout_seed(seed: int, step: int, micro_batch: int) -> int:
    """Seed of dropout in one forward pass, the same on any rank."""
    state = np.random.SeedSequence([seed, step, micro_batch + 1]).generate_state(1, np.uint64)[0]
    return int(state >> np.uint64(1))
