"""The subwords of a split, appended to files as they are made; a process that is killed is gone on with.

From time to time all files are synced, and a note of their lengths is written. The next process cuts them to
these lengths and goes on behind, so that the files are the same in the end.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ner_dist.data.prepared import ARRAYS
from ner_dist.errors import writing
from ner_dist.files import read_json, write_atomically

if TYPE_CHECKING:
    from ner_dist.data.encoding import Encoded

_TYPES = {"input_ids": "<i4", "example_offsets": "<i8", "word_index": "<i4", "sentence": "<i4"}
NOTE = "progress.json"
"""File in a split's folder until all splits are written."""
SAVE_EVERY = 20
"""Parts after which what is written is synced."""


class EncodedFiles:
    """The arrays of `Encoded` in .npy files that grow; the headers say their length at last."""

    def __init__(self, folder: Path, *, final: Path, of: str) -> None:
        """
        Args:
            folder: where they lie.
            final: what it will be called, for messages.
            of: names the words and the tokenizer; files of others are begun again.
        """
        self.folder, self.final, self._of = folder, final, of
        self.sentences = 0
        """Number of sentences that are in the files."""
        self.words = 0
        """Number of words that have subwords in them."""
        self.items = dict.fromkeys(ARRAYS, 0)
        self._parts = 0

    def __enter__(self) -> EncodedFiles:
        note = read_json(self.folder / NOTE)
        known = note.get("of") == self._of and all(self._path(name).exists() for name in ARRAYS)
        with ExitStack() as stack:
            self.files: dict[str, BinaryIO] = {
                name: stack.enter_context(self._path(name).open("r+b" if known else "wb")) for name in ARRAYS
            }
            self._open = stack.pop_all()
        if known:
            self.sentences, self.words, self.items = note["sentences"], note["words"], note["items"]
            for name, file in self.files.items():
                self._write_header(name)
                file.truncate(file.tell() + np.dtype(_TYPES[name]).itemsize * self.items[name])
                file.seek(0, os.SEEK_END)
        else:
            for name in ARRAYS:
                self._write_header(name)
            self._write("example_offsets", np.zeros(1))
        return self

    def append(self, part: Encoded, *, sentences: int) -> None:
        """Write the examples of some more sentences."""
        ends = part.example_offsets[1:] + self.items["input_ids"]
        for name in ARRAYS:
            self._write(name, ends if name == "example_offsets" else getattr(part, name))
        self.sentences += sentences
        self.words += int((part.word_index >= 0).sum())
        self._parts += 1
        if self._parts % SAVE_EVERY == 0:
            self._save()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            with suppress(OSError):  # what could not be written before cannot be written now
                self._open.close()
            return
        for name in ARRAYS:
            self._write_header(name)
        self._save()
        self._open.close()

    def _save(self) -> None:
        with writing(self.final):
            for file in self.files.values():
                os.fsync(file.fileno())
            note: dict[str, Any] = {"of": self._of, "sentences": self.sentences, "words": self.words}
            write_atomically(self.folder / NOTE, json.dumps(note | {"items": self.items}))

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def _write(self, name: str, items: np.ndarray) -> None:
        with writing(self.final / f"{name}.npy"):
            self.files[name].write(items.astype(_TYPES[name]).tobytes())
            self.files[name].flush()
        self.items[name] += len(items)

    def _write_header(self, name: str) -> None:
        """Write the header, which is of the same length for any number of items."""
        header = {"descr": _TYPES[name], "fortran_order": False, "shape": (self.items[name],)}
        with writing(self.final / f"{name}.npy"):
            self.files[name].seek(0)
            np.lib.format.write_array_header_1_0(self.files[name], header)
            self.files[name].flush()
