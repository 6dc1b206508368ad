"""Argilla's exports: records with `fields` and `responses`, and of version 1 (Rubrix) with `annotation`.

Of a record, the first submitted response is read, and of version 1 the `annotation`. Discarded records and
those without an answer are left out; so are suggestions of models.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any

from ner_dist.data.documents import Document
from ner_dist.data.formats.form import Content, JsonFormat, JsonRows
from ner_dist.data.formats.span_items import are_spans, spans_of
from ner_dist.data.formats.text_spans import id_of
from ner_dist.data.notes import detail
from ner_dist.errors import UserError
from ner_dist.formatting import counted

log = logging.getLogger(__name__)

_RESPONSES = ".responses"


def _is_record(row: Any) -> bool:
    if not isinstance(row, dict):
        return False
    nested = isinstance(row.get("fields"), dict) and ("responses" in row or "suggestions" in row)
    return nested or any(key.endswith((_RESPONSES, ".suggestion")) for key in row)


def _is_rubrix(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("text"), str) or "annotation" not in row:
        return False
    return "annotation_agent" in row or "prediction_agent" in row or "prediction" in row


Answer = tuple[str, str, list[Any]]
"""Question, status and spans."""


def _read(rows: JsonRows) -> Content:
    return _documents(rows, _responses, _field)


def _read_rubrix(rows: JsonRows) -> Content:
    def answers(row: dict[str, Any], where: str) -> Iterator[Answer]:
        spans = row.get("annotation")
        if spans is None:
            return
        if not isinstance(spans, list):
            raise UserError(f"{spans!r:.60} is not a list of spans", where=where)
        yield "annotation", _status(row.get("status")), spans

    return _documents(rows, answers, lambda row: row.get("text"))


def _documents(
    rows: JsonRows,
    answers: Callable[[dict[str, Any], str], Iterator[Answer]],
    text_of: Callable[[dict[str, Any]], Any],
) -> Content:
    """Read records.

    Args:
        rows: the records.
        answers: (row, place) to the answers to questions about spans.
        text_of: (row) to the text; None if there is none.
    """
    given: list[tuple[int, dict[str, Any], list[Answer]]] = []
    for number, row in rows:
        if not isinstance(row, dict):
            raise UserError(f"{row!r:.60} is not a record", where=rows.place(number))
        given.append((number, row, list(answers(row, rows.place(number)))))
    # An empty answer may be one to another kind of question.
    asked = [answer for _, _, found in given for answer in found]
    asked = [answer for answer in asked if answer[2]] or asked
    questions = list(dict.fromkeys(question for question, _, _ in asked))
    notes = _Notes(rows.file)
    documents = []
    for number, row, found in given:
        where = rows.place(number)
        spans = notes.first([answer for answer in found if answer[0] in questions[:1]], where)
        if spans is None:
            continue
        text = text_of(row)
        if not isinstance(text, str):
            raise UserError("the text of the record cannot be told from its fields", where=where)
        documents.append(Document(text, spans_of(spans, text, rows, number), number, id=id_of(row)))
    notes.log(questions)
    return rows.documents(documents)


class _Notes:
    """What is not read, counted for the log."""

    def __init__(self, file: str) -> None:
        self.file, self.several = file, 0
        self.left_out = Counter[str]()

    def first(self, answers: list[Answer], where: str) -> list[Any] | None:
        """The spans of the first answer that counts, if any."""
        valid = [spans for _, status, spans in answers if status not in ("discarded", "draft")]
        if not valid:
            why = f"whose answer is {answers[0][1]}" if answers else "without an answer"
            self.left_out[why] += 1
            detail(f"{where}: record {why} is left out")
            return None
        if len(valid) > 1:
            self.several += 1
            detail(f"{where}: the first of {len(valid)} answers is read")
        return valid[0]

    def log(self, questions: list[str]) -> None:
        for why, count in self.left_out.items():
            log.warning("%s: %s %s left out", self.file, counted(count, "record"), why)
        if self.several:
            says = "%s: %s by several people: the first answer is read"
            log.warning(says, self.file, counted(self.several, "record"))
        if len(questions) > 1:
            says = "%s: several questions about spans: `%s` is read, %s not"
            others = ", ".join(f"`{question}`" for question in questions[1:])
            log.warning(says, self.file, questions[0], others)


def _responses(row: dict[str, Any], where: str) -> Iterator[Answer]:
    """The responses to questions about spans.

    `responses` is an object by question, or a list of objects with `values` by question; in flat exports
    `QUESTION.responses` is a list with an item for each person, beside `QUESTION.responses.status`.
    """
    responses = row.get("responses")
    if isinstance(responses, dict):
        for question, answers in responses.items():
            for answer in answers if isinstance(answers, list) else ():
                if isinstance(answer, dict) and _spans(answer.get("value")):
                    yield question, _status(answer.get("status")), answer["value"]
    for answer in responses if isinstance(responses, list) else ():
        values = answer.get("values") if isinstance(answer, dict) else None
        for question, value in values.items() if isinstance(values, dict) else ():
            if isinstance(value, dict) and _spans(value.get("value")):
                yield question, _status(answer.get("status")), value["value"]
    for key, answers in row.items():
        if key.endswith(_RESPONSES) and isinstance(answers, list):
            given = row.get(f"{key}.status")
            # A status alone is that of all answers.
            statuses = given if isinstance(given, list) else [given] * len(answers)
            for answer, status in zip_longest(answers, statuses[: len(answers)]):
                if _spans(answer):
                    yield key.removesuffix(_RESPONSES), _status(status), answer


def _status(value: Any) -> str:
    return str(value or "submitted").lower()


def _spans(value: Any) -> bool:
    return value == [] or are_spans(value)


def _field(row: dict[str, Any]) -> str | None:
    """The text of a record: its field `text`, or the only one."""
    fields = row.get("fields")
    if not isinstance(fields, dict):
        fields = {key: value for key, value in row.items() if key not in ("id", "status", "_server_id")}
    texts = {key: value for key, value in fields.items() if isinstance(value, str) and "." not in key}
    if "text" in texts:
        return str(texts["text"])
    return str(next(iter(texts.values()))) if len(texts) == 1 else None


ARGILLA = JsonFormat("an Argilla export", _is_record, _read)
RUBRIX = JsonFormat("an Argilla export (version 1)", _is_rubrix, _read_rubrix)
