"""Prepared data as training and scoring use it: arrays and words that stay on disk, mapped into memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.data.annotation import AnnotatedSource
from ner_dist.data.corpus import Repeats
from ner_dist.data.encoding import Encoded
from ner_dist.data.sentences import InMemory, Sentences
from ner_dist.labels import LabelSet

if TYPE_CHECKING:
    import pyarrow as pa
    from transformers import PreTrainedTokenizerFast

    from ner_dist.data.notes import Notes

ARRAYS = ("input_ids", "example_offsets", "word_index", "sentence")
"""Names of the files that hold a split as subwords, which are the fields of `Encoded`."""
TOKENS, DOCUMENTS = "tokens.arrow", "documents.arrow"
META = "meta.json"
DETAILS = "details.txt"
"""File in a prepared folder with a line for each change to the data that the log only counts."""


@dataclass(frozen=True)
class PreparedSplit:
    """One split: its words (read from disk on demand), their tags, and their subwords."""

    folder: Path
    tags: np.ndarray
    """int16 [W]: id of every word's tag in `Prepared.labels`, sentence after sentence."""
    offsets: np.ndarray
    """int64 [N+1]: sentence i holds the words offsets[i]:offsets[i+1]."""
    encoded: Encoded
    repeats: Repeats | None = None
    """What was dropped from a held-out split, if anything was."""
    chars: np.ndarray | None = None
    """int64 [W, 2]: start and end of every word in the text of its document, if there is one."""
    source: np.ndarray | None = None
    """int8 [N]: the source of every sentence, in data of several sources."""

    @property
    def n_sentences(self) -> int:
        return len(self.offsets) - 1

    def tokens(self) -> Sentences:
        """The words of every sentence."""
        return Sentences([InMemory(part) for part in mapped_columns(self.folder / TOKENS)])

    def documents(self) -> list[str] | None:
        """The document of every sentence; None if the data does not say it."""
        path = self.folder / DOCUMENTS
        if not path.exists():
            return None
        return [name for part in mapped_columns(path) for name in part.to_pylist()]

    def words(self, index: np.ndarray) -> list[str]:
        """Words by their indices in the split, rising; the others stay on disk."""
        found, first = list[str](), 0
        for part in mapped_columns(self.folder / TOKENS):
            words = part.flatten()
            here = index[(index >= first) & (index < first + len(words))]
            found += words.take(here - first).to_pylist()
            first += len(words)
        return found


@dataclass(frozen=True)
class Prepared:
    """The data of a recipe, ready for training and scoring."""

    folder: Path
    splits: dict[str, PreparedSplit]
    labels: LabelSet
    """All labels of the data, including those that the recipe does not learn."""
    counts: dict[str, Any]
    """Counts from reading the data: sentences, duplicates, overlaps."""
    fingerprint: str
    pad_id: int
    vocab_size: int
    sources: tuple[AnnotatedSource, ...] = ()
    """What each source annotates, in data of several."""
    notes: Notes = field(default_factory=list)
    """Log lines of the preparation."""
    just_made: bool = False
    """Whether this process prepared the data, and so has already logged `notes`."""

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        from transformers import AutoTokenizer

        tokenizer: Any = AutoTokenizer.from_pretrained(self.folder / "tokenizer", trust_remote_code=False)
        fast: PreTrainedTokenizerFast = tokenizer
        return fast


def mapped_columns(path: Path) -> list[pa.Array]:
    """The record batches of an Arrow file with one column, mapped into memory."""
    import pyarrow as pa

    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    return [reader.get_batch(number).column(0) for number in range(reader.num_record_batches)]


def load_prepared(folder: Path) -> Prepared:
    """Map a prepared folder, which has been checked, into memory."""
    meta = json.loads((folder / META).read_text(encoding="utf-8"))
    splits = {}
    for name in meta["splits"]:
        arrays = {stem: _map(folder / name / f"{stem}.npy") for stem in ("tags", "offsets", *ARRAYS)}
        tags, offsets = arrays.pop("tags"), arrays.pop("offsets")
        repeats = None
        if (folder / name / "repeat_of.npy").exists():
            of, own = (_map(folder / name / f"repeat_{what}.npy") for what in ("of", "tags"))
            repeats = Repeats(of=of, tags=own)
        splits[name] = PreparedSplit(
            folder / name,
            tags=tags,
            offsets=offsets,
            encoded=Encoded(**arrays),
            repeats=repeats,
            chars=_map_if_any(folder / name / "chars.npy"),
            source=_map_if_any(folder / name / "source.npy"),
        )
    return Prepared(
        folder=folder,
        splits=splits,
        labels=LabelSet(tags=tuple(meta["tags"])),
        counts=meta["report"],
        fingerprint=meta["fingerprint"],
        pad_id=meta["pad_id"],
        vocab_size=meta["vocab_size"],
        sources=tuple(
            AnnotatedSource(**source | {"types": tuple(source["types"])})
            for source in meta.get("sources", [])
        ),
        # Data that an older version prepared is found by its fingerprint.
        notes=[(level, text) for level, text in meta.get("notes", [])],
    )


def _map_if_any(path: Path) -> np.ndarray | None:
    return _map(path) if path.exists() else None


def _map(path: Path) -> np.ndarray:
    """Map the array in a file into memory."""
    array = np.load(path, mmap_mode="r")
    return np.asarray(array)
