"""Prodigy's JSONL: a text with `tokens` and `spans`, and an `answer`.

Only what was accepted is read: of a rejected or ignored task nobody has said which entities it holds. Where
several people answered the same input, the first answer is read.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from ner_dist.data.documents import Document, check_words
from ner_dist.data.formats.form import Content, JsonFormat, JsonRows
from ner_dist.data.formats.span_items import spans_of
from ner_dist.data.notes import detail
from ner_dist.errors import UserError
from ner_dist.formatting import counted

log = logging.getLogger(__name__)


def _recognises(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        return False
    tokens = row.get("tokens")
    has_tokens = isinstance(tokens, list) and bool(tokens) and _is_token(tokens[0])
    return "_input_hash" in row or ("spans" in row and ("answer" in row or has_tokens))


def _is_token(token: Any) -> bool:
    return isinstance(token, dict) and all(key in token for key in ("text", "start", "end"))


def _read(rows: JsonRows) -> Content:
    documents = []
    answers, repeated, relations, binary = Counter[str](), 0, 0, 0
    seen: set[Any] = set()
    for number, row in rows:
        where = rows.place(number)
        text = row.get("text") if isinstance(row, dict) else None
        if not isinstance(text, str):
            raise UserError(f"{row!r:.60} has no text", where=where)
        answer = row.get("answer") or "accept"
        if answer != "accept":
            answers[str(answer)] += 1
            detail(f"{where}: left out, its answer is {answer}")
            continue
        task = row.get("_input_hash")
        if task is not None and task in seen:
            repeated += 1
            detail(f"{where}: left out, the input was answered before")
            continue
        seen.add(task)
        relations += len(row.get("relations") or ())
        binary += row.get("_is_binary") is True
        spans = spans_of(row.get("spans") or (), text, rows, number)
        document = Document(text, spans, number, words=_words(row, text, rows, number))
        check_words(document, place=where)
        documents.append(document)
    for answer, count in answers.items():
        log.warning("%s: %s left out whose answer is %s", rows.file, counted(count, "task"), answer)
    if repeated:
        says = "%s: %s of an input that was answered before left out"
        log.warning(says, rows.file, counted(repeated, "task"))
    if binary:
        says = "%s: %s that only ask about the marked span: all other words count as O"
        log.warning(says, rows.file, counted(binary, "task"))
    if relations:
        log.info("%s: %s between entities ignored", rows.file, counted(relations, "relation"))
    return rows.documents(documents)


def _words(row: dict[str, Any], text: str, rows: JsonRows, number: int) -> tuple[tuple[int, int], ...] | None:
    """Prodigy's own tokens, without those that are blank."""
    tokens = row.get("tokens")
    if not isinstance(tokens, list):
        return None
    if not all(map(_is_token, tokens)):
        raise UserError("a token without text, start or end", where=rows.place(number))
    # Tokens are spans of a kind: their offsets are checked alike.
    items = [[token["start"], token["end"], "token"] for token in tokens]
    ranges = [(span.start, span.end) for span in spans_of(items, text, rows, number)]
    for token, (start, end) in zip(tokens, ranges, strict=True):
        if text[start:end] != token["text"]:
            what = f"token {token['text']!r:.40} is {text[start:end]!r:.40} in the text"
            raise UserError(what, where=rows.place(number), fix="correct it, or remove the tokens")
    return tuple((start, end) for start, end in ranges if text[start:end].strip())


PRODIGY = JsonFormat("a Prodigy export", _recognises, _read)
