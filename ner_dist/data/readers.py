"""Read JSON lines, JSON, Parquet and CoNLL files into rows that know their location.

A reader checks the form of the data (valid JSON, existing columns, one tag per word) and names the file and
line of an error. `corpus.py` decides the meaning of tags. Files may be gzipped. Millions of words are
processed as whole columns: no Python loop runs over words.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.data.arrow import rows_from_table
from ner_dist.data.column_roles import (
    described,
    document_column,
    tag_column,
    tag_like,
    without_ranges,
    word_column,
)
from ner_dist.data.columns import Columns, cut
from ner_dist.data.corpus import Rows, missing_column, rows_from_lists
from ner_dist.data.known_formats import check_ending, check_object, check_text
from ner_dist.data.tag_shapes import are_tags, is_outside
from ner_dist.errors import UserError
from ner_dist.files import printable

if TYPE_CHECKING:
    from ner_dist.recipe import Data

_ENDINGS = {
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    ".json": "json",
    ".parquet": "parquet",
    **dict.fromkeys((".conll", ".conllu", ".conllup", ".txt", ".tsv", ".iob", ".iob2", ".bio"), "conll"),
}
_GZIP_MAGIC = b"\x1f\x8b"
# Number of bytes or characters from which the format is recognised.
_HEAD = 1 << 16


def format_by_ending(path: Path) -> str | None:
    """`jsonl`, `json`, `parquet` or `conll`; None for an unknown ending."""
    return _ENDINGS.get(path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix)


def read_rows(path: Path, data: Data) -> Rows:
    """Read one file.

    Raises:
        UserError: the file cannot be read, or a line does not match `data`.
    """
    reader = {"jsonl": _read_jsonl, "json": _read_json, "parquet": _read_parquet, "conll": _read_conll}
    kind = format_of(path) if data.format == "auto" else data.format
    return reader[kind](path, data)


def format_of(path: Path) -> str:
    """The format of a file, from its ending or else from its first bytes.

    Raises:
        UserError: the format is unknown or not supported.
    """
    kind = format_by_ending(path)
    if kind is not None:
        return kind
    raw = _read_bytes(path)
    head = raw[:_HEAD].decode("utf-8", errors="replace")
    check_ending(path, head)
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
        fix="set data.format to jsonl, json, parquet or conll",
    )


def _read_bytes(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"the file cannot be read: {error.strerror}", where=str(path)) from None
    if raw.startswith(_GZIP_MAGIC):
        try:
            return gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(
                f"damaged gzip file ({error})", where=str(path), fix="copy or create it again"
            ) from None
    if path.suffix == ".gz" and raw:
        raise UserError(
            "not a gzip file, despite its name", where=str(path), fix="rename it or create it again"
        )
    return raw


def read_text(path: Path) -> str:
    """Read a text file, gzipped or not.

    Raises:
        UserError: it cannot be read, is not UTF-8, or has a known format that is not supported.
    """
    raw = _read_bytes(path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"byte 0x{error.object[error.start]:02x} is not UTF-8",
            where=f"{path}:{line}",
            fix="save the file as UTF-8",
        ) from None
    check_text(path, text[:_HEAD])
    return text


def _read_jsonl(path: Path, data: Data) -> Rows:
    return _from_objects(json_lines(read_text(path), path), data, file=str(path))


def json_lines(text: str, path: Path) -> Iterator[tuple[int, Any]]:
    """The JSON value of each line that is not blank, with its line number."""
    # Not splitlines: JSON text may hold U+2028 and the like, which are no ends of lines here.
    for number, line in enumerate(text.split("\n"), start=1):
        if line and not line.isspace():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                fix = "write one JSON object per line"
                raise UserError(_why_not_json(error), where=f"{path}:{number}", fix=fix) from None


def _why_not_json(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON ({error.msg} at column {error.colno})"
    if isinstance(error, RecursionError):
        return "not readable as JSON (nested too deeply)"
    return "not readable as JSON (a number has thousands of digits)"


def _read_json(path: Path, data: Data) -> Rows:
    """Read a list of objects, `{"data": [...]}`, a list for each column, or JSON lines named .json."""
    text = read_text(path)
    try:
        document = json.loads(text) if text and not text.isspace() else []
    except (ValueError, RecursionError) as error:
        where = str(path)
        if isinstance(error, json.JSONDecodeError):
            if error.msg == "Extra data" and text.lstrip().startswith("{"):
                return _read_jsonl(path, data)
            where = f"{path}:{error.lineno}"
        raise UserError(_why_not_json(error), where=where, fix="fix the JSON there") from None
    if isinstance(document, dict):
        document = _objects_of(document, data, str(path))
    if not isinstance(document, list):
        raise UserError("neither a list of objects nor a list for each column", where=str(path))
    return _from_objects(enumerate(document, start=1), data, file=str(path), place_prefix="row ")


def _objects_of(document: dict[str, Any], data: Data, where: str) -> list[Any]:
    if isinstance(document.get("data"), list):
        result: list[Any] = document["data"]
        return result
    column = str(data.tokens_column)
    words = document.get(column)
    if not isinstance(words, list):
        check_object(document, where)
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
        if read == 1 and not _has_words_and_tags(row, data):
            check_object(row, f"{file}:{place_prefix}{number}")
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


def _read_parquet(path: Path, data: Data) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(_read_bytes(path)))
        wanted = {data.tokens_column, data.tags_column, data.language_column, data.document_column}
        there = [name for name in file.schema_arrow.names if name in wanted]
        table = file.read(columns=there)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"not a readable Parquet file ({error})", where=str(path)) from None
    return rows_from_table(table, data, file=str(path), columns=file.schema_arrow.names)


def _read_conll(path: Path, data: Data) -> Rows:
    if data.language is not None:
        raise UserError(
            "CoNLL files have no language column", where=str(path), fix="set data.language to null"
        )
    columns = read_columns(path, separator=data.separator, tags=_number(data.tags_column))
    columns.require(2, "see data.separator, data.tokens_column and data.tags_column")
    words = word_column(columns, data)
    tags = tag_column(columns, data, words)
    try:
        tokens = columns.words(words)
    except UserError as error:
        holding = tag_like(columns)
        if holding and tags.attribute is None and all(map(is_outside, columns.distinct(tags.number))):
            # A wrong column is the graver fault, and may be why there is no word.
            what = f"{error.what}, and every tag of the file is O. Its columns: {described(columns)}"
            fix = f"set data.tags_column={' or '.join(holding)}, and {error.fix}"
            raise UserError(what, where=error.where, fix=fix) from None
        raise
    documents = document_column(columns, data)
    return columns.rows(tokens, tags.number, attribute=tags.attribute, documents=documents)


def read_columns(path: Path, *, separator: str | None = None, tags: int = -1) -> Columns:
    """Read a CoNLL file; see `columns.cut`."""
    # The path is for messages, which names of other bytes than UTF-8 would spoil.
    named = Path(printable(path))
    return without_ranges(cut(read_text(path), named, separator=separator, tags=tags))


def _number(written: str | int) -> int:
    """The index of a column; -1, the last, if it is given by name."""
    try:
        return int(written)
    except ValueError:
        return -1


def overview(path: Path, data: Data) -> tuple[str, list[str]]:
    """Describe the columns of a file with samples of their cells, and name those that hold entity tags.

    For messages: of JSON and Parquet only the first rows are looked at.
    """
    kind = format_of(path) if data.format == "auto" else data.format
    if kind == "conll":
        columns = read_columns(path, separator=data.separator, tags=_number(data.tags_column))
        return described(columns), tag_like(columns)
    rows = _first_rows(path, kind)
    cells = {name: [row[name] for row in rows if name in row] for name in (rows[0] if rows else {})}
    shown = ", ".join(
        f"{name} ({json.dumps(column[0], ensure_ascii=False):.30})" for name, column in cells.items()
    )
    lists = {name: column for name, column in cells.items() if all(isinstance(cell, list) for cell in column)}
    flat = {name: {str(item) for cell in column for item in cell} for name, column in lists.items()}
    return shown, [name for name, items in flat.items() if are_tags(items)]


def _first_rows(path: Path, kind: str, number: int = 1000) -> list[dict[str, Any]]:
    if kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        batches = pq.ParquetFile(pa.BufferReader(_read_bytes(path))).iter_batches(number)
        result: list[dict[str, Any]] = next(batches, pa.record_batch({})).to_pylist()
        return result
    text = read_text(path)
    try:
        document = json.loads(text)
    except ValueError:
        return [row for _, row in islice(json_lines(text, path), number)]
    document = document.get("data", document) if isinstance(document, dict) else document
    return document[:number] if isinstance(document, list) else [document]
