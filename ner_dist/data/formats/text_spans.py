"""Rows with a text and character spans: doccano's JSONL of all versions, and many data sets.

{"text": "In Bern", "label": [[3, 7, "LOC"]]}
{"text": "In Bern", "entities": [{"start_offset": 3, "end_offset": 7, "label": "LOC"}], "relations": []}
{"text": "In Bern", "spans": [{"start": 3, "end": 7, "label": "LOC"}]}
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from ner_dist.data.documents import Document
from ner_dist.data.formats.form import Content, JsonFormat, JsonRows
from ner_dist.data.formats.span_items import are_spans, spans_of
from ner_dist.errors import UserError
from ner_dist.formatting import counted

log = logging.getLogger(__name__)

TEXT_KEYS = ("text", "sentence", "content", "document", "data", "raw_text", "context")
SPAN_KEYS = (
    *("label", "labels", "entities", "spans", "ents", "ner", "annotations", "annotation", "entity", "tags"),
    "named_entities",
)
"""Keys of the spans; the log says which is read."""
_IDS = ("id", "doc_id", "document_id", "uid", "_id")


def text_in(row: Any, keys: tuple[str, ...] = TEXT_KEYS) -> str | None:
    """The key of the text in a row."""
    if not isinstance(row, dict):
        return None
    return next((key for key in keys if isinstance(row.get(key), str)), None)


def _span_key(row: Any) -> str | None:
    """The key of the spans in a row; of an empty list only if its name says so."""
    if not isinstance(row, dict):
        return None
    lists = [key for key in SPAN_KEYS if isinstance(row.get(key), list)]
    return next((key for key in lists if are_spans(row[key])), next(iter(lists), None))


def _recognises(row: Any) -> bool:
    key = _span_key(row)
    return text_in(row) is not None and key is not None and are_spans(row[key])


def _might_be(row: Any) -> bool:
    """A row without entities: its list of spans is empty."""
    key = _span_key(row)
    return text_in(row) is not None and key is not None and row[key] == []


def _read(rows: JsonRows) -> Content:
    text_key, span_key = _keys(rows)
    documents = []
    relations = 0
    for number, row in rows:
        where = rows.place(number)
        text = row.get(text_key) if isinstance(row, dict) else None
        if not isinstance(text, str):
            raise UserError(f"{row!r:.60} has no text in '{text_key}'", where=where)
        items = row.get(span_key)
        if items is None and span_key not in row:
            fix = "write an empty list for a text without entities"
            raise UserError(f"no '{span_key}', where other rows have their spans", where=where, fix=fix)
        if not isinstance(items or [], list):
            raise UserError(f"'{span_key}' is {items!r:.60}, not a list of spans", where=where)
        relations += len(row.get("relations") or ())
        spans = spans_of(items or [], text, rows, number)
        documents.append(Document(text, spans, number, id=id_of(row)))
    log.info("%s: read as texts in '%s' with spans in '%s'", rows.file, text_key, span_key)
    if relations:
        log.info("%s: %s between entities ignored", rows.file, counted(relations, "relation"))
    return rows.documents(documents)


def _keys(rows: JsonRows) -> tuple[str, str]:
    """The keys of text and spans, by the rows that have spans."""
    found = Counter((text_in(row), _span_key(row)) for _, row in rows if _recognises(row)) or Counter(
        (text_in(row), _span_key(row)) for _, row in rows if _might_be(row)
    )
    text, span = found.most_common(1)[0][0]
    assert text is not None and span is not None
    return text, span


def id_of(row: dict[str, Any]) -> str | None:
    """What a row calls itself."""
    return next((str(row[key]) for key in _IDS if isinstance(row.get(key), str | int)), None)


TEXT_SPANS = JsonFormat("a file of texts with spans", _recognises, _read)
WITHOUT_ENTITIES = JsonFormat("a file of texts without entities", _might_be, _read)
