"""Words without subwords follow the entity around them, in whole sentences as in any share of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ner_dist.data.words_without_subwords import join_entities
from ner_dist.labels import LabelSet, split_tag

LABELS = LabelSet.from_tags(["I-PER", "B-LOC", "O", "B-PER", "I-LOC"])
GAP = None


def joined(sentences, *, labels=LABELS, filled="B-LOC"):
    """The tags after the rule; what stands at gaps before must not matter."""
    tags = np.array([labels.label2id[tag or filled] for words in sentences for tag in words], dtype=np.int16)
    gaps = np.flatnonzero([tag is GAP for words in sentences for tag in words])
    offsets = np.cumsum([0, *map(len, sentences)])
    join_entities(tags, gaps, offsets, labels)
    names = [labels.tags[i] for i in tags]
    return [names[start:end] for start, end in pairwise(offsets)]


def by_hand(tags):
    """The rule word by word."""
    result = []
    for i, tag in enumerate(tags):
        before = next((t for t in reversed(tags[:i]) if t is not GAP), "O")
        after = next((t for t in tags[i:] if t is not GAP), "O")
        goes_on = before != "O" and after == f"I-{split_tag(before)[1]}"
        result.append(tag if tag is not GAP else after if goes_on else "O")
    return result


def test_inside_an_entity_it_belongs_to_it_and_elsewhere_to_none():
    assert joined([["B-PER", GAP, "I-PER", GAP, GAP, "I-PER", GAP, "O", GAP]]) == [
        ["B-PER", "I-PER", "I-PER", "I-PER", "I-PER", "I-PER", "O", "O", "O"]
    ]
    assert joined([[GAP, "B-PER", GAP, "B-PER", GAP, "I-LOC", GAP]]) == [
        ["O", "B-PER", "O", "B-PER", "O", "I-LOC", "O"]
    ]


def test_no_entity_goes_on_in_the_next_sentence():
    assert joined([["B-PER", GAP], ["I-PER"], [], [GAP, "I-PER"], [GAP]]) == [
        ["B-PER", "O"],
        ["I-PER"],
        [],
        ["O", "I-PER"],
        ["O"],
    ]
    assert joined([]) == []


SENTENCES = st.lists(st.lists(st.sampled_from([*LABELS.tags, GAP, GAP]), max_size=9), max_size=6)


@given(sentences=SENTENCES, filled=st.sampled_from(LABELS.tags))
def test_it_is_the_rule_word_by_word(sentences, filled):
    assert joined(sentences, filled=filled) == [by_hand(tags) for tags in sentences]


@given(sentences=SENTENCES)
def test_entities_of_the_other_words_stay_and_no_other_comes(sentences):
    """Without the gaps, tags are unchanged, and so are entities, except that they contain the gaps."""
    for before, after in zip(sentences, joined(sentences), strict=True):
        assert [tag for tag, was in zip(after, before, strict=True) if was is not GAP] == [
            tag for tag in before if tag is not GAP
        ]
        assert sum(tag.startswith("B-") for tag in after) == sum((t or "O").startswith("B-") for t in before)
