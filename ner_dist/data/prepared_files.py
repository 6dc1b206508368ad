"""Write the files of prepared data, piece by piece, so that the memory they take does not grow with them."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.data.checksums import write_checksums
from ner_dist.data.encoding import PART, encode_parts
from ner_dist.data.notes import Notes, without_details
from ner_dist.data.prepared import ARRAYS, DETAILS, DOCUMENTS, META, TOKENS
from ner_dist.errors import writing
from ner_dist.model.tokenizer import padding_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from transformers import PreTrainedTokenizerFast

    from ner_dist.data.corpus import Corpus, Split
    from ner_dist.data.encoding import Encoded

# Its lines are about one start only, as those of `prepare.py`.
log = logging.getLogger("ner_dist.data.prepare")


def write_prepared(
    folder: Path,
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerFast,
    notes: Notes,
    *,
    max_length: int,
    overlap: int,
    final: Path,
) -> None:
    """Write a corpus and its subwords, with checksums.

    Args:
        folder: an empty one.
        corpus: what to write.
        tokenizer: is stored with the data.
        notes: log lines to repeat whenever the data is used.
        max_length: longest example in subwords, special tokens included.
        overlap: subwords that neighbouring windows share, at most.
        final: what the folder will be called, for messages.

    Raises:
        OSError: the disk is full; it names the file.
    """
    with writing(final / "tokenizer"):
        tokenizer.save_pretrained(folder / "tokenizer")
    counts = dict(corpus.counts)
    for name, split in corpus.splits.items():
        log.info("tokenising %s: %d sentences", name, len(split))
        (folder / name).mkdir()
        _write_words(folder / name, split, final / name)
        windows, owned = 0, 0
        with _ArrayFiles(folder / name, final / name) as files:
            for part in encode_parts(split, tokenizer, max_length=max_length, overlap=overlap):
                files.append(part)
                windows += len(part.sentence)
                owned += int((part.word_index >= 0).sum())
        counts[f"{name}_windows"] = windows
        counts[f"{name}_words_without_subwords"] = len(split.tags) - owned
    lines, details = without_details(notes)
    meta = {
        "splits": list(corpus.splits),
        "tags": corpus.labels.tags,
        "report": counts,
        "fingerprint": corpus.fingerprint,
        "pad_id": padding_id(tokenizer),
        "vocab_size": len(tokenizer),
        "sources": [asdict(source) for source in corpus.sources],
        "notes": lines,
    }
    if details:
        with writing(final / DETAILS):
            (folder / DETAILS).write_text("\n".join([*details, ""]), encoding="utf-8")
    with writing(final / META):
        (folder / META).write_text(json.dumps(meta, indent=1), encoding="utf-8")
    write_checksums(folder, final=final)


def _write_words(folder: Path, split: Split, final: Path) -> None:
    """Write what is known of a split without a tokenizer."""
    import pyarrow as pa

    words = pa.list_(pa.string())
    parts = (pa.array(split.tokens[at : at + PART], type=words) for at in range(0, len(split), PART))
    with writing(final / TOKENS):
        _write_table(folder / TOKENS, "tokens", words, parts)
    if split.documents is not None:
        # As a dictionary: a document's name is the same for all of its sentences.
        documents = pa.array(split.documents).dictionary_encode()
        with writing(final / DOCUMENTS):
            _write_table(folder / DOCUMENTS, "documents", documents.type, iter([documents]))
    arrays = {"tags": split.tags, "offsets": split.offsets, "chars": split.chars, "source": split.source}
    if split.repeats is not None:
        arrays |= {"repeat_of": split.repeats.of, "repeat_tags": split.repeats.tags}
    for name, array in arrays.items():
        if array is not None:
            with writing(final / f"{name}.npy"):
                np.save(folder / f"{name}.npy", array)


def _write_table(path: Path, name: str, kind: pa.DataType, parts: Iterator[pa.Array]) -> None:
    import pyarrow as pa

    schema = pa.schema([(name, kind)])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for part in parts:
            writer.write_batch(pa.record_batch([part], schema=schema))


_TYPES = {"input_ids": "<i4", "example_offsets": "<i8", "word_index": "<i4", "sentence": "<i4"}


class _ArrayFiles:
    """The arrays of `Encoded` in .npy files that grow; their length is written into their headers at last."""

    def __init__(self, folder: Path, final: Path) -> None:
        self.folder, self.final = folder, final
        self.items = dict.fromkeys(ARRAYS, 0)

    def __enter__(self) -> _ArrayFiles:
        with ExitStack() as stack:
            self.files = {
                name: stack.enter_context((self.folder / f"{name}.npy").open("wb")) for name in ARRAYS
            }
            self._open = stack.pop_all()
        for name in ARRAYS:
            self._write_header(name)
        self._write("example_offsets", np.zeros(1))
        return self

    def append(self, part: Encoded) -> None:
        """Write the examples of some more sentences."""
        ends = part.example_offsets[1:] + self.items["input_ids"]
        for name in ARRAYS:
            self._write(name, ends if name == "example_offsets" else getattr(part, name))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            with suppress(OSError):  # what could not be written before cannot be written now
                self._open.close()
            return
        for name in ARRAYS:
            self._write_header(name)
        self._open.close()

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
