"""Label sets: parsing tags, ids in the data's order, choosing types, and projecting onto a smaller set."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_dist.errors import UserError
from ner_dist.labels import MULTINERD_TYPES, UNLABELLED, LabelSet, split_tag

# Names with hyphens, slashes, and those that could be taken for a tag or its prefix.
type_names = st.one_of(
    st.sampled_from(["PER", "BIO", "B", "I", "O", "I-O", "B-B", "x/y", "product-other", "-", "Ω é"]),
    st.text(min_size=1, max_size=6),
)
type_lists = st.lists(type_names, min_size=1, max_size=8, unique=True)


@st.composite
def label_sets(draw):
    """Tags as in data: every B- and I- of some types, and O, in any order."""
    return LabelSet.from_tags(draw(st.permutations(LabelSet.from_types(draw(type_lists)).tags)))


@given(type_names)
def test_a_tag_splits_at_its_first_hyphen_only(name):
    assert split_tag(f"B-{name}") == ("B", name)
    assert split_tag(f"I-{name}") == ("I", name)


def test_the_outside_tag_has_no_type():
    assert split_tag("O") == ("O", None)


@pytest.mark.parametrize(
    "tag", ["", "B", "I-", "B-", "O-PER", "E-PER", "S-PER", "PER", "b-PER", "-PER", "o", "B_PER"]
)
def test_what_is_not_bio_is_refused_by_name(tag):
    with pytest.raises(ValueError, match="is not BIO") as caught:
        split_tag(tag)
    assert f"`{tag}`" in str(caught.value)


def test_multinerd_ids_are_those_of_its_authors():
    labels = LabelSet.from_types(MULTINERD_TYPES)
    assert len(labels) == 31
    ids = {"O": 0, "B-PER": 1, "I-PER": 2, "B-ORG": 3, "I-BIO": 10, "B-TIME": 27, "I-VEHI": 30}
    assert ids.items() <= labels.label2id.items()


@given(type_lists)
def test_a_label_set_of_types_starts_with_o_and_pairs_the_rest(types):
    labels = LabelSet.from_types(types)
    assert labels.tags[0] == "O"
    assert labels.types == tuple(types)
    assert labels.tags[1::2] == tuple(f"B-{name}" for name in types)
    assert labels.tags[2::2] == tuple(f"I-{name}" for name in types)


@given(label_sets())
def test_ids_and_tags_are_inverse(labels):
    assert len(labels) == len(labels.tags) == len(labels.label2id) == len(labels.id2label)
    assert all(labels.label2id[labels.id2label[i]] == i for i in range(len(labels)))
    assert [labels.id2label[i] for i in range(len(labels))] == list(labels.tags)


@given(label_sets())
def test_the_codes_of_a_label_set_say_what_its_tags_say(labels):
    kinds, types = labels.coded()
    assert kinds.dtype == np.int8 and types.dtype == np.int16
    written = [
        "O" if kind == 0 else f"{'OBI'[kind]}-{labels.types[i]}" for kind, i in zip(kinds, types, strict=True)
    ]
    assert written == list(labels.tags)
    assert set(types[kinds == 0]) == {-1}


def test_the_ids_of_the_data_are_kept():
    tags = ["I-LOC", "O", "B-PER", "B-LOC", "I-PER"]
    labels = LabelSet.from_tags(tags)
    assert labels.tags == tuple(tags)
    assert labels.types == ("LOC", "PER")


def test_the_missing_partner_of_a_tag_is_added_behind_the_ids_of_the_data():
    assert LabelSet.from_tags(["O", "I-A", "B-C"]).tags == ("O", "I-A", "B-C", "B-A", "I-C")


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        (["O", "B-PER", "E-PER"], "tag `E-PER` is not BIO"),
        (["O", "B-PER", "I-PER", "B-PER"], "label `B-PER` appears twice"),
        (["O", "O"], "label `O` appears twice"),
        (["B-PER", "I-PER"], "no label `O`"),
        ([], "no label `O`"),
    ],
)
def test_label_names_that_make_no_label_set_are_an_error_with_its_place(tags, says):
    with pytest.raises(UserError) as caught:
        LabelSet.from_tags(tags, where="data.label_names")
    assert str(caught.value).startswith("data.label_names: ")
    assert says in str(caught.value)


def test_all_types_are_the_label_set_itself():
    labels = LabelSet.from_tags(["B-A", "O", "I-A", "I-B", "B-B"])
    assert labels.select("all") is labels


@given(label_sets(), st.data())
def test_chosen_types_keep_the_order_of_the_data_however_they_are_named(labels, data):
    chosen = data.draw(st.permutations(labels.types))[: data.draw(st.integers(1, len(labels.types)))]
    selected = labels.select(chosen)
    assert selected.types == tuple(name for name in labels.types if name in chosen)
    assert len(selected) == 1 + 2 * len(chosen)
    assert selected == labels.select(sorted(chosen))


@given(label_sets())
def test_to_name_every_type_is_to_say_all(labels):
    assert labels.select(list(reversed(labels.types))) == labels


def test_an_unknown_type_is_an_error_that_lists_the_types_there_and_the_nearest():
    with pytest.raises(UserError) as caught:
        LabelSet.from_types(MULTINERD_TYPES).select(["PER", "ANIMAL"])
    text = str(caught.value)
    assert text.startswith("labels: ") and "\n" not in text
    assert "`ANIMAL`" in text and "did you mean `ANIM`" in text
    assert ", ".join(MULTINERD_TYPES) in text


def test_an_unknown_type_near_nothing_gets_no_guess():
    with pytest.raises(UserError, match="it has PER, LOC") as caught:
        LabelSet.from_types(["PER", "LOC"]).select(["zzzz"])
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("types", "says"), [([], "names no type"), (["PER", "LOC", "PER"], "names `PER` twice")]
)
def test_no_type_and_a_type_twice_are_errors_with_their_place(types, says):
    with pytest.raises(UserError, match=says) as caught:
        LabelSet.from_types(["PER", "LOC"]).select(types, where="recipe.yaml: labels")
    assert caught.value.where == "recipe.yaml: labels"


@given(label_sets(), label_sets())
def test_projection_keeps_a_tag_or_makes_it_o(labels, to):
    projection = labels.projection(to)
    assert projection.dtype == np.int16 and projection.shape == (len(labels),)
    for tag, projected in zip(labels.tags, projection, strict=True):
        assert to.tags[projected] == (tag if split_tag(tag)[1] in to.types else "O")


@given(label_sets(), st.randoms())
def test_projection_onto_the_same_types_in_another_order_loses_nothing(labels, random):
    to = LabelSet.from_tags(random.sample(labels.tags, len(labels)))
    assert (to.projection(labels)[labels.projection(to)] == np.arange(len(labels))).all()


def test_a_word_without_a_label_has_no_tag():
    labels = LabelSet.from_types(["PER"])
    assert labels.tags_of(np.array([UNLABELLED, 0, 2, UNLABELLED])) == [None, "O", "I-PER", None]
    assert labels.tags_of(np.empty(0, np.int16)) == []


@given(label_sets(), st.data())
def test_projecting_in_two_steps_is_projecting_at_once(labels, data):
    middle = labels.select(data.draw(st.lists(st.sampled_from(labels.types), min_size=1, unique=True)))
    last = middle.select(data.draw(st.lists(st.sampled_from(middle.types), min_size=1, unique=True)))
    assert (middle.projection(last)[labels.projection(middle)] == labels.projection(last)).all()


def test_a_label_set_is_a_value():
    assert LabelSet.from_types(["A"]) == LabelSet.from_tags(["O", "B-A"])
    assert len({LabelSet.from_types(["A"]), LabelSet(("O", "B-A", "I-A"))}) == 1
    with pytest.raises(AttributeError):
        LabelSet.from_types(["A"]).tags = ()


def test_labels_and_metrics_load_no_heavy_library():
    program = (
        "import sys, ner_dist.labels, ner_dist.evaluation.metrics;"
        "print(*{'torch', 'transformers', 'seqeval', 'sklearn', 'datasets'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []
