"""Spellings of tags: which are read, and which are refused."""

from __future__ import annotations

import numpy as np
import pytest

from ner_dist.data.notation import NotATag, alike, spell


def read(tags, *, words=None):
    """Every tag as `PART TYPE`, and the spelling."""
    spelt = spell(tags, words=np.ones(len(tags)) if words is None else np.array(words))
    parts = zip(spelt.parts.tolist(), spelt.types.tolist(), strict=True)
    return ["OBIES"[part] + (f" {spelt.names[name]}" if part else "") for part, name in parts], spelt.spelling


@pytest.mark.parametrize(
    ("tags", "expected", "spelling"),
    [
        (["O"], ["O"], "B-TYPE"),
        (["B-PER", "I-PER", "O"], ["B PER", "I PER", "O"], "B-TYPE"),
        (["S-A", "L-A", "U-A", "M-A", "W-A", "E-A"], ["S A", "E A", "S A", "I A", "S A", "E A"], "B-TYPE"),
        (["B-GPE-LOC", "I-a/b c"], ["B GPE-LOC", "I a/b c"], "B-TYPE"),
        (["B-B", "I-B", "B-I", "B-S", "I-B-B"], ["B B", "I B", "B I", "B S", "I B-B"], "B-TYPE"),
        (["B_LOC", "I_LOC_X", "O"], ["B LOC", "I LOC_X", "O"], "B_TYPE"),
        (["b-loc", "i-loc", "o"], ["B loc", "I loc", "O"], "b-type"),
        (["LOC-B", "GPE-S-I", "O"], ["B LOC", "I GPE-S", "O"], "TYPE-B"),
        (["O", "B", "I"], ["O", "B ENTITY", "I ENTITY"], "B"),
        (["O", "PER", "Medication/Vaccine"], ["O", "I PER", "I Medication/Vaccine"], "TYPE"),
        (["O", "人名"], ["O", "I 人名"], "TYPE"),
        (["O", "E-mail", "PER"], ["O", "I E-mail", "I PER"], "TYPE"),
        (["O", "S"], ["O", "I S"], "TYPE"),
        (["0", "B-PER", "I-PER"], ["O", "B PER", "I PER"], "B-TYPE"),
        (["B-LOC ", " O", "I- LOC", "\ufeffB-\u00a0LOC"], ["B LOC", "O", "I LOC", "B LOC"], "B-TYPE"),
        (["B-X;B-X", "O;O", "I-X|I-X", "B-X \t B-X"], ["B X", "O", "I X", "B X"], "B-TYPE"),
    ],
)
def test_spellings(tags, expected, spelling):
    assert read(tags) == (expected, spelling)


@pytest.mark.parametrize(
    ("tags", "index", "what"),
    [
        (["B-PER", "PER"], 1, "tag `PER` is not BIO (O, B-TYPE or I-TYPE), as others are"),
        (["B-", "B-PER"], 0, "tag `B-` is not BIO (O, B-TYPE or I-TYPE), as others are"),
        (["B-PER", "b-PER"], 1, "tag `b-PER` is not BIO (O, B-TYPE or I-TYPE), as others are"),
        (["B-PER", "X"], 1, "tag `X` is not BIO (O, B-TYPE or I-TYPE), as others are"),
        (["NN", "VBZ"], 0, "tag `NN` is not BIO (O, B-TYPE or I-TYPE)"),
        (["O", "NN", "."], 2, "tag `.` is not BIO (O, B-TYPE or I-TYPE)"),
        (["O", "7"], 1, "tag `7` is not BIO (O, B-TYPE or I-TYPE)"),
        (["0"], 0, "tag `0` is not BIO (O, B-TYPE or I-TYPE)"),
        (["O", "B-X", ""], 2, "a tag is empty"),
        (["O", "\u200b "], 1, "a tag is empty"),
        (["B-X;B-Y"], 0, "tag `B-X;B-Y` holds 2 tags"),
        (["B-X", "B-X, I-X, O"], 1, "tag `B-X, I-X, O` holds 3 tags"),
        (["b-x;i-x", "o"], 0, "tag `b-x;i-x` holds 2 tags"),
        (["B-PER", "B-LOC", "I-PER|LOC"], 2, "the type `PER|LOC` holds 2 types"),
        (["*", "(PER*", "*)"], 0, "tag `*` is of CoNLL's bracket notation, not BIO (O, B-TYPE or I-TYPE)"),
    ],
)
def test_what_is_no_tag(tags, index, what):
    with pytest.raises(NotATag) as refused:
        read(tags)
    assert (refused.value.index, refused.value.what) == (index, what)


def test_a_column_of_other_things_is_no_column_of_types():
    """The last words of lines, or parts of speech: none or next to none of them is O."""
    with pytest.raises(NotATag, match="tag `NN` is not BIO"):
        read(["O", "NN", "VBZ"], words=[1, 100, 100])
    assert read(["O", "NN"], words=[20, 100])[1] == "TYPE"


@pytest.mark.parametrize(
    ("tags", "index", "fix"),
    [
        (["O", "B:PER", "I:PER"], 1, "write it as `B-PER`"),
        (["O", "I/LOC"], 1, "write it as `I-LOC`"),
        (["O", "BPER", "IPER"], 1, "write it as `B-PER`"),
        (["O", "PER", "B.X", "I.X"], 2, "write it as `B-X`"),
        (["O", "B-", "I-"], 1, "write it as `B`"),
    ],
)
def test_parts_that_are_joined_otherwise_are_no_types(tags, index, fix):
    with pytest.raises(NotATag) as refused:
        read(tags)
    assert (refused.value.index, refused.value.fix) == (index, fix)
    assert refused.value.what == f"tag `{tags[index]}` is not BIO (O, B-TYPE or I-TYPE)"


def test_types_that_begin_with_the_letter_of_a_part():
    assert read(["O", "BRAND", "ITEM", "I", "B.V.", "EVENT", "U.S.", "GPE:CITY", "S/M"])[1] == "TYPE"


def test_what_was_changed_is_marked():
    spelt = spell(["O", "B-X ", "I- X", "I-X;I-X", "0"], words=np.ones(5))
    assert spelt.trimmed.tolist() == [False, True, True, False, False]
    assert spelt.doubled.tolist() == [False, False, False, True, False]
    assert spelt.outside.tolist() == [False, False, False, False, True]
    assert not spelt.as_written and spell(["O", "B-X"]).as_written
    chosen = spelt.take([4, 1])
    assert (chosen.parts.tolist(), chosen.trimmed.tolist()) == ([0, 1], [False, True])


def test_among_stated_labels_those_of_padding_are_outside():
    labels = ["O", "B-PER", "I-PER", "X", "[CLS]", "[SEP]", "<pad>", "PAD"]
    assert spell(labels).outside.tolist() == [False] * 3 + [True] * 5
    # Where types name no part, X may be one.
    assert spell(["O", "PER", "X", "[PAD]"]).parts.tolist() == [0, 2, 2, 0]


def test_types_that_look_the_same():
    assert alike(["PER", "LOC", "Per", "per ", "GPE-LOC", "gpe_loc", "-"]) == [
        ["PER", "Per", "per "],
        ["GPE-LOC", "gpe_loc"],
    ]
