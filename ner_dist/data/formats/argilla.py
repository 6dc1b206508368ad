"""Argilla's exports: records with `fields` and `responses`, and of version 1 (Rubrix) with `annotation`.

Of a record, the first submitted response is read, and of version 1 the `annotation`. Discarded records and
those without an answer are left out; so are suggestions of models.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from itertools import chain, repeat
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


def _read(rows: JsonRows) -> Content:
    return _documents(rows, _responses, _field)


def _read_rubrix(rows: JsonRows) -> Content:
    def answers(row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        if row.get("annotation") is not None:
            yield str(row.get("status") or "submitted"), row["annotation"]

    return _documents(rows, answers, lambda row, spans: row.get("text"))


def _documents(rows: JsonRows, answers: Any, text_of: Any) -> Content:
    """Read records.

    Args:
        rows: the records.
        answers: (row) to status and spans of each answer.
        text_of: (row, spans) to the text; None if there is none.
    """
    documents = []
    left_out, several = Counter[str](), 0
    for number, row in rows:
        where = rows.place(number)
        if not isinstance(row, dict):
            raise UserError(f"{row!r:.60} is not a record", where=where)
        given = list(answers(row))
        valid = [items for status, items in given if status.lower() not in ("discarded", "draft")]
        if not valid:
            why = f"whose answer is {given[0][0].lower()}" if given else "without an answer"
            left_out[why] += 1
            detail(f"{where}: record {why} is left out")
            continue
        if len(valid) > 1:
            several += 1
            detail(f"{where}: the first of {len(valid)} answers is read")
        if not isinstance(valid[0], list):
            raise UserError(f"{valid[0]!r:.60} is not a list of spans", where=where)
        text = text_of(row, valid[0])
        if not isinstance(text, str):
            raise UserError("the text of the record cannot be told from its fields", where=where)
        documents.append(Document(text, spans_of(valid[0], text, rows, number), number, id=id_of(row)))
    for why, count in left_out.items():
        log.warning("%s: %s %s left out", rows.file, counted(count, "record"), why)
    if several:
        says = "%s: %s by several people: the first answer is read"
        log.warning(says, rows.file, counted(several, "record"))
    return rows.documents(documents)


def _responses(row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Status and spans of every response to a question about spans.

    `responses` is an object by question, or a list of objects with `values` by question; in flat exports
    `QUESTION.responses` is a list with an item for each person, beside `QUESTION.responses.status`.
    """
    responses = row.get("responses")
    if isinstance(responses, dict):
        for answers in responses.values():
            for answer in answers if isinstance(answers, list) else ():
                if isinstance(answer, dict) and _spans(answer.get("value")):
                    yield str(answer.get("status") or "submitted"), answer["value"]
    for answer in responses if isinstance(responses, list) else ():
        values = answer.get("values") if isinstance(answer, dict) else None
        for value in values.values() if isinstance(values, dict) else ():
            if isinstance(value, dict) and _spans(value.get("value")):
                yield str(answer.get("status") or "submitted"), value["value"]
    for key, answers in row.items():
        if key.endswith(_RESPONSES) and isinstance(answers, list):
            statuses = row.get(f"{key}.status")
            statuses = statuses if isinstance(statuses, list) else []
            for answer, status in zip(answers, chain(statuses, repeat(None)), strict=False):
                if _spans(answer):
                    yield str(status or "submitted"), answer


def _spans(value: Any) -> bool:
    return value == [] or are_spans(value)


def _field(row: dict[str, Any], spans: list[Any]) -> str | None:
    """The text of a record: its field `text`, the only one, or the only one that all spans fit into."""
    fields = row.get("fields")
    if not isinstance(fields, dict):
        fields = {key: value for key, value in row.items() if key not in ("id", "status", "_server_id")}
    texts = {key: value for key, value in fields.items() if isinstance(value, str) and "." not in key}
    if "text" in texts:
        return str(texts["text"])
    return str(next(iter(texts.values()))) if len(texts) == 1 else None


ARGILLA = JsonFormat("an Argilla export", _is_record, _read)
RUBRIX = JsonFormat("an Argilla export (version 1)", _is_rubrix, _read_rubrix)
