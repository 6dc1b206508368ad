"""Score any token-classification model on any labelled data: `ner-dist evaluate`."""

from __future__ import annotations

import json
import logging
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.table import Table

from ner_dist import formatting
from ner_dist.data.annotation import annotation_of
from ner_dist.data.labelled import LabelledSplit
from ner_dist.data.prepare import ANY_TRAINING, prepare
from ner_dist.data.prepared import Prepared
from ner_dist.data.renaming import check as check_renaming
from ner_dist.data.renaming import guessed, new_names, places, remedy
from ner_dist.data.report import report_without_subwords, say_notes
from ner_dist.data.tags import renamed_ids
from ner_dist.errors import UserError
from ner_dist.evaluation.evaluate import EvaluationResult
from ner_dist.evaluation.evaluate import evaluate as score_split
from ner_dist.evaluation.figures import FORMAT, ModelFigures
from ner_dist.evaluation.id2label import Decoder, known_labels, spell_model
from ner_dist.evaluation.json_form import as_json
from ner_dist.evaluation.operating_point import ByType, operating_point
from ner_dist.evaluation.point_options import PointOptions
from ner_dist.evaluation.predictions import verify, write_predictions
from ner_dist.evaluation.repeats import with_repeats
from ner_dist.files import check_folder, write_atomically
from ner_dist.labels import look_up
from ner_dist.model.encoder import load_config
from ner_dist.model.own_settings import decoding_of, temperature_of, trained_here
from ner_dist.model.tagger import load_tagging_model
from ner_dist.recipe import Decode, Model, Precision, Recipe
from ner_dist.recipe_data import Data
from ner_dist.recipe_file import data_section
from ner_dist.run.checksums import check_model
from ner_dist.run.directory import Run, model_of, predicts_iob2, read_recipe, scored_precision
from ner_dist.runtime.accelerator import precision_of, running
from ner_dist.runtime.console import Console
from ner_dist.runtime.precision import Device
from ner_dist.runtime.ranks import local_main_first

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from ner_dist.data.notation import Spelt
    from ner_dist.data.renaming import Renaming
    from ner_dist.labels import LabelSet

log = logging.getLogger(__name__)


def evaluate(
    model: str | Path,
    data: str | Path | None = None,
    split: Literal["train", "validation", "test"] = "test",
    *,
    settings: Sequence[str] = (),
    precision: Precision = "auto",
    decode: Decode | None = None,
    batch_tokens: int = 8192,
    out: str | Path | None = None,
    tags: str | None = None,
    renaming: Renaming | None = None,
    weights: str | Path | None = None,
    threshold: ByType = 0.0,
    bias: ByType = 0.0,
    target_precision: float | None = None,
    target_recall: float | None = None,
) -> ModelFigures:
    """Score a model on labelled data, on the entity types that both know.

    The model may predict in any scheme: it is scored on its entities.

    Args:
        model: a run's directory, a folder with a model, or a hub name.
        data: a file, a folder or a hub data set; None is a run's own data.
        split: the split to score.
        settings: `data.key=value`: how the data is read, as in a recipe.
        precision: `fp32`, `bf16` or `fp16`; `auto` is that of a run's own figures, else what
            suits the device.
        decode: `greedy` or `viterbi`, as `evaluation.decode` of a recipe; None is how the model was scored,
            or `greedy`.
        batch_tokens: padded subwords a forward pass holds; changes the speed alone.
        out: folder for results.json and the predictions; None writes nothing.
        tags: the tag of each of the model's ids, with commas between, or a file of them; None is what its
            config says.
        renaming: the name to use for a type of the model or of the data; None counts it as `O`.
        weights: a folder with the same model in another form, such as an exported one; None is its own.
        threshold: entities whose calibrated probability is below become `O`: a number, or one for each type
            that a mapping names.
        bias: added to the logits of a type's tags before tags are chosen, likewise.
        target_precision: take the smallest threshold that reaches this precision on the validation split.
        target_recall: take the smallest bias that reaches this recall there.

    Returns:
        The figures: `scores` has `precision`, `recall` and `f1` over all entities, `per_type`, `lenient` and
        others.

    Raises:
        UserError: the model or the data cannot be used, they share no type, `out` holds a run, a type of a
            threshold or bias is unknown, or a target is not reached.

    Example:
        >>> import ner_dist
        >>> figures = ner_dist.evaluate("runs/full", split="validation")
        >>> figures.scores.sentences, 0 <= figures.scores.f1 <= 1
        (61, True)
    """
    model = str(model)
    run = Run(Path(model))
    if out is not None:
        _check_out(Run(Path(out)))
    check_model(model)
    folder = model_of(model)
    own = read_recipe(run)
    options = PointOptions.of(threshold, bias, target_precision, target_recall)
    recipe = Recipe(
        name="evaluation",
        output_dir=str(out or "."),
        model=Model(name=folder),
        data=_data(run, data, settings),
        # A run's windows are those of its training, whatever it is scored on.
        train=ANY_TRAINING if own is None else own.train,
        precision=_precision(precision, run),
    )
    config = load_config(recipe.model)
    decode = decode or decoding_of(config)
    least, added = options.resolve(folder, decode)
    # All splits of a run's own data: their labels are those that it learned.
    whole = data is None and split in recipe.data.used_splits
    with running(recipe, model_type=config.model_type) as accelerator:
        tagger, written = load_tagging_model(
            weights or folder, precision=precision_of(accelerator), device=accelerator.device
        )
        spelt = spell_model(written, folder=folder, given=tags)
        main, splits = accelerator.is_local_main_process, None if whole else [split]
        prepared = local_main_first(accelerator, lambda: prepare(recipe, config, splits=splits, check=main))
        say_notes(prepared)
        iob2 = tags is None and (predicts_iob2(run) or trained_here(config))
        scored = _match(spelt, prepared, split, renaming or {}, model=model, iob2=iob2)
        report_without_subwords(split, scored.split)
        point = operating_point(
            temperature=temperature_of(config),
            threshold=least,
            bias=added,
            spelt=spelt,
            to=places(spelt.names, renaming or {}, scored.known.types),
            known=scored.known.types,
            scored=scored.split.labels.types,
        )
        evaluation = score_split(
            tagger,
            scored.split,
            accelerator=accelerator,
            batch_tokens=batch_tokens,
            decode=decode,
            decoder=None if scored.decoder.is_identity else scored.decoder,
            with_predictions=out is not None or scored.split.prepared.repeats is not None,
            point=point,
        )
        _say_scheme(written, scored.decoder, evaluation.scheme, model)
        scores = replace(
            evaluation.figures,
            loss=None if math.isnan(evaluation.loss_sum) else evaluation.loss,
            with_repeats=with_repeats(evaluation, scored.split.prepared, gold_of=scored.gold_ids),
        )
        figures = ModelFigures(
            format=FORMAT,
            model=model,
            data=recipe.data.path,
            split=split,
            labels=list(scored.split.labels.types),
            scores=scores,
            predicted_scheme=evaluation.scheme,
            map=dict(renaming) if renaming else None,
            threshold=least.by_type(scored.known.types),
            bias=added.by_type(scored.known.types),
        )
        if out is not None and accelerator.is_main_process:
            _write(Run(Path(out)), scored.split, evaluation, figures)
    return figures


@dataclass(frozen=True)
class _Scored:
    """A split in the labels that model and data share, and what the model's ids mean in them."""

    split: LabelledSplit
    known: LabelSet
    """The types of the model, under their new names."""
    decoder: Decoder
    gold_ids: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """Gives ids in the shared labels for the data's own, int [W], and offsets [N+1]."""


def _match(
    spelt: Spelt, data: Prepared, split: str, renaming: Renaming, *, model: str, iob2: bool
) -> _Scored:
    """Bring the model's labels and the data's onto the types that both know."""
    check_renaming(renaming, {"the model knows": spelt.names, "the data has": data.labels.types})
    known, data_types = known_labels(spelt, renaming), new_names(data.labels.types, renaming)
    labels = _scored_labels(known, data_types, where=model)
    decoder = Decoder(spelt=spelt, to=places(spelt.names, renaming, labels.types), labels=labels, iob2=iob2)

    def gold_ids(tags: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        return _gold(tags, offsets, known=data.labels, renaming=renaming, labels=labels)

    sentences = data.splits[split]
    gold = gold_ids(sentences.tags, sentences.offsets)
    renamed = [replace(source, types=tuple(new_names(source.types, renaming))) for source in data.sources]
    labelled = LabelledSplit(
        sentences,
        tags=gold,
        labels=labels,
        pad_id=data.pad_id,
        annotation=annotation_of(renamed, sentences.source, sentences.offsets, labels),
    )
    return _Scored(labelled, known, decoder, gold_ids)


def _write(target: Run, labelled: LabelledSplit, evaluation: EvaluationResult, figures: ModelFigures) -> None:
    """Write the predictions, check the figures against them, and write the figures."""
    assert evaluation.predicted is not None
    path = target.predictions(figures.split)
    write_predictions(path, labelled, evaluation.predicted, confidence=evaluation.confidence)
    verify(path, figures.scores)
    write_atomically(target.results, json.dumps(as_json(figures), indent=1, allow_nan=False) + "\n")


def print_figures(figures: ModelFigures) -> None:
    """Show one model's scores on the terminal."""
    scores = figures.scores
    table = Table(title=f"{figures.model} on {figures.data}, {figures.split}", caption=scores.scheme)
    for column in ("type", "precision", "recall", "F1", "support"):
        table.add_column(column, justify="left" if column == "type" else "right")
    rows: list[tuple[str, Any, str]] = [
        (name, values, f"{values.support:,}") for name, values in scores.per_type.items()
    ]
    rows += [("micro", scores, ""), ("macro", scores.macro, ""), ("micro, lenient", scores.lenient, "")]
    for name, values, support in rows:
        cells = [formatting.score(figure) for figure in (values.precision, values.recall, values.f1)]
        table.add_row(name, *cells, support)
    Console().print(table)
    loss = "" if scores.loss is None else f", loss {formatting.score(scores.loss)}"
    sentences, words = (
        formatting.counted(scores.sentences, "sentence"),
        formatting.counted(scores.words, "word"),
    )
    print(f"accuracy {formatting.score(scores.accuracy)}{loss}, {sentences}, {words}")
    if scores.with_repeats is not None:
        print(f"as published: {scores.with_repeats}")


def _precision(asked: Precision, run: Run) -> Precision:
    """That of a run's own figures, unless another is asked for, or the device does not have it."""
    scored = scored_precision(run)
    if asked != "auto" or scored is None or os.environ.get("ACCELERATE_MIXED_PRECISION") in ("bf16", "fp16"):
        return asked
    if Device.here().computes(scored):
        return scored
    log.warning(
        "%s was scored in %s, which this device does not have: its figures may differ", run.folder, scored
    )
    return asked


def _check_out(target: Run) -> None:
    """Its results and predictions would replace those of a run."""
    check_folder(target.folder, where="--out")
    if target.recipe.exists():
        raise UserError(
            "holds a run, whose results would be lost",
            where=f"--out {target.folder}",
            fix="name another folder",
        )


def _data(run: Run, data: str | Path | None, settings: Sequence[str]) -> Data:
    if data is not None:
        return data_section(list(settings), path=str(data))
    if not run.recipe.exists():
        fix = "pass --data PATH to score it on"
        if run.complete:
            fix += f"; or repeat the command that trained it, which writes {run.recipe} again"
        raise UserError("is no run that has data of its own", where=str(run.folder), fix=fix)
    return data_section(list(settings), of=run.recipe)


def _scored_labels(known: LabelSet, data_types: list[str], *, where: str) -> LabelSet:
    """The types that model and data share, in the model's order; what either has alone counts as O."""
    shared = [name for name in known.types if name in data_types]
    mine, theirs = ([name for name in types if name not in shared] for types in (known.types, data_types))
    if not shared:
        fix = (
            remedy(known.types, data_types)
            if known.types and data_types
            else "name a model and data with types"
        )
        raise UserError(
            f"no type is shared: the model knows {', '.join(known.types) or 'none'}, "
            f"the data has {', '.join(data_types) or 'none'}",
            where=where,
            fix=fix,
        )
    pairs = guessed(mine, theirs)
    hint = f"; if two names mean one type: --map {','.join(pairs)}" if pairs else ""
    for owner, alone in (("the model", mine), ("the data", theirs)):
        if alone:
            log.warning("only %s has %s: counted as O%s", owner, ", ".join(alone), hint)
    return known.select(shared)


def _gold(
    tags: np.ndarray, offsets: np.ndarray, *, known: LabelSet, renaming: Renaming, labels: LabelSet
) -> np.ndarray:
    """Gold ids in `labels`, int16 [W], of types under their new names."""
    if not renaming:
        return look_up(known.projection(labels), tags)
    return renamed_ids(tags, offsets, known=known, renaming=renaming, labels=labels)


def _say_scheme(written: list[str], decoder: Decoder, scheme: str, model: str) -> None:
    """Say what the model's own tags were read as."""
    if scheme != "IOB2":
        log.info("%s: predicts %s, read as IOB2: it is scored on its entities", model, scheme)
    elif decoder.without_begin:
        lacking = ", ".join(decoder.without_begin)
        log.info("%s: has no label B- of %s: its I- begins an entity where it continues none", model, lacking)
    padding = [tag for tag, is_outside in zip(written, decoder.spelt.outside, strict=True) if is_outside]
    if padding:
        log.info("%s: its labels %s count as O", model, ", ".join(padding))
