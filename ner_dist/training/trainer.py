"""The state of one training run, with the methods that the entrypoint calls."""

from __future__ import annotations

import logging
import math
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from accelerate.utils import AutocastKwargs

from ner_dist.data.sources import source_stamp
from ner_dist.errors import UserError
from ner_dist.evaluation.evaluate import EvaluationResult, evaluate
from ner_dist.evaluation.metrics import standing
from ner_dist.labels import OUTSIDE
from ner_dist.model.compiled import compile_layers
from ner_dist.model.encoder import first_position, load_model
from ner_dist.model.packed_attention import grouped_attention, use_packed_attention
from ner_dist.model.varlen_kernels import choose_kernel
from ner_dist.run.provenance import write_recipe
from ner_dist.runtime.accelerator import describe, precision_of, zero_stage
from ner_dist.runtime.gpu import is_out_of_memory
from ner_dist.runtime.ranks import on_main_rank, without_peer
from ner_dist.runtime.signals import PreemptionFlag, Stopped
from ner_dist.training.auto import MOST_EVALUATIONS
from ner_dist.training.checkpoint_files import CheckpointReader
from ner_dist.training.checkpoints import Checkpoints
from ner_dist.training.loop import TrainLoop
from ner_dist.training.loss import TaggingLoss
from ner_dist.training.metrics_log import FINITE_FIX, NO_LOSS_SCALE, MetricsLogger
from ner_dist.training.micro_batches import MicroBatches
from ner_dist.training.optimizer import build_optimizer
from ner_dist.training.start_log import log_start
from ner_dist.training.state_dict import (
    load_weights,
    optimizer_scalars,
    restore,
    set_master_weights,
    whole_weights,
)
from ner_dist.training.task import Task, load_task
from ner_dist.training.weight_copies import TYPES, WeightCopies, copies_suit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from accelerate import Accelerator
    from transformers import PretrainedConfig, PreTrainedModel

    from ner_dist.recipe import Recipe
    from ner_dist.run.directory import Run
    from ner_dist.training.loop import Step

log = logging.getLogger(__name__)

# Attributes that a checkpoint stores, under the same names.
_OWN_STATE = ("best_f1", "best_loss", "best_step", "evaluations_without_gain", "evaluated_step")


class Trainer:
    """The state of one training. All ranks call the same methods in the same order."""

    def __init__(
        self,
        task: Task,
        *,
        run: Run,
        accelerator: Accelerator,
        checkpoints: Checkpoints,
        resume_from: CheckpointReader | None = None,
    ) -> None:
        """Initialise the run's directory and build the model.

        Args:
            task: data, labels and settings of the training.
            run: output directory.
            accelerator: the process group.
            checkpoints: checkpoints of the run.
            resume_from: the checkpoint to continue from, as `Checkpoints.choose` gives it.
        """
        self.task, self.recipe, self.run, self.accelerator = task, task.recipe, run, accelerator
        self.checkpoints, self.resume_from = checkpoints, resume_from
        self.stop = PreemptionFlag(accelerator, save_every=task.recipe.checkpoint.seconds)
        self.best_f1 = -1.0
        self.best_loss: float | None = None
        """Validation loss of the best weights; None if resumed from an older version's checkpoint."""
        self.best_step: int | None = None
        self.evaluations_without_gain = 0
        self.evaluated_step = 0
        self.saved_step = 0
        self.released = False
        """Whether the loop has freed its model: the training is over and its last checkpoint is saved."""
        on_main_rank(accelerator, self._begin_directory)
        self.loop = self._build_loop()
        log_start(task, self.loop, parameters=self.parameters, processes=accelerator.num_processes)
        every, steps = self.recipe.checkpoint.every, self.loop.total
        on_main_rank(accelerator, lambda: checkpoints.check_space(self.parameters, every=every, steps=steps))

    @contextmanager
    def open_metrics_log(self) -> Iterator[MetricsLogger]:
        """Log metrics and handle signals in the block; if a rank fails, log what it was doing.

        Raises:
            UserError: this rank ran out of GPU memory.
        """
        resumed = None if self.resume_from is None else self.resume_from.state
        with (
            MetricsLogger(
                self.recipe, self.run, accelerator=self.accelerator, resumed=resumed
            ) as metrics_log,
            self.stop.listening(),
        ):
            try:
                yield metrics_log
            except (UserError, Stopped):
                raise
            except Exception as error:
                if without_peer(error):
                    raise  # it did nothing wrong
                what = self._at_work()
                if is_out_of_memory(error):
                    raise UserError(
                        f"rank {self.accelerator.process_index} ran out of GPU memory {what}",
                        fix=self._less_memory(),
                        everywhere=False,
                    ) from None
                if NO_LOSS_SCALE in str(error):
                    raise UserError(
                        f"no loss scale is left at which fp16 does not overflow, {what}",
                        where=str(self.run.folder),
                        fix=FINITE_FIX,
                    ) from None
                log.error("rank %d failed %s: %r", self.accelerator.process_index, what, error)
                raise

    def _less_memory(self) -> str:
        """What to do where memory ran out."""
        if self.released:
            return "score fewer subwords at a time: a smaller evaluation.batch_tokens"
        if self.loop.at_work is None and self.loop.step == self.loop.total:
            return (
                "set checkpoint.every, with which the training is freed before the model is scored, or a "
                "smaller evaluation.batch_tokens"
            )
        return (
            "set model.gradient_checkpointing=true, shard with a zero config, or start another run with a "
            "smaller train.micro_batch_tokens"
        )

    def _at_work(self) -> str:
        work = self.loop.at_work
        if work is None:
            return f"after step {self.loop.step}, between steps"
        sentences = self.task.splits["train"].encoded.sentence[work.examples].tolist()
        shown = ", ".join(map(str, sentences[:20])) + (" …" if len(sentences) > 20 else "")
        return f"in step {work.step}, micro-batch {work.micro_batch}, training sentences {shown or 'none'}"

    @classmethod
    def from_recipe(
        cls, recipe: Recipe, config: PretrainedConfig, *, run: Run, accelerator: Accelerator
    ) -> Trainer:
        """Build the trainer of a recipe, from the run's newest checkpoint if it has one.

        Args:
            recipe: what to train.
            config: configuration of its encoder.
            run: output directory.
            accelerator: the process group.

        Raises:
            UserError: data, labels, encoder or checkpoint cannot be used.
        """
        checkpoints = Checkpoints(
            run.checkpoints, accelerator=accelerator, keep_last=recipe.checkpoint.keep_last
        )
        resume_from = checkpoints.choose(recipe)
        task = load_task(recipe, config, accelerator=accelerator, resume_from=resume_from)
        return cls(task, run=run, accelerator=accelerator, checkpoints=checkpoints, resume_from=resume_from)

    def _begin_directory(self) -> None:
        self.run.checkpoints.mkdir(parents=True, exist_ok=True)
        world = {
            "strategy": describe(self.accelerator),
            "processes": self.accelerator.num_processes,
            "precision_used": precision_of(self.accelerator),
            **({"auto": self.task.chosen} if self.task.chosen else {}),
            "data_source": source_stamp(self.recipe.data),
        }
        write_recipe(self.run, self.recipe, world=world, fingerprint=self.task.data.fingerprint)

    def _build_model(self) -> tuple[PreTrainedModel, bool]:
        """The model before it is prepared, and whether it attends to packed rows in groups."""
        task, settings = self.task, self.task.fixed.train
        model = load_model(
            task.fixed.model, task.config, task.labels, seed=settings.seed, vocab_size=task.data.vocab_size
        )
        if self.resume_from is not None:
            load_weights(model, self.resume_from)
        kernel = grouped_attention
        if settings.packing:
            dtype = TYPES[precision_of(self.accelerator)]
            kernel = choose_kernel(model.config, device=self.accelerator.device, dtype=dtype)
            use_packed_attention(model, kernel)
        if self.recipe.model.compile:
            self._compile(model)
        return model, kernel is grouped_attention

    def _build_loop(self) -> TrainLoop:
        """Build the model, the optimizer and the loop."""
        task, settings, precision = self.task, self.task.fixed.train, precision_of(self.accelerator)
        model, grouped = self._build_model()
        self.config = model.config
        self.parameters = sum(parameter.numel() for parameter in model.parameters())
        optimizer = build_optimizer(model, settings)
        half_zero = zero_stage(self.accelerator) > 0 and precision != "fp32"
        unrounded = whole_weights(model) if half_zero else None
        by_copies = copies_suit(self.accelerator, task.config.model_type, compiled=self.recipe.model.compile)
        self.accelerator.autocast_handler = AutocastKwargs(enabled=not by_copies)
        model, optimizer = self.accelerator.prepare(model, optimizer)
        if unrounded is not None:
            set_master_weights(unrounded, accelerator=self.accelerator, model=model)
        bare = self.accelerator.unwrap_model(model)
        return TrainLoop(
            settings,
            accelerator=self.accelerator,
            model=model,
            optimizer=optimizer,
            loss=TaggingLoss(
                task.class_weights,
                label_smoothing=settings.label_smoothing,
                annotation=task.splits["train"].annotation,
                outside=task.labels.label2id[OUTSIDE],
            ),
            micro_batches=MicroBatches(
                task.splits["train"],
                settings,
                device=self.accelerator.device,
                first_position=first_position(task.config),
                grouped=grouped,
            ),
            copies=WeightCopies(bare, precision=precision) if by_copies else None,
        )

    def _compile(self, model: PreTrainedModel) -> None:
        if zero_stage(self.accelerator) == 3:
            raise UserError(
                "under ZeRO-3 every module gathers its weights first, which cannot be compiled",
                where="model.compile",
                fix="set it to false, or launch with DDP, ZeRO-1 or ZeRO-2",
            )
        layers = compile_layers(model)
        log.info("compiling at first use: %s", f"{layers} layers" if layers > 1 else "the whole model")

    def resume(self, metrics_log: MetricsLogger) -> None:
        """Resume from the chosen checkpoint, and run the evaluation if it is still due at its step."""
        if self.resume_from is None:
            return
        state = self.resume_from.state
        restore(
            self.resume_from,
            accelerator=self.accelerator,
            model=self.loop.model,
            optimizer=self.loop.optimizer,
        )
        self.loop.step = self.saved_step = state["step"]
        on_main_rank(self.accelerator, lambda: self.checkpoints.set_later_aside(state["step"]))
        for name in _OWN_STATE:
            setattr(self, name, state.get(name))
        restarts = os.environ.get("SLURM_RESTART_COUNT")
        log.info(
            "resuming after step %d of %d (%s)%s",
            state["step"],
            self.loop.total,
            self.resume_from.folder,
            f", restart {restarts} of the Slurm job" if restarts else "",
        )
        if self.evaluated_step < state["step"] and self.evaluation_due(state["step"]):
            self.evaluate(state["step"], metrics_log)

    def steps(self) -> Iterator[Step]:
        """The remaining steps of the training."""
        return iter(()) if self.stopped_early else self.loop.steps()

    @property
    def stopped_early(self) -> bool:
        """Whether the last `evaluation.early_stopping` evaluations did not improve F1."""
        patience = self.recipe.evaluation.early_stopping
        return patience is not None and self.evaluations_without_gain >= patience

    def evaluation_due(self, step: int) -> bool:
        if "validation" not in self.task.splits:
            return False
        every, total, epoch = self.recipe.evaluation.every, self.loop.total, self.loop.steps_per_epoch
        if every == "auto":
            # Whole epochs; small data has many short ones, and only some are scored.
            interval = epoch * math.ceil(total / epoch / MOST_EVALUATIONS)
        else:
            interval = epoch if every == "epoch" else every
        return step % interval == 0 or step == total

    def evaluate(self, step: int, metrics_log: MetricsLogger) -> None:
        """Score the validation split after a step; keep the weights if they are the best so far."""
        metrics_log.flush()
        with self.loop.computing():
            figures = self.evaluate_split(self.loop.model, "validation", metrics_log).figures
        f1, loss = figures.f1, float("nan") if figures.loss is None else figures.loss
        # Decided on rank 0 for all ranks, which save together.
        best = on_main_rank(
            self.accelerator, lambda: standing(f1, loss) >= standing(self.best_f1, self.best_loss)
        )
        epoch = (step - 1) // self.loop.steps_per_epoch
        metrics_log.evaluation("validation", step, epoch, figures, best=best)
        self.evaluated_step = step
        # At the same F1 a lower loss makes better weights, but does not count for early stopping.
        self.evaluations_without_gain = 0 if f1 > self.best_f1 else self.evaluations_without_gain + 1
        if best and self.checkpoints.save_best(step, model=self.loop.model, f1=f1):
            self.best_f1, self.best_step = f1, step
            self.best_loss = loss if math.isfinite(loss) else None  # JSON cannot express it
        self.loop.restart_clock()
        if self.stopped_early:
            log.info(
                "stopping at step %d: no better F1 in %d evaluations", step, self.evaluations_without_gain
            )

    def evaluate_split(
        self,
        model: torch.nn.Module,
        split: str,
        metrics_log: MetricsLogger,
        *,
        with_predictions: bool = False,
        keep: Callable[[np.ndarray, np.ndarray], None] | None = None,
    ) -> EvaluationResult:
        try:
            return evaluate(
                model,
                self.task.splits[split],
                accelerator=self.accelerator,
                batch_tokens=self.recipe.evaluation.batch_tokens,
                decode=self.recipe.evaluation.decode,
                with_predictions=with_predictions,
                keep=keep,
                stop=self.stop,
            )
        except Stopped:
            self.stop_here(metrics_log)
            raise

    def checkpoint_due(self, step: int) -> bool:
        every = self.recipe.checkpoint.every
        if every is None:
            return False
        due = step % every == 0 if isinstance(every, int) else self.stop.save_due
        return due or step == self.loop.total

    def save_checkpoint(self, metrics_log: MetricsLogger) -> None:
        """Save a checkpoint of the current step, unless it is saved already."""
        step = self.loop.step
        if step == self.saved_step:
            return
        metrics_log.flush()
        state = {
            "step": step,
            **{name: getattr(self, name) for name in _OWN_STATE},
            **optimizer_scalars(self.accelerator, self.loop.optimizer),
            **metrics_log.state(),
            "data_fingerprint": self.task.data.fingerprint,
            "auto": self.task.chosen,
            "strategy": describe(self.accelerator),
            "processes": self.accelerator.num_processes,
            "recipe": self.recipe.model_dump(mode="json"),
        }
        self.checkpoints.save_step(step, model=self.loop.model, optimizer=self.loop.optimizer, state=state)
        self.saved_step = step
        self.stop.saved()
        for event in self.checkpoints.take_events():
            metrics_log.write(event)

    def stop_here(self, metrics_log: MetricsLogger) -> None:
        """Save, and end training with `Stopped`."""
        log.info(
            "%s: saving after step %d",
            self.stop.asked or "another rank was asked to stop",
            self.loop.step,
        )
        self.save_checkpoint(metrics_log)
        self.checkpoints.wait()
        raise Stopped(f"stopped after step {self.loop.step} of {self.loop.total}")
