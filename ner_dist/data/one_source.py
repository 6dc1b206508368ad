"""Read the splits of one data set, wherever it lies, with its own labels; cut those that it does not have."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.data.corpus import Rows, rows_from_lists
from ner_dist.data.corrections import correct
from ner_dist.data.cutting import cut_from_train
from ner_dist.data.hub import is_saved_to_disk, name_in_saved, open_hub, open_saved, rows_of
from ner_dist.data.labelling import labelled
from ner_dist.data.readers import format_by_ending, read_rows
from ner_dist.data.split_files import SPLITS, files_of, has_files, is_one_split
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.data.corpus import Split
    from ner_dist.data.synthetic import Sentence
    from ner_dist.labels import LabelSet
    from ner_dist.recipe_data import Data

log = logging.getLogger(__name__)

SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class Read:
    """The splits of one data set as read, copies among them."""

    labels: LabelSet
    """All labels of the data."""
    splits: dict[str, Split]
    counts: dict[str, int | str]
    rows: dict[str, list[Rows]]
    """The first sentences of every file, for messages."""


def read_source(data: Data, names: list[str]) -> Read:
    """Read some splits of one data set.

    Args:
        data: says where it lies and how to read it.
        names: the wanted splits, in the order of `SPLITS`.

    Raises:
        UserError: the data cannot be found, read or understood.
    """
    place = _Place(data)
    cut = [name for name in SPLITS[1:] if getattr(data.split, name) is not None]
    for name in [name for name in cut if getattr(data.splits, name) is None or place.has(name)]:
        if getattr(data.splits, name) is not None and name in names:
            log.info("%s: it has %s, so data.split.%s cuts none", data.path, name, name)
        cut.remove(name)
    check_one_file(data, names)
    wanted_cut = [name for name in names if name in cut]
    if wanted_cut or (cut and "train" in names):
        # All are cut, whichever are wanted, so that the cut is always the same.
        there = [name for name in SPLITS if name == "train" or (name in names and name not in cut)]
    else:
        there, cut = names, []
    rows = {name: place.read(name) for name in there}
    counts: dict[str, int | str] = {}
    for name, parts in rows.items():
        _count_rows(name, parts, data, counts)
    labels, splits, of_tags = labelled(rows, data)
    rows = {name: [part.beginning() for part in parts] for name, parts in rows.items()}
    counts |= of_tags
    labels = correct(splits, labels, data, counts=counts)
    if cut:
        parts_of_train, by = cut_from_train(splits["train"], data.split, cut, where=data.path)
        splits |= parts_of_train
        for name in cut:
            share = getattr(data.split, name)
            counts[f"{name}_cut"] = f"{share:g} of train by {by}, seed {data.split.seed}"
    return Read(labels, {name: splits[name] for name in names}, counts, rows)


def check_one_file(data: Data, names: list[str]) -> None:
    """Refuse a single file for several splits, unless these are cut from it.

    Raises:
        UserError: says so.
    """
    if not is_one_file(data):
        return
    cut = [name for name in SPLITS[1:] if getattr(data.split, name) is not None]
    if len(names) != 1 if not cut else not set(names) <= {"train", *cut}:
        kind = "file" if Path(data.path).is_file() else "split"
        raise UserError(
            f"{data.path} is one {kind}, but the splits {', '.join(names)} are needed",
            where="data.path",
            fix="name a folder with a file for each split, set the other data.splits to null, or cut them "
            "off with data.split.validation=0.1 data.split.test=0.1",
        )


def is_one_file(data: Data) -> bool:
    """Whether the data is one split: a local file, or a folder that holds no others."""
    return data.path != SYNTHETIC and is_one_split(Path(data.path))


def is_files(data: Data) -> bool:
    """Whether the data is local and no folder of `save_to_disk`.

    Raises:
        UserError: it looks local, and is not there.
    """
    return data.path != SYNTHETIC and not is_saved_to_disk(data) and _is_local(data)


class _Place:
    """Where the splits of a data set lie: the generator, files, a saved folder or the hub."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.found: Mapping[str, Any] | None = None
        self.saved = data.path != SYNTHETIC and is_saved_to_disk(data)
        if self.saved:
            self.found = open_saved(data)
        elif data.path != SYNTHETIC and not _is_local(data):
            self.found = open_hub(data)

    def has(self, split: str) -> bool:
        """Whether the data has a split that the recipe names."""
        if self.found is not None:
            return self._name(split) in self.found
        return self.data.path == SYNTHETIC or has_files(self.data, split)

    @cached_property
    def generated(self) -> dict[str, list[Sentence]]:
        """The splits of the embedded corpus."""
        from ner_dist.data.synthetic import generate

        if self.data.language is not None:
            log.warning("data.language has no effect on the embedded corpus")
        return generate(self.data.synthetic)

    def read(self, split: str) -> list[Rows]:
        """The rows of one split."""
        if self.found is not None:
            return [rows_of(self.found, self._name(split), self.data, split)]
        if self.data.path == SYNTHETIC:
            return [_generated(self.generated[split], split)]
        return [read_rows(path, self.data) for path in files_of(self.data, split)]

    def _name(self, split: str) -> str:
        if self.saved and self.found is not None:
            return name_in_saved(self.found, self.data, split)
        name: str = getattr(self.data.splits, split)
        return name


def _count_rows(name: str, parts: list[Rows], data: Data, counts: dict[str, int | str]) -> None:
    """Count the rows of a split, and refuse an empty split."""
    read, kept = sum(part.read for part in parts), sum(len(part.tokens) for part in parts)
    counts[f"{name}_rows"], counts[f"{name}_other_language"] = read, read - kept
    if not kept and read:
        languages = sum((part.languages for part in parts), Counter())
        there = ", ".join(f"{language} ({count})" for language, count in languages.most_common(20))
        raise UserError(
            f"no sentence of {name} has {data.language_column} = {data.language}; the languages are {there}",
            where=parts[0].file,
            fix="set data.language to one of these, or to null",
        )
    if not any(len(part.tags) for part in parts):
        raise UserError(f"it has no words for {name}", where=parts[0].file)
    if left_out := sum((part.left_out for part in parts), Counter()):
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(left_out.items()))
        log.info("%s: not read, as words have one tag each: %s", name, kinds)
    if read > kept:
        log.info("%s: %d of %d rows are in %s", name, kept, read, data.language)


def _generated(sentences: list[Sentence], split: str) -> Rows:
    tokens, tags = ([list(side) for side in column] for column in zip(*sentences, strict=True))
    return rows_from_lists(
        tokens,
        tags,
        file=f"{SYNTHETIC} {split}",
        line_numbers=range(1, len(tokens) + 1),
        place_prefix="sentence ",
        read=len(tokens),
    )


def _is_local(data: Data) -> bool:
    path = Path(data.path)
    if path.exists():
        return True
    looks_local = (
        data.path.startswith((".", "~", "/"))
        or data.path.endswith("/")
        or data.path.count("/") > 1
        or format_by_ending(path)
    )
    if looks_local:
        raise UserError("no such file or folder", where=data.path, fix="set data.path")
    return False
