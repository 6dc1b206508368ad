"""Read rows from Arrow tables: Parquet files, and the tables of Hugging Face data sets."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.data.corpus import (
    LONGEST_WORD,
    Rows,
    check_lengths,
    check_words,
    ids_from_text,
    missing_column,
    offsets_of,
)
from ner_dist.data.unlabelled import NO_CODE, without_no_label
from ner_dist.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

    from ner_dist.recipe_data import Data

_WORDS = "text"
_TAGS = "text or whole numbers"


def rows_from_table(
    table: pa.Table, data: Data, *, file: str, columns: list[str] | None = None, first_row: int = 0
) -> Rows:
    """Rows from an Arrow table with a list of words and a list of tags in each row.

    Args:
        table: some rows of a Parquet file, or of the table under a Hugging Face dataset.
        data: names the columns and the language.
        file: name of the table in messages.
        columns: names of all columns, if `table` holds only some.
        first_row: number of rows before these.
    """
    import pyarrow.compute as pc

    keys = ["tokens_column", "tags_column"]
    keys += ["language_column"] if data.language is not None else []
    keys += ["document_column"] if data.document_column is not None else []
    for key in keys:
        there = table.column_names.count(getattr(data, key))
        if not there:
            raise missing_column(getattr(data, key), key, columns or table.column_names, file)
        if there > 1:
            what = f"{there} columns are called '{getattr(data, key)}'"
            raise UserError(what, where=file, fix="rename all but one")
    read = table.num_rows
    languages: Counter[str] = Counter()
    line_numbers = np.arange(1, read + 1) + first_row
    if data.language is not None:
        spoken = _languages(table[data.language_column], data, file)
        for item in pc.value_counts(spoken).to_pylist():
            languages[str(item["values"])] = item["counts"]
        keep = pc.fill_null(pc.equal(spoken, data.language), False)
        table, line_numbers = table.filter(keep), line_numbers[keep.to_numpy()]

    words = _column(table, str(data.tokens_column), _WORDS, file=file, line_numbers=line_numbers)
    tags = _column(table, str(data.tags_column), _TAGS, file=file, line_numbers=line_numbers)
    _check_vocabulary(words, file, line_numbers)
    check_lengths(words.lengths, tags.lengths, lambda row: f"{file}:row {line_numbers[row]}")
    offsets = offsets_of(words.lengths)
    # Indexing into the vocabulary shares one string among all the places where the word stands.
    flat = np.array(words.values, dtype=object)[words.codes].tolist()
    codes, values = without_no_label(tags.codes, tags.values)
    return Rows(
        tokens=[flat[start:end] for start, end in pairwise(offsets.tolist())],
        tags=codes,
        values=ids_from_text(values),
        offsets=offsets,
        file=file,
        line_numbers=line_numbers,
        place_prefix="row ",
        names=_class_names(table.schema, str(data.tags_column)),
        read=read,
        languages=languages,
        documents=_documents(table, data.document_column),
    )


def _documents(table: pa.Table, column: str | int | None) -> list[str] | None:
    """The document of every row, if a column names it."""
    import pyarrow as pa

    if column is None:
        return None
    return [str(cell) for cell in table[column].cast(pa.string()).to_pylist()]


def _check_vocabulary(words: _Column, file: str, line_numbers: np.ndarray) -> None:
    """Refuse words that are endless."""
    code = next((code for code, word in enumerate(words.values) if len(word) > LONGEST_WORD), None)
    if code is not None:
        item = int(np.argmax(words.codes == code))
        row = int(np.searchsorted(np.cumsum(words.lengths), item, side="right"))
        check_words([[words.values[code]]], lambda _: f"{file}:row {line_numbers[row]}")


def _languages(column: pa.ChunkedArray, data: Data, file: str) -> pa.ChunkedArray:
    import pyarrow as pa

    try:
        return column.cast(pa.string())
    except pa.ArrowException:
        what = f"column '{data.language_column}' holds {column.type}, not text"
        raise UserError(what, where=file, fix="set data.language_column") from None


@dataclass(frozen=True)
class _Column:
    """A column of lists, as flat items and lengths."""

    lengths: np.ndarray
    """int64 [N]: items of each list."""
    codes: np.ndarray
    """int64 [W]: index into `values` of each item; -1 for a tag that is null."""
    values: tuple[Any, ...]
    """The distinct items."""


def _column(table: pa.Table, name: str, kind: str, *, file: str, line_numbers: np.ndarray) -> _Column:
    import pyarrow as pa
    import pyarrow.compute as pc

    is_type, column = pa.types, table[name]
    if not (is_type.is_list(column.type) or is_type.is_large_list(column.type)):
        raise UserError(f"column '{name}' holds {column.type}, not lists of {kind}", where=file)
    if column.null_count:
        row = int(np.argmax(column.is_null().to_numpy()))
        raise UserError(f"column '{name}' is empty", where=f"{file}:row {line_numbers[row]}")
    lengths = pc.list_value_length(column).to_numpy().astype(np.int64)
    items = pa.chunked_array([chunk.flatten() for chunk in column.chunks], type=column.type.value_type)
    if is_type.is_dictionary(items.type):
        items = items.cast(items.type.value_type)
    if items.null_count and kind != _TAGS:
        item = int(np.argmax(items.is_null().to_numpy()))
        row = int(np.searchsorted(np.cumsum(lengths), item, side="right"))
        raise UserError(f"an item in column '{name}' is missing", where=f"{file}:row {line_numbers[row]}")
    if is_type.is_string(items.type) or is_type.is_large_string(items.type):
        items = items.cast(pa.large_string())  # joined chunks may pass the 2 GiB of `string`
    elif len(items) > items.null_count and not (kind == _TAGS and is_type.is_integer(items.type)):
        raise UserError(f"column '{name}' holds lists of {items.type}, not of {kind}", where=file)
    encoded = items.combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(NO_CODE).to_numpy().astype(np.int64)
    return _Column(lengths, codes, tuple(encoded.dictionary.to_pylist()))


def _class_names(schema: pa.Schema, column: str) -> tuple[str, ...] | None:
    """Names of the tag ids, as the `datasets` library stores them in the schema (`ClassLabel`)."""
    feature = stated_feature(schema, column)
    return class_names(feature.get("feature")) if isinstance(feature, dict) else None


def stated_feature(schema: pa.Schema, column: str) -> Any:
    """What the `datasets` library says about a column in a schema; None if nothing, or damaged."""
    try:
        stated = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    except (ValueError, RecursionError):
        return None
    for key in ("info", "features", column):
        stated = stated.get(key) if isinstance(stated, dict) else None
    return stated


def class_names(feature: Any) -> tuple[str, ...] | None:
    """The names of the ids of a `ClassLabel`; None if it is none."""
    names = feature.get("names") if isinstance(feature, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names)
