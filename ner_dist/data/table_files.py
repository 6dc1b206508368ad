"""Read Arrow tables: Parquet files, Hugging Face data sets, and folders of `Dataset.save_to_disk`.

Tables with lists of words and of tags are read as whole columns (`arrow.py`). Others are read row by row as
JSON values, so that every format of rows is found in them too: spans as structs over a text, lists as text.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.data.arrow import rows_from_table
from ner_dist.data.file_text import read_bytes
from ner_dist.data.json_files import content_of_rows
from ner_dist.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

    from ner_dist.data.formats.form import Content
    from ner_dist.recipe import Data


def read_parquet(path: Path, data: Data) -> Content:
    """Read a Parquet file.

    Raises:
        UserError: it is damaged, or holds no words and tags and no known format.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(read_bytes(path)))
        names = file.schema_arrow.names
        wanted = {data.tokens_column, data.tags_column, data.language_column, data.document_column}
        plain = _has_lists(file.schema_arrow, data)
        table = file.read(columns=[name for name in names if name in wanted] if plain else None)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"not a readable Parquet file ({error})", where=str(path)) from None
    return content_of_table(table, data, file=str(path), columns=names)


def is_saved(folder: Path) -> bool:
    """Whether a folder was written by `Dataset.save_to_disk`: one split."""
    return (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()


def read_saved(folder: Path, data: Data) -> Content:
    """Read a folder of `Dataset.save_to_disk`.

    Raises:
        UserError: it is damaged, or holds no words and tags and no known format.
    """
    import datasets
    import pyarrow as pa

    try:
        found: Any = datasets.load_from_disk(str(folder))
        table = found.with_format("arrow")[:]
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        what = f"a damaged data set of save_to_disk ({error})"
        raise UserError(what, where=str(folder), fix="copy or save it again") from None
    return content_of_table(table, data, file=str(folder))


def content_of_table(table: pa.Table, data: Data, *, file: str, columns: list[str] | None = None) -> Content:
    """Words and tags, or documents, of an Arrow table.

    Args:
        table: read from Parquet, or the table under a Hugging Face data set.
        data: names the columns and the language.
        file: name of the table in messages.
        columns: names of all columns, if `table` holds only some.

    Raises:
        UserError: it holds no words and tags and no known format.
    """
    if _has_lists(table.schema, data) or not _may_hold_others(table.schema):
        return rows_from_table(table, data, file=file, columns=columns)
    names = {column: _names_in(table.schema, column) for column in table.column_names}
    rows = (
        {column: _objects(cell, names[column]) for column, cell in row.items()} for row in table.to_pylist()
    )
    return content_of_rows(enumerate(rows, start=1), data, file=file, place_prefix="row ")


def _has_lists(schema: pa.Schema, data: Data) -> bool:
    """Whether the columns of words and tags are lists, of something else than structs or lists."""
    import pyarrow as pa

    for name in (data.tokens_column, data.tags_column):
        kind = schema.field(name).type if name in schema.names else None
        if kind is None or not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
            return False
        if pa.types.is_nested(kind.value_type):
            return False
    return True


def _may_hold_others(schema: pa.Schema) -> bool:
    """Whether a column holds text or something nested, which a format of rows may be made of."""
    import pyarrow as pa

    def may(kind: pa.DataType) -> bool:
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            return bool(pa.types.is_nested(kind.value_type))
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_struct(kind))

    return any(may(field.type) for field in schema)


def _objects(cell: Any, names: dict[str, list[str]]) -> Any:
    """A cell with a list of spans as a list of objects.

    `datasets` before version 4 stored it as an object of lists; ids of types get their names.
    """
    lists = list(cell.values()) if isinstance(cell, dict) else []
    if lists and all(isinstance(part, list) and len(part) == len(lists[0]) for part in lists):
        cell = [dict(zip(cell, items, strict=True)) for items in zip(*lists, strict=True)]
    if not names or not isinstance(cell, list):
        return cell
    return [_named(item, names) if isinstance(item, dict) else item for item in cell]


def _named(item: dict[str, Any], names: dict[str, list[str]]) -> dict[str, Any]:
    return {
        key: names[key][value]
        if key in names and isinstance(value, int) and 0 <= value < len(names[key])
        else value
        for key, value in item.items()
    }


def _names_in(schema: pa.Schema, column: str) -> dict[str, list[str]]:
    """Names of the ids in each field of a column of structs, as the `datasets` library stores them."""
    stated = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    feature = stated.get("info", {}).get("features", {}).get(column, {})
    while isinstance(feature, dict) and isinstance(feature.get("feature"), dict):
        feature = feature["feature"]
    feature = feature[0] if isinstance(feature, list) and feature else feature
    fields = feature.items() if isinstance(feature, dict) else ()
    return {name: field["names"] for name, field in fields if isinstance(field, dict) and field.get("names")}
