"""Write files and folders atomically, check folders before work begins, and print paths safely."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ner_dist.errors import UserError, writing
from ner_dist.outside import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch


_BLOCK = 1 << 22


def read_json(path: Path) -> dict[str, Any]:
    """Read the JSON object in a file; empty if it is missing or invalid."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def printable(path: str | Path) -> str:
    """A path as printable text, even if the file name is not valid UTF-8."""
    return os.fsencode(path).decode(errors="replace")


def typed(path: str | Path) -> str:
    """A path for use in a shell command: quoted if necessary, and never mistaken for an option."""
    text = printable(path)
    return quoted(f"./{text}" if text.startswith("-") else text)


def now() -> str:
    """The time, in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def check_folder(folder: Path, *, where: str, files: Sequence[str] = ()) -> None:
    """Check before the work that its results can be written to `folder`.

    Args:
        folder: need not exist.
        where: what the user calls it, such as `output_dir`.
        files: what will be written there, by name.

    Raises:
        UserError: it is a file, lies below one, may not be written to or cannot be called so, or a folder
            stands where one of the files would.
    """
    what = _why_not_writable(folder, files)
    if what is not None:
        raise UserError(what, where=f"{where} {printable(folder)}", fix="name another folder")


def _why_not_writable(folder: Path, files: Sequence[str]) -> str | None:
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        return f"cannot be used: {error.strerror}"
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        return "is a file" if existing == folder else f"lies below {existing}, which is a file"
    if existing.resolve().parts[1:2] in (("proc",), ("sys",)):
        return f"lies in {existing}, where no files can be made"
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"cannot be written to: no permission in {existing}"
    taken = [name for name in files if (folder / name).is_dir()]
    return f"holds a folder called {taken[0]}, which is to be a file" if taken else None


@contextmanager
def atomic_file(path: Path) -> Iterator[TextIO]:
    """Open a text file for an atomic write: readers see the old contents or the complete new ones.

    It is written under a temporary name, synced and renamed when the block ends, or removed if it fails.
    """
    with _replacing(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def aside(path: Path) -> Path:
    """Where a file or folder is written until it is complete, or lies while it is removed."""
    return path.with_name(f".{path.name}.part")


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside a file, which replaces the file when the block ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = aside(path)
    try:
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        # A full disk names no file, and the one aside is not what the user knows.
        if error.filename in (None, str(unfinished)):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        unfinished.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Write a file atomically: readers see the old contents or the complete new ones."""
    with atomic_file(path) as file:
        file.write(text)


def write_all(texts: dict[Path, str]) -> None:
    """Write files that belong together: if there is no room for one, all keep their old contents.

    They are renamed from the last to the first.
    """
    with ExitStack() as stack:
        for path, text in texts.items():
            file = stack.enter_context(atomic_file(path))
            with writing(path):
                file.write(text)
                file.flush()
                os.fsync(file.fileno())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically; gzipped, always to the same bytes, if its name ends with `.gz`."""
    with _replacing(path) as unfinished, unfinished.open("wb") as file:
        file.write(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def atomic_folder(folder: Path, *, resume: bool = False) -> Iterator[Path]:
    """Yield an empty folder that replaces `folder` when the block ends, with everything in it synced.

    If the block fails, `folder` is unchanged.

    Args:
        folder: the final place.
        resume: yield what an earlier block has left that was killed, or ended by a signal.
    """
    unfinished = aside(folder)
    if not resume:
        shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True, exist_ok=resume)
    try:
        yield unfinished
        for path in (*unfinished.rglob("*"), unfinished):
            sync(path)
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
        sync(folder.parent)
    except BaseException as error:
        if not resume or isinstance(error, Exception):
            shutil.rmtree(unfinished, ignore_errors=True)
        raise


def remove_folder(folder: Path) -> None:
    """Remove a folder, or at least its name: no part of one is ever seen under it."""
    shutil.rmtree(aside(folder), ignore_errors=True)
    with suppress(OSError):
        folder.rename(aside(folder))
    shutil.rmtree(aside(folder), ignore_errors=True)


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> str:
    """Write fp32 tensors on the CPU as one safetensors file, synced; return its sha256."""
    return write_parts(path, [_header(tensors), *map(_bytes_of, tensors.values())])


def write_parts(path: Path, parts: list[Any]) -> str:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for part in parts:
            file.write(part)
            digest.update(part)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def digest(path: Path) -> str:
    """The sha256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def _header(tensors: dict[str, torch.Tensor]) -> bytes:
    """The safetensors header: the length of its JSON, and the JSON with the offsets of each tensor."""
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, tensor in tensors.items():
        behind = at + tensor.nbytes
        entries[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, behind]}
        at = behind
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)  # the data behind it is aligned then
    return len(text).to_bytes(8, "little") + text


def _bytes_of(tensor: torch.Tensor) -> Any:
    return tensor.flatten().numpy().data.cast("B")


def sync(path: Path) -> None:
    """Sync a file or folder to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
