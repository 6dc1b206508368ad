"""Predictions made in memory: two models of one corpus with different types and sentences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from ner_dist.comparison.predictions import Predictions
from ner_dist.labels import LabelSet, split_tag

TYPES = ("PER", "LOC", "ORG", "DIS")
TAGS = LabelSet.from_types(TYPES).tags


@dataclass
class Sentence:
    """Words, gold tags and the predicted tags of two models, for all types."""

    number: int
    tokens: list[str]
    gold: list[str]
    said: tuple[list[str], list[str]]


def predictions(sentences, types=TYPES, *, model=0, tokens=True, ids=True, source="made"):
    """Predictions of a model of some types on some sentences, in their order."""
    labels = LabelSet.from_types(types)

    def flat(rows):
        known = (tag if split_tag(tag)[1] in types else "O" for row in rows for tag in row)
        return np.array([labels.label2id[tag] for tag in known], dtype=np.int16)

    return Predictions(
        source=source,
        labels=labels,
        gold=flat(one.gold for one in sentences),
        predicted=flat(one.said[model] for one in sentences),
        offsets=np.cumsum([0, *(len(one.gold) for one in sentences)]),
        ids=[str(one.number) for one in sentences] if ids else None,
        tokens=[one.tokens for one in sentences] if tokens else None,
    )


@st.composite
def corpora(draw, *, min_size=1):
    """Sentences from a small vocabulary, so that some occur twice, with the same gold tags."""
    gold_of: dict[tuple[str, ...], list[str]] = {}
    sentences = []
    for number in range(draw(st.integers(min_size, 12))):
        tokens = draw(st.lists(st.sampled_from("ab"), min_size=1, max_size=4))

        some_tags = st.lists(st.sampled_from(TAGS), min_size=len(tokens), max_size=len(tokens))
        gold = gold_of.setdefault(tuple(tokens), draw(some_tags))
        # Right more often than not.
        said = tuple(draw(some_tags) if draw(st.booleans()) else gold for _ in range(2))
        sentences.append(Sentence(number, tokens, gold, said))
    return sentences


some_types = st.lists(st.sampled_from(TYPES[1:]), unique=True, max_size=3).map(lambda more: ["PER", *more])


@st.composite
def two_files(draw):
    """Files of two models that share the type PER and at least one sentence."""
    corpus = draw(corpora())
    shared = draw(st.sampled_from(corpus))

    def part():
        kept = [one for one in corpus if one is shared or draw(st.booleans())]
        return draw(st.permutations(kept))

    return predictions(part(), draw(some_types)), predictions(part(), draw(some_types), model=1)
