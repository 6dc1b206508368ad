"""A run's directory: the paths of its files, and reading its recipe and results.

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
from ner_dist.files import printable, read_json
from ner_dist.recipe import Precision, Recipe
from ner_dist.recipe_file import differing_keys, load_recipe
from ner_dist.run.checksums import check

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
    kept = None if read is None else recipe_of_checkpoints(run)
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


def recipe_of_checkpoints(run: Run) -> Recipe | None:
    """The recipe that the newest checkpoint holds; None without one, or if an older version saved it."""
    for checkpoint in reversed(step_checkpoints(run.checkpoints)):
        with suppress(ValidationError):
            return Recipe.model_validate(read_json(checkpoint / "state.json").get("recipe"))
    return None


def is_run(run: Run) -> bool:
    """Whether a training has at least started there."""
    return run.recipe.exists() or run.metrics.exists()
