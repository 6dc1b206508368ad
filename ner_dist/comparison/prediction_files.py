"""Read files of predictions: those of a run, or of any other tool.

A JSON line holds the lists of tags `gold` and `predicted` (or `pred`), and optionally `tokens`, `id`,
`document` (of the sentence), `confidence` (the probability of each predicted tag), `in_train` and `seen`
(what the model saw in training); docs/formats.md describes them. In CoNLL columns, the first is the word, the
last but one the gold tag and the last the predicted tag, unless a header says so. Files may be gzipped.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.comparison.predictions import Predictions
from ner_dist.data.column_roles import word_column
from ner_dist.data.conll import read_columns
from ner_dist.data.corpus import check_words, rows_from_lists
from ner_dist.data.file_text import read_text
from ner_dist.data.json_text import json_lines
from ner_dist.data.notation import OUT
from ner_dist.data.prediction_lines import check_same_length, list_of, probabilities_of
from ner_dist.data.readers import format_by_ending
from ner_dist.data.tags import read_tags
from ner_dist.errors import UserError
from ner_dist.files import printable
from ner_dist.labels import OUTSIDE, UNLABELLED, LabelSet
from ner_dist.run.directory import predicts_iob2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.data.columns import Columns
    from ner_dist.data.corpus import Rows
    from ner_dist.data.tags import Repair, Tags
    from ner_dist.run.directory import Run

log = logging.getLogger(__name__)

_OPTIONAL = ("tokens", "id", "document", "confidence", "in_train", "seen")
# Names of the two columns of tags in headers.
_GOLD = ("gold", "true")
_PREDICTED = ("pred", "predicted", "prediction", "predictions")


def read_run(run: Run, types: Sequence[str], *, split: str = "test", repair: Repair = "none") -> Predictions:
    """Read a run's predictions on a split; `types` are its labels, `repair` is as in `read_file`.

    Raises:
        UserError: there are none, or a line is invalid.
    """
    path = run.predictions(split)
    if not path.exists():
        raise UserError("there are no predictions", where=str(path), fix="train the run to its end")
    predictions = read_file(path, types=types, iob2=predicts_iob2(run), repair=repair)
    return replace(predictions, source=printable(run.folder))


def read_file(
    path: Path, *, types: Sequence[str] | None = None, iob2: bool = False, repair: Repair = "none"
) -> Predictions:
    """Read the predictions in a file; its gold and predicted tags may be in any scheme.

    Args:
        path: JSON lines or CoNLL columns, according to its ending.
        types: the entity types that may occur; None takes those that do, in order of first occurrence.
        iob2: whether both kinds of tags are known to be in IOB2.
        repair: repair of gold tags, as in `data.repair`.

    Raises:
        UserError: the file cannot be read, or a line is invalid.
    """
    kind = format_by_ending(path)
    if kind in ("jsonl", "json"):
        gold, predicted, others = _read_jsonl(path)
    elif kind == "conll":
        gold, predicted, others = _read_conll(path)
    else:
        raise UserError(
            f"the format of a '{path.suffix}' file is unknown",
            where=str(path),
            fix="name JSON lines .jsonl and CoNLL columns .conll, followed by .gz if gzipped",
        )
    if not len(gold.line_numbers):
        raise UserError("holds no sentence", where=str(path), fix="see the README for what a line holds")
    for column in (gold, predicted):
        _check_text(column)
    fix = "write each tag as O, B-TYPE or I-TYPE"
    (of_gold,) = read_tags(
        [gold], which="gold ", iob2=iob2, repair=repair, repair_with="--repair begin", fix=fix
    )
    (of_predicted,) = read_tags(
        [predicted], which="predicted ", iob2=iob2, like=[gold], repair_with="", fix=fix
    )
    if types is None:
        types = _types_in(of_gold, of_predicted)
    else:
        _check_types(gold, of_gold, types)
        _check_types(predicted, of_predicted, types)
    if not types:
        raise UserError("every tag is O", where=str(path), fix="write entities as B-TYPE and I-TYPE")
    labels = LabelSet.from_types(types)
    gold_ids, predicted_ids = of_gold.ids(labels), of_predicted.ids(labels)
    silent = predicted_ids == UNLABELLED
    if (silent & (gold_ids != UNLABELLED)).any():
        word = int(np.argmax(silent & (gold_ids != UNLABELLED)))
        fix = "predict O outside entities"
        raise UserError("a word with a gold tag has no predicted tag", where=gold.place(word), fix=fix)
    return Predictions(
        source=printable(path),
        labels=labels,
        gold=gold_ids,
        predicted=np.where(silent, np.int16(labels.label2id[OUTSIDE]), predicted_ids),
        offsets=gold.offsets,
        **others,
    )


def _read_jsonl(path: Path) -> tuple[Rows, Rows, dict[str, Any]]:
    columns: dict[str, list[Any]] = {name: [] for name in ("gold", "predicted", *_OPTIONAL)}
    seen: dict[str, set[str]] = {}
    on_first_line: set[str] = set()
    line_numbers: list[int] = []
    for number, line in json_lines(read_text(path), path):
        where = f"{path}:{number}"
        cells = _cells(line, where)
        if not line_numbers:
            on_first_line = set(cells)
        for name in _OPTIONAL:
            if (name in cells) != (name in on_first_line):
                there, missing = (number, line_numbers[0]) if name in cells else (line_numbers[0], number)
                what = f"line {there} has `{name}` and line {missing} has none"
                raise UserError(what, where=where, fix="write it on all lines or on none")
        # Words that are an entity on several lines have the same types on each: kept once.
        for form, types in cells.pop("seen", {}).items():
            seen.setdefault(form, set()).update(types)
        for name, cell in cells.items():
            columns[name].append(cell)
        line_numbers.append(number)
    tokens, ids, documents, confidence, in_train = (
        columns[name] or None for name in _OPTIONAL if name != "seen"
    )
    words = [[""] * len(cell) for cell in columns["gold"]] if tokens is None else tokens
    if tokens is not None:
        check_words(tokens, lambda sentence: f"{path}:{line_numbers[sentence]}")
    if ids is not None:
        ids = _ids(ids, line_numbers, path)
    flat = None if confidence is None else np.array([p for cell in confidence for p in cell], np.float32)
    gold, predicted = (
        rows_from_lists(words, columns[name], file=printable(path), line_numbers=line_numbers)
        for name in ("gold", "predicted")
    )
    shown = {form: frozenset(types) for form, types in seen.items()}
    others = {
        "tokens": tokens,
        "ids": ids,
        "documents": documents,
        "confidence": flat,
        "in_train": None if in_train is None else np.array(in_train, dtype=bool),
        "seen": shown if "seen" in on_first_line else None,
    }
    return gold, predicted, others


def _cells(line: Any, where: str) -> dict[str, Any]:
    """Check a line: equally long lists of tags, words and probabilities, and its single values."""
    if not isinstance(line, dict):
        raise UserError(
            f"{line!r:.60} is not a JSON object", where=where, fix="write one JSON object per line"
        )
    predicted = "predicted" if "predicted" in line or "pred" not in line else "pred"
    cells: dict[str, Any] = {}
    for name, key in (("gold", "gold"), ("predicted", predicted)):
        if key not in line:
            there = ", ".join(line) or "nothing"
            raise UserError(f"there is no `{name}`, only {there}", where=where, fix="see the README")
        # null is the gold of a word that is not scored, for which nothing need be predicted.
        cells[name] = list_of(line, key, (str, type(None)), "tags", where)
    if line.get("tokens") is not None:
        cells["tokens"] = list_of(line, "tokens", (str,), "words", where)
    if line.get("confidence") is not None:
        cells["confidence"] = probabilities_of(line, where)
    check_same_length(cells, where)
    if line.get("id") is not None:
        cells["id"] = line["id"]
    if line.get("document") is not None:
        cells["document"] = _document(line["document"], where)
    if line.get("in_train") is not None:
        cells["in_train"] = _in_train(line["in_train"], where)
    if line.get("seen") is not None:
        cells["seen"] = _seen(line["seen"], where)
    return cells


def _document(cell: Any, where: str) -> str:
    if type(cell) not in (int, str):
        what = f"`document` is neither a number nor text: {cell!r:.60}"
        raise UserError(what, where=where, fix="write the name of the sentence's document, or none at all")
    return str(cell)


def _in_train(cell: Any, where: str) -> bool:
    if type(cell) is not bool:
        what = f"`in_train` is neither true nor false: {cell!r:.60}"
        raise UserError(what, where=where, fix="write whether the training split has this sentence")
    return cell


def _seen(cell: Any, where: str) -> dict[str, list[str]]:
    fix = 'write the types that training showed for each gold entity: {"New York": ["LOC"], "Anna": []}'
    if not isinstance(cell, dict):
        raise UserError(f"`seen` is no JSON object: {cell!r:.60}", where=where, fix=fix)
    for form, types in cell.items():
        if not isinstance(types, list) or not all(type(name) is str for name in types):
            what = f"`seen` has no list of types for {form!r:.60}: {types!r:.60}"
            raise UserError(what, where=where, fix=fix)
    return cell


def _ids(ids: list[Any], line_numbers: list[int], path: Path) -> list[str]:
    """The ids as text: one tool writes 1, another "1"."""
    seen: dict[str, int] = {}
    for value, number in zip(ids, line_numbers, strict=True):
        if type(value) not in (int, str):
            what, fix = f"`id` is neither a number nor text: {value!r:.60}", "write either, or no `id` at all"
            raise UserError(what, where=f"{path}:{number}", fix=fix)
        if str(value) in seen:
            what = f"id {value!r:.60} is on line {seen[str(value)]} already"
            fix = "give every sentence its own, or none"
            raise UserError(what, where=f"{path}:{number}", fix=fix)
        seen[str(value)] = number
    check_words([[each] for each in seen], lambda sentence: f"{path}:{line_numbers[sentence]}")
    return list(seen)


def _read_conll(path: Path) -> tuple[Rows, Rows, dict[str, Any]]:
    columns = read_columns(path)
    columns.require(3, "write a word, its gold tag and its predicted tag")
    tokens = columns.words(word_column(columns))
    gold, predicted = _tag_columns(columns)
    of_gold, of_predicted = columns.rows(tokens, gold), columns.rows(tokens, predicted)
    return of_gold, of_predicted, {"tokens": tokens, "documents": of_gold.documents}


def _tag_columns(columns: Columns) -> tuple[int, int]:
    """Indices of the columns of gold and predicted tags: the last two, unless a header says otherwise."""
    names = [name.lower() for name in columns.names or ()]
    gold, predicted = (
        next((number for number, name in enumerate(names) if name in wanted), None)
        for wanted in (_GOLD, _PREDICTED)
    )
    second, last = columns.width - 2, columns.width - 1
    if gold is None:
        gold = last if predicted == second else second
    if predicted is None:
        predicted = second if gold == last else last
    if columns.names is not None and (gold, predicted) != (second, last):
        each = (columns.path, columns.names[gold], columns.names[predicted])
        log.info("%s: by its header, column %s holds the gold tags and column %s the predicted ones", *each)
    return gold, predicted


def _check_text(rows: Rows) -> None:
    """Refuse tags that UTF-8 cannot encode; numbers count as text."""
    check_words([[str(tag)] for tag in rows.values], rows.place_of_tag)


def _check_types(rows: Rows, tags: Tags, types: Sequence[str]) -> None:
    for place, name in enumerate(tags.names):
        of_it = np.flatnonzero((tags.types == place) & (tags.parts != OUT))
        if name not in types and len(of_it):
            tag = rows.values[rows.tags[of_it[0]]]
            what, fix = f"tag '{tag}' is not one of the run's labels", "train the run again"
            raise UserError(what, where=rows.place_of_tag(int(rows.tags[of_it[0]])), fix=fix)


def _types_in(gold: Tags, predicted: Tags) -> list[str]:
    """The types that occur, in order of first occurrence; at the same word, the gold tag's comes first."""
    first: dict[str, tuple[int, int]] = {}
    for column, tags in enumerate((gold, predicted)):
        inside = np.flatnonzero(tags.parts != OUT)
        places, words = np.unique(tags.types[inside], return_index=True)
        for place, word in zip(places.tolist(), inside[words].tolist(), strict=True):
            name = tags.names[place]
            first[name] = min(first.get(name, (word, column)), (word, column))
    return sorted(first, key=first.__getitem__)
