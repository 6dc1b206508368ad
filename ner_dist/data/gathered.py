"""Join rows that are read piece by piece; their words wait in a file, so that memory does not grow with them.

The file has no name: nothing is left of it when the process ends, in whatever way.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ner_dist.blocks import taken
from ner_dist.data.corpus import Rows, offsets_of
from ner_dist.data.sentences import PART, Sentences, arrow_lists
from ner_dist.data.unlabelled import NO_CODE
from ner_dist.errors import writing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from ner_dist.recipe_data import Data

_SMALL = np.iinfo(np.int16).max


def cache_root(data: Data) -> Path:
    """Folder for prepared data and for what is needed to prepare it."""
    # A source of several has no `cache_dir` of its own.
    named = getattr(data, "cache_dir", None) or os.environ.get("NER_DIST_CACHE") or "~/.cache/ner_dist"
    return Path(named).expanduser()


def gathered(pieces: Iterable[Rows], data: Data) -> Rows:
    """Join the rows of one file's pieces, in order; a single piece stays as it is.

    Args:
        pieces: at least one. The first says where the words' lines and their places in a text are known.
        data: says where there is room for a file.
    """
    left = iter(pieces)
    first, second = next(left), next(left, None)
    if second is None:
        return first
    whole = _Gathering(cache_root(data))
    whole.add(first)
    whole.add(second)
    del first, second
    for piece in left:
        whole.add(piece)
    return whole.rows()


class _Gathering:
    """The rows of some pieces, with their words and the lines of these in files."""

    def __init__(self, folder: Path) -> None:
        self._words, self._lines = _WordFile(folder), _LineFile(folder)
        self._codes: dict[Any, int] = {}
        self._pieces: list[Rows] = []

    def add(self, piece: Rows) -> None:
        self._words.append(piece.tokens)
        if piece.word_lines is not None:
            self._lines.append(piece.word_lines)
        codes = [self._codes.setdefault(value, len(self._codes)) for value in piece.values]
        # The code -1, for a word without a label, takes the last.
        table = np.array([*codes, NO_CODE], dtype=np.int16 if len(self._codes) < _SMALL else np.int32)
        self._pieces.append(replace(piece, tokens=[], tags=taken(table, piece.tags), word_lines=None))

    def rows(self) -> Rows:
        pieces, first = self._pieces, self._pieces[0]
        values = tuple(self._codes)
        if len(set(map(type, values))) > 1:  # numbers in one piece, text in another: then all are text
            values = tuple(map(str, values))
        chars = [piece.chars for piece in pieces if piece.chars is not None]
        lengths = np.concatenate([np.diff(piece.offsets) for piece in pieces])
        return replace(
            first,
            tokens=self._words.sentences(),
            tags=np.concatenate([piece.tags for piece in pieces]),
            values=values,
            offsets=offsets_of(lengths),
            line_numbers=np.concatenate([piece.line_numbers for piece in pieces]),
            word_lines=self._lines.numbers(),
            names=next((piece.names for piece in pieces if piece.names is not None), None),
            read=sum(piece.read for piece in pieces),
            languages=sum((piece.languages for piece in pieces), Counter()),
            left_out=sum((piece.left_out for piece in pieces), Counter()),
            documents=_documents(pieces),
            chars=np.concatenate(chars) if len(chars) == len(pieces) else None,
        )


def _documents(pieces: list[Rows]) -> list[str] | None:
    """The document of every sentence; one of its own for what stands before the first mark in the file."""
    if all(piece.documents is None for piece in pieces):
        return None
    before = f"{Path(pieces[0].file).name}:1"
    return [name for piece in pieces for name in piece.documents or [before] * (len(piece.offsets) - 1)]


def _unnamed_file(folder: Path) -> BinaryIO:
    """An empty file that only this process knows of, in a folder or else where temporary files lie."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=folder)
    except OSError:
        return tempfile.TemporaryFile()


class _WordFile:
    """Arrow's lists in an unnamed file; each part is read when it is looked at."""

    def __init__(self, folder: Path) -> None:
        import pyarrow as pa

        self._folder, self._file = folder, _unnamed_file(folder)
        self._schema = pa.schema([("tokens", pa.list_(pa.string()))])
        self._parts: list[_WordPart] = []
        self.read = lru_cache(maxsize=4)(self._read)

    def append(self, sentences: Sequence[list[str]]) -> None:
        """Write some more sentences."""
        for at in range(0, len(sentences), PART):
            self._write(arrow_lists(sentences[at : at + PART]))

    def sentences(self) -> Sentences:
        return Sentences(self._parts)

    def _write(self, lists: pa.Array) -> None:
        import pyarrow as pa

        content = pa.record_batch([lists], schema=self._schema).serialize()
        at = self._file.tell()
        with writing(self._folder):
            self._file.write(content)
            self._file.flush()
        self._parts.append(_WordPart(self, at, content.size, len(lists)))

    def _read(self, at: int, size: int) -> pa.Array:
        import pyarrow as pa

        content = pa.py_buffer(os.pread(self._file.fileno(), size, at))
        return pa.ipc.read_record_batch(content, self._schema).column(0)


class _WordPart:
    """A part of `Sentences` in a file."""

    def __init__(self, file: _WordFile, at: int, size: int, length: int) -> None:
        self._file, self._place, self._length = file, (at, size), length

    def __len__(self) -> int:
        return self._length

    def load(self) -> pa.Array:
        return self._file.read(*self._place)


class _LineFile:
    """Numbers of lines in an unnamed file, which is mapped into memory: only messages look at them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: BinaryIO | None = None

    def append(self, numbers: np.ndarray) -> None:
        if self._file is None:
            self._file = _unnamed_file(self._folder)
        with writing(self._folder):
            self._file.write(numbers.astype(np.int32).tobytes())
            self._file.flush()

    def numbers(self) -> np.ndarray | None:
        """int32; None if there are none."""
        if self._file is None:
            return None
        if not self._file.tell():
            return np.empty(0, np.int32)
        mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(mapped, np.int32)
