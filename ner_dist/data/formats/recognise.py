"""Recognise the format of a file from its content.

A format is a module of this folder with a `JsonFormat` or `FileFormat`, entered here. The first that
recognises a file reads it, so special formats come before general ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ner_dist.data.formats import brat, conll2012, docbin, webanno
from ner_dist.data.formats.form import FileFormat, JsonFormat

JSON_FORMATS: tuple[JsonFormat, ...] = ()
"""Formats of rows in .json and .jsonl files, tried in this order."""

FILE_FORMATS: tuple[FileFormat, ...] = (docbin.FORMAT, webanno.FORMAT, conll2012.FORMAT, brat.FORMAT)
"""Formats of whole files, tried in this order."""


def json_format(rows: Iterable[Any]) -> JsonFormat | None:
    """The format of JSON rows, by the first of them that any format recognises."""
    for row in rows:
        for each in JSON_FORMATS:
            if each.recognises(row):
                return each
    return None


def file_format(path: Path, head: str) -> FileFormat | None:
    """The format of a whole file, by its path and the beginning of its text."""
    return next((each for each in FILE_FORMATS if each.recognises(path, head)), None)
