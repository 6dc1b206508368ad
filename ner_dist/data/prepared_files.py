"""Write the files of prepared data, piece by piece, so that the memory they take does not grow with them."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.data.checksums import write_checksums
from ner_dist.data.encoded_files import NOTE, EncodedFiles
from ner_dist.data.encoding import encode_parts
from ner_dist.data.notes import Notes, without_details
from ner_dist.data.prepared import ARRAYS, DETAILS, DOCUMENTS, META, TOKENS
from ner_dist.data.sentences import PART, Sentences
from ner_dist.errors import writing
from ner_dist.model.tokenizer import padding_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from transformers import PreTrainedTokenizerFast

    from ner_dist.data.corpus import Corpus, Split

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
        folder: empty, or what a process has left that was killed while it wrote the same.
        corpus: what to write.
        tokenizer: is stored with the data.
        notes: log lines to repeat whenever the data is used.
        max_length: longest example in subwords, special tokens included.
        overlap: subwords that neighbouring windows share, at most.
        final: what the folder will be called, for messages.

    Raises:
        OSError: the disk is full; it names the file.
    """
    _clear(folder, splits=list(corpus.splits))
    with writing(final / "tokenizer"):
        tokenizer.save_pretrained(folder / "tokenizer")
    counts = dict(corpus.counts)
    of = f"{corpus.fingerprint} {_stamp(tokenizer)}"
    for name, split in corpus.splits.items():
        log.info("tokenising %s: %d sentences", name, len(split))
        (folder / name).mkdir(exist_ok=True)
        _write_words(folder / name, split, final / name)
        with EncodedFiles(folder / name, final=final / name, of=of) as files:
            if files.sentences:
                log.info("%s: %d sentences are tokenised already", name, files.sentences)
            for part in encode_parts(
                split, tokenizer, max_length=max_length, overlap=overlap, first=files.sentences
            ):
                files.append(part, sentences=min(PART, len(split) - files.sentences))
        counts[f"{name}_windows"] = files.items["sentence"]
        counts[f"{name}_words_without_subwords"] = len(split.tags) - files.words
    for name in corpus.splits:
        (folder / name / NOTE).unlink()
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


def _clear(folder: Path, *, splits: list[str]) -> None:
    """Remove what an earlier process has left, but for subwords with a note of the words they are of."""
    kept = {NOTE, *(f"{name}.npy" for name in ARRAYS)}
    for path in [path for path in folder.rglob("*") if not path.is_dir()]:
        if path.parent.parent != folder or path.parent.name not in splits or path.name not in kept:
            path.unlink()


def _write_words(folder: Path, split: Split, final: Path) -> None:
    """Write what is known of a split without a tokenizer."""
    import pyarrow as pa

    with writing(final / TOKENS):
        _write_table(folder / TOKENS, "tokens", pa.list_(pa.string()), Sentences.of(split.tokens).parts())
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


def _stamp(tokenizer: PreTrainedTokenizerFast) -> str:
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()
