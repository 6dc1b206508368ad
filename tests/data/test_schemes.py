"""Every scheme is detected and converted to IOB2 without loss, and IOB2 is left as it is."""

from __future__ import annotations

from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_dist.data.notation import spell
from ner_dist.data.schemes import begins_with_inside, evidence, renamed, scheme_name, to_iob2
from tests.data.schemes import TYPES, merged, read_plainly, some_sentences, written

PARTS = "BIESMLUW"


def coded(sentences, *, stated=True):
    """Parts, types and offsets of tags, and what the tags say."""
    flat = list(chain.from_iterable(sentences))
    values = list(dict.fromkeys(flat)) or ["O"]
    spelt = spell(values, words=None if stated else np.array([flat.count(tag) for tag in values]))
    codes = np.array([values.index(tag) for tag in flat], dtype=np.int64)
    offsets = np.cumsum([0, *map(len, sentences)], dtype=np.int64)
    return spelt.parts[codes], spelt.types[codes], offsets, spelt


def text(parts, types, offsets, names):
    tags = [
        "O" if part == 0 else f"{'OBI'[part]}-{names[name]}" for part, name in zip(parts, types, strict=True)
    ]
    return [tags[start:end] for start, end in pairwise(offsets)]


def iob2(sentences, *, begins=None):
    parts, types, offsets, spelt = coded(sentences)
    if begins is None:
        begins = begins_with_inside(evidence(parts, types, offsets))
    return text(to_iob2(parts, types, offsets, begins_with_inside=begins), types, offsets, spelt.names)


@given(some_sentences(), st.sampled_from(["IOB2", "IOB1", "IOBES", "BILOU", "BMES", "BMEWO", "IOE2"]))
def test_a_sound_file_is_read_without_loss(sentences, scheme):
    sentences = [*sentences, (3, [("PER", 0, 2)])]  # E- alone is none of these, but part of a type's name
    assert iob2(written(sentences, scheme)) == written(sentences, "IOB2")


@given(some_sentences())
def test_io_is_read_without_loss_but_where_it_cannot_tell(sentences):
    assert iob2(written(sentences, "IO")) == written(merged(sentences), "IOB2")


@given(some_sentences(types=("PER", "LOC", "Medication/Vaccine")))
def test_types_alone_are_read_as_io(sentences):
    outside = [["O"] * 9]
    parts, types, offsets, spelt = coded(written(sentences, "bare") + outside, stated=False)
    read = text(to_iob2(parts, types, offsets, begins_with_inside=True), types, offsets, spelt.names)
    assert read == written(merged(sentences), "IOB2") + outside
    assert spelt.spelling == "TYPE" or not any(entities for _, entities in sentences)


@given(
    st.lists(st.lists(st.sampled_from(["O", *(f"{p}-{t}" for p in PARTS for t in "XY")]), max_size=8)),
    st.booleans(),
)
def test_any_tags_are_read_as_by_a_walk_from_word_to_word(sentences, begins):
    assert iob2([["B-X", "I-Y"], *sentences], begins=begins)[1:] == [
        read_plainly(tags, begins_with_inside=begins) for tags in sentences
    ]


@given(st.lists(st.lists(st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"]), max_size=8)))
def test_what_is_read_as_iob2_is_left_as_it_is(sentences):
    assert iob2([["B-X"], *sentences], begins=False)[1:] == sentences


@given(some_sentences(), some_sentences(least=1), st.sampled_from(["IOB2", "IOB1", "IO", "IOE2"]))
def test_sound_iob2_is_never_changed_whatever_the_other_files_are(sentences, others, scheme):
    others = [*others, (3, [("PER", 0, 2)])]
    own, other = (
        evidence(*coded(tags)[:3]) for tags in (written(sentences, "IOB2"), written(others, scheme))
    )
    begins = begins_with_inside(own, [other])
    assert iob2(written(sentences, "IOB2"), begins=begins) == written(sentences, "IOB2")


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        (["O", "O"], [], False),
        (["I-X"], [], True),
        (["B-X"], [], False),
        (["B-X", "O", "I-X"], [], False),  # half of them: damaged IOB2, which is warned of
        (["B-X", "O", "I-X", "O", "I-X"], [], True),
        (["I-X", "B-X"], [], True),  # that B- stands in either scheme
        # A single entity is a slip where the other files begin theirs with B-, or as they are.
        (["I-X"], [["B-X", "O", "B-X"]], False),
        (["I-X"], [["I-X", "O", "I-X"]], True),
        (["I-X", "O", "I-Y"], [["B-X", "O", "B-X"]], True),
        (["O"], [["I-X", "O", "I-X"]], True),
        (["B-X"], [["I-X"] * 9], False),
        (["I-X"], [["O"]], True),  # a file without entities tells nothing
    ],
)
def test_most_entities_decide(own, others, expected):
    def found(tags):
        return evidence(*coded([tags])[:3])

    assert begins_with_inside(found(own), map(found, others)) is expected


def test_the_evidence_is_counted_and_placed():
    sentences = [["O", "B-X", "B-X", "I-Y"], ["I-Y", "I-Y", "O"], [], ["S-X", "I-X", "I-X", "E-X"]]
    found = evidence(*coded(sentences)[:3])
    assert (found.entities, found.begins) == (6, 2)
    assert (found.stray, found.stray_words, found.first_stray, found.first_begin) == (3, 6, 3, 1)
    assert (found.ends, found.unended, found.first_unended) == (2, 4, 1)
    assert found.telling == 5


@pytest.mark.parametrize(
    ("letters", "begins", "name"),
    [
        ("BI", False, "IOB2"),
        ("BI", True, "IOB1"),
        ("I", True, "IOB1"),
        (["", "I"], True, "IO"),
        ("BIES", False, "IOBES"),
        ("BILU", False, "BILOU"),
        ("BMES", False, "BMES"),
        ("BMEW", False, "BMEWO"),
        ("IE", True, "IOE"),
    ],
)
def test_schemes_have_names(letters, begins, name):
    assert scheme_name(letters, begins_with_inside=begins) == name


@given(some_sentences(), st.lists(st.integers(-1, 2), min_size=len(TYPES), max_size=len(TYPES)))
def test_entities_stay_as_they_are_when_types_are_renamed(sentences, to):
    new = ["new", "other", "third"]
    parts, types, offsets, spelt = coded(written(sentences, "IOB2"))
    places = np.array([to[TYPES.index(name)] for name in spelt.names] or [-1], dtype=np.int16)
    read = text(*renamed(parts, types, offsets, places), offsets, new)
    chosen = dict(zip(TYPES, to, strict=True))
    kept = [
        (length, [(new[chosen[name]], start, end) for name, start, end in entities if chosen[name] >= 0])
        for length, entities in sentences
    ]
    assert read == written(kept, "IOB2")


def test_what_continues_nothing_does_not_go_on_with_what_is_of_its_type_by_a_new_name():
    parts, types, offsets, _ = coded([["B-LOC", "I-GPE", "I-GPE", "I-LOC"], ["I-GPE", "O"]])
    read = text(*renamed(parts, types, offsets, np.zeros(2, np.int16)), offsets, ["LOC"])
    assert read == [["B-LOC", "O", "O", "O"], ["I-LOC", "O"]]


def test_no_words_are_no_trouble():
    empty = np.array([], dtype=np.int8)
    assert evidence(empty, empty, np.array([0, 0, 0])).entities == 0
    assert to_iob2(empty, empty, np.array([0]), begins_with_inside=True).tolist() == []
