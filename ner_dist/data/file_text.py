"""Read the text or the JSON lines of a file, gzipped or not."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ner_dist.data.known_formats import check_text
from ner_dist.errors import UserError

HEAD = 1 << 16
"""Number of bytes or characters from which a format is recognised."""
_GZIP_MAGIC = b"\x1f\x8b"


def ending_of(path: Path) -> str:
    """The ending of a file's name, without `.gz`."""
    return path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix


def read_bytes(path: Path) -> bytes:
    """Read a file, and decompress it if it is gzipped.

    Raises:
        UserError: it cannot be read, or is damaged.
    """
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


def head_of(path: Path) -> str:
    """The beginning of a file as text, decompressed, with U+FFFD for other bytes than UTF-8."""
    try:
        with path.open("rb") as file:
            raw = file.read(HEAD)
        if raw.startswith(_GZIP_MAGIC):
            with gzip.open(path) as unzipped:
                raw = unzipped.read(HEAD)
    except (OSError, EOFError, zlib.error):
        return ""  # `read_bytes` says why
    return raw.decode("utf-8", errors="replace").lstrip("\ufeff")


def read_text(path: Path) -> str:
    """Read a text file, gzipped or not.

    Raises:
        UserError: it cannot be read, is not UTF-8, or has a known format that is not supported.
    """
    raw = read_bytes(path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"byte 0x{error.object[error.start]:02x} is not UTF-8",
            where=f"{path}:{line}",
            fix="save the file as UTF-8",
        ) from None
    check_text(path, text[:HEAD])
    return text


def json_lines(text: str, path: Path) -> Iterator[tuple[int, Any]]:
    """The JSON value of each line that is not blank, with its line number."""
    # Not splitlines: JSON text may hold U+2028 and the like, which are no ends of lines here.
    for number, line in enumerate(text.split("\n"), start=1):
        if line and not line.isspace():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                fix = "write one JSON object per line"
                raise UserError(why_not_json(error), where=f"{path}:{number}", fix=fix) from None


def why_not_json(error: ValueError | RecursionError) -> str:
    """What is wrong with a text that cannot be read as JSON."""
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON ({error.msg} at column {error.colno})"
    if isinstance(error, RecursionError):
        return "not readable as JSON (nested too deeply)"
    return "not readable as JSON (a number has thousands of digits)"
