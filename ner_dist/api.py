"""Commands as functions, for `import ner_dist`. They leave torch as they found it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ner_dist.comparison.compare import RESAMPLES
from ner_dist.comparison.compare import compare as compare_models
from ner_dist.comparison.requirements import Requirement
from ner_dist.report.write import write_report
from ner_dist.train import train

if TYPE_CHECKING:
    from ner_dist.comparison.results import Comparison
    from ner_dist.recipe import Recipe
    from ner_dist.run.directory import Run


def train_recipe(recipe: Recipe) -> Run:
    """Train, score and save what a recipe describes; a run that is complete is left as it is.

    This is `ner-dist train` in one process, on a GPU if there is one. Call it in the main thread: Ctrl-C
    saves the training before it ends, and the same call then continues it.

    Args:
        recipe: what to train; see `load_recipe`.

    Returns:
        The run: its model, its predictions and its results.

    Raises:
        UserError: the recipe, the data or the folder cannot be used.
        ner_dist.runtime.signals.Stopped: a signal stopped the training; what was trained is saved.

    Example:
        >>> import ner_dist
        >>> recipe = ner_dist.load_recipe("tiny.yaml", ["output_dir=runs/short", "train.max_steps=3"])
        >>> run = ner_dist.train_recipe(recipe)
        >>> run.complete
        True
    """
    return train(recipe)


def compare(
    *paths: str | Path,
    out: str | Path,
    names: Mapping[str, str] | None = None,
    grouped: Mapping[str, Sequence[str | Path]] | None = None,
    renaming: Mapping[str, str | None] | None = None,
    resamples: int = RESAMPLES,
    repair: Literal["none", "begin"] = "none",
    split: Literal["test", "validation"] = "test",
    seed_sd: float | None = None,
    seed_sd_from: Sequence[str | Path] = (),
    partial: bool = False,
    requirements: Sequence[str] = (),
    report: bool = True,
) -> Comparison:
    """Compare models: each on its own labels, all on the types and sentences they share, with error bars.

    Args:
        paths: complete runs, and files of predictions (JSONL, CoNLL). Two are models A and B; of more, runs
            whose recipes differ in nothing but `train.seed` are seeds of one model.
        out: folder for compare.json, report.md and report.html.
        names: what to call models, by letter, such as `{"A": "full"}`.
        grouped: by letter: runs or files that are seeds of one model, such as
            `{"B": ["t1.jsonl", "t2.jsonl"]}`; the models of `paths` then have the other letters.
        renaming: the name to use for a type, in all files that have it; None leaves the type out.
        resamples: number of bootstrap resamples.
        repair: `begin` has an entity begin with a gold I- that continues none.
        split: split of the runs to compare on; files are taken as they are.
        seed_sd: standard deviation of F1 between seeds, known from elsewhere, for models with one run each.
        seed_sd_from: folders of earlier runs of several seeds, which show this standard deviation.
        partial: compare on less than half of a file's sentences too.
        requirements: such as `B >= A - 0.005`: whether each holds is in `requirements` of the result.
        report: whether to write report.md and report.html beside compare.json.

    Returns:
        The comparison; its `figures` are what compare.json holds.

    Raises:
        UserError: a path is no complete run or file of predictions, the models share no type or sentence, or
            an option does not fit them.

    Example:
        >>> import ner_dist
        >>> comparison = ner_dist.compare("runs/full", "runs/subset", out="comparison", resamples=100)
        >>> comparison.shared.types
        ['PER', 'LOC']
    """
    comparison = compare_models(
        *paths,
        out=out,
        names=names,
        grouped=grouped,
        renaming=renaming,
        resamples=resamples,
        repair=repair,
        split=split,
        seed_sd=seed_sd,
        seed_sd_from=seed_sd_from,
        partial=partial,
        requirements=[Requirement.parse(text) for text in requirements],
    )
    if report:
        write_report(comparison, Path(out))
    return comparison
