"""Read one file, in whatever format, into rows that know their location.

A reader checks the form of the data (valid JSON, existing columns, one tag per word) and names the file and
line of an error. `labelling.py` decides the meaning of tags. Files may be gzipped. Millions of words are
processed as whole columns: no Python loop runs over words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.data.column_roles import described, tag_like
from ner_dist.data.conll import column_number, read_columns, read_conll
from ner_dist.data.corpus import Rows
from ner_dist.data.file_text import bounded, ending_of, first_bytes, head_of, read_text
from ner_dist.data.formats.csv_table import has_header, objects_of, read_table, rows_of_words
from ner_dist.data.formats.form import Content
from ner_dist.data.formats.recognise import file_format
from ner_dist.data.json_files import content_of_rows, read_json, read_jsonl
from ner_dist.data.json_text import NotJson, json_lines, parse
from ner_dist.data.known_formats import check_ending
from ner_dist.data.table_files import first_rows_of_parquet, read_parquet, read_saved
from ner_dist.data.tag_shapes import are_tags
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.recipe_data import Data

_ENDINGS = {
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    ".json": "json",
    ".parquet": "parquet",
    ".csv": "csv",
    **dict.fromkeys((".conll", ".conllu", ".conllup", ".txt", ".tsv", ".iob", ".iob2", ".bio"), "conll"),
}


def format_by_ending(path: Path) -> str | None:
    """`jsonl`, `json`, `parquet`, `csv` or `conll`; None for an unknown ending."""
    return _ENDINGS.get(ending_of(path))


def read_rows(path: Path, data: Data) -> Rows:
    """Read one file as sentences of words and tags.

    Raises:
        UserError: the file cannot be read, or a line does not match `data`.
    """
    content = read_content(path, data)
    with bounded(path):
        return content if isinstance(content, Rows) else content.rows(data)


def read_content(path: Path, data: Data) -> Content:
    """Read one file as what it holds: documents with character spans, or words and tags.

    Args:
        path: a file, or a folder of `Dataset.save_to_disk`.
        data: the format, and names of columns.

    Raises:
        UserError: the file cannot be read, or a line does not match `data`.
    """
    with bounded(path):
        if path.is_dir():
            return read_saved(path, data)
        if data.format == "auto" and (found := file_format(path, head_of(path))):
            return found.read(path, data)
        kind = format_of(path) if data.format == "auto" else data.format
        return _READERS[kind](path, data)


def format_of(path: Path) -> str:
    """The format of a file, from its ending or else from its first bytes.

    Raises:
        UserError: the format is unknown or not supported.
    """
    kind = format_by_ending(path)
    if kind in ("conll", None) and has_header(head_of(path)):
        return "csv"
    if kind is not None:
        return kind
    raw = first_bytes(path)
    head = raw.decode("utf-8", errors="replace")
    check_ending(path)
    if raw.startswith(b"PAR1"):
        return "parquet"
    if re.match(r"""\ufeff?\s*[{\[]\s*["{\[\]}]""", head):
        return "json"
    if (
        head
        and "\0" not in head
        and "\ufffd" not in head[:-3]
        and re.search(r"^\S.*[ \t]\S", head, re.MULTILINE)
    ):
        return "conll"
    raise UserError(
        f"the format of a '{path.suffix}' file is unknown",
        where=str(path),
        fix="set data.format to jsonl, json, parquet, csv or conll",
    )


def _read_csv(path: Path, data: Data) -> Content:
    table = read_table(read_text(path, data), file=str(path))
    rows = objects_of(table, data)
    return rows_of_words(table, data) if rows is None else content_of_rows(rows, data, file=str(path))


_READERS: dict[str, Callable[[Path, Data], Content]] = {
    "jsonl": read_jsonl,
    "json": read_json,
    "parquet": read_parquet,
    "csv": _read_csv,
    "conll": read_conll,
}


def overview(path: Path, data: Data) -> tuple[str, list[str]]:
    """Describe the columns of a file with samples of their cells, and name those that hold entity tags.

    For messages: of JSON, CSV and Parquet only the first rows are looked at. Files of other tools have no
    columns to choose from.
    """
    if data.format == "auto" and file_format(path, head_of(path)):
        return "", []
    kind = format_of(path) if data.format == "auto" else data.format
    if kind == "conll":
        columns = read_columns(path, data, separator=data.separator, tags=column_number(data.tags_column))
        return described(columns), tag_like(columns)
    rows = _first_rows(path, kind)
    cells = {name: [row[name] for row in rows if name in row] for name in (rows[0] if rows else {})}
    shown = ", ".join(
        f"{name} ({json.dumps(column[0], ensure_ascii=False, default=str):.30})"
        for name, column in cells.items()
    )
    lists = {
        name: [cell if isinstance(cell, list) else [cell] for cell in column]
        for name, column in cells.items()
        if kind == "csv" or all(isinstance(cell, list) for cell in column)
    }
    flat = {name: {str(item) for cell in column for item in cell} for name, column in lists.items()}
    return shown, [name for name, items in flat.items() if are_tags(items)]


def _first_rows(path: Path, kind: str, number: int = 1000) -> list[dict[str, Any]]:
    if kind == "parquet":
        return first_rows_of_parquet(path, number)
    text = read_text(path, lines=kind != "json")
    if kind == "csv":
        table = read_table(text, file=str(path))
        filled = [cells for _, cells in table.rows if cells]
        return [dict(zip(table.names, cells, strict=True)) for cells in filled[:number]]
    try:
        document = parse(text)
    except NotJson:
        document = [row for _, row in islice(json_lines(text, path), number)]
    document = document.get("data", document) if isinstance(document, dict) else document
    rows = document[:number] if isinstance(document, list) else [document]
    return [row for row in rows if isinstance(row, dict)]
