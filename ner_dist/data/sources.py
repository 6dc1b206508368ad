"""Load a `Corpus` from the data that a recipe names: one data set, or several sources.

`load_corpus` is the entry point: it reads the splits, names the labels, joins sources and drops repeats.
Every problem with the data is raised as a `UserError`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ner_dist.data.corpus import Corpus, fingerprint
from ner_dist.data.corrections import correction_files
from ner_dist.data.duplicates import clean
from ner_dist.data.entities import check_train, count_entities
from ner_dist.data.hub import is_saved_to_disk
from ner_dist.data.mixture import as_data, read_sources
from ner_dist.data.one_source import SYNTHETIC, check_one_file, is_files, is_one_file, read_source
from ner_dist.data.resampled import resampled
from ner_dist.data.split_files import SPLITS, files_if_any, files_of, has_files, read_with
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.data.annotation import AnnotatedSource
    from ner_dist.data.corpus import Split
    from ner_dist.recipe_data import Data


def load_corpus(data: Data, *, splits: Collection[str] | None = None) -> Corpus:
    """Read the data that a recipe names.

    Args:
        data: the recipe's `data` section.
        splits: the wanted ones among `train`, `validation` and `test`; None means all that `data.splits`
            names. If `data.path` is a single file, it is the only wanted split, unless `data.split` cuts it.

    Raises:
        UserError: the data cannot be found, read or understood.
    """
    wanted = _wanted(data, splits)
    needed = wanted
    if data.drop_test_sentences_from_train and "train" in wanted and _has_held_out(data):
        needed = [name for name in SPLITS if name in wanted or name in data.used_splits]
    sources: tuple[AnnotatedSource, ...] = ()
    if data.sources:
        read, sources = read_sources(data, needed)
    else:
        read = read_source(data, needed)
    counts: dict[str, int] = {}
    cleaned = clean(read.splits, data, counts=counts)
    found = {name: cleaned[name] for name in wanted}
    check_train(found, read.labels, rows=read.rows, data=data, before=read.splits)
    if data.resample is not None and "train" in found:
        found["train"] = resampled(found["train"], data.resample)
        counts["train_sentences"], counts["train_words"] = len(found["train"]), len(found["train"].tags)
    count_entities(found, read.labels, counts=counts)
    return Corpus(
        splits=found,
        labels=read.labels,
        counts={**read.counts, **counts},
        fingerprint=fingerprint(found, read.labels),
        sources=tuple(
            replace(source, sentences={name: _of(split, number) for name, split in found.items()})
            for number, source in enumerate(sources)
        ),
    )


def _of(split: Split, number: int) -> int:
    """Number of sentences of a source."""
    assert split.source is not None
    return int((split.source == number).sum())


def _has_held_out(data: Data) -> bool:
    """Whether there may be splits besides train; a single file that is not cut is one split."""
    cut = data.split.validation is not None or data.split.test is not None
    return bool(data.sources) or cut or not is_one_file(data)


def check_files(data: Data, *, splits: Collection[str] | None = None) -> None:
    """Check that local files exist, without reading them; the hub is not contacted.

    Raises:
        UserError: the path, or the file of a split, does not exist.
    """
    if data.sources:
        for source in map(as_data, data.sources):
            check_files(source, splits=[name for name in SPLITS if getattr(source.splits, name) is not None])
        return
    wanted = _wanted(data, splits)
    if is_files(data):
        check_one_file(data, wanted)
        for name in wanted:
            if getattr(data.split, name, None) is None or has_files(data, name):
                files_of(data, name)


def is_here(data: Data) -> bool:
    """Whether the data can be read without the hub: it is local, or the embedded corpus."""
    if data.sources:
        return all(is_here(as_data(source)) for source in data.sources)
    return data.path == SYNTHETIC or Path(data.path).exists()


def source_stamp(data: Data) -> str:
    """A hexadecimal key that changes with the data, without parsing it.

    It covers the contents of local files and of `data.corrections`, the name and revision of a hub data set
    (so a moved branch goes unnoticed), or the settings and code of the embedded corpus.
    """
    if data.sources:
        stamps = [source_stamp(as_data(source)) for source in data.sources]
        return hashlib.sha256("\n".join(stamps).encode()).hexdigest()
    digest = hashlib.sha256()
    if data.path == SYNTHETIC:
        digest.update(data.synthetic.model_dump_json().encode())
        files = sorted(Path(__file__).parent.glob("synthetic*.py"))
    elif is_saved_to_disk(data):
        files = sorted(path for path in Path(data.path).rglob("*") if path.is_file())
    elif is_files(data):
        files = [file for name in SPLITS for path in files_if_any(data, name) for file in read_with(path)]
    else:
        digest.update(json.dumps([data.path, data.name, data.revision]).encode())
        files = []
    files = [*files, *(path for path in correction_files(data) if path.is_file())]
    for path in files:
        digest.update(os.fsencode(f"{path.name}\n"))
        try:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise UserError(f"the file cannot be read: {error.strerror}", where=str(path)) from None
    return digest.hexdigest()


def _wanted(data: Data, splits: Collection[str] | None) -> list[str]:
    if splits is None:
        wanted = data.used_splits
    else:
        unknown = sorted(set(splits) - set(SPLITS))
        if unknown:
            raise UserError(f"unknown split `{unknown[0]}`", fix=f"splits are {', '.join(SPLITS)}")
        wanted = [name for name in SPLITS if name in splits]
    if not data.sources and is_one_file(data) and not any((data.split.validation, data.split.test)):
        return wanted
    for name in wanted:
        if name not in data.used_splits:
            raise UserError(
                "the recipe sets this split to null",
                where=f"data.splits.{name}",
                fix="set the name of the split",
            )
    return wanted
