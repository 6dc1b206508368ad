"""Prepare data once: read, check, tokenise, and cache the result for all processes to map.

The prepared folder depends on the data and the tokenizer only, not on the labels that are learnt, so models A
and B share it. It is written under a temporary name and renamed; a lock lets one process per machine build it
while the others wait. Training processes map the arrays instead of loading them, and trust the folder only if
all its checksums are right (`checksums.py`); a damaged one is prepared again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.data.checksums import fault_in
from ner_dist.data.gathered import cache_root
from ner_dist.data.notes import Notes, recorded
from ner_dist.data.prepared import Prepared, load_prepared
from ner_dist.data.prepared_files import write_prepared
from ner_dist.errors import UserError
from ner_dist.files import atomic_folder, check_folder
from ner_dist.recipe import SCRATCH, Train

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from transformers import PretrainedConfig, PreTrainedTokenizerFast

    from ner_dist.data.corpus import Corpus
    from ner_dist.recipe import Model, Recipe
    from ner_dist.recipe_data import Data

log = logging.getLogger(__name__)

ANY_TRAINING = Train(batch_tokens=8192)
"""Training settings for a model without a recipe: windows of up to 2,048 subwords."""

_REMOVE = "remove this folder, or name another data.cache_dir"

# Part of the folder's key: raise it when the stored arrays, or the cutting of sentences, change.
_FORMAT = 6


def prepare(
    recipe: Recipe, config: PretrainedConfig, *, splits: Collection[str] | None = None, check: bool = True
) -> Prepared:
    """Prepare the recipe's data, or load it from the cache, if every byte there is as it was written.

    Args:
        recipe: `data` and `model` decide what to read and how to encode it.
        config: configuration of the encoder, which limits the length of windows.
        splits: the wanted ones among `train`, `validation` and `test`; None means all that the recipe names.
        check: False if another process of this machine has just called this.

    Raises:
        UserError: the data or the tokenizer cannot be used, or a damaged cache cannot be replaced.
    """
    folder = prepared_folder(recipe, config, splits=splits)
    if not check or _usable(folder):
        return load_prepared(folder)
    from filelock import FileLock

    if not folder.parent.is_dir():
        check_folder(folder.parent, where="data.cache_dir")
        folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        # Another process may have prepared it while this one waited.
        just_made = not _usable(folder)
        if just_made:
            with _replacing(folder), recorded() as notes:
                _build(folder, recipe, config, splits, notes)
    return replace(load_prepared(folder), just_made=just_made)


def _usable(folder: Path) -> bool:
    return os.path.lexists(folder) and fault_in(folder) is None


@contextmanager
def _replacing(folder: Path) -> Iterator[None]:
    """Move what is left of a damaged cache out of the way while the block prepares the data again.

    Raises:
        UserError: it cannot be moved, or the data cannot be prepared again, which leaves it where it was.
    """
    aside = folder.with_name(f".{folder.name}.damaged")
    if not os.path.lexists(folder):
        yield
        _remove(aside)  # a process that was killed here leaves it
        return
    fault = fault_in(folder)
    log.warning("%s: %s: preparing the data again", folder, fault)
    try:
        _remove(aside)
        folder.rename(aside)
    except OSError as error:
        what = f"{fault}, and it cannot be replaced: {error.strerror}"
        raise UserError(what, where=str(folder), fix=_REMOVE) from None
    try:
        yield
    except UserError as error:
        aside.rename(folder)
        what = f"{fault}, and the data cannot be prepared again ({error})"
        raise UserError(what, where=str(folder), fix=_REMOVE) from error
    except BaseException:
        aside.rename(folder)
        raise
    _remove(aside)


def _remove(path: Path) -> None:
    """Remove a folder or a file, as far as that is allowed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def prepared_folder(
    recipe: Recipe, config: PretrainedConfig, *, splits: Collection[str] | None = None
) -> Path:
    """Folder of the recipe's prepared data; it may not exist yet."""
    return cache_folder(recipe.data) / _key(recipe, config, splits)


def cache_folder(data: Data) -> Path:
    """Cache folder for prepared data."""
    return cache_root(data) / "prepared"


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
    with atomic_folder(folder, resume=True) as aside:
        write_prepared(aside, corpus, tokenizer, notes, max_length=longest, overlap=overlap, final=folder)


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
