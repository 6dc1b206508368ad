"""Find the settings under which data can be read, for `ner-dist new`.

The data is read with the same code as in training. If it cannot be read, and a key of the recipe may fix
that, candidates for the key are tried.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from ner_dist.data.corpus import Corpus
from ner_dist.data.readers import format_by_ending
from ner_dist.data.sources import load_corpus
from ner_dist.data.split_files import SPLITS, is_one_split
from ner_dist.errors import UserError
from ner_dist.labels import UNLABELLED
from ner_dist.recipe_data import Data
from ner_dist.recipe_file import data_section

_WORDS = ("tokens", "words", "token", "word", "tokenized_text", "text", "sentence")
_TAGS = ("ner_tags", "ner", "ner_labels", "tags", "labels", "tag", "label", "iob", "bio", "entities")
"""Usual names for columns of words and of tags, the most likely first."""
_OTHER_NAMES = {"validation": ("valid", "val", "dev", "devel", "eval"), "test": ("eval",)}
_SEPARATORS = (None, "\t", ",", ";", "|")
_TAG = re.compile(r"O|[BIESLU][-_].+")


@dataclass(frozen=True)
class ExploredData:
    """The data, read under the settings that it needs."""

    data: Data
    """The settings given, and those that turned out to be needed."""
    corpus: Corpus
    log_lines: list[str]
    """Log lines of reading the data."""
    languages: str | None
    """Languages that `data.language` could select, with their rows; None if there is only one."""

    @property
    def types(self) -> list[str]:
        """Entity types by frequency in train, the most frequent first: the last may be too rare to learn."""
        counts = self.entities("train")
        return sorted(self.corpus.labels.types, key=lambda name: -counts[name])

    def entities(self, split: str) -> dict[str, int]:
        """Number of entities of each type, counted by their first words."""
        labels, tags = self.corpus.labels, self.corpus.splits[split].tags
        counts = np.bincount(tags[tags != UNLABELLED], minlength=len(labels))
        return {name: int(counts[labels.label2id[f"B-{name}"]]) for name in labels.types}


def explore(path: str, settings: list[str]) -> ExploredData:
    """Read the data under the settings given, plus any others that it needs."""
    with _log_kept(quiet=True):
        known = (*settings, *_whole_file(path, settings))
        known = _training_split(path, known)
        for split in SPLITS[1:]:
            known = _held_out(path, known, split)
        languages = _languages(path, known)
    with _log_kept() as log_lines:
        data = data_section(list(known), path=path)
        corpus = load_corpus(data)
    return ExploredData(data, corpus, log_lines, languages)


def _whole_file(path: str, settings: list[str]) -> list[str]:
    """Settings for a single file, or a folder that is one split: no other split to look for."""
    if not is_one_split(Path(path).expanduser()):
        return []
    given = {text.partition("=")[0] for text in settings}
    return [f"{key}=null" for split in SPLITS[1:] if (key := f"data.splits.{split}") not in given]


def _training_split(path: str, settings: tuple[str, ...]) -> tuple[str, ...]:
    """The settings, with what it takes to find entities in the training split."""
    problem = _problem(path, settings)
    if problem is None:
        return settings
    bases: list[tuple[tuple[str, ...], UserError]] = [((), problem)]
    place = _file_of(problem)
    if place is None or format_by_ending(place) is None:
        for kind in ("conll", "jsonl", "json", "parquet", "csv"):
            more: tuple[str, ...] = (f"data.format={kind}",)
            if (other := _problem(path, settings + more)) is None:
                return settings + more
            bases.append((more, other))
    for base, its_problem in bases:
        for guess in _columns(its_problem):
            if _problem(path, settings + base + guess) is None:
                return settings + base + guess
    raise problem


def _problem(path: str, settings: tuple[str, ...]) -> UserError | None:
    """The reason why nothing can be learnt from the training split under these settings; None if it can."""
    try:
        corpus = load_corpus(data_section(list(settings), path=path), splits=["train"])
    except UserError as error:
        return error
    split = corpus.splits["train"]
    where = split.origin[0].rpartition(":")[0] if split.origin else path
    words = [word for words in split.tokens[:100] for word in words]
    if not corpus.labels.types:
        return UserError("every tag of train is O", where=where, fix="check data.tags_column")
    if all(word.isdecimal() for word in words):
        return UserError("the words of train are numbers", where=where, fix="check data.tokens_column")
    return None


def _file_of(problem: UserError) -> Path | None:
    """The file that an error refers to, if any."""
    path = Path(re.sub(r":(row )?\d+$", "", problem.where or ""))
    return path if path.is_file() else None


def _columns(problem: UserError) -> Iterator[tuple[str, ...]]:
    """Candidate settings for the columns of a file, guessed from their names or contents."""
    if named := re.match(r"no column '.*?'; the columns are ([^;]+)", problem.what):
        there = named[1].split(", ")
        for words in (name for name in _WORDS if name in there):
            for tags in (name for name in _TAGS if name in there and name != words):
                yield _unless_default(tokens_column=words, tags_column=tags)
    elif (path := _file_of(problem)) is not None:
        yield from _conll_columns(path)


def _conll_columns(path: Path) -> Iterator[tuple[str, ...]]:
    """Candidate settings for the columns of a text file that look like tags and like words."""
    try:
        with path.open(encoding="utf-8") as file:
            lines = [line.rstrip("\n") for line in islice(file, 2000)]
    except (OSError, UnicodeDecodeError):
        return
    lines = [line for line in lines if line.strip() and not line.startswith(("#", "-DOCSTART-"))]
    for separator in _SEPARATORS:
        rows = [line.split(separator) for line in lines]
        width = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
        columns = list(zip(*(row for row in rows if len(row) == width), strict=True))
        tags = [number for number, cells in enumerate(columns) if _looks_like_tags(cells)]
        words = [
            number
            for number, cells in enumerate(columns)
            if number not in tags and not all(cell.isdecimal() for cell in cells) and len(set(cells)) > 1
        ]
        for column in tags if words else []:
            tag_column = "ner_tags" if column == width - 1 else column  # the last is the default
            columns_set = _unless_default(tokens_column=words[0], tags_column=tag_column)
            yield (*((f"data.separator={json.dumps(separator)}",) if separator else ()), *columns_set)


def _looks_like_tags(cells: tuple[str, ...]) -> bool:
    """Whether a column looks like tags; it may include a header or a few other lines."""
    tags = sum(_TAG.fullmatch(cell) is not None for cell in cells)
    return tags > 0.9 * len(cells) and any(cell != "O" for cell in cells if _TAG.fullmatch(cell))


def _unless_default(**columns: str | int) -> tuple[str, ...]:
    defaults = {"tokens_column": ("tokens", 0), "tags_column": ("ner_tags",)}
    return tuple(f"data.{key}={value}" for key, value in columns.items() if value not in defaults[key])


def _held_out(path: str, settings: tuple[str, ...], split: str) -> tuple[str, ...]:
    """The settings, plus the name of a held-out split, or null if it is missing."""
    key = f"data.splits.{split}"
    if getattr(data_section(list(settings), path=path).splits, split) is None:
        return settings
    try:
        load_corpus(data_section(list(settings), path=path), splits=[split])
    except UserError as error:
        if error.where == key:  # a hub data set that calls it otherwise, or has none
            for name in _OTHER_NAMES[split]:
                more = (f"{key}={name}",)
                try:
                    load_corpus(data_section([*settings, *more], path=path), splits=[split])
                except UserError:
                    continue
                return settings + more
        elif f"{key} to null" not in (error.fix or ""):
            raise
        return (*settings, f"{key}=null")
    return settings


@contextmanager
def _log_kept(*, quiet: bool = False) -> Iterator[list[str]]:
    """Collect the package's log lines while the block runs; `quiet` hides them elsewhere."""
    lines: list[str] = []
    log = logging.getLogger("ner_dist")
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.CRITICAL if quiet else logging.INFO)
    try:
        yield lines
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def _languages(path: str, settings: tuple[str, ...]) -> str | None:
    """The languages in the language column, if there are several and none is selected."""
    if data_section(list(settings), path=path).language is not None:
        return None
    try:
        load_corpus(data_section([*settings, "data.language='?'"], path=path), splits=["train"])
    except UserError as error:
        there = re.search(r"the languages are (.+, .+)", error.what)
        return there[1] if there and error.what.startswith("no sentence of train") else None
    return None
