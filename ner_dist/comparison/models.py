"""Group runs and files into models A, B, ..., each with one run or with runs of different seeds.

Runs whose recipes differ only in `train.seed` form one model: a difference between two single runs may be due
to their seeds. Those that differ in `data.resample` too are its refits, which show how it varies with the
training set; no figure of the model is made of them.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.comparison.prediction_files import read_file, read_run
from ner_dist.comparison.results import HeadlineFigures, SplitFigures, TrainFigures
from ner_dist.comparison.training_overlap import with_training
from ner_dist.data.corpus import check_words
from ner_dist.data.readers import format_by_ending
from ner_dist.data.renaming import check as check_renaming
from ner_dist.errors import UserError
from ner_dist.files import printable
from ner_dist.formatting import known
from ner_dist.recipe_file import differing_keys
from ner_dist.run.directory import Run, find_run, read_recipe, read_results

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ner_dist.comparison.predictions import Predictions
    from ner_dist.data.renaming import Renaming
    from ner_dist.data.tags import Repair
    from ner_dist.recipe import Recipe


_Recipes = dict[Run, "Recipe | None"]


@dataclass
class ComparedModel:
    """One model; the lists have one element per run, or one for a plain file."""

    name: str
    paths: list[str]
    runs: list[Run | None]
    """None for a plain file."""
    seeds: list[int | None]
    recipe: Recipe | None = None
    """Of the first run; a plain file, and a run that was copied without it, have none."""
    own: list[Predictions] = field(default_factory=list)
    headline: list[HeadlineFigures] = field(default_factory=list)
    """Scores that each run reports."""
    refits: list[Predictions] = field(default_factory=list)
    """Predictions of runs on training sets that were drawn with replacement (`data.resample`)."""


def models_of(
    paths: Sequence[str | Path],
    names: Mapping[str, str] | None = None,
    *,
    grouped: Mapping[str, Sequence[str | Path]] | None = None,
    renaming: Renaming | None = None,
    repair: Repair = "none",
    split: str = "test",
) -> dict[str, ComparedModel]:
    """The models by letter, with their predictions and headline figures.

    Args:
        paths: runs and plain files of predictions. Two are models A and B; of more, runs whose recipes differ
            only in `train.seed` form one model, and letters follow the first run of each.
        grouped: by letter: runs or files that are seeds of one model. The models of `paths` then have the
            other letters.
        names: names for models, by letter; the default is the recipe's or the file's name.
        renaming: new names for types.
        repair: repair of gold tags, as in `data.repair`.
        split: the split whose predictions are read from runs.

    Raises:
        UserError: a path is missing, incomplete or holds no predictions, or there are fewer than two models.
    """
    groups, recipes = _groups(paths, grouped or {})
    if len(groups) < 2:
        raise UserError(
            f"the runs are of one model: they differ in train.seed only ({', '.join(map(str, paths))})",
            fix="name runs of two recipes, or two runs to compare two seeds",
        )
    models = {letter: _read(group, recipes, repair, split) for letter, group in groups.items()}
    if renaming:
        known = {letter: model.own[0].labels.types for letter, model in models.items()}
        check_renaming(renaming, {f"{letter} has": types for letter, types in known.items()})
        for model in models.values():
            model.own = [run.rename(renaming) for run in model.own]
            model.refits = [run.rename(renaming) for run in model.refits]
    _set_names(models, names or {})
    return models


def _groups(
    paths: Sequence[str | Path], grouped: Mapping[str, Sequence[str | Path]]
) -> tuple[dict[str, list[Run | Path]], _Recipes]:
    """The runs and files of each model, by letter, and the recipes of all runs."""
    if len(paths) + len(grouped) < 2:
        raise UserError(
            "a comparison is of two runs or more",
            fix="name the output directories of trainings, or files of predictions",
        )
    sources = _sources(paths)
    given = {letter: _sources(own) for letter, own in grouped.items()}
    named = [source for own in (sources, *given.values()) for source in own]
    recipes = {source: read_recipe(source) for source in named if isinstance(source, Run)}
    apart = len(sources) == (1 if grouped else 2)
    rest = [[source] for source in sources] if apart else _by_recipe(sources, recipes)
    if len(rest) + len(grouped) > len(string.ascii_uppercase):
        number = len(rest) + len(grouped)
        raise UserError(f"{number} models are too many to compare at once", fix="name 26 or fewer")
    free = [letter for letter in string.ascii_uppercase if letter not in given]
    groups = {**given, **dict(zip(free, rest, strict=False))}
    letters = string.ascii_uppercase[: len(groups)]
    for letter, own in given.items():
        if letter not in letters:
            fix = f"the letters of {len(groups)} models are {', '.join(letters)}"
            raise UserError(f"'{letter}' names no model", where="--runs", fix=fix)
        if len({type(source) for source in own}) > 1:
            fix = "name the runs' predictions/test.jsonl"
            raise UserError(f"runs and files are named for {letter}", where="--runs", fix=fix)
    return {letter: groups[letter] for letter in sorted(groups)}, recipes


def _sources(paths: Sequence[str | Path]) -> list[Run | Path]:
    """The runs, and the paths of plain files; one error names all runs that are not complete."""
    sources = [_source(Path(path)) for path in paths]
    unfinished = [str(run.folder) for run in sources if isinstance(run, Run) and not run.complete]
    if len(unfinished) > 1:
        raise UserError(
            f"{len(unfinished)} of {len(paths)} runs are not complete: {', '.join(unfinished)}",
            fix="train them to the end first",
        )
    return [find_run(source.folder) if isinstance(source, Run) else source for source in sources]


def _source(path: Path) -> Run | Path:
    if path.is_file():
        return path
    if format_by_ending(path) is not None and not path.exists():
        raise UserError(
            "there is no such file", where=str(path), fix="name a file of predictions, or a run's directory"
        )
    return Run(path)


def _by_recipe(sources: list[Run | Path], recipes: _Recipes) -> list[list[Run | Path]]:
    groups: list[tuple[Recipe | None, dict[tuple[int | None, int | None], Run | Path]]] = []
    for source in sources:
        if isinstance(source, Path):
            groups.append((None, {(None, None): source}))
            continue
        recipe = recipes[source]
        if recipe is None:
            raise UserError(
                f"has no {source.recipe.name}, which says whether two runs are seeds of one model",
                where=str(source.folder),
                fix="compare it with one other run, or name its predictions/test.jsonl in its place",
            )
        seed = recipe.train.seed
        runs = next((runs for other, runs in groups if other and _same_but_for_seed(other, recipe)), None)
        if runs is None:
            groups.append((recipe, {(seed, recipe.data.resample): source}))
        elif isinstance(twin := runs.get((seed, recipe.data.resample)), Run):
            twice = source.folder.resolve() == twin.folder.resolve()
            what = "is named twice" if twice else f"has seed {seed} of {recipe.name}, as has {twin.folder}"
            raise UserError(what, where=str(source.folder), fix="name one of them")
        else:
            runs[seed, recipe.data.resample] = source
    return [list(runs.values()) for _, runs in groups]


def _same_but_for_seed(one: Recipe, other: Recipe) -> bool:
    return set(differing_keys(one, other)) <= {"train.seed", "data.resample"}


def _without_refits(runs: list[Run], recipes: _Recipes) -> tuple[list[Run], list[Run]]:
    """The runs of a model on all of its training sentences, and its refits.

    Runs that are all on one draw are no refits: they are seeds of this draw.
    """
    if len(runs) == 1:
        return runs, []
    draws = {run: recipe.data.resample if (recipe := recipes[run]) else None for run in runs}
    if len({*draws.values()}) == 1:
        return runs, []
    whole = [run for run in runs if draws[run] is None]
    if not whole:
        raise UserError(
            "the runs of one model are all on draws of its training sentences",
            where=", ".join(printable(run.folder) for run in runs),
            fix="name a run without data.resample too",
        )
    return whole, [run for run in runs if draws[run] is not None]


def _read(sources: list[Run | Path], recipes: _Recipes, repair: Repair, split: str) -> ComparedModel:
    source = sources[0]
    if isinstance(source, Path):
        return _read_files([path for path in sources if isinstance(path, Path)], repair, split)
    runs, refits = _without_refits([run for run in sources if isinstance(run, Run)], recipes)
    results = [_results(run, split) for run in runs]
    own = [
        read_run(run, result["labels"], split=split, repair=repair)
        for run, result in zip(runs, results, strict=True)
    ]
    if all(each.seen is None for each in own):
        own[0] = with_training(own[0], runs[0])
    return ComparedModel(
        name=results[0]["name"],
        paths=[printable(run.folder) for run in runs],
        runs=[*runs],
        seeds=[recipe.train.seed if (recipe := recipes[run]) else None for run in runs],
        recipe=recipes[runs[0]],
        own=own,
        headline=[_headline(result) for result in results],
        refits=[read_run(run, _results(run, split)["labels"], split=split, repair=repair) for run in refits],
    )


def _read_files(files: list[Path], repair: Repair, split: str) -> ComparedModel:
    """One model of plain files, each of another seed."""
    own = [read_file(file, repair=repair) for file in files]
    if len(own) > 1:
        # A type that one seed never predicts is one of the model's all the same.
        types = dict.fromkeys(name for each in own for name in each.labels.types)
        own = [read_file(file, types=list(types), repair=repair) for file in files]
    name = printable(files[0].name.removesuffix(".gz"))
    return ComparedModel(
        name=name.removesuffix(Path(name).suffix),
        paths=[*map(printable, files)],
        runs=[None] * len(files),
        seeds=[None] * len(files),
        own=own,
        headline=[_headline_of_file(each, split) for each in own],
    )


def _results(run: Run, split: str) -> dict[str, Any]:
    """The content of results.json, checked for everything that a comparison needs."""
    result = read_results(run)
    if result.get(split) is None:
        fix = f"train with data.splits.{split} set"
        if run.predictions(split).exists():  # as `ner-dist evaluate` leaves them
            fix = f"name {run.predictions(split)} in its place"
        raise UserError(f"has no {split} figures", where=str(run.results), fix=fix)
    labels = result.get("labels")
    wanted = {
        "name": isinstance(result.get("name"), str),
        "labels": isinstance(labels, list) and all(isinstance(name, str) for name in labels),
        f"{split}.f1": _figure(result, split, "f1") is not None,
    }
    for key, there in wanted.items():
        if not there:
            fix = f"name the run's predictions/{split}.jsonl in its place"
            raise UserError(f"holds no `{key}` that can be used", where=str(run.results), fix=fix)
    check_words([[result["name"], *result["labels"]]], lambda _: str(run.results))
    return result


def _headline(result: dict[str, Any]) -> HeadlineFigures:
    """The figures of results.json; None where one is missing or not a number."""
    return HeadlineFigures(
        train=TrainFigures(loss=_figure(result, "train", "loss")),
        validation=_split_figures(result, "validation"),
        test=_split_figures(result, "test"),
    )


def _split_figures(result: dict[str, Any], split: str) -> SplitFigures:
    return SplitFigures(
        loss=_figure(result, split, "loss"),
        precision=_figure(result, split, "precision"),
        recall=_figure(result, split, "recall"),
        f1=_figure(result, split, "f1"),
        accuracy=_figure(result, split, "accuracy"),
        macro_f1=_figure(result, split, "macro", "f1"),
    )


def _headline_of_file(predictions: Predictions, split: str) -> HeadlineFigures:
    figures = {"validation": SplitFigures(), "test": SplitFigures()}
    figures[split] = SplitFigures(loss=None, **predictions.scores.overall())
    return HeadlineFigures(train=TrainFigures(), **figures)


def _figure(result: dict[str, Any], *path: str) -> float | None:
    """The number at a path in nested dictionaries; None if there is none."""
    value: Any = result
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if known(value) else None


def _set_names(models: dict[str, ComparedModel], names: Mapping[str, str]) -> None:
    for letter in names:
        if letter not in models:
            fix = f"the models are {', '.join(models)}"
            raise UserError(f"there is no model {letter} to be named", where="--names", fix=fix)
    given = [model.name for model in models.values()]
    for letter, model in models.items():
        if given.count(model.name) > 1:
            model.name = model.paths[0]
        model.name = names.get(letter, model.name)
