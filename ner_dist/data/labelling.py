"""From the tags of files to the label set of a data set, and to its splits with label ids."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import chain, islice
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.data.corpus import Rows, Split, offsets_of
from ner_dist.data.places import Places
from ner_dist.data.sentences import Sentences
from ner_dist.data.tags import Tags, read_tags, spell_labels
from ner_dist.data.unlabelled import NO_CODE
from ner_dist.errors import UserError
from ner_dist.labels import MULTINERD_TYPES, LabelSet

if TYPE_CHECKING:
    from ner_dist.recipe_data import Data

log = logging.getLogger(__name__)

_MOST_TYPES = (np.iinfo(np.int16).max - 1) // 2
"""Entity types whose labels, two for each and O, have ids in int16."""


def labelled(
    rows: dict[str, list[Rows]], data: Data
) -> tuple[LabelSet, dict[str, Split], dict[str, int | str]]:
    """The label set of a data set, its splits, and counts about its tags.

    The counts, as `<split>_<name>`: `scheme` (of all its files), `stray_i`
    entities that begin with an I- where the scheme has B-, `stray_i_words` in them; `words_without_label` if
    there are any.

    Args:
        rows: by split, the rows of its files.
        data: label names, and the treatment of stray I- tags.

    Raises:
        UserError: a tag cannot be understood or is none of `data.label_names`, or ids have no names.
    """
    labels, flat = label_ids([part for parts in rows.values() for part in parts], data)
    if len(labels.types) > _MOST_TYPES:
        where = next(part.file for parts in rows.values() for part in parts)
        what = f"{len(labels.types):,} entity types, and {_MOST_TYPES:,} at most can be told apart"
        raise UserError(what, where=where, fix="see whether data.tags_column is the column of tags")
    left, splits, counts = iter(flat), {}, dict[str, int | str]()
    for name, parts in rows.items():
        tags = list(islice(left, len(parts)))
        splits[name] = to_split(parts, tags, labels)
        counts[f"{name}_scheme"] = ", ".join(dict.fromkeys(part.scheme for part in tags))
        counts[f"{name}_stray_i"] = sum(part.stray for part in tags)
        counts[f"{name}_stray_i_words"] = sum(part.stray_words for part in tags)
        if unlabelled := sum(int((part.tags == NO_CODE).sum()) for part in parts):
            counts[f"{name}_words_without_label"] = unlabelled
    return labels, splits, counts


def label_ids(rows: list[Rows], data: Data) -> tuple[LabelSet, list[Tags]]:
    """The label set of the rows of all splits, and their tags in IOB2.

    Ids are named by `data.label_names`, else by the data itself, else, for a path called MultiNERD, by
    MultiNERD's order. Without ids, types come in MultiNERD's order if they are all MultiNERD's, else sorted.

    Raises:
        UserError: a tag cannot be understood or is none of `data.label_names`, or ids have no names.
    """
    numbered = [part for part in rows if part.values and isinstance(part.values[0], int)]
    written = [part for part in rows if part.values and isinstance(part.values[0], str)]
    if numbered and written:
        raise UserError(f"tags are ids here but text in {written[0].file}", where=numbered[0].file)
    if numbered or data.label_names is not None:
        names, where = _names_of_ids(numbered, data)
        spelt = spell_labels(names, where=where)
        rows = [replace(part, values=_ids_of(part, names), names=names) for part in rows]
        tags = read_tags(rows, stated=names, where=where, repair=data.repair)
        if spelt.as_written:
            return LabelSet.from_tags(names, where=where), tags
        return LabelSet.from_types(spelt.names), tags
    tags = read_tags(rows, repair=data.repair)
    types = {name for part in tags for name in part.names}
    known = types <= set(MULTINERD_TYPES)
    ordered = [name for name in MULTINERD_TYPES if name in types] if known else sorted(types)
    return LabelSet.from_types(ordered), tags


def _ids_of(part: Rows, names: tuple[str, ...]) -> tuple[int, ...]:
    """Map the distinct tags of a file to indices into all tag names."""
    place = {name.strip(): index for index, name in enumerate(names)}
    ids = []
    for code, value in enumerate(part.values):
        if isinstance(value, int):
            index, what = value, f"tag id {value} is not in the range 0 to {len(names) - 1}"
        else:
            index = place.get(str(value).strip(), -1)
            what = f"tag `{value!s:.60}` is not among the {len(names)} tags of data.label_names"
        if not 0 <= index < len(names):
            raise UserError(what, where=part.place_of_tag(code), fix="fix the tag or data.label_names")
        ids.append(index)
    return tuple(ids)


def _names_of_ids(rows: list[Rows], data: Data) -> tuple[tuple[str, ...], str]:
    if data.label_names is not None:
        return tuple(data.label_names), "data.label_names"
    stated = {part.names: part.file for part in rows if part.names is not None}
    if len(stated) > 1:
        first, second = list(stated.values())[:2]
        raise UserError(f"tag ids have different names in {first}", where=second, fix="set data.label_names")
    if stated:
        return next(iter(stated.items()))
    if "multinerd" in PurePath(data.path).name.lower():
        return LabelSet.from_types(MULTINERD_TYPES).tags, rows[0].file
    raise UserError(
        "tags are numbers without names",
        where=rows[0].place(0),
        fix="set data.label_names to the tag of each id, from 0",
    )


def to_split(rows: list[Rows], tags: list[Tags], labels: LabelSet) -> Split:
    """Join the rows of a split's files, in order, with their tags.

    Documents, and offsets in their texts, are kept if every file has them.
    """
    lengths = np.concatenate([np.diff(part.offsets) for part in rows])
    documents = [part.documents for part in rows if part.documents is not None]
    chars = [part.chars for part in rows if part.chars is not None]
    if documents and len(documents) < len(rows):
        without = next(part.file for part in rows if part.documents is None)
        log.info("%s does not name documents, other files do: documents are not kept", without)
    return Split(
        tokens=Sentences.joined(part.tokens for part in rows),
        tags=np.concatenate([part.ids(labels) for part in tags]),
        offsets=offsets_of(lengths),
        origin=Places.joined(part.origin() for part in rows),
        documents=list(chain.from_iterable(documents)) if len(documents) == len(rows) else None,
        chars=np.concatenate(chars) if len(chars) == len(rows) else None,
    )
