"""Check that a recipe may write to its output directory, and what of an earlier run is there."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from ner_dist.errors import UserError
from ner_dist.files import aside, check_folder, typed
from ner_dist.recipe import Recipe, as_begun
from ner_dist.recipe_file import differing_keys, load_recipe
from ner_dist.run.checksums import SUMS
from ner_dist.run.directory import (
    PROBE,
    TRACES,
    Run,
    best_weights,
    recipe_of_checkpoints,
    step_checkpoints,
)

log = logging.getLogger(__name__)


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
    kept, damaged = recipe_of_checkpoints(run), UserError("is missing", where=str(run.recipe))
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
