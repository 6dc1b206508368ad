"""Entity types, their BIO tags and ids, and the projection of one label set onto another.

A model reads and writes ids; people read and write tags (`B-PER`, `I-PER`, `O`) and speak of types (`PER`). A
`LabelSet` ties the three together. Training on some of the types (`labels: [PER, LOC]`) selects a smaller
label set from that of the data and projects the data onto it: every other tag becomes `O`, and all sentences
are kept.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from ner_dist.blocks import BLOCK, sentence_blocks, taken
from ner_dist.errors import UserError

OUTSIDE = "O"
UNLABELLED = -100
"""In the place of a label id: the word has no label, and is neither trained on nor scored. It is the number
that torch's cross-entropy leaves out."""
_BEGIN, _INSIDE = 1, 2
"""Prefixes as `LabelSet.coded` gives them."""

# The order of MultiNERD's label ids: 0 is O, 1 B-PER, 2 I-PER, 3 B-ORG, …
MULTINERD_TYPES = (
    "PER", "ORG", "LOC", "ANIM", "BIO", "CEL", "DIS", "EVE",
    "FOOD", "INST", "MEDIA", "MYTH", "PLANT", "TIME", "VEHI",
)  # fmt: skip


def split_tag(tag: str) -> tuple[str, str | None]:
    """`B-PER` as `("B", "PER")`, `O` as `("O", None)`. A type may itself hold a hyphen, or be called `BIO`.

    Raises:
        ValueError: the tag is not BIO.
    """
    if tag == OUTSIDE:
        return OUTSIDE, None
    prefix, _, name = tag.partition("-")
    if prefix not in ("B", "I") or not name:
        raise ValueError(f"tag `{tag}` is not BIO (O, B-TYPE or I-TYPE)")
    return prefix, name


@dataclass(frozen=True)
class LabelSet:
    """The tags of a model or a data set; the position of a tag is its id.

    Example:
        >>> import ner_dist
        >>> labels = ner_dist.LabelSet.from_types(["PER", "LOC"])
        >>> labels.tags
        ('O', 'B-PER', 'I-PER', 'B-LOC', 'I-LOC')
        >>> labels.projection(labels.select(["LOC"])).tolist()
        [0, 0, 0, 1, 2]
    """

    tags: tuple[str, ...]

    @classmethod
    def from_types(cls, types: Iterable[str]) -> LabelSet:
        """O, then the B- and I- tags of each type."""
        return cls((OUTSIDE, *(f"{prefix}-{name}" for name in types for prefix in "BI")))

    @classmethod
    def from_tags(cls, tags: Sequence[str], *, where: str | None = None) -> LabelSet:
        """Tags in the order of their ids in the data; the missing B- or I- partner of a type comes last.

        Raises:
            UserError: a tag is not BIO or appears twice, or there is no O.
        """
        for tag in tags:
            try:
                split_tag(tag)
            except ValueError as error:
                raise UserError(str(error), where=where) from None
            if list(tags).count(tag) > 1:
                raise UserError(f"label `{tag}` appears twice", where=where)
        if OUTSIDE not in tags:
            raise UserError("there is no label `O`", where=where)
        types = dict.fromkeys(split_tag(tag)[1] for tag in tags if tag != OUTSIDE)
        missing = [f"{prefix}-{name}" for name in types for prefix in "BI" if f"{prefix}-{name}" not in tags]
        return cls((*tags, *missing))

    def __len__(self) -> int:
        return len(self.tags)

    @cached_property
    def types(self) -> tuple[str, ...]:
        """The entity types, in the order in which their tags come."""
        return tuple(dict.fromkeys(name for tag in self.tags if (name := split_tag(tag)[1]) is not None))

    @cached_property
    def label2id(self) -> dict[str, int]:
        return {tag: i for i, tag in enumerate(self.tags)}

    @property
    def id2label(self) -> dict[int, str]:
        return dict(enumerate(self.tags))

    def select(self, types: Literal["all"] | Sequence[str], *, where: str = "labels") -> LabelSet:
        """The label set of some of the types, in the order they have here.

        Raises:
            UserError: a type is unknown here or named twice, or none is named.
        """
        if types == "all":
            return self
        if not types:
            raise UserError("names no type", where=where, fix=f"the data has {', '.join(self.types)}")
        for name in types:
            if name not in self.types:
                close = difflib.get_close_matches(name, self.types, n=1)
                hint = f"did you mean `{close[0]}`? " if close else ""
                raise UserError(
                    f"the data has no type `{name}`", where=where, fix=f"{hint}it has {', '.join(self.types)}"
                )
            if list(types).count(name) > 1:
                raise UserError(f"names `{name}` twice", where=where)
        if set(types) == set(self.types):
            return self
        return LabelSet.from_types(name for name in self.types if name in types)

    def projection(self, to: LabelSet) -> np.ndarray:
        """Id in `to` of each id here, int16 [len(self)]; tags that `to` does not have become O.

        Entities of the types that both sets have stay the same, strict or lenient: to project and then count
        is to count and then leave the other types out.
        """
        outside = to.label2id[OUTSIDE]
        return np.array([to.label2id.get(tag, outside) for tag in self.tags], dtype=np.int16)

    def tags_of(self, ids: np.ndarray) -> list[str | None]:
        """The tag of each label id; None for `UNLABELLED`."""
        names = np.array([*self.tags, None], dtype=object)
        result: list[str | None] = names[np.where(ids == UNLABELLED, -1, ids)].tolist()
        return result

    def coded(self) -> tuple[np.ndarray, np.ndarray]:
        """Each id's prefix (0 O, 1 B, 2 I; int8) and index into `types` (-1 for O; int16)."""
        parts = [split_tag(tag) for tag in self.tags]
        kinds = ["OBI".index(prefix) for prefix, _ in parts]
        types = [-1 if name is None else self.types.index(name) for _, name in parts]
        return np.array(kinds, dtype=np.int8), np.array(types, dtype=np.int16)


def look_up(table: np.ndarray, tags: np.ndarray) -> np.ndarray:
    """`table[tags]`, a label id for each label id; `UNLABELLED` stays."""
    labelled = tags != UNLABELLED
    if labelled.all():
        return taken(table, tags)
    return np.where(labelled, table[np.where(labelled, tags, 0)], UNLABELLED).astype(table.dtype)


@dataclass(frozen=True)
class Spans:
    """Entities, in the order of their words."""

    type: np.ndarray
    """int16 [n]: index into the label set's types."""
    start: np.ndarray
    """int64 [n]: first word, counted over all sentences."""
    end: np.ndarray
    """int64 [n]: index after the last word."""

    def products(self, values: np.ndarray) -> np.ndarray:
        """The product over the words of each entity of `values`, float [W]; float [n]."""
        if not len(self.start):
            return np.empty(0)
        # reduceat multiplies from each bound to the next: every second product is that of an entity, the
        # others lie between entities. The 1.0 lets the last entity end after the last word.
        bounds = np.stack([self.start, self.end], axis=1).ravel()
        result: np.ndarray = np.multiply.reduceat(np.append(values, 1.0), bounds)[::2]
        return result


def extract_spans(tags: np.ndarray, offsets: np.ndarray, labels: LabelSet, *, strict: bool) -> Spans:
    """The entities of a sequence of tags.

    Words without a label are passed over, so that an entity may go on behind one.

    Args:
        tags: label ids, int [W]; `UNLABELLED` where there is none.
        offsets: int64 [N+1].
        labels: what the ids mean.
        strict: the scheme.
    """
    if len(tags) > BLOCK and len(offsets) > 2:
        parts = []
        for sentences, words in sentence_blocks(offsets):
            own = offsets[sentences.start : sentences.stop + 1] - words.start
            part = extract_spans(tags[words], own, labels, strict=strict)
            parts.append(Spans(part.type, part.start + words.start, part.end + words.start))
        columns = ([getattr(part, name) for part in parts] for name in ("type", "start", "end"))
        return Spans(*map(np.concatenate, columns))
    kept = tags != UNLABELLED
    if not kept.all():
        at = np.flatnonzero(kept)
        found = extract_spans(tags[at], np.searchsorted(at, offsets), labels, strict=strict)
        return Spans(type=found.type, start=at[found.start], end=at[found.end - 1] + 1)
    kind_of, type_of = labels.coded()
    kind, types = kind_of[tags], type_of[tags]
    first = np.zeros(len(tags), dtype=bool)
    first[offsets[:-1][np.diff(offsets) > 0]] = True
    same_as_before = np.zeros(len(tags), dtype=bool)
    same_as_before[1:] = types[1:] == types[:-1]
    # A word goes on with what stands before it: an I- of the same type in the same sentence.
    continues = (kind == _INSIDE) & same_as_before & ~first
    starts = np.flatnonzero((kind != 0) & ~continues)
    breaks = np.append(np.flatnonzero(~continues), len(tags))
    ends = breaks[np.searchsorted(breaks, starts, side="right")]
    if strict:
        # What starts with I- is no entity, and so is nothing that goes on with it.
        proper = kind[starts] == _BEGIN
        starts, ends = starts[proper], ends[proper]
    return Spans(type=types[starts], start=starts, end=ends)
