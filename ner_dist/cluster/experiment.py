"""A whole experiment under Slurm: recipes x seeds as an array job, then a job that compares them.

EXPERIMENT/runs.tsv                a line a run, in the order of the array: recipe, key=value, tab-separated
EXPERIMENT/jobs.json               what was submitted last
EXPERIMENT/logs/                   a log a job
EXPERIMENT/<recipe>/seed-<seed>/   the runs
EXPERIMENT/comparison/             compare.json and the report
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.cluster import slurm
from ner_dist.cluster.variants import Third, Variant, refits_of, third_variants
from ner_dist.errors import UserError
from ner_dist.files import check_folder
from ner_dist.launch import LaunchConfig
from ner_dist.recipe_file import load_recipe
from ner_dist.run.output import check_output
from ner_dist.shipped import shipped_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.recipe import Recipe

SCRIPTS = Path("launch/slurm")
RUNS, JOBS, LOGS, COMPARISON = "runs.tsv", "jobs.json", "logs", "comparison"


@dataclass(frozen=True)
class SubmitOptions:
    """How to submit; what is None is left to the script and to Slurm."""

    launch_config: str | None = None
    nodes: int | None = None
    gpus_per_node: int | None = None
    time: str | None = None
    partition: str | None = None
    account: str | None = None
    sbatch: Sequence[str] = ()
    """Further options of sbatch for the trainings, each of one or several words. They win over the others."""

    def words(self, *names: str) -> list[str]:
        """Those of some options that are given, as sbatch takes them."""
        values = {name: getattr(self, name) for name in names}
        return [f"--{name.replace('_', '-')}={value}" for name, value in values.items() if value is not None]


@dataclass(frozen=True)
class PlannedRun:
    """One training of the array."""

    index: int
    name: str
    recipe: str
    """The recipe's file, as the user gave it."""
    seed: int
    folder: str
    overrides: tuple[str, ...]
    """All that changes the recipe, `output_dir` and `train.seed` included."""

    def recorded(self) -> dict[str, Any]:
        """Its entry in jobs.json."""
        return {key: value for key, value in asdict(self).items() if key != "overrides"}


@dataclass(frozen=True)
class Experiment:
    """An experiment to submit. Nothing is written before `submit`."""

    folder: Path
    runs: list[PlannedRun]
    recipes: list[Recipe]
    """One of each model: its runs need the same data."""
    options: SubmitOptions

    @property
    def runs_file(self) -> Path:
        return self.folder / RUNS

    @property
    def compares(self) -> bool:
        return len(self.recipes) > 1

    def train_command(self) -> list[str]:
        """Submits the array of trainings."""
        options = [
            f"--array=0-{len(self.runs) - 1}",
            f"--output={self._log('%x-%A_%a.log')}",
            *self.options.words("nodes", "gpus_per_node", "time", "partition", "account"),
            *(word for text in self.options.sbatch for word in shlex.split(text)),
        ]
        arguments = ["--runs", str(self.runs_file)]
        if self.options.launch_config is not None:
            arguments += ["--launch-config", self.options.launch_config]
        return slurm.sbatch_command(options, find_script("train.sbatch"), arguments)

    def compare_command(self, array: str) -> list[str]:
        """Submits the comparison, which starts when every job of the array has ended, however it did."""
        options = [
            f"--dependency=afterany:{array}",
            f"--output={self._log('%x-%j.log')}",
            *self.options.words("partition", "account"),
        ]
        arguments = [*(run.folder for run in self.runs), "--out", str(self.folder / COMPARISON)]
        return slurm.sbatch_command(options, find_script("compare.sbatch"), arguments)

    def _log(self, pattern: str) -> str:
        # In the name of a log, Slurm replaces what follows a %.
        return f"{str(self.folder).replace('%', '%%')}/{LOGS}/{pattern}"


def plan_experiment(
    arguments: Sequence[str],
    *,
    seeds: str | None,
    out: str | Path,
    options: SubmitOptions,
    third: Third | None = None,
    refits: int | None = None,
) -> Experiment:
    """Find out what is to be submitted, and whether it could work. Reads only.

    Args:
        arguments: recipes and `key=value`, in any order.
        seeds: such as `1,2,3`; None is each recipe's own.
        out: the experiment's folder.
        options: how to submit.
        third: which third models to train, as in `third_variants`.
        refits: number of refits of each named recipe, on drawn training sentences.

    Raises:
        UserError: a recipe, an option, a script or the folder cannot be used.
    """
    folder = Path(out)
    paths, overrides = _sorted_out(arguments)
    if options.launch_config is not None:
        config = LaunchConfig.read(options.launch_config)
        options = replace(options, launch_config=config.path)
        if options.gpus_per_node:
            gpus = options.gpus_per_node
            config.check(machines=options.nodes or 1, per_machine=gpus, gpus=gpus)
    seed_list = None if seeds is None else _read_seeds(seeds)
    for name, option in (("output_dir", "--out"), *([("train.seed", "--seeds")] if seed_list else [])):
        if given := [text for text in overrides if text.startswith(f"{name}=")]:
            raise UserError(f"`{given[0]}` contradicts {option}", fix=f"leave it to {option}")
    check_folder(folder, where="--out")
    variants = [Variant(path, (), load_recipe(path, overrides)) for path in paths]
    if third is not None:
        variants += third_variants(variants, overrides, third)
    recipes = [variant.recipe for variant in variants]
    _check_names(recipes, [variant.path for variant in variants])
    planned = [
        (variant, variant.changes, seed, f"seed-{seed}")
        for variant in variants
        for seed in seed_list or [variant.recipe.train.seed]
    ]
    if refits is not None:
        _check_refits(refits, seed_list)
        # Of another seed each, so that refits vary with the seed as runs do.
        planned += [
            (variant, changes, draw, f"refit-{draw}")
            for variant in variants[: len(paths)]
            for draw, changes in enumerate(refits_of(variant, refits), start=1)
        ]
    runs: list[PlannedRun] = []
    for variant, changes, seed, name in planned:
        run_folder = str(folder / variant.recipe.name / name)
        own = (*overrides, *changes, f"output_dir={_as_yaml(run_folder)}", f"train.seed={seed}")
        runs.append(PlannedRun(len(runs), variant.recipe.name, variant.path, seed, run_folder, own))
    for run in runs:
        check_output(load_recipe(run.recipe, run.overrides))
    experiment = Experiment(folder, runs, recipes, options)
    _check_content(experiment)
    for name in ("train.sbatch", "compare.sbatch"):
        find_script(name)
    return experiment


def _sorted_out(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Recipes and overrides: what begins as a dotted key and `=` is an override, unless it is a file."""
    overrides = [text for text in arguments if re.match(r"[A-Za-z_][\w.]*=", text) and not _is_file(text)]
    for text in arguments:
        if re.search(r"[\t\r\n]", text):
            raise UserError(f"{text!r} contains a tab or a line break", fix="write it without")
    recipes = [text for text in arguments if text not in overrides]
    if not recipes:
        raise UserError("no recipe given", fix="ner-dist slurm recipes/full.yaml recipes/subset.yaml --out …")
    return recipes, overrides


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # a long list of labels is too long for a name
        return False


def _read_seeds(text: str) -> list[int]:
    try:
        seeds = [int(word) for word in text.split(",")]
    except ValueError:
        raise UserError(f"`{text}` is not a list of seeds", where="--seeds", fix="write 1,2,3") from None
    if len(set(seeds)) < len(seeds):
        raise UserError("a seed is named twice", where=f"--seeds {text}")
    return seeds


def _check_refits(number: int, seeds: list[int] | None) -> None:
    if number < 2 or seeds is None or len(seeds) < 2:
        raise UserError(
            "the variance of the training set needs two refits or more, and two seeds or more beside them",
            where="--refits",
            fix="write --seeds 1,2,3 --refits 10",
        )


def _check_names(recipes: list[Recipe], paths: list[str]) -> None:
    """Every recipe has a folder of its own, that of its name."""
    seen: dict[str, str] = {}
    for recipe, path in zip(recipes, paths, strict=True):
        if recipe.name in seen:
            raise UserError(
                f"is called {recipe.name}, as is {seen[recipe.name]}",
                where=path,
                fix="give each recipe its own `name`",
            )
        if recipe.name in (RUNS, JOBS, LOGS, COMPARISON):
            raise UserError(f"the name {recipe.name} is taken", where=path, fix="give it another `name`")
        seen[recipe.name] = path


def _as_yaml(text: str) -> str:
    """A path as an override's value: as it is, or in quotes if YAML would read something else."""
    return text if re.fullmatch(r"[\w./][\w./-]*( [\w./-]+)*", text) else json.dumps(text, ensure_ascii=False)


def _check_content(experiment: Experiment) -> None:
    """The folder holds nothing, or this very experiment."""
    folder, file = experiment.folder, experiment.runs_file
    if file.exists():
        if _same_runs(read_runs(file)) != _same_runs(
            [[run.recipe, *run.overrides] for run in experiment.runs]
        ):
            raise UserError(
                f"holds another experiment: its recipes, seeds or settings in {file} differ",
                where=f"--out {folder}",
                fix="name another folder",
            )
    elif folder.is_dir() and any(folder.iterdir()):
        raise UserError(
            "holds files that are not an experiment", where=f"--out {folder}", fix="name another folder"
        )


def _same_runs(rows: list[list[str]]) -> list[list[str]]:
    """Rows that are equal if their runs are, from whatever folder the paths are seen."""
    return [
        [str(Path(recipe).resolve()), *(text for text in overrides if not text.startswith("output_dir="))]
        for recipe, *overrides in rows
    ]


def runs_text(runs: Sequence[PlannedRun]) -> str:
    """The content of runs.tsv."""
    return "".join("\t".join([run.recipe, *run.overrides]) + "\n" for run in runs)


def read_runs(path: Path) -> list[list[str]]:
    """The lines of runs.tsv: each is a recipe and its overrides."""
    try:
        return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from None


def find_script(name: str) -> str:
    """A batch script of launch/slurm/: of the current folder, else the one that comes with ner_dist.

    Raises:
        UserError: there is no such script.
    """
    here, shipped = SCRIPTS / name, shipped_folder("launch") / "slurm" / name
    for path in (here, shipped):
        if path.is_file():
            return str(path)
    raise UserError(
        f"there is no {here}, neither in the current folder nor with ner_dist",
        fix="run the command in a checkout of the repository",
    )
