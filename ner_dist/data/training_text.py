"""What a model saw in training: the sentences of its training split, and the entities in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.data.duplicates import sentence_key
from ner_dist.labels import extract_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ner_dist.labels import LabelSet


@dataclass(frozen=True)
class TrainingText:
    """The training split, looked up by words."""

    forms: dict[str, frozenset[str]]
    """The types that each surface form has as an entity: its words joined by a space, cased as they are."""
    sentences: frozenset[str]
    """The keys of the distinct sentences."""

    @classmethod
    def from_split(
        cls, tokens: Sequence[Sequence[str]], tags: np.ndarray, offsets: np.ndarray, labels: LabelSet
    ) -> TrainingText:
        """Of all types of the data, also those that the model does not learn.

        Args:
            tokens: the words of every sentence.
            tags: label id of every word, int [W].
            offsets: int64 [N+1].
            labels: what the ids mean.
        """
        forms: dict[str, set[str]] = {}
        for found in entities(tokens, tags, offsets, labels):
            for form, name in found:
                forms.setdefault(form, set()).add(name)
        sentences = frozenset(map(sentence_key, tokens))
        return cls({form: frozenset(types) for form, types in forms.items()}, sentences)

    def holds(self, words: Sequence[str]) -> bool:
        """Whether it has a sentence of exactly these words."""
        return sentence_key(words) in self.sentences

    def seen(self, forms: Iterable[str]) -> dict[str, frozenset[str]]:
        """The types that each of some surface forms has as an entity; empty where it never is one."""
        return {form: self.forms.get(form, frozenset()) for form in forms}


def entities(
    tokens: Iterable[Sequence[str]], tags: np.ndarray, offsets: np.ndarray, labels: LabelSet
) -> Iterator[list[tuple[str, str]]]:
    """The entities of each sentence in strict IOB2, in order: the surface form and the type of each.

    Args:
        tokens: the words of every sentence.
        tags: label id of every word, int [W].
        offsets: int64 [N+1].
        labels: what the ids mean.
    """
    spans = extract_spans(tags, offsets, labels, strict=True)
    places = list(zip(spans.start.tolist(), spans.end.tolist(), spans.type.tolist(), strict=True))
    first = np.searchsorted(spans.start, offsets).tolist()
    for sentence, words in enumerate(tokens):
        begin = int(offsets[sentence])
        yield [
            (" ".join(words[start - begin : end - begin]), labels.types[index])
            for start, end, index in places[first[sentence] : first[sentence + 1]]
        ]
