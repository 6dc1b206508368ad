"""Read Arrow tables: Parquet files, Hugging Face data sets, and folders of `Dataset.save_to_disk`.

Tables with lists of words and of tags are read as whole columns (`arrow.py`). Others are read row by row as
JSON values, so that every format of rows is found in them too: spans as structs over a text, lists as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.data.arrow import class_names, rows_from_table, stated_feature
from ner_dist.data.file_text import GZIP_MAGIC, check_size, most_bytes, read_bytes, too_large
from ner_dist.data.gathered import gathered
from ner_dist.data.json_files import content_of_rows
from ner_dist.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

    from ner_dist.data.corpus import Rows
    from ner_dist.data.formats.form import Content
    from ner_dist.recipe_data import Data

_BATCH = 1 << 10
"""Rows of a Parquet file that are read at once."""
_BATCHES = 64
"""Batches that become words and tags at a time."""
_VALUE = 4
"""Bytes that a value takes in memory, at least."""


def read_parquet(path: Path, data: Data) -> Content:
    """Read a Parquet file.

    Raises:
        UserError: it is damaged, or holds no words and tags and no known format.
    """
    with parquet_errors(path):
        file = _parquet_file(path, data)
        names = file.schema_arrow.names
        if not _has_lists(file.schema_arrow, data):
            return content_of_table(_whole(file, path, data), data, file=str(path))
    wanted = {data.tokens_column, data.tags_column, data.language_column, data.document_column}
    tables = _bounded_tables(file, [name for name in names if name in wanted], path, data)
    return _rows_of_tables(tables, data, file=str(path), columns=names)


def first_rows_of_parquet(path: Path, number: int) -> list[dict[str, Any]]:
    """The first rows of a Parquet file.

    Raises:
        UserError: it is damaged.
    """
    import pyarrow as pa

    with parquet_errors(path):
        batches = _parquet_file(path, None).iter_batches(number)
        return values_of(pa.Table.from_batches([next(batches, pa.record_batch({}))]), str(path))


@contextmanager
def parquet_errors(path: Path) -> Iterator[None]:
    """Raise what a damaged Parquet file leads to as a `UserError`."""
    import pyarrow as pa

    try:
        yield
    except pa.ArrowMemoryError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        what = f"not a readable Parquet file ({str(error).strip():.200})"
        raise UserError(what, where=str(path), fix="copy or write it again") from None


def _parquet_file(path: Path, data: Data | None) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_size(path, data)
    with path.open("rb") as raw:
        zipped = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    if not zipped:
        # Not mapped into memory: a file that is cut off while it is read would end the process.
        return pq.ParquetFile(pa.OSFile(str(path)))
    return pq.ParquetFile(pa.BufferReader(read_bytes(path, data)))


def _whole(file: Any, path: Path, data: Data) -> pa.Table:
    import pyarrow as pa

    return pa.concat_tables(_bounded_tables(file, None, path, data))


def _bounded_tables(file: Any, columns: list[str] | None, path: Path, data: Data) -> Iterator[pa.Table]:
    """Read a Parquet file up to `data.max_file_gb`, some rows at a time: a kilobyte may hold gigabytes.

    Yields:
        At least one table.

    Raises:
        UserError: it holds more, or is damaged.
    """
    import pyarrow as pa

    most, schema = most_bytes(data), file.schema_arrow
    if columns is not None:
        schema = pa.schema([field for field in schema if field.name in columns], metadata=schema.metadata)
    with parquet_errors(path):
        # One row may hold a list of a billion items, stored as one item and a count.
        if _VALUE * _stated_values(file.metadata, columns) > most:
            raise too_large("the table holds", path, data)
        size, several = 0, list[pa.Table]()
        for batch in file.iter_batches(_BATCH, columns=columns):
            size += batch.nbytes
            if size > most:
                raise too_large("the table holds", path, data)
            table = pa.Table.from_batches([batch]).replace_schema_metadata(schema.metadata)
            table.validate(full=True)  # Arrow takes text that is not UTF-8 as it comes
            if len(several) == _BATCHES:
                yield pa.concat_tables(several)
                several = []
            several.append(table)
        yield pa.concat_tables(several or [schema.empty_table()])


def _rows_of_tables(
    tables: Iterable[pa.Table], data: Data, *, file: str, columns: list[str] | None = None
) -> Rows:
    """The rows of tables that follow each other in a file; the arguments are those of `content_of_table`."""

    def pieces() -> Iterator[Rows]:
        first = 0
        for table in tables:
            yield rows_from_table(table, data, file=file, columns=columns, first_row=first)
            first += table.num_rows

    return gathered(pieces(), data)


def _stated_values(metadata: Any, columns: list[str] | None) -> int:
    """The number of values in some columns of a Parquet file, as it says itself."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    chunks = (group.column(number) for group in groups for number in range(group.num_columns))
    return sum(
        chunk.num_values
        for chunk in chunks
        if columns is None or chunk.path_in_schema.partition(".")[0] in columns
    )


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

    for path in sorted(folder.glob("*.arrow")):
        check_size(path, data)
    try:
        found: Any = datasets.load_from_disk(str(folder))
        # Nothing is taken from a damaged table: Arrow would follow its offsets out of the memory.
        found.data.table.validate(full=True)
        table = found.with_format("arrow")[:]
    except pa.ArrowMemoryError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
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
        starts = range(0, max(1, table.num_rows), _BATCH * _BATCHES)
        tables = (table.slice(start, _BATCH * _BATCHES) for start in starts)
        return _rows_of_tables(tables, data, file=file, columns=columns)
    names = {column: _names_in(table.schema, column) for column in table.column_names}
    rows = (
        {column: _objects(cell, names[column]) for column, cell in row.items()}
        for row in values_of(table, file)
    )
    return content_of_rows(enumerate(rows, start=1), data, file=file, place_prefix="row ")


def values_of(table: pa.Table, file: str) -> list[dict[str, Any]]:
    """The rows of a table as Python's values.

    Raises:
        UserError: Python has no value for a cell, such as for a date in the year 10,000.
    """
    import pyarrow as pa

    if len(set(table.column_names)) < len(table.column_names):
        twice = next(name for name in table.column_names if table.column_names.count(name) > 1)
        raise UserError(f"several columns are called '{twice}'", where=file, fix="rename all but one")
    try:
        result: list[dict[str, Any]] = table.to_pylist()
    except pa.ArrowMemoryError:
        raise
    except (ValueError, OverflowError, TypeError, LookupError, pa.ArrowException) as error:
        what = f"a cell that cannot be read ({type(error).__name__}: {str(error).strip():.100})"
        raise UserError(what, where=file, fix="leave its column out") from None
    return result


def _has_lists(schema: pa.Schema, data: Data) -> bool:
    """Whether the columns of words and tags are lists, of something else than structs or lists."""
    import pyarrow as pa

    for name in (data.tokens_column, data.tags_column):
        if schema.names.count(name) > 1:
            return True  # which is an error
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


def _objects(cell: Any, names: dict[str, tuple[str, ...]]) -> Any:
    """A cell with a list of spans as a list of objects.

    `datasets` before version 4 stored it as an object of lists; ids of types get their names.
    """
    lists = list(cell.values()) if isinstance(cell, dict) else []
    if lists and all(isinstance(part, list) and len(part) == len(lists[0]) for part in lists):
        cell = [dict(zip(cell, items, strict=True)) for items in zip(*lists, strict=True)]
    if not names or not isinstance(cell, list):
        return cell
    return [_named(item, names) if isinstance(item, dict) else item for item in cell]


def _named(item: dict[str, Any], names: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    return {
        key: names[key][value]
        if key in names and isinstance(value, int) and 0 <= value < len(names[key])
        else value
        for key, value in item.items()
    }


def _names_in(schema: pa.Schema, column: str) -> dict[str, tuple[str, ...]]:
    """Names of the ids in each field of a column of structs, as the `datasets` library stores them."""
    feature = stated_feature(schema, column)
    while isinstance(feature, dict) and isinstance(feature.get("feature"), dict):
        feature = feature["feature"]
    feature = feature[0] if isinstance(feature, list) and feature else feature
    fields = feature.items() if isinstance(feature, dict) else ()
    return {name: names for name, field in fields if (names := class_names(field))}
