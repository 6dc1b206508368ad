"""The entities that a model predicts, with their place in the text and their probability."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.labels import extract_spans

if TYPE_CHECKING:
    from ner_dist.labels import LabelSet
    from ner_dist.prediction.items import Item


@dataclass(frozen=True)
class Entity:
    """An entity in a text or in a list of words."""

    start: int | None
    """Its first character in the text, in code points from 0; None for words without a text."""
    end: int | None
    """The character after its last."""
    type: str
    text: str
    """As the text writes it: `text[start:end]`. Words without a text are joined by spaces."""
    probability: float
    """Product of the model's probabilities of the tags of its words."""
    first_word: int
    """Index of its first word in the text, or in the list of words."""
    last_word: int
    """Index of its last word."""


@dataclass(frozen=True)
class TaggedItem:
    """One text or list of words with its tags."""

    item: Item
    words: list[str]
    chars: list[tuple[int, int]] | None
    """Start and end of every word in the text; None for words without a text."""
    sentences: list[int]
    """Index of the first word of every sentence, and the number of words."""
    tags: list[str]
    """IOB2 tag of every word."""
    entities: list[Entity] = field(default_factory=list)


@dataclass(frozen=True)
class TaggedWords:
    """The tags of the words of many sentences."""

    tags: np.ndarray
    """int16 [W]: label id of every word, sentence after sentence."""
    probability: np.ndarray
    """float64 [W]: the model's probability of what it predicted; 1.0 at words without subwords, which have
    their tag by rule."""
    offsets: np.ndarray
    """int64 [N+1]: sentence i holds the words offsets[i]:offsets[i+1]."""
    labels: LabelSet

    def entities(self) -> PredictedSpans:
        """The entities, read leniently: an I- that continues none begins one, so that nothing is lost."""
        spans = extract_spans(self.tags, self.offsets, self.labels, strict=False)
        return PredictedSpans(spans.type, spans.start, spans.end, spans.products(self.probability))


@dataclass(frozen=True)
class PredictedSpans:
    """Entities of many sentences, in the order of their words; every field is [n]."""

    type: np.ndarray
    """int16: index into the label set's types."""
    start: np.ndarray
    """int64: first word, counted over all sentences."""
    end: np.ndarray
    """int64: the word after the last."""
    probability: np.ndarray
    """float64"""

    def within(self, first: int, last: int) -> Iterator[tuple[int, int, int, float]]:
        """Type, first word, word after the last and probability of the entities in the words first:last.

        Words are counted from `first`.
        """
        begin, end = np.searchsorted(self.start, (first, last))
        return zip(
            self.type[begin:end].tolist(),
            (self.start[begin:end] - first).tolist(),
            (self.end[begin:end] - first).tolist(),
            self.probability[begin:end].round(4).tolist(),
            strict=True,
        )


def entities_of(
    tagged: TaggedItem, spans: Iterator[tuple[int, int, int, float]], types: Sequence[str]
) -> Iterator[Entity]:
    """The entities of one item.

    Args:
        tagged: the item, with its words.
        spans: as from `PredictedSpans.within`.
        types: the types that they count.
    """
    for kind, begin, end, probability in spans:
        if tagged.chars is None or tagged.item.text is None:
            start = stop = None
            text = " ".join(tagged.words[begin:end])
        else:
            start, stop = tagged.chars[begin][0], tagged.chars[end - 1][1]
            text = tagged.item.text[start:stop]
        yield Entity(start, stop, types[kind], text, probability, begin, end - 1)
