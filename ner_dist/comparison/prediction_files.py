"""Files of predictions: a run's own, or what any other tool wrote.

JSON lines hold `gold` and `predicted` (or `pred`), lists of BIO tags, and perhaps `tokens`, `id` and
`confidence` (the probability of each predicted tag). Of CoNLL columns the first is the word, the last but one
the gold tag, the last the predicted tag. Both may be gzipped.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist import metrics
from ner_dist.comparison.predictions import Predictions
from ner_dist.data.column_roles import word_column
from ner_dist.data.corpus import check_words, rows_from_lists
from ner_dist.data.readers import format_by_ending, json_lines, read_columns, read_text
from ner_dist.errors import UserError
from ner_dist.labels import LabelSet, split_tag
from ner_dist.run import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.data.corpus import Rows
    from ner_dist.run import Run

_OPTIONAL = ("tokens", "id", "confidence")


def read_run(run: Run, types: Sequence[str]) -> Predictions:
    """A run's predictions on its test split; `types` are its labels.

    Raises:
        UserError: there are none, or a line is not what it should be.
    """
    path = run.predictions("test")
    if not path.exists():
        raise UserError("there are no predictions", where=str(path), fix="train the run to its end")
    return replace(read_file(path, types=types), source=shown(run.folder))


def read_file(path: Path, *, types: Sequence[str] | None = None) -> Predictions:
    """The predictions in a file.

    Args:
        path: JSON lines or CoNLL columns, by its ending.
        types: what the tags may be of; None for the types that occur, in the order in which they first do.

    Raises:
        UserError: the file cannot be read, or a line is not what it should be.
    """
    kind = format_by_ending(path)
    if kind in ("jsonl", "json"):
        gold, predicted, others = _read_jsonl(path)
    elif kind == "conll":
        gold, predicted, others = _read_conll(path)
    else:
        raise UserError(
            f"the format of a '{path.suffix}' file is not known",
            where=str(path),
            fix="call JSON lines .jsonl and CoNLL columns .conll, either with .gz behind it if gzipped",
        )
    if not len(gold.numbers):
        raise UserError("holds no sentence", where=str(path), fix="see the README for what a line holds")
    for column in (gold, predicted):
        _check_tags(column, types)
    types = _types_in(gold, predicted) if types is None else types
    if not types:
        raise UserError("every tag is O", where=str(path), fix="write entities as B-TYPE and I-TYPE")
    labels = LabelSet.from_types(types)
    ids = {
        name: np.array([labels.label2id[str(tag)] for tag in rows.values], dtype=np.int16)[rows.tags]
        for name, rows in (("gold", gold), ("predicted", predicted))
    }
    predictions = Predictions(source=shown(path), labels=labels, offsets=gold.offsets, **ids, **others)
    _check_scheme(predictions, path)
    return predictions


def _read_jsonl(path: Path) -> tuple[Rows, Rows, dict[str, Any]]:
    columns: dict[str, list[Any]] = {name: [] for name in ("gold", "predicted", *_OPTIONAL)}
    numbers: list[int] = []
    for number, line in json_lines(read_text(path), path):
        where = f"{path}:{number}"
        found = _cells(line, where)
        for name in _OPTIONAL:
            if numbers and (name in found) != bool(columns[name]):
                there, missing = (number, numbers[0]) if name in found else (numbers[0], number)
                what = f"line {there} has `{name}` and line {missing} has none"
                raise UserError(what, where=where, fix="write it on all lines or on none")
        for name, cell in found.items():
            columns[name].append(cell)
        numbers.append(number)
    tokens, ids, confidence = (columns[name] or None for name in _OPTIONAL)
    words = columns["gold"] if tokens is None else tokens
    if tokens is not None:
        check_words(tokens, lambda sentence: f"{path}:{numbers[sentence]}")
    if ids is not None:
        ids = _ids(ids, numbers, path)
    flat = None if confidence is None else np.array([p for cell in confidence for p in cell], np.float32)
    gold, predicted = (
        rows_from_lists(words, columns[name], file=str(path), numbers=numbers)
        for name in ("gold", "predicted")
    )
    return gold, predicted, {"tokens": tokens, "ids": ids, "confidence": flat}


def _cells(line: Any, where: str) -> dict[str, Any]:
    """What a line holds, checked: lists of as many tags, words and probabilities, and an id."""
    if not isinstance(line, dict):
        raise UserError(f"{line!r:.60} is no JSON object", where=where, fix="write one JSON object a line")
    said = "predicted" if "predicted" in line or "pred" not in line else "pred"
    found: dict[str, Any] = {}
    for name, key in (("gold", "gold"), ("predicted", said)):
        if key not in line:
            there = ", ".join(line) or "nothing"
            raise UserError(f"there is no `{name}`, only {there}", where=where, fix="see the README")
        found[name] = _list_of(line, key, (str,), "tags", where)
    if line.get("tokens") is not None:
        found["tokens"] = _list_of(line, "tokens", (str,), "words", where)
    if line.get("confidence") is not None:
        found["confidence"] = _list_of(line, "confidence", (int, float), "probabilities", where)
        if not all(0 <= p <= 1 for p in found["confidence"]):
            raise UserError("a `confidence` is no probability", where=where, fix="write numbers from 0 to 1")
    lengths = {name: len(cell) for name, cell in found.items()}
    if len(set(lengths.values())) > 1:
        each = ", ".join(f"{name} {length}" for name, length in lengths.items())
        fix = "write one of each for every word"
        raise UserError(f"lists of different lengths: {each}", where=where, fix=fix)
    if line.get("id") is not None:
        found["id"] = line["id"]
    return found


def _list_of(line: dict[str, Any], key: str, kinds: tuple[type, ...], what: str, where: str) -> list[Any]:
    cell = line[key]
    # By its very type: JSON's true is a number to Python.
    if not isinstance(cell, list) or not all(type(each) in kinds for each in cell):
        raise UserError(f"`{key}` is no list of {what}: {cell!r:.60}", where=where, fix="see the README")
    return cell


def _ids(ids: list[Any], numbers: list[int], path: Path) -> list[str]:
    """As text: the number 1 of one tool is the "1" of another."""
    seen: dict[str, int] = {}
    for value, number in zip(ids, numbers, strict=True):
        if type(value) not in (int, str):
            what, fix = f"`id` is neither a number nor text: {value!r:.60}", "write either, or no `id` at all"
            raise UserError(what, where=f"{path}:{number}", fix=fix)
        if str(value) in seen:
            what = f"id {value!r:.60} stands on line {seen[str(value)]} already"
            fix = "give every sentence its own, or none"
            raise UserError(what, where=f"{path}:{number}", fix=fix)
        seen[str(value)] = number
    check_words([[each] for each in seen], lambda sentence: f"{path}:{numbers[sentence]}")
    return list(seen)


def _read_conll(path: Path) -> tuple[Rows, Rows, dict[str, Any]]:
    columns = read_columns(path)
    columns.require(3, "write a word, its gold tag and its predicted tag")
    tokens = columns.words(word_column(columns))
    return columns.rows(tokens, -2), columns.rows(tokens, -1), {"tokens": tokens}


def _check_tags(rows: Rows, types: Sequence[str] | None) -> None:
    check_words([[str(tag)] for tag in rows.values], rows.place_of_tag)
    for code, tag in enumerate(rows.values):
        try:
            name = split_tag(str(tag))[1]
        except ValueError as error:
            fix = "convert the tags to BIO: of BIOES, S- becomes B- and E- becomes I-"
            raise UserError(str(error), where=rows.place_of_tag(code), fix=fix) from None
        if types is not None and name is not None and name not in types:
            what, fix = f"tag '{tag}' is not one of the run's labels", "train the run again"
            raise UserError(what, where=rows.place_of_tag(code), fix=fix)


def _check_scheme(predictions: Predictions, path: Path) -> None:
    """In IOB1 an entity begins with B- only behind another of its type: strict IOB2 sees hardly any there."""
    gold, offsets, labels = predictions.gold, predictions.offsets, predictions.labels
    strict, lenient = (
        metrics.count(gold, gold, offsets, labels, strict=reading).gold.sum() for reading in (True, False)
    )
    if 2 * strict < lenient:
        raise UserError(
            f"{lenient - strict:,} of {lenient:,} gold entities begin with I-",
            where=str(path),
            fix="convert the tags to IOB2, where an entity begins with B-",
        )


def _types_in(gold: Rows, predicted: Rows) -> list[str]:
    """The types that occur, in the order in which they first do; at one word that of the gold tag first."""
    first: dict[str, tuple[int, int]] = {}
    for column, rows in enumerate((gold, predicted)):
        codes, words = np.unique(rows.tags, return_index=True)
        for code, word in zip(codes.tolist(), words.tolist(), strict=True):
            name = split_tag(str(rows.values[code]))[1]
            if name is not None:
                first[name] = min(first.get(name, (word, column)), (word, column))
    return sorted(first, key=first.__getitem__)
