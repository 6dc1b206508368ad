"""Prepare data once: read, check, tokenise, and cache the result for all processes to map.

The prepared folder depends on the data and the tokenizer only, not on the labels that are learnt, so models A
and B share it. It is written under a temporary name and renamed; a lock lets one process per machine build it
while the others wait. Training processes map the arrays instead of loading them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.data.annotation import AnnotatedSource
from ner_dist.data.corpus import Repeats
from ner_dist.data.encoding import Encoded
from ner_dist.data.notes import Notes, recorded, without_details
from ner_dist.errors import UserError, writing
from ner_dist.files import atomic_folder
from ner_dist.labels import LabelSet
from ner_dist.recipe import SCRATCH, Train

if TYPE_CHECKING:
    from collections.abc import Collection

    from transformers import PretrainedConfig, PreTrainedTokenizerFast

    from ner_dist.data.corpus import Corpus, Split
    from ner_dist.recipe import Data, Model, Recipe

log = logging.getLogger(__name__)

ANY_TRAINING = Train(batch_tokens=8192)
"""Training settings for a model without a recipe: windows of up to 2,048 subwords."""

DETAILS = "details.txt"
"""File in a prepared folder with a line for each change to the data that the log only counts."""

# Part of the folder's key: raise it when the stored arrays, or the cutting of sentences, change.
_FORMAT = 5


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

    def tokens(self) -> list[list[str]]:
        """The words of every sentence."""
        import pyarrow as pa

        with pa.memory_map(str(self.folder / "tokens.arrow")) as source:
            result: list[list[str]] = pa.ipc.open_file(source).read_all()["tokens"].to_pylist()
            return result

    def documents(self) -> list[str] | None:
        """The document of every sentence; None if the data does not say it."""
        import pyarrow as pa

        path = self.folder / _DOCUMENTS
        if not path.exists():
            return None
        with pa.memory_map(str(path)) as source:
            result: list[str] = pa.ipc.open_file(source).read_all()["documents"].to_pylist()
            return result

    def words(self, index: np.ndarray) -> list[str]:
        """Words by their indices in the split; the others stay on disk."""
        import pyarrow as pa
        import pyarrow.compute as pc

        with pa.memory_map(str(self.folder / "tokens.arrow")) as source:
            words = pc.list_flatten(pa.ipc.open_file(source).read_all()["tokens"])
            result: list[str] = words.take(pa.array(index)).to_pylist()
            return result


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

        tokenizer: Any = AutoTokenizer.from_pretrained(self.folder / "tokenizer")
        fast: PreTrainedTokenizerFast = tokenizer
        return fast


def prepare(recipe: Recipe, config: PretrainedConfig, *, splits: Collection[str] | None = None) -> Prepared:
    """Prepare the recipe's data, or load it from the cache.

    Args:
        recipe: `data` and `model` decide what to read and how to encode it.
        config: configuration of the encoder, which limits the length of windows.
        splits: the wanted ones among `train`, `validation` and `test`; None means all that the recipe names.

    Raises:
        UserError: the data or the tokenizer cannot be used.
    """
    from filelock import FileLock

    folder = prepared_folder(recipe, config, splits=splits)
    just_made = False
    if not (folder / "meta.json").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not (folder / "meta.json").exists():
                with recorded() as notes:
                    _build(folder, recipe, config, splits, notes)
                just_made = True
    return replace(_load(folder), just_made=just_made)


def prepared_folder(
    recipe: Recipe, config: PretrainedConfig, *, splits: Collection[str] | None = None
) -> Path:
    """Folder of the recipe's prepared data; it may not exist yet."""
    return cache_folder(recipe.data) / _key(recipe, config, splits)


def cache_folder(data: Data) -> Path:
    """Cache folder for prepared data."""
    named = data.cache_dir or os.environ.get("NER_DIST_CACHE") or "~/.cache/ner_dist"
    return Path(named).expanduser() / "prepared"


def window_limit(recipe: Recipe, config: PretrainedConfig) -> int:
    """Longest window that the recipe and the encoder allow; a micro-batch must hold at least one."""
    from ner_dist.model.encoder import max_length

    encoder = max_length(config)
    return min(recipe.train.longest_example, encoder, recipe.data.max_length or encoder)


def window_sizes(
    recipe: Recipe, config: PretrainedConfig, tokenizer: PreTrainedTokenizerFast
) -> tuple[int, int]:
    """Subwords of the longest window, special tokens included, and how many of them neighbours share."""
    longest = min(window_limit(recipe, config), tokenizer.model_max_length)
    return longest, min(recipe.data.window_overlap, longest // 4)


def _key(recipe: Recipe, config: PretrainedConfig, splits: Collection[str] | None) -> str:
    from ner_dist.data.sources import source_stamp

    data = recipe.data.model_dump(mode="json", exclude={"cache_dir", "max_file_gb"})
    if data["resample"] is None:  # the key of data that is not drawn is older than `resample`
        del data["resample"]
    settings = {
        "format": _FORMAT,
        "data": data,
        "source": source_stamp(recipe.data),
        "splits": sorted(splits) if splits is not None else None,
        "tokenizer": _tokenizer_stamp(recipe.model),
        "max_length": window_limit(recipe, config),
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:20]


def _tokenizer_stamp(model: Model) -> Any:
    if model.name == SCRATCH:
        return ["scratch", model.scratch.vocab_size, model.scratch.max_length]
    folder = Path(model.name)
    if folder.is_dir():
        files = sorted(path for path in folder.glob("*") if path.suffix in (".json", ".txt", ".model"))
        return [[path.name, hashlib.sha256(path.read_bytes()).hexdigest()] for path in files]
    return [model.name, model.revision]


def _build(
    folder: Path,
    recipe: Recipe,
    config: PretrainedConfig,
    splits: Collection[str] | None,
    notes: Notes,
) -> None:
    from ner_dist.data.sources import load_corpus

    log.info("reading and tokenising %s", recipe.data.path)
    corpus = load_corpus(recipe.data, splits=splits)
    tokenizer = _tokenizer(recipe.model, corpus)

    longest, overlap = window_sizes(recipe, config, tokenizer)
    with atomic_folder(folder) as aside:
        _write(aside, corpus, tokenizer, notes, max_length=longest, overlap=overlap)


def _write(
    aside: Path,
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerFast,
    notes: Notes,
    *,
    max_length: int,
    overlap: int,
) -> None:
    from ner_dist.data.encoding import encode
    from ner_dist.model.tokenizer import padding_id

    with writing(aside.parent):
        tokenizer.save_pretrained(aside / "tokenizer")
    counts = dict(corpus.counts)
    for name, split in corpus.splits.items():
        log.info("tokenising %s: %d sentences", name, len(split.offsets) - 1)
        encoded = encode(split, tokenizer, max_length=max_length, overlap=overlap)
        with writing(aside.parent):
            _write_split(aside / name, split, encoded)
        counts[f"{name}_windows"] = len(encoded.example_offsets) - 1
        counts[f"{name}_words_without_subwords"] = len(split.tags) - int((encoded.word_index >= 0).sum())
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
    with writing(aside.parent):
        if details:
            (aside / DETAILS).write_text("\n".join([*details, ""]), encoding="utf-8")
        (aside / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")


def _tokenizer(model: Model, corpus: Corpus) -> PreTrainedTokenizerFast:
    from ner_dist.model.tokenizer import load_tokenizer, train_tokenizer

    if model.name != SCRATCH:
        return load_tokenizer(model.name, revision=model.revision)
    if "train" not in corpus.splits:
        raise UserError(
            "a model from scratch learns its vocabulary from the training split", where="model.name"
        )
    shape = model.scratch
    return train_tokenizer(
        corpus.splits["train"].tokens, vocab_size=shape.vocab_size, max_length=shape.max_length
    )


_ARRAYS = ("input_ids", "example_offsets", "word_index", "sentence")
_DOCUMENTS = "documents.arrow"


def _write_split(folder: Path, split: Split, encoded: Encoded) -> None:
    import pyarrow as pa

    folder.mkdir()
    _write_table(folder / "tokens.arrow", tokens=pa.array(split.tokens, type=pa.list_(pa.string())))
    if split.documents is not None:
        # As a dictionary: a document's name is the same for all of its sentences.
        _write_table(folder / _DOCUMENTS, documents=pa.array(split.documents).dictionary_encode())
    for name, array in (("chars", split.chars), ("source", split.source)):
        if array is not None:
            np.save(folder / f"{name}.npy", array)
    np.save(folder / "tags.npy", split.tags)
    np.save(folder / "offsets.npy", split.offsets)
    for name in _ARRAYS:
        np.save(folder / f"{name}.npy", getattr(encoded, name))
    if split.repeats is not None:
        np.save(folder / "repeat_of.npy", split.repeats.of)
        np.save(folder / "repeat_tags.npy", split.repeats.tags)


def _write_table(path: Path, **columns: Any) -> None:
    import pyarrow as pa

    table = pa.table(columns)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _load(folder: Path) -> Prepared:
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    splits = {}
    for name in meta["splits"]:
        arrays = {stem: _map(folder / name / f"{stem}.npy") for stem in ("tags", "offsets", *_ARRAYS)}
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
