"""One training run from data to results: what the entrypoint calls, in the order it calls it."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import torch

from ner_dist import checkpoint, results
from ner_dist.data.prepare import Prepared, prepare
from ner_dist.errors import UserError
from ner_dist.evaluation import Evaluation, evaluate
from ner_dist.loop import Training
from ner_dist.model import TaggingLoss, class_weights, load_model
from ner_dist.optimizer import build_optimizer
from ner_dist.restore import restore
from ner_dist.run import Run, check_output, move_aside, read_results, write_atomically, write_recipe
from ner_dist.runtime import describe, precision_of

if TYPE_CHECKING:
    import numpy as np
    from accelerate import Accelerator

    from ner_dist.labels import LabelSet
    from ner_dist.loop import Step
    from ner_dist.recipe import Recipe
    from ner_dist.recorder import Recorder

log = logging.getLogger(__name__)


class Session:
    """The state of one run. Every rank has one and calls the same methods in the same order."""

    data: Prepared
    labels: LabelSet
    training: Training

    def __init__(self, recipe: Recipe, *, accelerator: Accelerator) -> None:
        self.recipe, self.accelerator = recipe, accelerator
        self.run: Run = check_output(recipe)
        self.best_f1 = -1.0
        self.evaluations_without_gain = 0
        self.stopped_early = False
        # Nobody writes before everybody has looked.
        accelerator.wait_for_everyone()

    def already_complete(self) -> bool:
        """Whether there is nothing left to do. Moves an old run aside if the recipe says so."""
        if self.recipe.overwrite:
            if self.accelerator.is_main_process:
                move_aside(self.run)
            self.accelerator.wait_for_everyone()
        complete = self.run.complete
        if complete:
            f1 = read_results(self.run).get("test", {}).get("f1")
            shown = "" if f1 is None else f", test F1 {f1:.4f}"
            log.info("%s holds this run, complete%s; overwrite=true trains it anew", self.run.folder, shown)
        return complete

    def load_data(self) -> None:
        """Read and tokenise the data, or find that prepared; choose the labels; start the run's directory."""
        with self.accelerator.local_main_process_first():
            self.data = prepare(self.recipe)
        self.labels = self.data.labels.select(self.recipe.labels)
        self.projection = self.data.labels.projection(self.labels)
        report_data(self.data, self.labels)
        if self.accelerator.is_main_process:
            self.run.checkpoints.mkdir(parents=True, exist_ok=True)
            world = {
                "strategy": describe(self.accelerator),
                "processes": self.accelerator.num_processes,
                "precision_used": precision_of(self.accelerator),
            }
            write_recipe(self.run, self.recipe, world=world, fingerprint=self.data.fingerprint)
        self.accelerator.wait_for_everyone()

    def build_model(self) -> None:
        """The model, the optimiser and the loop, ready for the first step."""
        recipe, data = self.recipe, self.data
        settings = recipe.train
        train_tags = self.tags("train")
        model = load_model(recipe.model, self.labels, seed=settings.seed, vocab_size=data.vocab_size)
        self.config = model.config
        loss = TaggingLoss(
            class_weights(settings, self.labels, train_tags), label_smoothing=settings.label_smoothing
        )
        self.resume_from = self._latest_checkpoint()
        if self.resume_from:
            model.load_state_dict(checkpoint.read_weights(self.resume_from))
        if recipe.model.compile:
            model.compile(dynamic=True)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        optimizer = build_optimizer(model, settings)
        model, optimizer = self.accelerator.prepare(model, optimizer)
        self.training = Training(
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
            self.training.total,
            settings.micro_batches,
            self.training.steps_per_epoch,
        )
        idle = self.accelerator.num_processes - settings.micro_batches
        if idle > 0:
            log.warning(
                "a step has %d micro-batches, so %d of %d processes have no work: "
                "lower train.micro_batch_tokens to %d",
                settings.micro_batches,
                idle,
                self.accelerator.num_processes,
                settings.batch_tokens // self.accelerator.num_processes,
            )

    def tags(self, split: str) -> np.ndarray:
        """Id, in the labels that are learnt, of every word of a split, int [W]."""
        return self.projection[self.data.splits[split].tags]

    def _latest_checkpoint(self):
        saved = checkpoint.steps_saved(self.run.checkpoints)
        return saved[-1] if saved else None

    def resume(self) -> None:
        """Go on from the newest checkpoint of this run, if there is one."""
        if not self.resume_from:
            return
        state = checkpoint.read_state(self.resume_from)
        restore(
            self.resume_from,
            state,
            accelerator=self.accelerator,
            model=self.training.model,
            optimizer=self.training.optimizer,
        )
        self.training.position = state["step"]
        self.best_f1 = state["best_f1"]
        self.evaluations_without_gain = state["evaluations_without_gain"]
        log.info("resuming after step %d of %d (%s)", state["step"], self.training.total, self.resume_from)

    def evaluation_due(self, step: Step) -> bool:
        if "validation" not in self.data.splits:
            return False
        every = self.recipe.evaluation.every
        last = step.number == step.total
        return last or (step.ends_epoch if every == "epoch" else step.number % every == 0)

    def evaluate(self, step: Step, recorder: Recorder) -> None:
        """Score the validation split; keep the weights if they are the best so far; see whether to stop."""
        recorder.flush()
        figures = self._score(self.training.model, "validation").as_dict()
        recorder.evaluation("validation", step.number, step.epoch, figures)
        if figures["f1"] > self.best_f1:
            self.best_f1, self.evaluations_without_gain = figures["f1"], 0
            state = {"step": step.number, "f1": figures["f1"]}
            self._save(checkpoint.BEST, optimizer=False, state=state)
            return
        self.evaluations_without_gain += 1
        patience = self.recipe.evaluation.early_stopping
        if patience and self.evaluations_without_gain >= patience:
            log.info("stopping at step %d: no better F1 in %d evaluations", step.number, patience)
            self.stopped_early = True

    def _score(self, model: torch.nn.Module, split: str, *, with_predictions: bool = False) -> Evaluation:
        return evaluate(
            model,
            self.data.splits[split],
            self.tags(split),
            labels=self.labels,
            accelerator=self.accelerator,
            batch_tokens=self.recipe.evaluation.batch_tokens,
            pad_id=self.data.pad_id,
            with_predictions=with_predictions,
        )

    def checkpoint_due(self, step: Step) -> bool:
        every = self.recipe.checkpoint.every
        return every is not None and step.number % every == 0 and step.number < step.total

    def save_checkpoint(self) -> None:
        """Save all that going on from here needs, and remove what `checkpoint.keep_last` does not keep."""
        step = self.training.position
        state = {
            "step": step,
            "best_f1": self.best_f1,
            "evaluations_without_gain": self.evaluations_without_gain,
        }
        if self.accelerator.scaler is not None:
            state["loss_scale"] = self.accelerator.scaler.get_scale()
        self._save(checkpoint.step_folder(self.run.checkpoints, step).name, optimizer=True, state=state)
        if self.accelerator.is_main_process:
            checkpoint.prune(self.run.checkpoints, keep=self.recipe.checkpoint.keep_last)

    def _save(self, name: str, *, optimizer: bool, state: dict[str, Any]) -> None:
        checkpoint.save(
            self.run.checkpoints / name,
            accelerator=self.accelerator,
            model=self.training.model,
            optimizer=self.training.optimizer if optimizer else None,
            state=state,
        )

    def finish(self, recorder: Recorder) -> None:
        """Save the best model, score it as saved, check the figures, and write the results."""
        recorder.flush()
        if "validation" not in self.data.splits:
            self._save(checkpoint.BEST, optimizer=False, state={"step": self.training.position, "f1": None})
        best = self.run.checkpoints / checkpoint.BEST
        if not best.exists():
            raise UserError(
                "the trained weights could not be saved", where=str(best), fix="free disk space and resume"
            )
        if self.accelerator.is_main_process:
            card = results.model_card(self.recipe, self.labels)
            weights = checkpoint.read_weights(best)
            results.save_model(self.run, weights=weights, config=self.config, data=self.data, card=card)
        self.accelerator.wait_for_everyone()
        written = self._train_figures(recorder) | self._final_scores()
        if self.accelerator.is_main_process:
            (self.run.model / "README.md").write_text(
                results.model_card(self.recipe, self.labels, written), encoding="utf-8"
            )
            write_atomically(self.run.results, json.dumps(written, indent=1) + "\n")
            log.info("results in %s, model in %s", self.run.results, self.run.model)
        self.accelerator.wait_for_everyone()

    def _train_figures(self, recorder: Recorder) -> dict[str, Any]:
        last = max(recorder.epoch_loss, default=None)
        loss = None if last is None else recorder.epoch_loss[last][0] / recorder.epoch_loss[last][1]
        best = checkpoint.read_state(self.run.checkpoints / checkpoint.BEST)
        return {
            "name": self.recipe.name,
            "labels": list(self.labels.types),
            "train": {
                "loss": loss,
                "loss_is": "mean over the words of the last epoch, with dropout",
                "steps": self.training.position,
                "best_step": best["step"],
                "seconds": recorder.seconds,
            },
            "data": {"fingerprint": self.data.fingerprint, **self.data.report},
            "environment": {
                "strategy": describe(self.accelerator),
                "processes": self.accelerator.num_processes,
                "precision": precision_of(self.accelerator),
            },
        }

    def _final_scores(self) -> dict[str, Any]:
        """Score the saved model on validation and test; check the figures against the written predictions."""
        tagger, _ = results.load_tagger(
            self.run.model, precision=precision_of(self.accelerator), device=self.accelerator.device
        )
        figures: dict[str, Any] = {}
        for split in ("validation", "test"):
            if split not in self.data.splits:
                continue
            evaluation = self._score(tagger, split, with_predictions=True)
            figures[split] = evaluation.as_dict()
            if self.accelerator.is_main_process:
                assert evaluation.predicted is not None
                path = self.run.predictions(split)
                results.write_predictions(
                    path, self.data.splits[split], self.tags(split), evaluation.predicted, labels=self.labels
                )
                results.verify(path, figures[split])
                log.info(
                    "%s: F1 %.4f  precision %.4f  recall %.4f  accuracy %.4f  loss %.4f "
                    "(%s, equal to seqeval's)",
                    split,
                    *(figures[split][key] for key in ("f1", "precision", "recall", "accuracy", "loss")),
                    figures[split]["scheme"],
                )
        return figures


def report_data(data: Prepared, labels: LabelSet) -> None:
    """Say what the data holds, and what of it is learnt."""
    for name, split in data.splits.items():
        log.info("%s: %d sentences, %d words", name, split.n_sentences, len(split.tags))
    left_out = [name for name in data.labels.types if name not in labels.types]
    log.info(
        "learning %d types: %s%s",
        len(labels.types),
        ", ".join(labels.types),
        f"; {', '.join(left_out)} become O" if left_out else "",
    )
