"""Read what is to be tagged, one item at a time, from a file, a folder or standard input.

Lines, JSON lines and Parquet are read as they are needed, so that memory does not grow with the input. CSV
and CoNLL files are read whole.
"""

from __future__ import annotations

import gzip
import sys
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

from ner_dist.data.column_roles import word_column
from ner_dist.data.columns import Columns
from ner_dist.data.conll import read_columns
from ner_dist.data.file_text import GZIP_MAGIC, read_text
from ner_dist.data.formats.csv_table import read_table
from ner_dist.data.json_text import NotJson, parse
from ner_dist.data.readers import format_by_ending
from ner_dist.data.table_files import parquet_errors, values_of
from ner_dist.errors import UserError
from ner_dist.files import printable
from ner_dist.prediction.items import Item
from ner_dist.recipe_data import Data

STDIN = "-"
_TEXTS = ("text", "sentence", "content")
_WORDS = ("tokens", "words", "tokenized_text")
_ROWS = 1000
_LONGEST_LINE = 1 << 26
"""Bytes of a line: a book has some million."""


def check_input(path: str) -> None:
    """Check that the input exists, before a model is loaded.

    Raises:
        UserError: it does not, or a folder holds no file that can be read.
    """
    if path != STDIN:
        files_of(path)


def files_of(path: str) -> list[Path]:
    """The input's files, in the order in which they are tagged.

    Raises:
        UserError: there are none.
    """
    given = Path(path).expanduser()
    if given.is_dir():
        files = sorted(file for file in given.rglob("*") if file.is_file() and not _hidden(file, given))
        known = [file for file in files if format_by_ending(file) is not None]
        if not known:
            fix = "name a folder with .txt, .jsonl, .conll or .parquet files"
            raise UserError("no file in the folder can be tagged", where=printable(path), fix=fix)
        return known
    if not given.exists():
        fix = "name a file or a folder, or - for standard input"
        raise UserError("no such file or folder", where=printable(path), fix=fix)
    return [given]


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def items(path: str, *, kind: str = "auto", text_column: str | None = None) -> Iterator[Item]:
    """Yield what is to be tagged, in order.

    Args:
        path: a file, a folder or `-`.
        kind: `lines`, `jsonl`, `csv`, `conll`, `parquet`, or `auto` to decide by the ending of each file and,
            on standard input, by the first character.
        text_column: name of the field that holds the text or the words; None finds it.

    Raises:
        UserError: a file cannot be read, or a row holds neither a text nor words.
    """
    if path == STDIN:
        yield from _stdin(kind, text_column)
        return
    files = files_of(path)
    for file in files:
        of_file = _kind_of(file) if kind == "auto" else kind
        for item in _READERS[of_file](file, text_column):
            # In a folder, the file is what tells where a text is from.
            named = {"file": printable(file.relative_to(Path(path).expanduser()))} if len(files) > 1 else {}
            yield Item(item.text, item.words, named | item.fields)


def _kind_of(file: Path) -> str:
    ending = file.with_suffix("").suffix if file.suffix == ".gz" else file.suffix
    by_ending = format_by_ending(file)
    if ending in (".txt", ".text", "") or by_ending is None:
        return "lines"
    return "jsonl" if by_ending == "json" else by_ending


def _stdin(kind: str, text_column: str | None) -> Iterator[Item]:
    lines = _utf8(sys.stdin.buffer, "standard input")
    first = list(islice(lines, 1))
    if kind == "auto":
        kind = "jsonl" if first and first[0].lstrip().startswith("{") else "lines"
    lines = chain(first, lines)
    if kind == "lines":
        yield from map(_line, lines)
    elif kind == "jsonl":
        yield from _objects(enumerate(lines, start=1), "standard input", text_column)
    else:
        fix = "write it to a file, or pass --input-format lines or jsonl"
        raise UserError(f"{kind} cannot be read from standard input", where=STDIN, fix=fix)


@contextmanager
def _open(file: Path) -> Iterator[Any]:
    """The lines of a file, gzipped or not; only a line feed ends one, so that offsets stay true."""
    try:
        with file.open("rb") as raw:
            packed = raw.peek(2)[:2] == GZIP_MAGIC
            yield gzip.GzipFile(fileobj=raw) if packed else raw
    except PermissionError as error:
        raise UserError(f"the file cannot be read: {error.strerror}", where=printable(file)) from None


def _utf8(stream: Any, where: str) -> Iterator[str]:
    """The lines of a binary stream, each with its end.

    Raises:
        UserError: it is not UTF-8, is damaged, or a line is too long to be tagged.
    """
    number = 0
    try:
        while line := stream.readline(_LONGEST_LINE + 1):
            number += 1
            if len(line) > _LONGEST_LINE:
                what = f"the line holds more than {_LONGEST_LINE:,} bytes"
                raise UserError(what, where=f"{where}:{number}", fix="cut it into several lines")
            yield (line.removeprefix(BOM_UTF8) if number == 1 else line).decode()
    except UnicodeDecodeError as error:
        what = f"byte 0x{error.object[error.start]:02x} is not UTF-8"
        raise UserError(what, where=f"{where}:{number}", fix="save the file as UTF-8") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"damaged gzip file ({error})", where=where, fix="copy or create it again") from None
    except OSError as error:
        raise UserError(f"the file cannot be read: {error.strerror}", where=where) from None


def _lines(file: Path, _: str | None) -> Iterator[Item]:
    with _open(file) as stream:
        yield from map(_line, _utf8(stream, printable(file)))


def _line(line: str) -> Item:
    return Item(text=line.removesuffix("\n").removesuffix("\r"))


def _jsonl(file: Path, text_column: str | None) -> Iterator[Item]:
    with _open(file) as stream:
        numbered = enumerate(_utf8(stream, printable(file)), start=1)
        yield from _objects(numbered, printable(file), text_column)


def _objects(numbered: Iterable[tuple[int, str]], file: str, text_column: str | None) -> Iterator[Item]:
    for number, line in numbered:
        if not line or line.isspace():
            continue
        where = f"{file}:{number}"
        try:
            row = parse(line)
        except NotJson as error:
            fix = "write one JSON object per line"
            raise UserError(str(error), where=where, fix=fix) from None
        if not isinstance(row, dict):
            fix = 'write {"text": ...} on each line'
            raise UserError(f"{row!r:.60} is not a JSON object", where=where, fix=fix)
        yield _item(row, where, text_column)


def _item(row: dict[str, Any], where: str, text_column: str | None) -> Item:
    candidates = (*_WORDS, *_TEXTS) if text_column is None else (text_column,)
    there = [name for name in candidates if name in row]
    name = next((name for name in there if _is_text(row[name])), None)
    if name is None and there:
        fix = "write a text, or a list of words, or pass --text-column NAME"
        raise UserError(f"'{there[0]}' is neither a text nor a list of words", where=where, fix=fix)
    if name is None:
        what = (
            f"none of the fields {', '.join(candidates)} is there; the fields are {', '.join(row) or 'none'}"
        )
        raise UserError(what, where=where, fix="pass --text-column NAME")
    value = row[name]
    rest = {key: cell for key, cell in row.items() if key != name}
    return Item(text=value, fields=rest) if isinstance(value, str) else Item(words=value, fields=rest)


def _is_text(value: Any) -> bool:
    """Whether a value is a text or a list of words."""
    return isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(word, str) for word in value)
    )


def _parquet(file: Path, text_column: str | None) -> Iterator[Item]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    with parquet_errors(file):
        for batch in pq.ParquetFile(file).iter_batches(_ROWS):
            batch.validate(full=True)
            for row in values_of(pa.Table.from_batches([batch]), printable(file)):
                number += 1
                yield _item(row, f"{printable(file)}:row {number}", text_column)


def _conll(file: Path, text_column: str | None) -> Iterator[Item]:
    columns: Columns = read_columns(file)
    how = Data(path=str(file)) if text_column is None else Data(path=str(file), tokens_column=text_column)
    for words in columns.words(word_column(columns, how)):
        yield Item(words=words)


def _csv(file: Path, text_column: str | None) -> Iterator[Item]:
    table = read_table(read_text(file), file=printable(file))
    for line, cells in table.rows:
        if cells:
            yield _item(dict(zip(table.names, cells, strict=True)), f"{printable(file)}:{line}", text_column)


_READERS = {"lines": _lines, "jsonl": _jsonl, "csv": _csv, "parquet": _parquet, "conll": _conll}
KINDS = tuple(_READERS)
