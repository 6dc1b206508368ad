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
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

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


@dataclass
class Rows:
    """The sentences of one file, in its order, after the language filter."""

    tokens: list[list[str]]
    tags: np.ndarray
    """int64 [W]: index into `values` of every word's tag."""
    values: tuple[str, ...] | tuple[int, ...]
    """The distinct tags as the file writes them: all text (`B-PER`) or all ids."""
    offsets: np.ndarray
    """int64 [N+1]: sentence i holds the words offsets[i]:offsets[i+1]."""
    file: str
    numbers: np.ndarray
    """int64 [N]: line or row of every sentence (its first word's line in CoNLL files), from 1."""
    unit: str = ""
    """What `numbers` count: lines where empty, else `row `."""
    word_lines: bool = False
    """Every word stands on a line of its own."""
    names: tuple[str, ...] | None = None
    """The tag of each id, where the file states it."""
    read: int = 0
    """Rows before the language filter."""
    languages: Counter[str] = field(default_factory=Counter)
    """Rows of each language, where a language is asked for."""

    def origin(self) -> list[str]:
        """`file:line` or `file:row N` of every sentence."""
        return [f"{self.file}:{self.unit}{number}" for number in self.numbers.tolist()]

    def place(self, word: int) -> str:
        """Where the word with this index stands."""
        sentence = int(np.searchsorted(self.offsets, word, side="right")) - 1
        number = int(self.numbers[sentence])
        if self.word_lines:
            number += word - int(self.offsets[sentence])
        return f"{self.file}:{self.unit}{number}"


def file_format(path: Path, data: Data) -> str | None:
    """`jsonl`, `json`, `parquet` or `conll`: what the recipe says, else by the file's ending; None if unknown."""
    if data.format != "auto":
        return data.format
    return _ENDINGS.get(path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix)


def read_rows(path: Path, data: Data) -> Rows:
    """Read one file.

    Raises:
        UserError: the file cannot be read, or a line of it is not what `data` says.
    """
    reader = {"jsonl": _read_jsonl, "json": _read_json, "parquet": _read_parquet, "conll": _read_conll}
    kind = file_format(path, data)
    if kind is None:
        raise UserError(
            f"the format of a '{path.suffix}' file is not known",
            where=str(path),
            fix="set data.format to jsonl, json, parquet or conll",
        )
    return reader[kind](path, data)


def rows_from_lists(
    tokens: list[Any], tags: list[Any], *, file: str, numbers: Iterable[int], unit: str = "", **counts: Any
) -> Rows:
    """Rows from a list of words and a list of tags for each sentence, checked.

    Raises:
        UserError: something that is not a list of text, tags that are not all text or all whole numbers,
            or a sentence with more or fewer tags than words.
    """
    rows = Rows(tokens, np.zeros(0, np.int64), (), _offsets(()), file, np.fromiter(numbers, np.int64), unit, **counts)

    def where(sentence: int) -> str:
        return f"{file}:{unit}{rows.numbers[sentence]}"

    for column, what in ((tokens, "words"), (tags, "tags")):
        if set(map(type, column)) - {list}:
            index = next(i for i, cell in enumerate(column) if type(cell) is not list)
            raise UserError(f"{column[index]!r:.60} stands where a list of {what} should", where=where(index))
    lengths = np.fromiter(map(len, tokens), np.int64, count=len(tokens))
    tag_lengths = np.fromiter(map(len, tags), np.int64, count=len(tags))
    _check_lengths(lengths, tag_lengths, where)
    rows.offsets = _offsets(lengths)

    if set(map(type, chain.from_iterable(tokens))) - {str}:
        index, word = next((i, w) for i, words in enumerate(tokens) for w in words if type(w) is not str)
        raise UserError(f"{word!r:.60} stands where a word should", where=where(index), fix="write words as text")
    flat = list(chain.from_iterable(tags))
    kinds = set(map(type, flat))
    if kinds - {str} and kinds - {int}:
        kind = type(flat[0]) if type(flat[0]) in (str, int) else None
        word = next(i for i, tag in enumerate(flat) if type(tag) is not kind)
        raise UserError(
            f"tag {flat[word]!r:.60} among tags that are {'ids' if kind is int else 'text'}",
            where=rows.place(word),
            fix="write all tags as text (B-PER) or all as whole numbers",
        )
    try:
        "\n".join(chain.from_iterable(tokens)).encode()
    except UnicodeEncodeError:
        index = next(i for i, words in enumerate(tokens) if not _encodable(" ".join(words)))
        raise UserError("half a surrogate pair (\\ud800-\\udfff) is not text", where=where(index)) from None
    rows.tags, rows.values = _codes(flat)
    return rows


def _check_lengths(lengths: np.ndarray, tag_lengths: np.ndarray, where: Any) -> None:
    differ = np.flatnonzero(lengths != tag_lengths)
    if len(differ):
        first = int(differ[0])
        raise UserError(
            f"{lengths[first]} words but {tag_lengths[first]} tags",
            where=where(first),
            fix="give every word exactly one tag",
        )


def _codes(flat: list[Any]) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Every tag as an index into the distinct tags; ids that are written as text become numbers."""
    values = tuple(dict.fromkeys(flat))
    code = {value: index for index, value in enumerate(values)}
    tags = np.fromiter(map(code.__getitem__, flat), np.int64, count=len(flat))
    return tags, _numbers(values)


def _numbers(values: tuple[Any, ...]) -> tuple[Any, ...]:
    written_ids = bool(values) and all(isinstance(value, str) and value.isdecimal() for value in values)
    return tuple(map(int, values)) if written_ids else values


def _offsets(lengths: Any) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))).astype(np.int64)


def _encodable(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _no_column(column: str, key: str, there: Iterable[str], where: str) -> UserError:
    return UserError(
        f"no column '{column}'; the columns there are {', '.join(there) or 'none'}", where=where, fix=f"set data.{key}"
    )


# Bytes and text


def _read_bytes(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"the file cannot be read: {error.strerror}", where=str(path)) from None
    if raw.startswith(_GZIP_MAGIC):
        try:
            return gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"damaged gzip file ({error})", where=str(path), fix="copy or make it again") from None
    if path.suffix == ".gz" and raw:
        raise UserError("not a gzip file, though it is called .gz", where=str(path), fix="rename it or make it again")
    return raw


def _read_text(path: Path) -> str:
    raw = _read_bytes(path)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"byte 0x{error.object[error.start]:02x} is not UTF-8", where=f"{path}:{line}", fix="save the file as UTF-8"
        ) from None


# JSON


def _read_jsonl(path: Path, data: Data) -> Rows:
    return _from_objects(_json_lines(_read_text(path), path), data, file=str(path))


def _json_lines(text: str, path: Path) -> Iterable[tuple[int, Any]]:
    # Not splitlines: JSON text may hold U+2028 and the like, which are no ends of lines here.
    for number, line in enumerate(text.split("\n"), start=1):
        if line and not line.isspace():
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError as error:
                raise _not_json(error, f"{path}:{number}") from None


def _not_json(error: json.JSONDecodeError, where: str) -> UserError:
    return UserError(f"not JSON ({error.msg} at column {error.colno})", where=where, fix="write one JSON object a line")


def _read_json(path: Path, data: Data) -> Rows:
    """A list of objects, `{"data": [...]}`, one list for each column, or JSON lines under the name of JSON."""
    text = _read_text(path)
    try:
        document = json.loads(text) if text and not text.isspace() else []
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            return _read_jsonl(path, data)
        raise UserError(
            f"not JSON ({error.msg} at column {error.colno})", where=f"{path}:{error.lineno}", fix="mend the JSON there"
        ) from None
    if isinstance(document, dict):
        document = _objects_of(document, data, str(path))
    if not isinstance(document, list):
        raise UserError("neither a list of objects nor a list for each column", where=str(path))
    return _from_objects(enumerate(document, start=1), data, file=str(path), unit="row ")


def _objects_of(document: dict[str, Any], data: Data, where: str) -> list[Any]:
    if isinstance(document.get("data"), list):
        return document["data"]
    words = document.get(data.tokens_column)
    if words is None:
        raise _no_column(data.tokens_column, "tokens_column", document, where)
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
                raise _no_column(column, key, row, f"{file}:{unit}{number}")
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


# Parquet and other Arrow tables


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


def rows_from_table(table: pa.Table, data: Data, *, file: str, columns: list[str] | None = None) -> Rows:
    """Rows from an Arrow table with a list of words and a list of tags in each row.

    Args:
        table: read from Parquet, or the table under a Hugging Face dataset.
        data: names the columns and the language.
        file: what to call the table in messages.
        columns: all columns there, if `table` holds only some.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    keys = ("tokens_column", "tags_column") + (("language_column",) if data.language is not None else ())
    for key in keys:
        if getattr(data, key) not in table.column_names:
            raise _no_column(getattr(data, key), key, columns or table.column_names, file)
    read, languages = table.num_rows, Counter()
    numbers = np.arange(1, read + 1)
    if data.language is not None:
        spoken = table[data.language_column].cast(pa.string())
        languages.update({str(item["values"]): item["counts"] for item in pc.value_counts(spoken).to_pylist()})
        keep = pc.fill_null(pc.equal(spoken, data.language), False)
        table, numbers = table.filter(keep), numbers[keep.to_numpy()]

    def where(row: int) -> str:
        return f"{file}:row {numbers[row]}"

    lengths, words, vocabulary = _column_codes(table[data.tokens_column], data.tokens_column, ("text",), where)
    tag_lengths, tags, values = _column_codes(table[data.tags_column], data.tags_column, ("text", "ids"), where)
    _check_lengths(lengths, tag_lengths, where)
    offsets = _offsets(lengths)
    # Indexing into the vocabulary shares one string among all the places where the word stands.
    flat = np.array(vocabulary, dtype=object)[words].tolist()
    tokens = [flat[start:end] for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
    names = _class_names(table.schema, data.tags_column)
    return Rows(tokens, tags, _numbers(values), offsets, file, numbers, "row ", False, names, read, languages)


def _column_codes(
    column: pa.ChunkedArray, name: str, kinds: tuple[str, ...], where: Any
) -> tuple[np.ndarray, np.ndarray, tuple[Any, ...]]:
    """Items in each list, index of each item among the distinct ones, and these."""
    import pyarrow as pa
    import pyarrow.compute as pc

    types = pa.types
    if not any(check(column.type) for check in (types.is_list, types.is_large_list, types.is_fixed_size_list)):
        raise UserError(f"column '{name}' holds {column.type}, not lists of {' or '.join(kinds)}", where=where(0))
    if column.null_count:
        raise UserError(f"column '{name}' is empty", where=where(int(np.argmax(column.is_null().to_numpy()))))
    lengths = pc.list_value_length(column).to_numpy().astype(np.int64)
    flat = pa.chunked_array([chunk.flatten() for chunk in column.chunks], type=column.type.value_type)
    if types.is_dictionary(flat.type):
        flat = flat.cast(flat.type.value_type)
    if flat.null_count:
        word = int(np.argmax(flat.is_null().to_numpy()))
        raise UserError(
            f"an empty item in column '{name}'", where=where(int(np.searchsorted(np.cumsum(lengths), word, "right")))
        )
    is_text = types.is_string(flat.type) or types.is_large_string(flat.type) or types.is_string_view(flat.type)
    if is_text:
        flat = flat.cast(pa.large_string())  # joined chunks may pass the 2 GiB of `string`
    elif len(flat) and not ("ids" in kinds and types.is_integer(flat.type)):
        raise UserError(f"column '{name}' holds lists of {flat.type}, not of {' or '.join(kinds)}", where=where(0))
    encoded = flat.combine_chunks().dictionary_encode()
    return lengths, encoded.indices.to_numpy().astype(np.int64), tuple(encoded.dictionary.to_pylist())


def _class_names(schema: pa.Schema, column: str) -> tuple[str, ...] | None:
    """The names of ids that the `datasets` library writes into the schema of its tables (`ClassLabel`)."""
    stated = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    feature = stated.get("info", {}).get("features", {}).get(column, {})
    names = feature.get("feature", {}).get("names") if isinstance(feature, dict) else None
    return tuple(names) if names else None


# CoNLL columns


def _read_conll(path: Path, data: Data) -> Rows:
    if data.language is not None:
        raise UserError(
            "CoNLL files have no column of languages", where=str(path), fix="set data.language to null"
        )
    token, tag = _column_number(data, "tokens_column", 0), _column_number(data, "tags_column", -1)
    # Bytes, because str.split() would also split at no-break spaces within words.
    lines = _read_text(path).replace("\r\n", "\n").encode().split(b"\n")
    separator = data.separator.replace("\\t", "\t").encode() if data.separator is not None else None
    cells = [line.split(separator) if line.strip() else [] for line in lines]
    widths = np.fromiter(map(len, cells), np.int64, count=len(cells))
    is_row = _word_lines(lines, cells, widths, tag)

    at = np.flatnonzero(is_row)
    least = max(2, *(column + 1 if column >= 0 else -column for column in (token, tag)))
    short = at[widths[at] < least]
    if len(short):
        line = int(short[0])
        raise UserError(
            f"{widths[line]} column{'s' * (widths[line] > 1)} where at least {least} are wanted: "
            f"'{lines[line].decode():.40}'",
            where=f"{path}:{line + 1}",
            fix="see data.separator, data.tokens_column and data.tags_column",
        )
    starts = np.flatnonzero(np.diff(at, prepend=-2) > 1)
    offsets = np.append(starts, len(at)).astype(np.int64)
    words = _decoded([cells[line][token] for line in at.tolist()])
    tokens = [words[start:end] for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
    tags, values = _codes(_decoded([cells[line][tag] for line in at.tolist()]))
    return Rows(tokens, tags, values, offsets, str(path), at[starts] + 1, word_lines=True, read=len(starts))


def _column_number(data: Data, key: str, default: int) -> int:
    written = getattr(data, key)
    if written == type(data).model_fields[key].default:
        return default
    try:
        return int(written)
    except ValueError:
        raise UserError(
            f"'{written}' is no column number", where=f"data.{key}", fix="count CoNLL columns from 0; -1 is the last"
        ) from None


def _word_lines(lines: list[bytes], cells: list[list[bytes]], widths: np.ndarray, tag: int) -> np.ndarray:
    """bool [lines]: the lines that hold a word, not blank, `-DOCSTART-` or metadata (`# id ...`).

    A line that starts with `# ` may also hold the word `#`. It is metadata if it stands before the first word
    of a sentence and does not look as the lines of words do: as many columns, a tag where the tags stand.
    """
    is_row = widths > 0
    special = [index for index, line in enumerate(lines) if line.startswith((b"-DOCSTART-", b"# "))]
    is_row[[index for index in special if lines[index].startswith(b"-")]] = False
    plain = is_row.copy()
    plain[special] = False
    width = int(widths[np.argmax(plain)]) if plain.any() else 0
    for index in special:
        starts_sentence = index == 0 or not is_row[index - 1]
        if is_row[index] and starts_sentence:
            is_row[index] = widths[index] == width and _is_tag(cells[index][tag].decode())
    return is_row


def _is_tag(text: str) -> bool:
    try:
        split_tag(text)
    except ValueError:
        return text.isdecimal()
    return True


def _decoded(cells: list[bytes]) -> list[str]:
    text = {cell: cell.decode() for cell in set(cells)}
    return list(map(text.__getitem__, cells))
