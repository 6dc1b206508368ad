"""Manage a run's checkpoints: save, find, verify and prune them.

    RUN/checkpoints/step-000120/   the full training state after step 120
    RUN/checkpoints/best-000080/   the weights with the best validation F1, reached at step 80

Folders are written in the background (`checkpoint_files.py`) and appear only when complete. A checkpoint
names the best weights at its time; these are kept as long as a checkpoint names them, so that a run can go
back to it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.errors import UserError, writing
from ner_dist.files import aside, atomic_folder, remove_folder
from ner_dist.recipe_file import differing_keys, load_recipe
from ner_dist.run.directory import best_weights, step_checkpoints, step_of
from ner_dist.runtime.ranks import on_main_rank
from ner_dist.training.checkpoint_files import (
    SHARD_BYTES,
    CheckpointReader,
    CheckpointWriter,
    find_corruption,
)
from ner_dist.training.host_buffer import HostBuffer
from ner_dist.training.state_dict import tensors

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator
    from accelerate.optimizer import AcceleratedOptimizer

    from ner_dist.recipe import Recipe

log = logging.getLogger(__name__)

_grace_told: list[float] = []


class Checkpoints:
    """The folder `RUN/checkpoints`. All ranks make the same calls; rank 0 writes."""

    def __init__(self, folder: Path, *, accelerator: Accelerator, keep_last: int) -> None:
        self.folder, self.accelerator, self.keep_last = folder, accelerator, keep_last
        self._job: Future[None] | None = None
        on_gpu = accelerator.is_main_process and accelerator.device.type == "cuda"
        self._buffer = HostBuffer(pinned=True) if on_gpu else None
        self._reports: list[dict[str, Any]] = []
        self._written = False

    def save_step(
        self,
        step: int,
        *,
        model: torch.nn.Module,
        optimizer: AcceleratedOptimizer,
        state: dict[str, Any],
    ) -> None:
        """Save the full training state after `step`."""
        self._save(self.folder / f"step-{step:06d}", model, optimizer, state)

    def save_best(self, step: int, *, model: torch.nn.Module, f1: float | None) -> bool:
        """Save the weights after `step`; return on every rank whether that succeeded."""
        folder = self.best(step)
        self._save(folder, model, None, {"step": step, "best_step": step, "f1": f1})
        self._join()
        return on_main_rank(self.accelerator, lambda: self._written)

    def best(self, step: int) -> Path:
        """Folder of the weights that were best at `step`."""
        return self.folder / f"best-{step:06d}"

    def steps(self) -> list[Path]:
        """The folders of the periodic checkpoints, oldest first, without those that were set aside."""
        return step_checkpoints(self.folder)

    def wait(self) -> None:
        """Wait until pending saves are on disk or have failed; all ranks wait for rank 0."""
        self._join()
        self.accelerator.wait_for_everyone()

    def choose(self, recipe: Recipe) -> CheckpointReader | None:
        """Choose the checkpoint to continue from, the same on all ranks; None to start from step 0.

        Raises:
            UserError: the recipe names a checkpoint that is damaged, or of another recipe.
        """
        named = None if recipe.resume in ("auto", "never") else Path(recipe.resume)
        goes_back = named is not None and named.resolve().parent == self.folder.resolve()
        folder = None if goes_back else self.newest()
        if named is not None and folder is None:
            on_main_rank(self.accelerator, partial(self.adopt, named, recipe))
            folder = named
        return None if folder is None else CheckpointReader(folder)

    def newest(self) -> Path | None:
        """The newest intact checkpoint, the same on all ranks; damaged ones are logged."""
        return on_main_rank(self.accelerator, self._newest)

    def adopt(self, folder: Path, recipe: Recipe) -> None:
        """Check another run's checkpoint to start from, and copy the best weights that it names.

        Raises:
            UserError: the checkpoint is damaged, or of a recipe that trains something else.
        """
        problem = self._damage(folder)
        if problem:
            raise UserError(f"is not a usable checkpoint: {problem}", where=f"resume {folder}")
        origin = folder.parent.parent / "recipe.yaml"
        keys = differing_keys(load_recipe(origin), recipe) if origin.exists() else []
        if keys:
            raise UserError(
                f"belongs to another recipe (they differ in {', '.join(keys)})",
                where=f"resume {folder}",
                fix="a run can only resume with the settings it started with",
            )
        best = CheckpointReader(folder).state["best_step"]
        if best is not None and not self.best(best).exists():
            with writing(self.best(best)), atomic_folder(self.best(best)) as copy:
                shutil.copytree(folder.with_name(self.best(best).name), copy, dirs_exist_ok=True)

    def check_space(self, parameters: int, *, every: int | str | None, steps: int) -> None:
        """Check before training that the disk has room for everything it saves; for rank 0.

        Args:
            parameters: number of parameters; weights and moments are saved in fp32.
            every: the recipe's `checkpoint.every`.
            steps: number of steps in the whole training.

        Raises:
            UserError: there is not even room for the best weights and the final model.
        """
        run = self.folder.parent
        folders = (*self.steps(), *best_weights(self.folder), run / "model")
        there = sum(path.lstat().st_size for folder in folders for path in folder.glob("*"))
        room = shutil.disk_usage(self.folder).free + there
        weights = 4 * parameters
        least = 2 * weights
        if least > room:
            raise UserError(
                f"the best weights and the model need {_size(least)}, but only {_size(room)} are free",
                where=f"output_dir {run}",
                fix="free disk space, or choose an output_dir on another disk",
            )

        def needed(keep_last: int) -> int:
            # The oldest is removed once the newest is complete; the same holds for the best weights.
            if every is None:
                return least + weights
            kept = min(keep_last + 1, -(-steps // every) if isinstance(every, int) else steps)
            return least + weights + 3 * weights * kept

        if needed(self.keep_last) <= room:
            return
        fewer = next((number for number in range(self.keep_last - 1, 0, -1) if needed(number) <= room), None)
        log.warning(
            "%s: checkpoints, the best weights and the model need up to %s, but only %s are free: "
            "free disk space, or set %s",
            run,
            _size(needed(self.keep_last)),
            _size(room),
            "checkpoint.every=null" if fewer is None else f"checkpoint.keep_last={fewer}",
        )

    def take_events(self) -> list[dict[str, Any]]:
        """One event for each checkpoint that was completed since the last call."""
        reports, self._reports = self._reports, []
        return reports

    def set_later_aside(self, step: int) -> None:
        """Set aside the checkpoints after `step`, for a run that goes back to it; for rank 0."""
        for folder in self.steps():
            if step_of(folder) > step:
                log.info("going back: %s is kept as %s", folder, _set_aside(folder).name)

    def tidy(self, *, step: int, best_step: int | None) -> None:
        """Remove what an interrupted save or removal left; for rank 0, when nothing is being saved.

        Args:
            step: the last step.
            best_step: the step of the best weights.
        """
        for folder in self.folder.glob(aside(Path("*")).name):
            shutil.rmtree(folder, ignore_errors=True)
        self._prune({"step": step, "best_step": best_step})

    def _newest(self) -> Path | None:
        for folder in reversed(self.steps()):
            problem = self._damage(folder)
            if problem is None:
                return folder
            kept = _set_aside(folder)
            log.warning(
                "%s is damaged (%s): going back to the checkpoint before it; it is kept as %s",
                folder,
                problem,
                kept.name,
            )
        return None

    def _damage(self, folder: Path) -> str | None:
        """Describe the damage to a checkpoint, or to the best weights that it names; None if intact."""
        problem = find_corruption(folder)
        if problem is None:
            best = CheckpointReader(folder).state.get("best_step")
            if best is not None and (of_best := find_corruption(folder.with_name(self.best(best).name))):
                problem = f"its best weights, {self.best(best).name}: {of_best}"
        return problem

    def _save(
        self,
        folder: Path,
        model: torch.nn.Module,
        optimizer: AcceleratedOptimizer | None,
        state: dict[str, Any],
    ) -> None:
        self._join()
        began = time.perf_counter()
        if self._buffer is not None:
            self._buffer.reserve(min(SHARD_BYTES, _state_bytes(model, optimizer)) // 4)
        writer = CheckpointWriter(folder, buffer=self._buffer) if self.accelerator.is_main_process else None
        # All ranks take part in gathering to the end, even if rank 0's disk fails.
        for name, tensor in tensors(self.accelerator, model, optimizer):
            if writer is not None and tensor is not None:
                writer.add(name, tensor)

        def done(writer: CheckpointWriter) -> None:
            self._written = writer.error is None
            if writer.error is not None:
                self._report(writer, writer.error)
                return
            seconds = time.perf_counter() - began
            self._prune(state)
            self._reports.append(
                {
                    "event": "checkpoint",
                    "name": folder.name,
                    "step": state["step"],
                    "bytes": writer.bytes,
                    "seconds": seconds,
                    "blocked_seconds": blocked,
                }
            )
            log.info("saved %s: %.2f GB in %.1f s", folder.name, writer.bytes / 1e9, seconds)
            _check_grace(seconds)

        blocked = time.perf_counter() - began
        if writer is not None:
            self._job = writer.finish(state, then=done)

    def _join(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            job.result()

    def _report(self, writer: CheckpointWriter, error: OSError) -> None:
        steps = self.steps()
        log.warning(
            "%s could not be written (%s): training continues%s; it needs %.3f GB, and %.3f GB are free: "
            "move away old runs (*.old-N), old-* checkpoints or prepared data, or lower checkpoint.keep_last",
            writer.folder,
            error.strerror or error,
            f", and {steps[-1].name} remains the newest checkpoint" if steps else "",
            writer.bytes / 1e9,
            shutil.disk_usage(self.folder).free / 1e9,
        )

    def _prune(self, newest: dict[str, Any]) -> None:
        """Remove all but the newest `keep_last` checkpoints, and best weights that none of them names."""
        steps = [folder for folder in self.steps() if step_of(folder) <= newest["step"]]
        for folder in steps[: -self.keep_last]:
            remove_folder(folder)
        named = {newest["best_step"]}
        for folder in (*steps[-self.keep_last :], *self.folder.glob("old-*-step-*")):
            with contextlib.suppress(UserError):
                named.add(CheckpointReader(folder).state["best_step"])
        kept = {self.best(step) for step in named if step is not None}
        for folder in best_weights(self.folder):
            if folder not in kept:
                remove_folder(folder)


def _state_bytes(model: torch.nn.Module, optimizer: AcceleratedOptimizer | None) -> int:
    """Bytes of the fp32 weights, and of the two moments of an optimiser."""
    # Of a parameter, ZeRO-3 shows its part.
    numel = sum(getattr(parameter, "ds_numel", parameter.numel()) for parameter in model.parameters())
    return 4 * numel * (1 if optimizer is None else 3)


def _size(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"


def _set_aside(folder: Path) -> Path:
    """Rename to the first free `old-N-<name>`; nothing is deleted."""
    number = 1
    while (target := folder.with_name(f"old-{number}-{folder.name}")).exists():
        number += 1
    return folder.rename(target)


def _check_grace(seconds: float) -> None:
    """Warn if torchrun would kill a rank before it has saved; the limit is fixed when torchrun starts."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return
    grace = float(os.environ.get("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", 30))
    needed = round(20 + 3 * seconds)  # a step, an evaluation's forward pass, and a disk that others use too
    if needed > max([grace, *_grace_told]):
        _grace_told.append(needed)
        log.warning(
            "saving takes %.0f s, but the launcher kills ranks %.0f s after a signal: start it with "
            "TORCH_ELASTIC_SHUTDOWN_TIMEOUT=%d",
            seconds,
            grace,
            needed,
        )
