"""One training run from data to results: what the entrypoint calls, in the order it calls it."""

from __future__ import annotations

import logging
import math
import os
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ner_dist.data.prepare import Prepared, prepare
from ner_dist.data.report import log_data
from ner_dist.data.sources import source_stamp
from ner_dist.errors import UserError
from ner_dist.evaluation.evaluate import EvaluationResult, evaluate
from ner_dist.evaluation.metrics import standing
from ner_dist.model.encoder import TaggingLoss, class_weights, load_config, load_model, width
from ner_dist.run.directory import read_results
from ner_dist.run.provenance import provenance_of, write_recipe
from ner_dist.runtime.accelerator import describe, precision_of
from ner_dist.runtime.ranks import local_main_first, on_main_rank
from ner_dist.runtime.signals import PreemptionFlag, Stopped
from ner_dist.training import auto
from ner_dist.training.checkpoint_files import CheckpointReader
from ner_dist.training.checkpoints import Checkpoints
from ner_dist.training.inputs import has_changed
from ner_dist.training.loop import TrainLoop
from ner_dist.training.metrics_log import MetricsLogger
from ner_dist.training.optimizer import build_optimizer
from ner_dist.training.state_dict import load_weights, optimizer_scalars, restore

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from accelerate import Accelerator

    from ner_dist.labels import LabelSet
    from ner_dist.recipe import FixedRecipe, Recipe
    from ner_dist.run.directory import Run
    from ner_dist.training.loop import Step

log = logging.getLogger(__name__)

MOST_EVALUATIONS = 20
"""How often `evaluation.every: auto` scores the validation split at most."""

# What a checkpoint keeps of a session, under the same names.
_OWN_STATE = ("best_f1", "best_loss", "best_step", "evaluations_without_gain", "evaluated_step")


class Trainer:
    """The state of one run. Every rank has one and calls the same methods in the same order."""

    data: Prepared
    labels: LabelSet
    fixed: FixedRecipe
    """The recipe with a number for every `auto`."""
    training: TrainLoop

    def __init__(self, recipe: Recipe, *, run: Run, accelerator: Accelerator) -> None:
        self.recipe, self.run, self.accelerator = recipe, run, accelerator
        self.stop = PreemptionFlag(accelerator)
        self.checkpoints = Checkpoints(
            self.run.checkpoints, accelerator=accelerator, keep_last=recipe.checkpoint.keep_last
        )
        self.resume_from: CheckpointReader | None = None
        self.best_f1 = -1.0
        self.best_loss: float | None = None
        """Validation loss of the best weights; None where an older version's checkpoint does not know it."""
        self.best_step: int | None = None
        self.evaluations_without_gain = 0
        self.evaluated_step = 0
        self.saved_step = 0

    def already_complete(self) -> bool:
        """Whether there is nothing left to do.

        Raises:
            UserError: the run is complete, but of data that has changed since.
        """
        if not on_main_rank(self.accelerator, lambda: self.run.complete):
            return False
        on_main_rank(self.accelerator, self._check_data_of_results)
        f1 = read_results(self.run).get("test", {}).get("f1")
        shown = "" if f1 is None else f", test F1 {f1:.4f}"
        log.info("%s holds this run, complete%s; resume=never trains it anew", self.run.folder, shown)
        return True

    def _check_data_of_results(self) -> None:
        """What the results say of other data must not pass for what this one gives."""
        of_results = read_results(self.run).get("data", {}).get("fingerprint")
        if of_results is None:
            return
        data, stamp = self.recipe.data, provenance_of(self.run).get("data_source")
        try:
            changed = has_changed(data, fingerprint=of_results, stamp=stamp)
        except UserError as error:
            log.warning("whether the data of this run has changed is not known: %s", error)
            return
        if changed:
            raise UserError(
                f"its words or tags are not those that {self.run.folder} was trained and scored on",
                where=f"data.path {data.path}",
                fix="restore them, train again with resume=never, or name another output_dir",
            )

    @contextmanager
    def open_metrics_log(self) -> Iterator[MetricsLogger]:
        """Record and listen for signals while the block trains; name what a rank was at if it fails.

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
                what = self._at_work()
                if isinstance(error, torch.OutOfMemoryError):
                    raise UserError(
                        f"rank {self.accelerator.process_index} ran out of GPU memory {what}",
                        fix="set model.gradient_checkpointing=true, shard with a zero config, or begin "
                        "another run with a smaller train.micro_batch_tokens",
                        everywhere=False,
                    ) from None
                log.error("rank %d failed %s: %r", self.accelerator.process_index, what, error)
                raise

    def _at_work(self) -> str:
        work = self.loop.at_work
        if work is None:
            return f"after step {self.loop.step}, between steps"
        sentences = self.data.splits["train"].encoded.sentence[work.examples].tolist()
        shown = ", ".join(map(str, sentences[:20])) + (" …" if len(sentences) > 20 else "")
        return f"in step {work.step}, micro-batch {work.micro_batch}, training sentences {shown or 'none'}"

    def load_data(self) -> None:
        """Read and tokenise the data, or find that prepared; choose the labels; start the run's directory."""
        self.data = local_main_first(self.accelerator, lambda: prepare(self.recipe))
        if self.resume_from is not None:
            self._check_data_since(self.resume_from)
        self.labels = self.data.labels.select(self.recipe.labels)
        self.projection = self.data.labels.projection(self.labels)
        # Before anything is written: a wrong name in it is a mistake of the recipe.
        self.class_weights = class_weights(self.recipe.train, self.labels, self.tags("train"))
        log_data(self.data, self.labels)
        self._settle()
        on_main_rank(self.accelerator, self._begin_directory)

    def _settle(self) -> None:
        """Choose what the recipe leaves to `auto`; a run that is resumed keeps what was chosen."""
        earlier = None if self.resume_from is None else self.resume_from.state.get("auto")
        self.subwords = int(self.data.splits["train"].encoded.lengths.sum())
        self.width = width(load_config(self.recipe.model))
        self.fixed = auto.settle(self.recipe, subwords=self.subwords, width=self.width, earlier=earlier)
        self.chosen = {key: getattr(self.fixed.train, key) for key in auto.automatic(self.recipe.train)}
        if self.chosen:
            numbers = ", ".join(f"train.{key}={value:g}" for key, value in self.chosen.items())
            log.info(
                "auto: %s, for %s subwords and an encoder %d wide", numbers, f"{self.subwords:,}", self.width
            )

    def _begin_directory(self) -> None:
        self.run.checkpoints.mkdir(parents=True, exist_ok=True)
        world = {
            "strategy": describe(self.accelerator),
            "processes": self.accelerator.num_processes,
            "precision_used": precision_of(self.accelerator),
            **({"auto": self.chosen} if self.chosen else {}),
            "data_source": source_stamp(self.recipe.data),
        }
        write_recipe(self.run, self.recipe, world=world, fingerprint=self.data.fingerprint)

    def _check_data_since(self, saved: CheckpointReader) -> None:
        if saved.state["data_fingerprint"] != self.data.fingerprint:
            raise UserError(
                f"the data has changed since {saved.folder} was saved",
                where=f"data.path {self.recipe.data.path}",
                fix="restore it, or train anew with resume=never",
            )

    def build_model(self) -> None:
        """The model, the optimiser and the loop, ready for the first step."""
        recipe, data = self.fixed, self.data
        settings = recipe.train
        train_tags = self.tags("train")
        model = load_model(recipe.model, self.labels, seed=settings.seed, vocab_size=data.vocab_size)
        self.config = model.config
        loss = TaggingLoss(self.class_weights, label_smoothing=settings.label_smoothing)
        if self.resume_from is not None:
            load_weights(model, self.resume_from)
        if recipe.model.compile:
            model.compile(dynamic=True)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        optimizer = build_optimizer(model, settings)
        model, optimizer = self.accelerator.prepare(model, optimizer)
        self.loop = TrainLoop(
            settings,
            accelerator=self.accelerator,
            model=model,
            optimizer=optimizer,
            loss=loss,
            split=data.splits["train"],
            tags=train_tags,
            pad_id=data.pad_id,
        )
        log.info(
            "%s, %.1f M parameters, %d labels; %d steps of %d micro-batches, %d an epoch",
            recipe.model.name,
            parameters / 1e6,
            len(self.labels),
            self.loop.total,
            settings.micro_batches,
            self.loop.steps_per_epoch,
        )
        log.info(
            "learning rate %.3g (%s, after a warm-up over %.0f %% of the steps); "
            "%d subwords a step, about %d sentences",
            settings.learning_rate,
            settings.schedule,
            100 * settings.warmup_ratio,
            settings.batch_tokens,
            round(data.splits["train"].n_sentences / self.loop.steps_per_epoch),
        )
        every, steps = self.recipe.checkpoint.every, self.loop.total
        on_main_rank(
            self.accelerator, lambda: self.checkpoints.check_space(parameters, every=every, steps=steps)
        )
        self._advise()

    def _advise(self) -> None:
        """Say what could not work as meant, and what to change."""
        settings, world = self.fixed.train, self.accelerator.num_processes
        few = auto.too_few_steps(self.recipe, self.loop.total, subwords=self.subwords, width=self.width)
        for warning in filter(None, (auto.borrowed(self.recipe), few)):
            log.warning(warning)
        turns = -(-settings.micro_batches // world)
        idle = turns * world - settings.micro_batches
        if idle:
            log.warning(
                "a step's %d micro-batches leave %d of %d forward passes idle on %d processes: "
                "train.micro_batch_tokens=%d would fill them",
                settings.micro_batches,
                idle,
                turns * world,
                world,
                -(-settings.batch_tokens // (turns * world)),
            )
        if self.recipe.evaluation.early_stopping and "validation" not in self.data.splits:
            log.warning("evaluation.early_stopping has no effect: there is no validation split")

    def tags(self, split: str) -> np.ndarray:
        """Id, in the labels that are learnt, of every word of a split, int [W]."""
        return self.projection[self.data.splits[split].tags]

    def find_checkpoint(self) -> None:
        """Choose the checkpoint to go on from, if there is one.

        Raises:
            UserError: the recipe names a checkpoint that is damaged, or of another recipe.
        """
        named = None if self.recipe.resume in ("auto", "never") else Path(self.recipe.resume)
        goes_back = named is not None and named.resolve().parent == self.run.checkpoints.resolve()
        folder = None if goes_back else self.checkpoints.newest()
        if named is not None and folder is None:
            on_main_rank(self.accelerator, partial(self.checkpoints.adopt, named, self.recipe))
            folder = named
        if folder is not None:
            self.resume_from = CheckpointReader(folder)

    def resume(self, metrics_log: MetricsLogger) -> None:
        """Go on from the checkpoint that was found; score what it left unscored."""
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
        """Train what is left of the training."""
        return iter(()) if self.stopped_early else self.loop.steps()

    @property
    def stopped_early(self) -> bool:
        """Whether `evaluation.early_stopping` evaluations brought no better F1."""
        patience = self.recipe.evaluation.early_stopping
        return patience is not None and self.evaluations_without_gain >= patience

    def evaluation_due(self, step: int) -> bool:
        if "validation" not in self.data.splits:
            return False
        every, total, epoch = self.recipe.evaluation.every, self.loop.total, self.loop.steps_per_epoch
        if every == "auto":
            # Whole epochs; with the many short epochs of small data, some of them.
            interval = epoch * math.ceil(total / epoch / MOST_EVALUATIONS)
        else:
            interval = epoch if every == "epoch" else every
        return step % interval == 0 or step == total

    def evaluate(self, step: int, metrics_log: MetricsLogger) -> None:
        """Score the validation split after a step; keep the weights if they are the best so far."""
        metrics_log.flush()
        figures = self.evaluate_split(self.loop.model, "validation", metrics_log).as_dict()
        f1, loss = figures["f1"], figures["loss"]
        # Decided once for all ranks: they save together.
        best = on_main_rank(
            self.accelerator, lambda: standing(f1, loss) >= standing(self.best_f1, self.best_loss)
        )
        epoch = (step - 1) // self.loop.steps_per_epoch
        metrics_log.evaluation("validation", step, epoch, figures, best=best)
        self.evaluated_step = step
        # A lower loss alone makes better weights, but no gain for `evaluation.early_stopping`.
        self.evaluations_without_gain = 0 if f1 > self.best_f1 else self.evaluations_without_gain + 1
        if best and self.checkpoints.save_best(step, model=self.loop.model, f1=f1):
            self.best_f1, self.best_step = f1, step
            self.best_loss = loss if math.isfinite(loss) else None  # JSON has no word for it
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
    ) -> EvaluationResult:
        try:
            return evaluate(
                model,
                self.data.splits[split],
                self.tags(split),
                labels=self.labels,
                accelerator=self.accelerator,
                batch_tokens=self.recipe.evaluation.batch_tokens,
                pad_id=self.data.pad_id,
                with_predictions=with_predictions,
                stop=self.stop,
            )
        except Stopped:
            self.stop_here(metrics_log)
            raise

    def checkpoint_due(self, step: int) -> bool:
        every = self.recipe.checkpoint.every
        return every is not None and (step % every == 0 or step == self.loop.total)

    def save_checkpoint(self, metrics_log: MetricsLogger) -> None:
        """Save all that going on from here needs, unless it is saved already."""
        step = self.loop.step
        if step == self.saved_step:
            return
        metrics_log.flush()
        state = {
            "step": step,
            **{name: getattr(self, name) for name in _OWN_STATE},
            **optimizer_scalars(self.accelerator, self.loop.optimizer),
            **metrics_log.state(),
            "data_fingerprint": self.data.fingerprint,
            "auto": self.chosen,
            "strategy": describe(self.accelerator),
            "processes": self.accelerator.num_processes,
        }
        self.checkpoints.save_step(step, model=self.loop.model, optimizer=self.loop.optimizer, state=state)
        self.saved_step = step
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
