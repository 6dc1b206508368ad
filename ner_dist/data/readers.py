"""Readers: a file of JSON lines, JSON, Parquet or CoNLL columns becomes rows that know where they stand.

A reader checks the form of the data (is it JSON, are the columns there, is there one tag for each word)
and names the file and line of what is wrong. What the tags mean is decided in `corpus.py`. Files may be
gzipped. Millions of words are handled by whole columns: no Python loop runs over words.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.data.corpus import Rows, ids_from_text, missing_column, rows_from_lists
from ner_dist.data.tables import rows_from_table
from ner_dist.errors import UserError
from ner_dist.labels import split_tag

if TYPE_CHECKING:
    import pyarrow as pa

    from ner_dist.recipe import Data

_ENDINGS = {
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    ".json": "json",
    ".parquet": "parquet",
    **dict.fromkeys((".conll", ".conllu", ".txt", ".tsv", ".iob", ".iob2", ".bio"), "conll"),
}
_GZIP_MAGIC = b"\x1f\x8b"


def format_by_ending(path: Path) -> str | None:
    """`jsonl`, `json`, `parquet` or `conll`; None for an ending that says nothing."""
    return _ENDINGS.get(path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix)


def read_rows(path: Path, data: Data) -> Rows:
    """Read one file.

    Raises:
        UserError: the file cannot be read, or a line of it is not what `data` says.
    """
    reader = {"jsonl": _read_jsonl, "json": _read_json, "parquet": _read_parquet, "conll": _read_conll}
    kind = format_by_ending(path) if data.format == "auto" else data.format
    if kind is None:
        raise UserError(
            f"the format of a '{path.suffix}' file is not known",
            where=str(path),
            fix="set data.format to jsonl, json, parquet or conll",
        )
    return reader[kind](path, data)


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
                f"damaged gzip file ({error})", where=str(path), fix="copy or make it again"
            ) from None
    if path.suffix == ".gz" and raw:
        raise UserError(
            "not a gzip file, though it is called .gz", where=str(path), fix="rename it or make it again"
        )
    return raw


def read_text(path: Path) -> str:
    """A file's text, out of gzip if need be."""
    raw = _read_bytes(path)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"byte 0x{error.object[error.start]:02x} is not UTF-8",
            where=f"{path}:{line}",
            fix="save the file as UTF-8",
        ) from None


def _read_jsonl(path: Path, data: Data) -> Rows:
    return _from_objects(json_lines(read_text(path), path), data, file=str(path))


def json_lines(text: str, path: Path) -> Iterator[tuple[int, Any]]:
    """What each line that is not blank holds, with the number of the line."""
    # Not splitlines: JSON text may hold U+2028 and the like, which are no ends of lines here.
    for number, line in enumerate(text.split("\n"), start=1):
        if line and not line.isspace():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                fix = "write one JSON object a line"
                raise UserError(_why_not_json(error), where=f"{path}:{number}", fix=fix) from None


def _why_not_json(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON ({error.msg} at column {error.colno})"
    if isinstance(error, RecursionError):
        return "not readable as JSON (nested too deeply)"
    return "not readable as JSON (a number has thousands of digits)"


def _read_json(path: Path, data: Data) -> Rows:
    """A list of objects, `{"data": [...]}`, a list for each column, or JSON lines under the name of JSON."""
    text = read_text(path)
    try:
        document = json.loads(text) if text and not text.isspace() else []
    except (ValueError, RecursionError) as error:
        where = str(path)
        if isinstance(error, json.JSONDecodeError):
            if error.msg == "Extra data" and text.lstrip().startswith("{"):
                return _read_jsonl(path, data)
            where = f"{path}:{error.lineno}"
        raise UserError(_why_not_json(error), where=where, fix="mend the JSON there") from None
    if isinstance(document, dict):
        document = _objects_of(document, data, str(path))
    if not isinstance(document, list):
        raise UserError("neither a list of objects nor a list for each column", where=str(path))
    return _from_objects(enumerate(document, start=1), data, file=str(path), unit="row ")


def _objects_of(document: dict[str, Any], data: Data, where: str) -> list[Any]:
    if isinstance(document.get("data"), list):
        return document["data"]
    column = str(data.tokens_column)
    words = document.get(column)
    if words is None:
        raise missing_column(column, "tokens_column", document, where)
    if not (isinstance(words, list) and words and isinstance(words[0], list)):
        return [document]
    columns = {name: column for name, column in document.items() if isinstance(column, list)}
    if len({len(column) for column in columns.values()}) > 1:
        lengths = ", ".join(f"{name} {len(column)}" for name, column in columns.items())
        raise UserError(f"columns of different lengths: {lengths}", where=where)
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _from_objects(numbered: Iterable[tuple[int, Any]], data: Data, *, file: str, unit: str = "") -> Rows:
    tokens: list[Any] = []
    tags: list[Any] = []
    numbers: list[int] = []
    languages: Counter[str] = Counter()
    read = 0
    columns = {key: getattr(data, key) for key in ("tokens_column", "tags_column")}
    if data.language is not None:
        columns["language_column"] = data.language_column
    for number, row in numbered:
        read += 1
        if not isinstance(row, dict):
            raise UserError(f"{row!r:.60} is no JSON object", where=f"{file}:{unit}{number}")
        for key, column in columns.items():
            if column not in row:
                raise missing_column(column, key, row, f"{file}:{unit}{number}")
        if data.language is not None:
            language = str(row[data.language_column])
            languages[language] += 1
            if language != data.language:
                continue
        tokens.append(row[data.tokens_column])
        tags.append(row[data.tags_column])
        numbers.append(number)
    return rows_from_lists(
        tokens, tags, file=file, numbers=numbers, unit=unit, read=read, languages=languages
    )


def _read_parquet(path: Path, data: Data) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(_read_bytes(path)))
        wanted = {data.tokens_column, data.tags_column, data.language_column}
        there = [name for name in file.schema_arrow.names if name in wanted]
        table = file.read(columns=there)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"not a readable Parquet file ({error})", where=str(path)) from None
    return rows_from_table(table, data, file=str(path), columns=file.schema_arrow.names)


def _read_conll(path: Path, data: Data) -> Rows:
    if data.language is not None:
        raise UserError(
            "CoNLL files have no column of languages", where=str(path), fix="set data.language to null"
        )
    words, tags = _column_number(data, "tokens_column", 0), _column_number(data, "tags_column", -1)
    columns = read_columns(
        path,
        separator=data.separator,
        tags=tags,
        least=max(2, *(number + 1 if number >= 0 else -number for number in (words, tags))),
        fix="see data.separator, data.tokens_column and data.tags_column",
    )
    return columns.rows(columns.words(words), tags)


def read_columns(path: Path, *, separator: str | None = None, tags: int, least: int, fix: str) -> Columns:
    """The sentences of a file of CoNLL columns.

    Args:
        path: the file.
        separator: what stands between columns; None for white space.
        tags: number of a column of tags; -1 is the last.
        least: how many columns every word has to have.
        fix: what to do where one has fewer.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    # Arrow's kernels, unlike `str.split`, leave no-break spaces alone.
    text = pa.array([read_text(path).replace("\r\n", "\n")], pa.large_string())
    lines = pc.split_pattern(text, "\n").flatten()
    trimmed = pc.ascii_trim_whitespace(lines)
    if separator is None:
        split = pc.ascii_split_whitespace(trimmed)
    else:
        split = pc.split_pattern(lines, separator.replace("\\t", "\t"))
    cells = _Cells(lines, split.flatten(), pc.list_value_length(split).to_numpy().astype(np.int64))
    at = np.flatnonzero(_word_lines(cells, pc.binary_length(trimmed).to_numpy() > 0, tags))
    _check_widths(cells, at, least, path, fix)
    return Columns(path, cells, at)


@dataclass(frozen=True)
class Columns:
    """The words of a CoNLL file, a line each."""

    path: Path
    cells: _Cells
    at: np.ndarray
    """int64 [W]: the line of every word, from 0; a gap ends a sentence."""

    @cached_property
    def starts(self) -> np.ndarray:
        """int64 [N]: the first word of every sentence."""
        return np.flatnonzero(np.diff(self.at, prepend=-2) > 1)

    @cached_property
    def offsets(self) -> np.ndarray:
        return np.append(self.starts, len(self.at))

    def words(self, number: int) -> list[list[str]]:
        """A column's text, sentence by sentence."""
        words, vocabulary = self.cells.column(self.at, number)
        flat = np.array(vocabulary, dtype=object)[words].tolist()
        return [flat[start:end] for start, end in pairwise(self.offsets.tolist())]

    def rows(self, tokens: list[list[str]], number: int) -> Rows:
        """The sentences with the tags of one column."""
        tags, values = self.cells.column(self.at, number)
        return Rows(
            tokens=tokens,
            tags=tags,
            values=ids_from_text(values),
            offsets=self.offsets,
            file=str(self.path),
            numbers=self.at[self.starts] + 1,
            word_lines=True,
            read=len(self.starts),
        )


@dataclass(frozen=True)
class _Cells:
    """The lines of a file, cut into columns."""

    lines: pa.Array
    flat: pa.Array
    """Every cell of every line."""
    widths: np.ndarray
    """int64 [lines]: columns of each line."""

    @cached_property
    def ends(self) -> np.ndarray:
        return np.cumsum(self.widths)

    def column(self, at: np.ndarray, number: int) -> tuple[np.ndarray, tuple[str, ...]]:
        """One column of some lines: index of each cell among the distinct ones, and these."""
        first = self.ends[at] - self.widths[at]
        cells = self.flat.take(first + number if number >= 0 else self.ends[at] + number).dictionary_encode()
        return cells.indices.to_numpy().astype(np.int64), tuple(cells.dictionary.to_pylist())


def _column_number(data: Data, key: str, default: int) -> int:
    written = getattr(data, key)
    if written == type(data).model_fields[key].default:
        return default
    try:
        return int(written)
    except ValueError:
        fix = "count CoNLL columns from 0; -1 is the last"
        raise UserError(f"'{written}' is no column number", where=f"data.{key}", fix=fix) from None


def _word_lines(cells: _Cells, filled: np.ndarray, tag: int) -> np.ndarray:
    """bool [lines]: the lines that hold a word, not blank, `-DOCSTART-` or metadata (`# id ...`).

    A line that starts with `# ` may also hold the word `#`. It is metadata if it stands before the first word
    of a sentence and does not look as the lines of words do: as many columns, a tag where the tags stand.
    """
    import pyarrow.compute as pc

    hashes = pc.starts_with(cells.lines, "# ").to_numpy(zero_copy_only=False)
    words = filled & ~pc.starts_with(cells.lines, "-DOCSTART-").to_numpy(zero_copy_only=False)
    plain = words & ~hashes
    width = cells.widths[np.argmax(plain)] if plain.any() else 2
    for line in np.flatnonzero(hashes & words).tolist():
        if line == 0 or not words[line - 1]:
            like_a_word = cells.widths[line] == width >= max(2, -tag, tag + 1)
            words[line] = like_a_word and _is_tag(cells.column(np.array([line]), tag)[1][0])
    return words


def _check_widths(cells: _Cells, at: np.ndarray, least: int, path: Path, fix: str) -> None:
    short = at[cells.widths[at] < least]
    if len(short):
        line, width = int(short[0]), int(cells.widths[short[0]])
        raise UserError(
            f"{width} column{'s' * (width > 1)} in '{cells.lines[line].as_py():.40}', not {least} or more",
            where=f"{path}:{line + 1}",
            fix=fix,
        )


def _is_tag(text: str) -> bool:
    try:
        split_tag(text)
    except ValueError:
        return text.isdecimal()
    return True
