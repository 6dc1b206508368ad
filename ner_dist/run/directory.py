"""A run's directory: the paths of its files, and checks before a recipe writes there.

RUN/recipe.yaml          the resolved recipe and its provenance
RUN/metrics.jsonl        one JSON object per event
RUN/checkpoints/         complete checkpoints only
RUN/model/               the trained model, in Hugging Face format
RUN/results.json         written last: a run that has it is complete
RUN/SHA256SUMS           checksums of results, model and predictions
RUN/slurm.json           the Slurm job that trains it, if one does
RUN/predictions/         one JSON object per sentence
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ner_dist.errors import UserError
from ner_dist.files import aside, check_folder, printable, read_json, typed
from ner_dist.recipe import Precision, Recipe, as_begun
from ner_dist.recipe_file import differing_keys, load_recipe
from ner_dist.run.checksums import SUMS, check

log = logging.getLogger(__name__)

LOCK, HOLDER = TRACES = (".lock", ".holder.json")
"""Files with which a training locks the directory; see `lock.py`."""
PROBE = ".preflight"
"""File that the preflight writes, to check that other machines see it."""


@dataclass(frozen=True)
class Run:
    """The paths of one output directory.

    Example:
        >>> import json, ner_dist
        >>> from pathlib import Path
        >>> run = ner_dist.Run(Path("runs/full"))
        >>> run.complete, run.model.name
        (True, 'model')
        >>> sorted(json.loads(run.results.read_text())["test"]["macro"])
        ['f1', 'precision', 'recall']
    """

    folder: Path

    @property
    def recipe(self) -> Path:
        return self.folder / "recipe.yaml"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def newest_step(self) -> int:
        """Step of the newest checkpoint, 0 if there is none."""
        return max(map(step_of, step_checkpoints(self.checkpoints)), default=0)

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def results(self) -> Path:
        return self.folder / "results.json"

    @property
    def job(self) -> Path:
        return self.folder / "slurm.json"

    def predictions(self, split: str) -> Path:
        return self.folder / "predictions" / f"{split}.jsonl"

    @property
    def complete(self) -> bool:
        return self.results.exists()


def step_checkpoints(checkpoints: Path) -> list[Path]:
    """The periodic checkpoints in RUN/checkpoints, oldest first, without those that were set aside."""
    folders = _folders(checkpoints, "step-")
    return sorted((folder for folder in folders if folder.name.removeprefix("step-").isdigit()), key=step_of)


def step_of(checkpoint: Path) -> int:
    """The step after which a periodic checkpoint was saved."""
    return int(checkpoint.name.removeprefix("step-"))


def best_weights(checkpoints: Path) -> list[Path]:
    """The folders of best weights in RUN/checkpoints."""
    return _folders(checkpoints, "best-")


def _folders(checkpoints: Path, prefix: str) -> list[Path]:
    """The folders whose names begin so; none if RUN is renamed at this moment."""
    try:
        return [path for path in checkpoints.iterdir() if path.name.startswith(prefix)]
    except OSError:
        return []


def find_run(path: str | Path) -> Run:
    """The complete run at `path`."""
    run = Run(Path(path))
    if not run.folder.is_dir():
        raise UserError(
            "there is no such run", where=str(path), fix="name the output directory of a training"
        )
    if not run.complete:
        raise UserError(
            f"holds no complete run ({run.results.name} is missing)",
            where=str(path),
            fix="train it to the end first",
        )
    return run


def read_results(run: Run) -> dict[str, Any]:
    """The run's `results.json`.

    Raises:
        UserError: it is damaged.
    """
    check(run.folder, run.results.name)
    try:
        known = json.loads(run.results.read_text(encoding="utf-8"))
        what = None if isinstance(known, dict) else "is not a JSON object"
    except (OSError, ValueError, RecursionError) as error:
        what = f"cannot be read: {error}"
    if what is not None:
        raise UserError(what, where=str(run.results), fix=_REPEAT)
    result: dict[str, Any] = known
    return result


_REPEAT = "repeat the command that trained it, which writes it again"


def read_recipe(run: Run) -> Recipe | None:
    """The recipe of a run, for reading the run; None if there is none.

    Raises:
        UserError: it is damaged.
    """
    try:
        read = load_recipe(run.recipe) if run.recipe.exists() else None
    except UserError as error:
        raise UserError(error.what, where=error.where, fix=_REPEAT) from None
    kept = None if read is None else _recipe_of_checkpoints(run)
    if read is not None and kept is not None and (keys := differing_keys(read, kept)):
        log.warning("%s differs from the recipe of its checkpoints in %s", run.recipe, ", ".join(keys[:4]))
    return read


def model_of(path: str | Path) -> str:
    """The model's folder of a run; any other path or hub name as it is.

    Raises:
        UserError: the run has no model yet.
    """
    run = Run(Path(path))
    if run.model.is_dir():
        return str(run.model)
    if is_run(run) and not (run.folder / "config.json").exists():
        fix = _REPEAT if run.complete else "wait for its training, or train it to the end"
        raise UserError("is a run without a model", where=printable(run.folder), fix=fix)
    return str(path)


def predicts_iob2(run: Run) -> bool:
    """Whether a complete run is known to have been trained on IOB2: older ones took tags as they were."""
    data = read_json(run.results).get("data")
    return isinstance(data, dict) and "train_scheme" in data


def scored_precision(run: Run) -> Precision | None:
    """The precision in which a complete run was scored, which its figures need; None if that is unknown."""
    environment = read_json(run.results).get("environment")
    known = environment.get("precision") if isinstance(environment, dict) else None
    found: Precision | None = known if known in ("fp32", "bf16", "fp16") else None
    return found


@dataclass(frozen=True)
class Output:
    """A recipe's output directory, and the run that it already contains."""

    run: Run
    earlier: Recipe | None = None
    """The recipe of the existing run; None if there is none."""
    moves_aside: bool = False
    """Whether the existing contents have to be moved aside first."""
    restored: str | None = None
    """Why `earlier` is from a checkpoint: what is wrong with recipe.yaml."""


def check_output(recipe: Recipe) -> Output:
    """Check that the recipe may write to its `output_dir`. Only reads, so that all ranks can call it.

    Raises:
        UserError: the directory holds another recipe's run or other files, or cannot be written to.
    """
    run = Run(Path(recipe.output_dir))
    check_folder(run.folder, where="output_dir")
    if not has_content(run):
        return Output(run)
    if (recipe.overwrite or recipe.resume == "never") and Path.cwd().is_relative_to(run.folder.resolve()):
        raise UserError(
            "holds the current directory, so it cannot be moved aside",
            where=f"output_dir {run.folder}",
            fix="name another output_dir",
        )
    restored = None
    try:
        earlier, restored = _begun_with(run, recipe)
    except UserError:
        if not recipe.overwrite:
            raise
        earlier = None
    keys = [] if earlier is None else differing_keys(earlier, recipe)
    if keys and not recipe.overwrite and _has_progress(run):
        raise _another_recipe(run, keys)
    foreign = earlier is None or bool(keys)
    moves_aside = recipe.resume == "never" or (recipe.overwrite and foreign)
    return Output(run, earlier, moves_aside=moves_aside, restored=restored)


def _begun_with(run: Run, asked: Recipe) -> tuple[Recipe, str | None]:
    """The recipe that a run was begun with; and why it is not that of recipe.yaml, which may be damaged.

    Raises:
        UserError: it cannot be read, and no checkpoint has it; or the folder holds no run.
    """
    kept, damaged = _recipe_of_checkpoints(run), UserError("is missing", where=str(run.recipe))
    try:
        if run.recipe.exists():
            read = load_recipe(run.recipe)
            if kept is None or not differing_keys(read, asked) or differing_keys(kept, asked):
                return read, None
            # Cut short, a file may still be a recipe.
            damaged = UserError("is not the recipe of its checkpoints", where=str(run.recipe))
    except UserError as error:
        damaged = error
    if kept is not None:
        return kept, f"{damaged.where} {damaged.what}: taking the recipe from the newest checkpoint"
    saved = any(step_checkpoints(run.checkpoints)) or any(best_weights(run.checkpoints))
    if not (saved or run.recipe.exists() or (run.folder / SUMS).exists()):
        raise UserError(
            "holds files that are not a run of ner_dist",
            where=f"output_dir {run.folder}",
            fix="name another output_dir, or pass overwrite=true to move it aside",
        )
    fix = "copy the recipe there that it was trained with, or pass overwrite=true to move the run aside"
    raise UserError(damaged.what, where=damaged.where, fix=fix)


def _recipe_of_checkpoints(run: Run) -> Recipe | None:
    """The recipe that the newest checkpoint holds; None without one, or if an older version saved it."""
    for checkpoint in reversed(step_checkpoints(run.checkpoints)):
        with suppress(ValidationError):
            return Recipe.model_validate(read_json(checkpoint / "state.json").get("recipe"))
    return None


def as_its_run(recipe: Recipe, output: Output) -> Recipe:
    """The recipe with the defaults under which the run it continues was started.

    Only reads, so that all ranks can call it.
    """
    if recipe.resume == "never":
        return recipe
    if output.restored and not output.moves_aside:
        log.warning("%s", output.restored)
    origin, begun = output.run.recipe, output.earlier
    if not _has_progress(output.run) and recipe.resume != "auto":
        origin = Path(recipe.resume).parent.parent / origin.name
        begun = load_recipe(origin) if origin.exists() else None
    if begun is None or differing_keys(begun, recipe):
        return recipe  # another run, which is about to be moved aside or refused
    same = as_begun(recipe, begun)
    pairs = (
        (section, getattr(recipe, section), getattr(same, section)) for section in ("train", "evaluation")
    )
    kept = [
        f"{section}.{key}={value}"
        for section, asked, its in pairs
        for key, value in its
        if value != getattr(asked, key)
    ]
    if kept:
        log.info(
            "%s was started with %s, which the recipe leaves open: keeping these",
            origin.parent,
            ", ".join(kept),
        )
    return same


def _another_recipe(run: Run, keys: list[str]) -> UserError:
    listed = ", ".join(keys[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")
    if run.complete and all(key.startswith("train.") for key in keys):
        # A changed number of epochs usually means training a finished model further.
        what = f"holds a finished run with other settings (they differ in {listed})"
        fix = (
            f"its schedule has ended: to train its model further, pass model.name={typed(run.model)} and "
            "another output_dir; to start over, pass overwrite=true, which moves the old run aside"
        )
    else:
        what = f"holds the run of another recipe (they differ in {listed})"
        fix = "name another output_dir, or pass overwrite=true to move the old run aside"
        if not run.complete:
            fix = f"to finish it with its own recipe, train {typed(run.recipe)}; otherwise {fix}"
    return UserError(what, where=f"output_dir {run.folder}", fix=fix)


def is_run(run: Run) -> bool:
    """Whether a training has at least started there."""
    return run.recipe.exists() or run.metrics.exists()


def has_content(run: Run) -> bool:
    """Whether the folder contains anything but what a start leaves that ends before recipe.yaml is there.

    These are lock files, files of a job, an empty folder of checkpoints, and unfinished files.
    """
    return run.folder.is_dir() and not all(_begins_a_run(run, path) for path in run.folder.iterdir())


def _begins_a_run(run: Run, path: Path) -> bool:
    if path.name == run.checkpoints.name:
        return path.is_dir() and not any(path.iterdir())
    beginnings = {*TRACES, PROBE, run.job.name}
    return path.name in beginnings | {
        aside(path.with_name(name)).name for name in (*beginnings, run.recipe.name)
    }


def _has_progress(run: Run) -> bool:
    """Whether training made progress; a recipe that failed before may be fixed and started again."""
    trained = run.metrics.exists() and run.metrics.stat().st_size > 0
    return trained or run.complete or (run.checkpoints.is_dir() and any(run.checkpoints.iterdir()))


def move_aside(run: Run) -> Path | None:
    """Rename an old run's folder to the first free `<folder>.old-N`; nothing is deleted."""
    if not has_content(run):
        return None
    number = 1
    while (target := run.folder.with_name(f"{run.folder.name}.old-{number}")).exists():
        number += 1
    run.folder.rename(target)
    if (job := target / run.job.name).exists():  # it stands for the training that begins
        run.folder.mkdir()
        job.rename(run.job)
    log.info("moved the old run to %s", target)
    return target
