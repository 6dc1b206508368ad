"""What a model saw in training is looked up by exact words."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ner_dist.data.duplicates import sentence_key
from ner_dist.data.training_text import TrainingText, entities
from tests.comparison.grounds import LABELS, grounds, ids_of

SENTENCES = [
    ("Anna Berg met Anna", "B-PER I-PER O B-PER"),
    ("Paris", "B-LOC"),
    ("", ""),
    ("Paris signed Anna Berg", "B-ORG O B-LOC I-LOC"),
    ("she left", "I-PER O"),  # an I- that continues nothing is no entity
]
TOKENS = [words.split() for words, _ in SENTENCES]
TAGS = ids_of([tags for _, tags in SENTENCES])
OFFSETS = np.cumsum([0, *map(len, TOKENS)])
TRAINING = TrainingText.from_split(TOKENS, TAGS, OFFSETS, LABELS)


def test_entities_come_by_sentence_and_in_order():
    assert list(entities(TOKENS, TAGS, OFFSETS, LABELS)) == [
        [("Anna Berg", "PER"), ("Anna", "PER")],
        [("Paris", "LOC")],
        [],
        [("Paris", "ORG"), ("Anna Berg", "LOC")],
        [],
    ]


@given(aligned=grounds())
def test_they_are_the_gold_entities_that_are_scored(aligned):
    gold = aligned.outcomes["A"][0].gold
    words = [word for sentence in aligned.tokens for word in sentence]
    found = entities(aligned.tokens, aligned.gold, aligned.offsets, LABELS)
    assert [entity for sentence in found for entity in sentence] == [
        (" ".join(words[start:end]), LABELS.types[index])
        for start, end, index in zip(gold.start, gold.end, gold.type, strict=True)
    ]


def test_words_have_all_types_that_training_shows():
    assert TRAINING.forms == {"Anna Berg": {"PER", "LOC"}, "Anna": {"PER"}, "Paris": {"LOC", "ORG"}}
    assert TRAINING.seen(["Paris", "Berg"]) == {"Paris": {"LOC", "ORG"}, "Berg": frozenset()}


def test_case_and_the_borders_of_words_matter():
    training = TrainingText.from_split(
        [["New York", "City"]], ids_of(["B-PER I-PER"]), np.array([0, 2]), LABELS
    )
    assert training.seen(["New York City", "new York City", "City"]) == {
        "New York City": {"PER"},
        "new York City": frozenset(),
        "City": frozenset(),
    }
    assert training.holds(["New York", "City"])
    assert not training.holds(["New", "York", "City"]) and not training.holds(["new York", "City"])


words = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=2), max_size=3)


@given(one=words, other=words)
def test_only_sentences_of_the_same_words_have_the_same_key(one, other):
    assert (sentence_key(one) == sentence_key(other)) == (one == other)
    assert sentence_key(one) == sentence_key(tuple(one))


def test_borders_are_not_mistaken_for_characters():
    keys = [sentence_key(words) for words in ([], [""], ["", ""], ["a b"], ["a", "b"], ["a\x1fb"], ["a\nb"])]
    assert len(set(keys)) == len(keys)
