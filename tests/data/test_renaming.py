"""`--map`, and the pairs of names that are guessed for it."""

from __future__ import annotations

import pytest

from ner_dist.data.renaming import check, guessed, new_names, parse, places, remedy
from ner_dist.errors import UserError


def test_pairs_are_parsed():
    assert parse(["PERSON=PER,MISC=O", " GPE = LOC ", "X=null"]) == {
        "PERSON": "PER",
        "MISC": None,
        "GPE": "LOC",
        "X": None,
    }
    assert parse([]) == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["PERSON"],
            "--map: 'PERSON' is not OLD=NEW; write --map PERSON=PER, or",
        ),
        (["=PER"], "--map: '=PER' is not OLD=NEW"),
        (["A=B", "A=C"], "--map: `A` has two new names; give it one"),
    ],
)
def test_what_is_no_pair(words, said):
    with pytest.raises(UserError) as refused:
        parse(words)
    assert str(refused.value).startswith(said)


def test_a_type_that_nobody_has():
    known = {"the model knows": ["PERSON", "LOC"], "the data has": ["PER"]}
    check({"PER": "PERSON", "LOC": None}, known)
    with pytest.raises(UserError) as refused:
        check({"PERSN": "PER"}, known)
    assert str(refused.value) == (
        "--map: neither side has a type `PERSN`; did you mean `PERSON`? there are: the model knows PERSON, "
        "LOC; the data has PER"
    )


def test_names_and_places():
    renaming = {"PERSON": "PER", "GPE": "LOC", "MISC": None, "LOC": "PER"}
    assert new_names(["PERSON", "GPE", "MISC", "ORG"], renaming) == ["PER", "LOC", "ORG"]
    # All at once: what is called LOC now is not called PER on the way.
    assert places(["PERSON", "GPE", "MISC", "ORG"], renaming, ["LOC", "PER"]).tolist() == [1, 0, -1, -1]


@pytest.mark.parametrize(
    ("types", "others", "pairs"),
    [
        (["PERSON", "LOCATION", "X"], ["PER", "ORG", "LOC"], ["PERSON=PER", "LOCATION=LOC"]),
        (["per", "loc"], ["LOC", "PER"], ["per=PER", "loc=LOC"]),
        (["MISC"], ["Miscellaneous"], ["MISC=Miscellaneous"]),
        (["ORGANIZATION", "ORG_X"], ["ORGANISATION"], ["ORGANIZATION=ORGANISATION"]),
        (["DIS"], ["Chemical"], []),
    ],
)
def test_likely_pairs(types, others, pairs):
    assert sorted(guessed(types, others)) == sorted(pairs)
    assert remedy(types, others) == (
        f"--map {','.join(guessed(types, others))} counts them as one"
        if pairs
        else "--map DIS=Chemical counts two types as one, if they are"
    )
