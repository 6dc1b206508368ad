"""Join several sources into one data set: one label set, and what each source annotates of it.

Types of the same name are one type. Other types become one only by the recipe's `map`, and a type that it
maps to null becomes `O`: with the types that a source does not annotate, `O` there means "none of these".
"""

from __future__ import annotations

import logging
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.data.annotation import AnnotatedSource
from ner_dist.data.corpus import Split, offsets_of
from ner_dist.data.notation import alike
from ner_dist.data.one_source import Read, read_source
from ner_dist.data.places import Places
from ner_dist.data.renaming import new_names
from ner_dist.data.sentences import Sentences
from ner_dist.data.tags import renamed_ids
from ner_dist.errors import UserError
from ner_dist.formatting import joined
from ner_dist.labels import MULTINERD_TYPES, LabelSet

if TYPE_CHECKING:
    from ner_dist.data.corpus import Rows
    from ner_dist.recipe_data import Data, Reading, Source

log = logging.getLogger(__name__)


def read_sources(data: Data, names: list[str]) -> tuple[Read, tuple[AnnotatedSource, ...]]:
    """Read some splits of several sources, and join them in the order of the recipe.

    Raises:
        UserError: a source cannot be read, names a type that it does not have, or no source has a split.
    """
    read = []
    for number, source in enumerate(data.sources):
        wanted = [name for name in names if getattr(source.splits, name) is not None]
        read.append(read_source(as_data(source), wanted) if wanted else None)
        if (each := read[-1]) is not None:
            _check_types(source, each.labels, number)
    for name in names:
        if not any(each is not None and name in each.splits for each in read):
            raise UserError(f"no source has {name}", where="data.sources", fix=f"set splits.{name} in one")
    types = [
        [] if each is None else _types(source, each.labels)
        for source, each in zip(data.sources, read, strict=True)
    ]
    labels = LabelSet.from_types(_ordered(list(dict.fromkeys(chain.from_iterable(types)))))
    parts: dict[str, list[tuple[int, Split]]] = {name: [] for name in names}
    rows: dict[str, list[Rows]] = {}
    counts: dict[str, Any] = {}
    for number, (source, each) in enumerate(zip(data.sources, read, strict=True)):
        if each is None:
            continue
        _add(counts, each.counts)
        sizes = ", ".join(f"{name} {len(split):,}" for name, split in each.splits.items())
        log.info("source %d, %s: sentences: %s", number, source.path, sizes)
        for name, split in each.splits.items():
            split.tags = renamed_ids(
                split.tags, split.offsets, known=each.labels, renaming=source.map, labels=labels
            )
            parts[name].append((number, split))
            rows.setdefault(name, []).extend(each.rows.get(name, []))
    splits = {name: _joined(found) for name, found in parts.items()}
    annotated = tuple(
        AnnotatedSource(
            source.path,
            tuple(kind for kind in labels.types if kind in known),
            source.weight,
        )
        for source, known in zip(data.sources, types, strict=True)
    )
    _say(annotated, labels)
    return Read(labels, splits, counts, rows), annotated


def as_data(source: Reading) -> Data:
    """One source as the `data` of a recipe, which is what readers take."""
    from ner_dist.recipe_data import Data, Reading

    # Its values are valid already; a source may have no train, which `data.splits` cannot say.
    return Data.model_construct(**{key: getattr(source, key) for key in Reading.model_fields})


def _check_types(source: Source, labels: LabelSet, number: int) -> None:
    """Refuse names of types that a source does not have."""
    where = f"data.sources[{number}]"
    for old in source.map:
        if old not in labels.types:
            there = ", ".join(labels.types) or "none"
            raise UserError(f"{source.path} has no type `{old}`", where=f"{where}.map", fix=f"it has {there}")
    missing = set(new_names(labels.types, source.map)) - set(source.types or labels.types)
    if source.types is not None and missing:
        fix = "add it, or map it to null"
        raise UserError(f"{source.path} annotates `{sorted(missing)[0]}`", where=f"{where}.types", fix=fix)


def _types(source: Source, labels: LabelSet) -> list[str]:
    """The types that a source annotates, under their new names."""
    return list(source.types) if source.types is not None else new_names(labels.types, source.map)


def _ordered(types: list[str]) -> list[str]:
    """MultiNERD's order if all types are MultiNERD's, else sorted, as for data of one source."""
    if set(types) <= set(MULTINERD_TYPES):
        return [name for name in MULTINERD_TYPES if name in types]
    return sorted(types)


def _add(counts: dict[str, Any], more: dict[str, Any]) -> None:
    """Add the counts of one source: numbers are summed, texts listed."""
    for key, value in more.items():
        if isinstance(value, int):
            counts[key] = counts.get(key, 0) + value
        else:
            counts[key] = ", ".join(dict.fromkeys([*filter(None, [counts.get(key)]), value]))


def _joined(parts: list[tuple[int, Split]]) -> Split:
    """The sentences of one split from all sources, one after the other."""
    splits = [split for _, split in parts]
    documents = [
        [f"{number}:{name}" for name in split.documents]
        for number, split in parts
        if split.documents is not None
    ]
    chars = [split.chars for split in splits if split.chars is not None]
    return Split(
        tokens=Sentences.joined(split.tokens for split in splits),
        tags=np.concatenate([split.tags for split in splits]),
        offsets=offsets_of(np.concatenate([np.diff(split.offsets) for split in splits])),
        origin=Places.joined(split.origin or () for split in splits),
        documents=list(chain.from_iterable(documents)) if len(documents) == len(splits) else None,
        chars=np.concatenate(chars) if len(chars) == len(splits) else None,
        source=np.repeat(
            np.array([number for number, _ in parts], dtype=np.int8), [len(split) for split in splits]
        ),
    )


def _say(sources: tuple[AnnotatedSource, ...], labels: LabelSet) -> None:
    """Log what a source does not annotate, and types that may be one."""
    for number, source in enumerate(sources):
        if missing := [name for name in labels.types if name not in source.types]:
            log.info(
                "source %d annotates %s: its O says nothing of %s, which is neither trained nor scored on it",
                *(number, joined(source.types) or "no type", joined(missing)),
            )
    for group in alike(labels.types):
        names = joined([f"`{name}`" for name in group])
        log.warning("sources name types %s: they count as different types; `map` makes them one", names)
