"""Scoring any token-classification model on any labelled data: `ner-dist evaluate`."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ner_dist import numbers, runtime
from ner_dist.data.prepare import prepare, say_notes
from ner_dist.errors import UserError
from ner_dist.evaluation import evaluate
from ner_dist.labels import LabelSet
from ner_dist.model import load_config
from ner_dist.ranks import on_each_machine_first
from ner_dist.recipe import Data, Model, Precision, Recipe, Train
from ner_dist.recipe_file import data_section, load_recipe
from ner_dist.repeats import in_words, with_repeats
from ner_dist.results import load_tagger, verify, write_predictions
from ner_dist.run import Run, check_folder, write_atomically

log = logging.getLogger(__name__)


def score(
    model: str,
    *,
    data: str | None,
    split: str,
    settings: list[str],
    precision: Precision = "auto",
    batch_tokens: int = 8192,
    out: str | None = None,
) -> dict[str, Any]:
    """Score a run or a Hugging Face model on the types that it shares with the data.

    Args:
        model: a run's directory, a folder with a model, or a hub name.
        data: what to score on, as `data.path`; None is the run's own data.
        split: `train`, `validation` or `test`.
        settings: `data.key=value` overrides of how the data is read.
        precision: as in a recipe.
        batch_tokens: padded subwords a forward pass holds.
        out: folder for `results.json` and the predictions; None writes nothing.

    Raises:
        UserError: the model or the data cannot be used, they share no type, or `out` holds a run.
    """
    run = Run(Path(model))
    if out is not None:
        _check_out(Run(Path(out)))
    folder = str(run.model) if run.model.is_dir() else model
    recipe = Recipe(
        name="evaluation",
        output_dir=out or ".",
        model=Model(name=folder),
        data=_data(run, data, settings),
        # The windows of the run's own sentences are those of its training.
        train=load_recipe(run.recipe).train if data is None else Train(),
        precision=precision,
    )
    accelerator = runtime.start(recipe, model_type=load_config(recipe.model).model_type)
    tagger, known = load_tagger(
        folder, precision=runtime.precision_of(accelerator), device=accelerator.device
    )
    # All splits of a run's own data: their labels are those that it learnt.
    whole = data is None and getattr(recipe.data.splits, split) is not None
    splits = None if whole else [split]
    prepared = on_each_machine_first(accelerator, lambda: prepare(recipe, splits=splits))
    say_notes(prepared)
    labels = _scored_labels(known, prepared.labels, where=model)
    to_labels = None if labels == known else known.projection(labels)
    tags = prepared.labels.projection(labels)[prepared.splits[split].tags]
    evaluation = evaluate(
        tagger,
        prepared.splits[split],
        tags,
        labels=labels,
        accelerator=accelerator,
        batch_tokens=batch_tokens,
        pad_id=prepared.pad_id,
        to_labels=to_labels,
        with_predictions=out is not None or prepared.splits[split].repeats is not None,
    )
    figures: dict[str, Any] = {
        "model": model,
        "data": recipe.data.path,
        "split": split,
        "labels": list(labels.types),
    }
    figures |= evaluation.as_dict()
    if to_labels is not None:
        figures["loss"] = None
    published = with_repeats(
        evaluation, prepared.splits[split], projection=prepared.labels.projection(labels)
    )
    if published is not None:
        figures["with_repeats"] = published
    if out is not None and accelerator.is_main_process:
        assert evaluation.predicted is not None
        target = Run(Path(out))
        path = target.predictions(split)
        write_predictions(
            path,
            prepared.splits[split],
            tags,
            evaluation.predicted,
            labels=labels,
            confidence=evaluation.confidence,
        )
        verify(path, figures)
        write_atomically(target.results, json.dumps(figures, indent=1) + "\n")
    return figures


def print_figures(figures: dict[str, Any]) -> None:
    """Show one model's scores on the terminal."""
    table = Table(
        title=f"{figures['model']} on {figures['data']}, {figures['split']}", caption=figures["scheme"]
    )
    for column in ("type", "precision", "recall", "F1", "support"):
        table.add_column(column, justify="left" if column == "type" else "right")
    rows = [(name, values, values["support"]) for name, values in figures["per_type"].items()]
    rows += [("micro", figures, None), ("macro", figures["macro"], None)]
    rows += [("micro, lenient", figures["lenient"], None)]
    for name, values, support in rows:
        cells = [numbers.score(values[key]) for key in ("precision", "recall", "f1")]
        table.add_row(name, *cells, "" if support is None else f"{support:,}")
    # Names of types are text: `[/red]` is not for rich to read.
    Console(markup=False, emoji=False).print(table)
    loss = "" if figures["loss"] is None else f", loss {numbers.score(figures['loss'])}"
    sentences, words = (numbers.counted(figures[f"{one}s"], one) for one in ("sentence", "word"))
    print(f"accuracy {numbers.score(figures['accuracy'])}{loss}, {sentences}, {words}")
    if "with_repeats" in figures:
        print(f"as published: {in_words(figures['with_repeats'])}")


def _check_out(target: Run) -> None:
    """Its results and predictions would replace those of a run."""
    check_folder(target.folder, where="--out")
    if target.recipe.exists():
        raise UserError(
            "holds a run, whose results would be lost",
            where=f"--out {target.folder}",
            fix="name another folder",
        )


def _data(run: Run, data: str | None, settings: list[str]) -> Data:
    if data is not None:
        return data_section(settings, path=data)
    if not run.recipe.exists():
        raise UserError(
            "is no run that has data of its own", where=str(run.folder), fix="pass --data PATH to score it on"
        )
    return data_section(settings, of=run.recipe)


def _scored_labels(known: LabelSet, found: LabelSet, *, where: str) -> LabelSet:
    """The types that model and data share, in the model's order; what either has alone counts as O."""
    shared = [name for name in known.types if name in found.types]
    if not shared:
        raise UserError(
            f"no type is shared: the model knows {', '.join(known.types)}, "
            f"the data has {', '.join(found.types)}",
            where=where,
        )
    for owner, types in (("the model", known.types), ("the data", found.types)):
        alone = [name for name in types if name not in shared]
        if alone:
            log.warning("only %s has %s: counted as O", owner, ", ".join(alone))
    return known.select(shared)
