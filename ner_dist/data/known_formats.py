"""Recognise files that are not read, and explain what to do with them.

An error about a missing column would send people from key to key, so the error names the format and the
conversion instead.
"""

from __future__ import annotations

from pathlib import Path

from ner_dist.errors import UserError

_COLUMNS = "write a line of word, tab, tag for every word and an empty line after every sentence"


def check_text(path: Path, head: str) -> None:
    """Refuse a text file in a known, unsupported format.

    Args:
        path: the file.
        head: first lines of the file.

    Raises:
        UserError: says what it is and what to do.
    """
    start = head.lstrip("\ufeff").lstrip()
    if start.startswith("version https://git-lfs.github.com/spec"):
        _refuse(path, "a pointer of Git LFS, not the file itself", "fetch it with `git lfs pull`")
    if start[:200].lower().startswith(("<!doctype html", "<html")):
        _refuse(path, "a web page, not the file itself", "download the raw file")
    if start.startswith("<?xml"):
        _refuse(path, "an XML file", f"export INCEpTION's as WebAnno TSV 3; else {_COLUMNS}")


def check_ending(path: Path) -> None:
    """Refuse a file whose ending belongs to an unsupported format."""
    ending = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if ending in (".xlsx", ".xls", ".ods"):
        _refuse(path, "a spreadsheet", "save it as CSV, in UTF-8")
    if ending == ".arrow":
        _refuse(
            path,
            "one file of a data set saved with save_to_disk",
            "set data.path to the folder of the whole data set",
        )


def _refuse(where: Path | str, what: str, fix: str) -> None:
    raise UserError(f"this is {what}, which is not supported", where=str(where), fix=fix)
