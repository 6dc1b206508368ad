"""Lines of files of predictions: those of `predictions/*.jsonl`, and those that `ner-dist predict` writes.

{"tokens": ["In", "Bern"], "predicted": ["O", "B-LOC"], "confidence": [0.9, 0.8]}
{"text": "In Bern", "entities": [{"start": 3, "end": 7, "type": "LOC", "text": "Bern", "probability": 0.8,
    "first_word": 1, "last_word": 1}]}
{"tokens": ["In", "Bern"], "tags": ["O", "B-LOC"], "entities": [{"type": "LOC", "text": "Bern",
    "probability": 0.8, "first_word": 1, "last_word": 1}]}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ner_dist.data.corpus import check_words
from ner_dist.data.documents import Document, Span
from ner_dist.data.formats.form import JsonRows
from ner_dist.data.formats.span_items import spans_of
from ner_dist.data.writers import Predicted
from ner_dist.errors import UserError

_ENTITY = frozenset(("type", "text", "probability", "first_word", "last_word"))
"""Keys of an entity as `ner-dist predict` writes it."""
_NUMBERS = (int, float)


def is_predicted(line: Any) -> bool:
    """Whether a line is one of `predictions/*.jsonl`."""
    return isinstance(line, dict) and "tokens" in line and "predicted" in line


def is_tagged(line: Any) -> bool:
    """Whether `ner-dist predict` wrote a line, as far as its entities can tell."""
    entities = line.get("entities") if isinstance(line, dict) else None
    if not isinstance(entities, list) or not all(isinstance(each, dict) for each in entities):
        return False
    if not entities:  # a text without entities may be anything
        return isinstance(line.get("tokens"), list) and line.get("tags") == ["O"] * len(line["tokens"])
    return all(each.keys() >= _ENTITY for each in entities)


def predicted_document(line: Any, where: str, number: int) -> Predicted:
    """A line of `predictions/*.jsonl`; the score of an entity is the product of its words' probabilities.

    Raises:
        UserError: the line lacks words or tags, or has other values in their place.
    """
    words, tags = _words_and_tags(line, "predicted", where)
    document = Document.from_tags(words, tags, line=number)
    if line.get("confidence") is None:
        return Predicted(document, (None,) * len(document.spans))
    confidence = probabilities_of(line, where)
    check_same_length({"tokens": words, "confidence": confidence}, where)
    assert document.words is not None
    return Predicted(document, tuple(_product(span, document.words, confidence) for span in document.spans))


def tagged_document(line: Any, rows: JsonRows, number: int) -> Predicted:
    """A line that `ner-dist predict` wrote; the score of an entity is its probability.

    Raises:
        UserError: the line is not like that.
    """
    where = rows.place(number)
    entities = line.get("entities") if isinstance(line, dict) else None
    if not isinstance(entities, list):
        raise UserError("there is no list of `entities`", where=where, fix="write the file again")
    scores = [_score(entity, where) for entity in entities]
    if isinstance(line.get("text"), str):
        spans = spans_of(entities, line["text"], rows, number)
        return Predicted(Document(line["text"], spans, number), tuple(scores))
    words, tags = _words_and_tags(line, "tags", where)
    document = Document.from_tags(words, tags, line=number)
    # The tags count, which someone may have corrected.
    score_of = {
        (entity.get("first_word"), entity.get("last_word"), str(entity.get("type"))): score
        for entity, score in zip(entities, scores, strict=True)
        if type(entity.get("first_word")) is type(entity.get("last_word")) is int
    }
    place = {range_: word for word, range_ in enumerate(document.words or ())}
    first = {start: word for (start, _), word in place.items()}
    last = {end: word for (_, end), word in place.items()}
    keys = [(first[span.start], last[span.end], span.type) for span in document.spans]
    return Predicted(document, tuple(map(score_of.get, keys)))


def _words_and_tags(line: Any, key: str, where: str) -> tuple[list[str], list[str | None]]:
    """The words of a line and their IOB2 tags under a key; None for a word without a label."""
    if not isinstance(line, dict) or "tokens" not in line or key not in line:
        raise UserError(f"needs `tokens` and as many tags in `{key}`", where=where)
    words = list_of(line, "tokens", (str,), "words", where)
    tags = list_of(line, key, (str, type(None)), "tags", where)
    check_same_length({"tokens": words, key: tags}, where)
    check_words([words], lambda sentence: where)
    if blank := [word for word in words if not word.strip()]:
        raise UserError(f"{blank[0]!r:.60} is not a word", where=where, fix="write words as text")
    for tag in tags:
        if tag is not None and tag != "O" and (tag[:2] not in ("B-", "I-") or not tag[2:]):
            raise UserError(f"tag `{tag:.40}` is not IOB2", where=where, fix="write O, B-TYPE or I-TYPE")
    return words, tags


def _product(span: Span, words: Sequence[tuple[int, int]], confidence: Sequence[float]) -> float:
    product = 1.0
    for (start, end), probability in zip(words, confidence, strict=True):
        if span.start <= start and end <= span.end:
            product *= probability
    return product


def _score(entity: Any, where: str) -> float | None:
    """The probability of an entity; None if the line does not state it."""
    if not isinstance(entity, dict):
        raise UserError(f"{entity!r:.60} is not an entity", where=where, fix="write the file again")
    score = entity.get("probability")
    if score is None:
        return None
    if type(score) not in _NUMBERS or not 0 <= score <= 1:
        what = f"`probability` is no probability: {score!r:.60}"
        raise UserError(what, where=where, fix="write a number from 0 to 1")
    return float(score)


def list_of(line: dict[str, Any], key: str, kinds: tuple[type, ...], what: str, where: str) -> list[Any]:
    """The list under a key, after a check of its items.

    Args:
        line: the JSON object.
        key: of the list.
        kinds: types that its items may have.
        what: what the items are called, for the message.
        where: `file:line`.

    Raises:
        UserError: it is no list, or holds something else.
    """
    cell = line[key]
    # Types are compared exactly, since `true` is a number to Python.
    if not isinstance(cell, list) or not all(type(each) in kinds for each in cell):
        raise UserError(f"`{key}` is no list of {what}: {cell!r:.60}", where=where, fix="see the README")
    return cell


def probabilities_of(line: dict[str, Any], where: str) -> list[float]:
    """The list under `confidence`.

    Raises:
        UserError: it is no list of numbers from 0 to 1.
    """
    found = list_of(line, "confidence", _NUMBERS, "probabilities", where)
    if not all(0 <= p <= 1 for p in found):
        raise UserError("a `confidence` is no probability", where=where, fix="write numbers from 0 to 1")
    return found


def check_same_length(cells: dict[str, list[Any]], where: str) -> None:
    """Refuse lists of different lengths, by their keys.

    Raises:
        UserError: names each with its length.
    """
    lengths = {name: len(cell) for name, cell in cells.items()}
    if len(set(lengths.values())) > 1:
        each = ", ".join(f"{name} {length}" for name, length in lengths.items())
        fix = "write one of each for every word"
        raise UserError(f"lists of different lengths: {each}", where=where, fix=fix)
