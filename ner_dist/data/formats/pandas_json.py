"""JSON tables in the layouts of pandas' `to_json`, as rows.

`orient=` columns (the default) holds a row's cells under its name in every column, `index` a row under its
name, `split` names and lists apart. `records` and `table` are lists of objects, which every reader knows.
"""

from __future__ import annotations

from typing import Any


def rows_of(document: Any) -> list[dict[str, Any]] | None:
    """The rows of a table; None if the document has none of these layouts."""
    if not isinstance(document, dict) or not document:
        return None
    if set(document) in ({"columns", "index", "data"}, {"columns", "data"}):
        return _split(document["columns"], document["data"])
    parts = list(document.values())
    if not all(isinstance(part, dict) and part for part in parts):
        return None
    names = list(parts[0])
    if any(list(part) != names for part in parts):
        return None
    # Rows are numbered unless they were given names.
    if all(map(str.isdecimal, names)):
        return [{column: cells[name] for column, cells in document.items()} for name in names]
    if all(map(str.isdecimal, document)):
        return parts
    return None


def _split(columns: Any, rows: Any) -> list[dict[str, Any]] | None:
    if not isinstance(columns, list) or not isinstance(rows, list):
        return None
    if not all(isinstance(name, str) for name in columns):
        return None
    if any(not isinstance(row, list) or len(row) != len(columns) for row in rows):
        return None
    return [dict(zip(columns, row, strict=True)) for row in rows]
