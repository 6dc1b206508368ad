"""The section of a model card on a comparison that the model was part of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.comparison.compare import COMPARED
from ner_dist.errors import UserError
from ner_dist.files import printable, read_json
from ner_dist.formatting import counted, interval, joined, score
from ner_dist.outside import in_markdown
from ner_dist.run.directory import read_results

if TYPE_CHECKING:
    from ner_dist.run.directory import Run


def compared(run: Run, folder: Path) -> str:
    """The verdict of a comparison, and the scores of its models on the types and sentences they share.

    Args:
        run: one of the runs that were compared.
        folder: what `ner-dist compare --out` named.

    Raises:
        UserError: the folder holds no comparison, or one of other runs or of earlier figures of this one.
    """
    figures = read_json(folder / COMPARED)
    again = f"ner-dist compare {printable(run.folder)} OTHER_RUN --out {printable(folder)}"
    if "verdict" not in figures or "uncertainty" not in figures:
        raise UserError(f"holds no {COMPARED}", where=f"--comparison {printable(folder)}", fix=again)
    models: dict[str, dict[str, Any]] = figures["runs"]
    own = _letter(models, run)
    if own is None:
        what = f"is not about {printable(run.folder)}"
        raise UserError(what, where=f"--comparison {printable(folder)}", fix=again)
    headline = figures["headline"][own]
    if len(models[own]["paths"]) == 1 and headline["mean"]["test"]["f1"] != read_results(run)["test"]["f1"]:
        what = f"has other scores of {printable(run.folder)} than its results.json"
        raise UserError(what, where=f"--comparison {printable(folder)}", fix=again)
    lines = ["## Compared with other models", "", f"This model is {own}.{_seeds(models[own], headline)}"]
    verdict = in_markdown(_without_paths(figures["verdict"]["paragraph"], models))
    lines += ["", verdict, "", "| model | types | F1 on the same ground | interval |", "|---|---|---|---|"]
    for letter, model in models.items():
        f1 = figures["uncertainty"]["models"][letter]["micro"]["f1"]
        name = in_markdown(_without_paths(model["name"], models))
        cells = [f"{letter}, {name}", str(len(model["labels"])), score(figures["shared"][letter]["f1"])]
        lines.append(f"| {' | '.join([*cells, interval(f1['low'], f1['high'])])} |".replace("\n", " "))
    level = 100 * figures["uncertainty"]["level"]
    shared, split = figures["shared"], figures.get("split", "test")
    lines += [
        "",
        f"The same ground: {counted(shared['sentences'], f'{split} sentence')} and "
        f"{counted(len(shared['types']), 'type')} that all models have. Intervals are of {level:g} %.",
    ]
    return "\n".join(lines)


def _letter(models: dict[str, dict[str, Any]], run: Run) -> str | None:
    """The model that a run is one of; None if it is in no model."""
    folder = run.folder.resolve()
    paths = [(Path(path), letter) for letter, model in models.items() for path in model["paths"]]
    same = {letter for path, letter in paths if path.resolve() == folder}
    # A relative path may count from another folder.
    called = {letter for path, letter in paths if path.name == folder.name}
    return next((found.pop() for found in (same, called) if len(found) == 1), None)


def _seeds(model: dict[str, Any], headline: dict[str, Any]) -> str:
    """The figures over all seeds of the model, as a sentence; empty for a single run."""
    if headline["std"] is None:
        return ""
    seeds = [str(seed) for seed in model["seeds"] if seed is not None]
    f1, deviation = headline["mean"]["test"]["f1"], headline["std"]["test"]["f1"]
    says = f" It was trained {len(model['paths'])} times"
    says += f", with seeds {joined(seeds)}" if seeds else ""
    return f"{says}; test F1 is {score(f1, deviation)} (mean and standard deviation)."


def _without_paths(text: str, models: dict[str, dict[str, Any]]) -> str:
    """The text with the last parts of paths alone: runs of one name are called by their paths."""
    for path in sorted({path for model in models.values() for path in model["paths"]}, key=len, reverse=True):
        text = text.replace(path, Path(path).name)
    return text
