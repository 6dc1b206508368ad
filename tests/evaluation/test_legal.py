"""Legal tags: never an I- that continues nothing, and the most probable of all that are legal."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ner_dist.data.encoding import Encoded
from ner_dist.evaluation.legal import LegalTags, Transitions
from ner_dist.labels import LabelSet

LABELS = LabelSet.from_types(["PER", "LOC"])
SHUFFLED = LabelSet(("I-LOC", "B-PER", "O", "I-PER", "B-LOC"))
SCORES = st.integers(1, 5).flatmap(
    lambda n: arrays.arrays(np.float32, (n, 5), elements=st.floats(-8, 8, width=16))
)


def legal(tags: list[str]) -> bool:
    return all(
        not tag.startswith("I-") or before[1:] == tag[1:]
        for before, tag in zip(["O", *tags], tags, strict=False)
    )


def best_path(labels: LabelSet, scores: np.ndarray) -> np.ndarray:
    """That of one sentence."""
    return Transitions(labels).best_paths(scores, np.array([0, len(scores)]))


@pytest.mark.parametrize("labels", [LABELS, SHUFFLED])
@given(scores=SCORES)
def test_the_path_is_the_most_probable_legal_one(labels, scores):
    path = best_path(labels, scores)
    assert legal([labels.tags[i] for i in path])

    def total(ids) -> float:
        return float(scores[np.arange(len(ids)), list(ids)].astype(np.float64).sum())

    every = (ids for ids in product(range(5), repeat=len(scores)) if legal([labels.tags[i] for i in ids]))
    assert total(path) == pytest.approx(max(map(total, every)))


@given(scores=SCORES)
def test_tags_that_are_legal_already_stay(scores):
    scores = scores + np.linspace(0, 1e-3, scores.size, dtype=np.float64).reshape(scores.shape)  # no ties
    greedy = scores.argmax(1)
    if legal([LABELS.tags[i] for i in greedy]):
        assert best_path(LABELS, scores).tolist() == greedy.tolist()


def split(lengths: list[int], windows: list[int]) -> tuple[Encoded, np.ndarray]:
    """Sentences of so many words each, in so many windows."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    sentence = np.repeat(np.arange(len(lengths)), windows).astype(np.int32)
    nothing = np.empty(0, dtype=np.int32)
    return Encoded(
        nothing, example_offsets=np.empty(0, np.int64), word_index=nothing, sentence=sentence
    ), offsets


@given(data=st.data())
def test_passes_in_any_order_give_the_tags_of_the_whole(data):
    lengths = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=5), label="lengths")
    windows = [data.draw(st.integers(1, 2)) for _ in lengths]
    total = sum(lengths)
    scores = data.draw(arrays.arrays(np.float32, (total, 5), elements=st.floats(-8, 8, width=16)))
    encoded, offsets = split(lengths, windows)
    # Windows of a sentence may come in different passes, other sentences are whole; words may be left out.
    passes: list[list[int]] = [[], []]
    for start, end, parts in zip(offsets, offsets[1:], windows, strict=False):
        words = [word for word in range(start, end) if data.draw(st.integers(0, 9))]
        cut = data.draw(st.integers(0, len(words))) if parts > 1 else 0
        passes[0] += words[:cut]
        passes[1] += words[cut:]
    greedy = scores.argmax(1).astype(np.int16) if total else np.empty(0, np.int16)
    tags = greedy.copy()
    collected = LegalTags(encoded, offsets, LABELS)
    for words in data.draw(st.permutations(passes)):
        collected.keep(np.array(words, dtype=np.int64), greedy[words], scores[words])
    redone, logits = collected.decode(tags)
    assert logits.tolist() == scores[redone].tolist()

    there = sorted(passes[0] + passes[1])
    for start, end in pairwise(offsets):
        own = [word for word in there if start <= word < end]
        if not own:
            continue
        assert legal([LABELS.tags[tags[word]] for word in own])
        if legal([LABELS.tags[greedy[word]] for word in own]):
            assert tags[own].tolist() == greedy[own].tolist()
            assert not set(own) & set(redone)
        else:
            assert tags[own].tolist() == best_path(LABELS, scores[own]).tolist()
            assert set(own) <= set(redone)
    left_out = sorted(set(range(total)) - set(there))
    assert tags[left_out].tolist() == greedy[left_out].tolist()
