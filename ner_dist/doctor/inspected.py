"""A split as the checks look at it: its words, entities and their places."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.doctor.findings import SHOWN, Example
from ner_dist.labels import LabelSet, extract_spans

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ner_dist.data.corpus import Split
    from ner_dist.labels import Spans

_AROUND = 4
_LONGEST_TEXT = 160


@dataclass(frozen=True)
class Entity:
    """One annotated entity."""

    sentence: int
    start: int
    """First word in the sentence."""
    end: int
    """Behind the last."""
    type: str
    words: tuple[str, ...]

    @property
    def surface(self) -> str:
        return " ".join(self.words)


@dataclass(frozen=True)
class Inspected:
    """One split, repeats included."""

    name: str
    split: Split
    labels: LabelSet

    @cached_property
    def spans(self) -> Spans:
        """Entities, where an I- that continues none begins one."""
        return extract_spans(self.split.tags, self.split.offsets, self.labels, strict=False)

    @cached_property
    def entities(self) -> list[Entity]:
        """The entities, in the order of the data."""
        spans, offsets = self.spans, self.split.offsets
        sentence = np.searchsorted(offsets, spans.start, side="right") - 1
        # Of several sentences that begin at a word, all but the last are empty.
        starts, ends = spans.start - offsets[sentence], spans.end - offsets[sentence]
        rows = zip(*(each.tolist() for each in (sentence, starts, ends, spans.type)), strict=True)
        return [
            Entity(at, start, end, self.labels.types[kind], tuple(self.split.tokens[at][start:end]))
            for at, start, end, kind in rows
        ]

    def where(self, sentence: int) -> str:
        """`file:line` of a sentence."""
        origin = self.split.origin
        return origin[sentence] if origin is not None else f"{self.name}, sentence {sentence + 1}"

    def in_context(self, entity: Entity) -> Example:
        """An entity in its brackets, with some words on both sides."""
        words = self.split.tokens[entity.sentence]
        before = words[max(0, entity.start - _AROUND) : entity.start]
        after = words[entity.end : entity.end + _AROUND]
        marked = f"[{entity.surface}]{entity.type}"
        return Example(self.where(entity.sentence), short(" ".join([*before, marked, *after])))

    def sentence(self, index: int) -> Example:
        """A whole sentence, if it is short."""
        return Example(self.where(index), short(" ".join(self.split.tokens[index])))

    def shown(self, entities: Iterable[Entity]) -> list[Example]:
        """The first entities as examples."""
        return [self.in_context(entity) for entity, _ in zip(entities, range(SHOWN), strict=False)]

    def sentences(self, indices: Iterable[int]) -> list[Example]:
        """The first sentences as examples."""
        return [self.sentence(index) for index, _ in zip(indices, range(SHOWN), strict=False)]


def short(text: str) -> str:
    """Text of a bounded length, in which characters that cannot be seen are spelt out."""
    seen = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
    return seen if len(seen) <= _LONGEST_TEXT else f"{seen[: _LONGEST_TEXT - 1]}…"
