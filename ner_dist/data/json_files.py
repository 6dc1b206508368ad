"""Read JSON and JSONL files: rows of words and tags, or rows in the format of another tool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.data.cells import with_unix_ends
from ner_dist.data.corpus import Rows, missing_column, rows_from_lists
from ner_dist.data.file_text import read_text, text_pieces
from ner_dist.data.formats.cell_text import with_lists
from ner_dist.data.formats.form import Content, JsonRows
from ner_dist.data.formats.pandas_json import rows_of
from ner_dist.data.formats.recognise import json_format
from ner_dist.data.gathered import gathered
from ner_dist.data.json_text import NotJson, json_lines, parse
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.recipe_data import Data

_GROUP = 50_000
"""Rows that become words and tags at a time."""
_FIRST_ROWS = 1000
"""Number of rows from which a format is recognised."""


def read_jsonl(path: Path, data: Data) -> Content:
    """Read a file with a JSON value on each line.

    Raises:
        UserError: a line is no JSON, or has neither words and tags nor a known format.
    """
    return content_of_rows(_lines(path, data), data, file=str(path))


def _lines(path: Path, data: Data) -> Iterator[tuple[int, Any]]:
    """The value of each line of a file, with its number; some megabytes are in memory at a time."""
    first = 1
    for text in text_pieces(path, data):
        yield from json_lines(text, path, first=first)
        first += with_unix_ends(text).count("\n")


def read_json(path: Path, data: Data) -> Content:
    """Read a list of rows, `{"data": [...]}`, a list for each column, a table of pandas, or JSON lines.

    Raises:
        UserError: the file is no JSON, or has neither words and tags nor a known format.
    """
    text = read_text(path, data, lines=False)
    try:
        document = parse(text) if text and not text.isspace() else []
    except NotJson as error:
        if error.extra and text.lstrip().startswith("{"):
            return read_jsonl(path, data)
        where = str(path) if error.line is None else f"{path}:{error.line}"
        raise UserError(str(error), where=where, fix="fix the JSON there") from None
    if isinstance(document, dict):
        document = _objects_of(document, data, str(path))
    if not isinstance(document, list):
        raise UserError("neither a list of objects nor a list for each column", where=str(path))
    return content_of_rows(enumerate(document, start=1), data, file=str(path), place_prefix="row ")


def content_of_rows(
    numbered: Iterable[tuple[int, Any]], data: Data, *, file: str, place_prefix: str = ""
) -> Content:
    """Hand rows to the format that recognises them, else read their columns of words and tags.

    Args:
        numbered: line or row in the file, from 1, and its value.
        data: names the columns and the language.
        file: its name in messages.
        place_prefix: what precedes the number in messages: empty for lines, `row ` for rows.

    Raises:
        UserError: a row has neither words and tags nor a known format.
    """
    words, tags = str(data.tokens_column), str(data.tags_column)
    left = with_lists(numbered, words, tags, file=file, place_prefix=place_prefix)
    first = list(islice(left, _FIRST_ROWS))
    if first and not _has_words_and_tags(first[0][1], data):
        found = json_format([row for _, row in first])
        if found is not None:
            spoken, languages = _in_language([*first, *left], data, file, place_prefix)
            rows = JsonRows(spoken, file, data, place_prefix)
            content = found.read(rows) if spoken else rows.documents([])
            content.languages = languages
            if isinstance(content, Rows):
                content.read += languages.total() - languages[str(data.language)]
            return content
    numbered = chain(first, left)
    groups = iter(lambda: list(islice(numbered, _GROUP)), [])
    first_group = next(groups, [])
    pieces = (
        _from_objects(group, data, file=file, place_prefix=place_prefix)
        for group in chain([first_group], groups)
    )
    return gathered(pieces, data)


def _in_language(
    numbered: list[tuple[int, Any]], data: Data, file: str, place_prefix: str
) -> tuple[list[tuple[int, Any]], Counter[str]]:
    """The rows in the language of the recipe, and the number of rows by language."""
    languages: Counter[str] = Counter()
    if data.language is None:
        return numbered, languages
    kept = []
    for number, row in numbered:
        if not isinstance(row, dict) or data.language_column not in row:
            columns = row if isinstance(row, dict) else ()
            where = f"{file}:{place_prefix}{number}"
            raise missing_column(data.language_column, "language_column", columns, where)
        languages[str(row[data.language_column])] += 1
        if str(row[data.language_column]) == data.language:
            kept.append((number, row))
    return kept, languages


def _objects_of(document: dict[str, Any], data: Data, where: str) -> list[Any]:
    if (table := rows_of(document)) is not None:
        return table
    if isinstance(document.get("data"), list):
        result: list[Any] = document["data"]
        return result
    column = str(data.tokens_column)
    words = document.get(column)
    if not _has_words_and_tags(document, data) and json_format([document]) is not None:
        return [document]
    if words is None:
        raise missing_column(column, "tokens_column", document, where)
    if not (isinstance(words, list) and words and isinstance(words[0], list)):
        return [document]
    columns = {name: column for name, column in document.items() if isinstance(column, list)}
    if len({len(column) for column in columns.values()}) > 1:
        lengths = ", ".join(f"{name} {len(column)}" for name, column in columns.items())
        raise UserError(f"columns of different lengths: {lengths}", where=where)
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _from_objects(
    numbered: Iterable[tuple[int, Any]], data: Data, *, file: str, place_prefix: str = ""
) -> Rows:
    tokens: list[Any] = []
    tags: list[Any] = []
    line_numbers: list[int] = []
    documents: list[str] = []
    languages: Counter[str] = Counter()
    read = 0
    columns = {key: getattr(data, key) for key in ("tokens_column", "tags_column")}
    if data.language is not None:
        columns["language_column"] = data.language_column
    if data.document_column is not None:
        columns["document_column"] = data.document_column
    for number, row in numbered:
        read += 1
        if not isinstance(row, dict):
            raise UserError(f"{row!r:.60} is not a JSON object", where=f"{file}:{place_prefix}{number}")
        for key, column in columns.items():
            if column not in row:
                raise missing_column(column, key, row, f"{file}:{place_prefix}{number}")
        if data.language is not None:
            language = str(row[data.language_column])
            languages[language] += 1
            if language != data.language:
                continue
        tokens.append(row[data.tokens_column])
        tags.append(row[data.tags_column])
        line_numbers.append(number)
        if data.document_column is not None:
            documents.append(str(row[data.document_column]))
    return rows_from_lists(
        tokens,
        tags,
        file=file,
        line_numbers=line_numbers,
        place_prefix=place_prefix,
        read=read,
        languages=languages,
        documents=None if data.document_column is None else documents,
    )


def _has_words_and_tags(row: Any, data: Data) -> bool:
    """Whether a row has a list of text and a flat list, under the names in `data`."""
    if not isinstance(row, dict):
        return False
    words, tags = row.get(data.tokens_column), row.get(data.tags_column)
    if not isinstance(words, list) or not isinstance(tags, list):
        return False
    return all(isinstance(word, str) for word in words) and not any(
        isinstance(tag, (list, dict)) for tag in tags
    )
