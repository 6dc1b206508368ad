"""Metrics of a running training: metrics.jsonl, the log, a progress bar, trackers.

Tensors of a step stay on the device. They are read, and summed over the ranks, once every `logging.every`
steps; only then does the host wait for the device.
"""

from __future__ import annotations

import json
import logging
import math
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from ner_dist.errors import UserError
from ner_dist.files import now
from ner_dist.formatting import duration, known
from ner_dist.run.events import FORMAT
from ner_dist.runtime.progress import progress
from ner_dist.training.eta import TimeLeft

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from accelerate import Accelerator

    from ner_dist.evaluation.figures import SplitFigures
    from ner_dist.recipe import Recipe
    from ner_dist.run.directory import Run
    from ner_dist.training.loop import Step

log = logging.getLogger(__name__)

MOST_OVERFLOWS = 50
"""Steps in a row that fp16 may overflow, each at half the loss scale of the one before."""
NO_LOSS_SCALE = "loss scale already at minimum"
"""Part of what DeepSpeed raises when it has halved the loss scale as often as it can."""
FINITE_FIX = (
    "pass overwrite=true with a lower train.learning_rate, a higher train.warmup_ratio or precision=fp32"
)
"""What to do about a training whose loss is not finite any more."""


class MetricsLogger:
    """Collects steps and evaluations. All ranks make the same calls; rank 0 writes."""

    def __init__(
        self,
        recipe: Recipe,
        run: Run,
        *,
        accelerator: Accelerator,
        resumed: dict[str, Any] | None = None,
    ) -> None:
        """
        Args:
            recipe: its `logging` section decides how often to log, and to which trackers.
            run: where metrics.jsonl lies.
            accelerator: the process group.
            resumed: the state of the checkpoint that training continues from.
        """
        self.settings, self.run, self.accelerator = recipe.logging, run, accelerator
        self.max_nonfinite = recipe.train.max_nonfinite_steps
        self.main = accelerator.is_main_process
        self.waiting: list[Step] = []
        self.epoch_loss: dict[int, tuple[float, float]] = {}
        self.nonfinite = self.overflows = 0
        self.first_nonfinite: int | None = None
        """The first step of this start whose loss or gradient was not finite."""
        self.began, self.seconds_before = time.perf_counter(), 0.0
        self.time_left, self.best_f1, self.total_steps = TimeLeft(), -1.0, 0
        if resumed is not None:
            self.time_left = TimeLeft(
                resumed=(resumed["step"], resumed["seconds"]),
                evaluation_seconds=resumed.get("evaluation_seconds"),  # unknown to older checkpoints
            )
            best = resumed.get("best_f1")
            self.best_f1 = self.best_f1 if best is None else best
            self.epoch_loss = {epoch: tuple(sums) for epoch, sums in resumed["epoch_loss"]}
            self.nonfinite, self.seconds_before = resumed["nonfinite_steps"], resumed["seconds"]
            self.overflows = resumed.get("overflows", 0)  # older checkpoints did not count them
        self.file = run.metrics.open("a", encoding="utf-8") if self.main else None
        self.disk_full = False
        self.closing = ExitStack()
        self.show_progress: Callable[[int], None] | None = None
        if self.settings.trackers:
            config = {key: str(value) for key, value in recipe.model_dump(mode="json").items()}
            ids = resumed["trackers"] if resumed is not None else {}
            options = {name: _tracker_options(name, ids[name]) for name in ids}
            # The tracker knows the settings of a resumed run, and MLflow refuses other values for them.
            accelerator.init_trackers(
                self.settings.project, config=None if options else config, init_kwargs=options
            )
            if "trackio" in options:
                # Unlike the others, it forgets them when a run continues.
                accelerator.get_tracker("trackio").store_init_configuration(config)
        if resumed is not None:
            self.write({"event": "resume", "step": resumed["step"], "seconds": self.seconds})

    def __enter__(self) -> MetricsLogger:
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.close()
        if self.file:
            self._to_disk(self.file.close)
        if self.settings.trackers:
            self.accelerator.end_training()

    def _to_disk(self, work: Callable[[], None]) -> None:
        """Write to disk; a full disk costs lines, but does not stop training."""
        try:
            work()
        except OSError as error:
            if not self.disk_full:
                log.warning("%s cannot be written: %s", self.run.metrics, error.strerror)
            self.disk_full = True

    def add(self, step: Step) -> None:
        """Add a step; write an event every `logging.every` steps and at the end of an epoch.

        Raises:
            UserError: the loss or the gradient was not finite for `train.max_nonfinite_steps` steps in a row.
        """
        self.waiting.append(step)
        if self.show_progress is None:
            self.show_progress = self.closing.enter_context(progress("training", step.total))
        self.show_progress(step.number)
        # Shorter epochs would each write a line.
        ends_epoch = step.ends_epoch and step.number // (step.epoch + 1) >= self.settings.every
        if step.number % self.settings.every == 0 or ends_epoch or step.number == step.total:
            self.flush()

    @property
    def seconds(self) -> float:
        """Training time so far, over all starts."""
        return self.seconds_before + time.perf_counter() - self.began

    def state(self) -> dict[str, Any]:
        """The part of this that a checkpoint saves, as JSON."""
        return {
            "seconds": self.seconds,
            "epoch_loss": list(self.epoch_loss.items()),
            "nonfinite_steps": self.nonfinite,
            "overflows": self.overflows,
            "evaluation_seconds": self.time_left.evaluation_seconds,
            "trackers": _tracker_ids(self.accelerator, self.settings.trackers),
        }

    def flush(self) -> None:
        """Read the waiting steps' losses and write one event for them."""
        if not self.waiting:
            return
        steps, self.waiting = self.waiting, []
        sums = torch.stack([step.loss for step in steps]).double()
        if self.accelerator.num_processes > 1:
            torch.distributed.all_reduce(sums)
        losses = sums.tolist()
        norms = [None if step.grad_norm is None else float(step.grad_norm) for step in steps]
        for step, loss in zip(steps, losses, strict=True):
            if math.isfinite(loss):
                total, weight = self.epoch_loss.get(step.epoch, (0.0, 0.0))
                self.epoch_loss[step.epoch] = (total + loss, weight + step.weight)
        self._write_training(steps, losses, norms)
        self._stop_if_not_finite(steps, losses, norms)

    def _write_training(self, steps: list[Step], losses: list[float], norms: list[float | None]) -> None:
        last, seconds = steps[-1], sum(step.seconds for step in steps)
        words, subwords, padded_tokens = (
            sum(getattr(step, name) for step in steps) for name in ("words", "subwords", "padded_tokens")
        )
        self.total_steps, clock = last.total, self.seconds
        self.time_left.trained(last.number, clock, total=last.total)
        event = {
            "event": "train",
            "step": last.number,
            "total_steps": last.total,
            "epoch": last.epoch + 1,
            "loss": sum(losses) / (sum(step.weight for step in steps) or 1.0),
            "learning_rate": last.learning_rate,
            "grad_norm": norms[-1],
            "words_per_second": words / seconds,
            "subwords_per_second": subwords / seconds,
            "padding_share": 1 - subwords / padded_tokens,
            "best_f1": self.best_f1 if self.best_f1 >= 0 else None,
            "seconds_per_step": self.time_left.seconds_per_step,
            "seconds_left": self.time_left.seconds_left(last.total),
            "seconds": clock,
        }
        if self.accelerator.device.type == "cuda":
            event["peak_memory_bytes"] = torch.cuda.max_memory_allocated()
        self.write(event)
        log.info(
            "step %d/%d  epoch %d  loss %.4f  lr %.2e  grad norm %s  %s words/s  padding %.1f %%  %s%s left",
            last.number,
            last.total,
            last.epoch + 1,
            event["loss"],
            last.learning_rate,
            "–" if norms[-1] is None else f"{norms[-1]:.2f}",
            f"{event['words_per_second']:,.0f}",
            100 * event["padding_share"],
            f"peak {memory / 2**30:.1f} GiB  " if (memory := event.get("peak_memory_bytes")) else "",
            duration(event["seconds_left"]),
        )

    def _stop_if_not_finite(self, steps: list[Step], losses: list[float], norms: list[float | None]) -> None:
        # In fp16 an overflowing gradient only lowers the loss scale; the loss itself must stay finite.
        norm_counts = self.accelerator.mixed_precision != "fp16"
        for step, loss, norm in zip(steps, losses, norms, strict=True):
            finite_norm = norm is None or math.isfinite(norm)
            finite = math.isfinite(loss) and (finite_norm or not norm_counts)
            self.nonfinite = 0 if finite else self.nonfinite + 1
            self.overflows = 0 if finite_norm else self.overflows + 1
            if not finite and self.first_nonfinite is None:
                self.first_nonfinite = step.number
            if not finite:
                log.warning(
                    "step %d: loss %s, gradient norm %s: update skipped",
                    step.number,
                    loss / (step.weight or 1.0),
                    norm,
                )
            if self.nonfinite >= self.max_nonfinite:
                raise UserError(
                    f"the loss or its gradient was not finite in {self.nonfinite} steps in a row, "
                    f"up to step {step.number}",
                    where=str(self.run.folder),
                    fix=FINITE_FIX,
                )
            if not norm_counts and self.overflows >= MOST_OVERFLOWS:
                raise UserError(
                    f"the gradient overflowed in fp16 in {self.overflows} steps in a row, up to step "
                    f"{step.number}: no loss scale is left at which it does not",
                    where=str(self.run.folder),
                    fix=FINITE_FIX,
                )

    def evaluation(
        self, split: str, step: int, epoch: int, figures: SplitFigures, *, best: bool = False
    ) -> None:
        """Write the scores of the validation split; `best` marks the best so far."""
        seconds = self.seconds
        self.time_left.evaluated(step, seconds)
        self.best_f1 = max(self.best_f1, figures.f1)
        keys = ("loss", "precision", "recall", "f1", "accuracy", "words_per_second")
        event = {
            "event": "evaluation",
            "split": split,
            "step": step,
            "epoch": epoch + 1,
            "scheme": figures.scheme,
        }
        event |= {key: getattr(figures, key) for key in keys}
        event["seconds_left"] = self.time_left.seconds_left(self.total_steps)
        self.write(event | {"seconds": seconds})
        log.info(
            "%s at step %d: F1 %.4f  precision %.4f  recall %.4f  accuracy %.4f  loss %.4f (%s)%s",
            split,
            step,
            *(getattr(figures, key) for key in ("f1", "precision", "recall", "accuracy", "loss")),
            figures.scheme,
            ", best so far" if best else "",
        )

    def write(self, event: dict[str, Any]) -> None:
        """Append an event and the time of day to metrics.jsonl; hand its numbers to the trackers."""
        if self.file:
            # JSON cannot express numbers that are not finite.
            sound = {
                key: value if known(value) or not isinstance(value, float) else None
                for key, value in event.items()
            }
            sound |= {"time": now(), "format": FORMAT}
            line = json.dumps(sound, allow_nan=False) + "\n"
            self._to_disk(partial(print, line, end="", file=self.file, flush=True))
        if self.settings.trackers and "step" in event:
            prefix = event.get("split", event["event"])
            numbers = {f"{prefix}/{key}": value for key, value in event.items() if isinstance(value, float)}
            self.accelerator.log(numbers, step=event["step"])


def _tracker_ids(accelerator: Accelerator, names: Sequence[str]) -> dict[str, str]:
    """Ids of this run in the tracking services; known on rank 0."""
    ids = {}
    if accelerator.is_main_process:
        for name in names:
            if name == "wandb":
                ids[name] = accelerator.get_tracker(name, unwrap=True).id
            elif name == "mlflow":
                ids[name] = accelerator.get_tracker(name, unwrap=True).info.run_id
            elif name == "trackio":
                ids[name] = accelerator.get_tracker(name, unwrap=True).name
    return ids


def _tracker_options(name: str, run_id: str) -> dict[str, str]:
    """Options with which a tracker continues one of its runs."""
    if name == "mlflow":
        return {"run_id": run_id}
    # trackio knows its runs by their names.
    return {"id" if name == "wandb" else "name": run_id, "resume": "allow"}
