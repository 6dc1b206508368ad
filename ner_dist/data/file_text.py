"""Read the bytes or the text of a file, gzipped or not, without filling the memory.

A file is decompressed piece by piece, so that a few kilobytes of gzip that hold gigabytes are refused as soon
as they pass `data.max_file_gb`. Lines are bounded too: a line of a gigabyte is no sentence.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ner_dist.data.known_formats import check_text
from ner_dist.errors import UserError
from ner_dist.recipe_data import LINE_SHARE, MAX_FILE_GB

if TYPE_CHECKING:
    from ner_dist.recipe_data import Data

HEAD = 1 << 16
"""Number of bytes or characters from which a format is recognised."""
GZIP_MAGIC = b"\x1f\x8b"
GIGABYTE = 10**9
_PIECE = 1 << 20
_PART = 1 << 23
"""Bytes of a text that are read as one piece, at least."""


def ending_of(path: Path) -> str:
    """The ending of a file's name, without `.gz`."""
    return path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix


def read_bytes(path: Path, data: Data | None = None, *, lines: bool = False) -> bytearray:
    """Read a file, and decompress it if it is gzipped.

    Args:
        path: the file.
        data: the recipe's, whose `max_file_gb` bounds the size; None: the default bounds it.
        lines: whether to bound the length of lines as well.

    Raises:
        UserError: it cannot be read, is damaged, or is too large.
    """
    most = most_bytes(data)
    check_size(path, data)
    raw = bytearray()
    line = 0
    for piece in _pieces(path):
        raw += piece
        if len(raw) > most:
            raise too_large("the file holds", path, data)
        end = max(piece.rfind(b"\n"), piece.rfind(b"\r"))
        line = line + len(piece) if end < 0 else len(piece) - end - 1
        if lines and line > most // LINE_SHARE:
            number = raw.count(b"\n") + 1
            raise too_large("the line holds", f"{path}:{number}", data, share=LINE_SHARE)
    return raw


def most_bytes(data: Data | None) -> int:
    """The bytes that a file may hold: `data.max_file_gb`, or its default."""
    return int((MAX_FILE_GB if data is None else data.max_file_gb) * GIGABYTE)


def check_size(path: Path, data: Data | None = None) -> None:
    """Refuse a file that is too large as it lies on disk, before it is read.

    Raises:
        UserError: it is larger than `data.max_file_gb`, or cannot be read.
    """
    most = most_bytes(data)
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"the file cannot be read: {why}", where=str(path)) from None
    if size > most:
        raise too_large("the file holds", path, data, size=size)


def check_unpacked(raw: bytes, path: Path, data: Data) -> None:
    """Refuse zlib's bytes that hold more than `data.max_file_gb`; damaged ones are left to their reader.

    Raises:
        UserError: they hold more.
    """
    unpacker = zlib.decompressobj()
    size, rest = 0, raw
    try:
        while rest and not unpacker.eof:
            size += len(unpacker.decompress(rest, _PIECE))
            rest = unpacker.unconsumed_tail
            if size > most_bytes(data):
                raise too_large("the file holds", path, data)
    except zlib.error:
        pass


def too_large(
    what: str, where: Path | str, data: Data | None, *, size: int | None = None, share: int = 1
) -> UserError:
    """The error for too much data.

    Args:
        what: subject and verb.
        where: the file, or file and line.
        data: the recipe's; None if no recipe names the file.
        size: number of bytes; None: more than is allowed.
        share: the part of `data.max_file_gb` that is allowed, as a divisor.
    """
    most = most_bytes(data) / share / GIGABYTE
    fix = "cut it into several"
    if data is not None:
        fix += f", or raise data.max_file_gb ({data.max_file_gb:g}) if there is memory for it"
    amount = f"more than {most:.3g} GB" if size is None else f"{size / GIGABYTE:.3g} GB"
    return UserError(f"{what} {amount}", where=str(where), fix=fix)


@contextmanager
def bounded(where: Path | str) -> Iterator[None]:
    """Raise what the size or the depth of data leads to as a `UserError`."""
    try:
        yield
    except RecursionError:
        raise UserError("its values are nested too deeply", where=str(where)) from None
    except MemoryError:
        fix = "cut the file into several, or take a machine with more memory"
        raise UserError("it does not fit into the memory", where=str(where), fix=fix) from None


def _pieces(path: Path) -> Iterator[bytes]:
    """The contents of a file piece by piece, decompressed.

    Raises:
        UserError: it cannot be read, or is damaged.
    """
    try:
        with path.open("rb") as file:
            magic = file.peek(len(GZIP_MAGIC))[: len(GZIP_MAGIC)]
            if magic == GZIP_MAGIC:
                yield from _decompressed(file, path)
                return
            if path.suffix == ".gz" and magic:
                what = "not a gzip file, despite its name"
                raise UserError(what, where=str(path), fix="rename it or create it again")
            while piece := file.read(_PIECE):
                yield piece
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"the file cannot be read: {why}", where=str(path)) from None


def _decompressed(file: BinaryIO, path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(file) as unzipped:
            while piece := unzipped.read(_PIECE):
                yield piece
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        what = f"damaged gzip file ({error})"
        raise UserError(what, where=str(path), fix="copy or create it again") from None


def first_bytes(path: Path) -> bytes:
    """The first `HEAD` bytes of a file, decompressed.

    Raises:
        UserError: it cannot be read, or is damaged there.
    """
    return next(_pieces(path), b"")[:HEAD]


def head_of(path: Path) -> str:
    """The beginning of a file as text, decompressed, with U+FFFD for other bytes than UTF-8."""
    try:
        raw = first_bytes(path)
    except UserError:
        return ""  # `read_bytes` says why
    return raw.decode("utf-8", errors="replace").lstrip("\ufeff")


def read_text(path: Path, data: Data | None = None, *, lines: bool = True) -> str:
    """Read a text file, gzipped or not.

    Args:
        path: the file.
        data: the recipe's, whose `max_file_gb` bounds the size; None: the default bounds it.
        lines: whether to bound the length of lines as well.

    Raises:
        UserError: it cannot be read, is not UTF-8, is too large, or has a known format that is not supported.
    """
    return _decoded(read_bytes(path, data, lines=lines), path, 1, first=True)


def text_pieces(path: Path, data: Data | None = None, *, ends: tuple[bytes, ...] = (b"\n",)) -> Iterator[str]:
    """Read a text file, gzipped or not, in pieces of some megabytes.

    Args:
        path: the file.
        data: as in `read_text`.
        ends: what a piece may end with, such as an empty line; a file without any is one piece.

    Yields:
        At least one text; together they are the file.

    Raises:
        UserError: as `read_text`; pieces before the one with the fault have been yielded then.
    """
    most = most_bytes(data)
    check_size(path, data)
    raw, size, line, first = bytearray(), 0, 1, True
    for block in _pieces(path):
        raw += block
        size += len(block)
        if size > most:
            raise too_large("the file holds", path, data)
        if len(raw) - 1 - max(raw.rfind(b"\n"), raw.rfind(b"\r")) > most // LINE_SHARE:
            number = line + raw.count(b"\n")
            raise too_large("the line holds", f"{path}:{number}", data, share=LINE_SHARE)
        end = max(raw.rfind(each) + len(each) for each in ends) if len(raw) >= _PART else -1
        if end > max(map(len, ends)):
            yield _decoded(raw[:end], path, line, first=first)
            line += raw.count(b"\n", 0, end)
            del raw[:end]
            first = False
    if raw or first:
        yield _decoded(raw, path, line, first=first)


def _decoded(raw: bytearray, path: Path, line: int, *, first: bool) -> str:
    """A piece of a file as text, which begins with a line of that number.

    Raises:
        UserError: it is not UTF-8, or the file has a known format that is not supported.
    """
    try:
        text = raw.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError as error:
        number = line + raw.count(b"\n", 0, error.start)
        what = f"byte 0x{error.object[error.start]:02x} is not UTF-8"
        raise UserError(what, where=f"{path}:{number}", fix=_as_utf8(raw)) from None
    if first:
        check_text(path, text[:HEAD])
    return text


def _as_utf8(raw: bytes | bytearray) -> str:
    """How to convert a file to UTF-8."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "save the file as UTF-8: `iconv -f UTF-16 -t UTF-8 OLD > NEW`"
    return "save the file as UTF-8: `iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW` if it is from Windows"
