"""Checksums of the files in a folder: written with it, and compared before anything in it is used.

A cache outlives power cuts, full disks and cleaners of scratch space. What is left then may have the right
name and length, and memory-mapped arrays that are damaged end a process without a word or change figures.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from ner_dist.errors import writing

CHECKSUMS = "checksums.json"
"""File in the folder with the size and the XXH3 of every other file."""
_BLOCK = 1 << 22


def write_checksums(folder: Path, *, final: Path) -> None:
    """Write the checksums of all files in a folder.

    Args:
        folder: complete but for its checksums.
        final: what the folder will be called, for messages.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    known = {path.relative_to(folder).as_posix(): [path.stat().st_size, _digest(path)] for path in files}
    with writing(final / CHECKSUMS):
        (folder / CHECKSUMS).write_text(json.dumps(known, indent=1), encoding="utf-8")


def fault_in(folder: Path) -> str | None:
    """The first difference between a folder and its checksums, in words; None if there is none.

    Every byte is read, which takes well under a second a gigabyte from memory.
    """
    try:
        if not stat.S_ISREG((folder / CHECKSUMS).stat().st_mode):  # to read a pipe would wait for a writer
            return f"{CHECKSUMS} is no file"
        known = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        return f"{CHECKSUMS} {_why(error)}"
    if not isinstance(known, dict) or not known:
        return f"{CHECKSUMS} is damaged"
    return next((fault for item in known.items() if (fault := _fault(folder, *item)) is not None), None)


def _fault(folder: Path, name: str, stated: Any) -> str | None:
    path = folder / name
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return f"{name} is no file"
        if [found.st_size, _digest(path)] != stated:
            return f"{name} is damaged"
    except (OSError, ValueError) as error:
        return f"{name} {_why(error)}"
    return None


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "is missing"
    return f"cannot be read: {error.strerror}" if isinstance(error, OSError) else "is damaged"


def _digest(path: Path) -> str:
    import xxhash  # which a machine that only predicts need not have

    digest = xxhash.xxh3_128()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
