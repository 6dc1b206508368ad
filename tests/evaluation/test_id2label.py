"""The labels of taggers found in practice, and the errors for meaningless ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ner_dist.data.renaming import places
from ner_dist.errors import UserError
from ner_dist.evaluation.id2label import Decoder, known_labels, read_labels, spell_model
from ner_dist.labels import LabelSet


def labels_of(tags, renaming=None, given=None):
    return known_labels(spell_model(tags, folder="m", given=given), renaming or {})


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["I-PER", "O", "B-PER"], ["I-PER", "O", "B-PER"]),
        (["B-LOC", "I-LOC", "I-PER", "O"], ["B-LOC", "I-LOC", "I-PER", "O", "B-PER"]),
        (["O", "PER", "LOC"], ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]),
        (["O", "S-PER", "B-PER", "I-PER", "E-PER"], ["O", "B-PER", "I-PER"]),
        (["O", "B-PER", "I-PER", "X", "[SEP]"], ["O", "B-PER", "I-PER"]),
        (["O", "B-per", "I-per"], ["O", "B-per", "I-per"]),
    ],
)
def test_label_sets(tags, expected):
    assert labels_of(tags) == LabelSet(tuple(expected))


def test_types_are_renamed():
    tags = ["O", "B-PERSON", "I-PERSON", "B-GPE", "I-GPE", "B-LOC", "I-LOC"]
    assert labels_of(tags, {"PERSON": "PER"}).types == ("PER", "GPE", "LOC")
    assert labels_of(tags, {"PERSON": "PER"}).tags[:3] == ("O", "B-PER", "I-PER")
    assert labels_of(tags, {"GPE": "LOC", "PERSON": None}) == LabelSet.from_types(["LOC"])


@pytest.mark.parametrize(
    ("tags", "given", "said"),
    [
        (
            ["LABEL_0", "LABEL_1", "LABEL_2"],
            None,
            "m: id2label: the labels have no names: LABEL_0 to LABEL_2; name the tags of the 3 ids in order, "
            "as in --labels O,B-PER,I-PER",
        ),
        (["B-PER", "I-PER"], None, "m: id2label: there is no label `O`; name the tags by id with --labels"),
        (
            ["POSITIVE", "NEGATIVE"],
            None,
            "m: id2label: tag `POSITIVE` is not BIO (O, B-TYPE or I-TYPE); name the tags by id with --labels",
        ),
        (["O", "B-X", "B-X"], None, "m: id2label: label `B-X` appears twice"),
        (
            ["LABEL_0", "LABEL_1"],
            "O,B-PER,I-PER",
            "--labels: names 3 tags, but the model has 2 labels; name one for each id, in order",
        ),
        (
            ["LABEL_0", "LABEL_1"],
            "O,B-PER;B-X",
            "--labels: tag `B-PER;B-X` holds 2 tags; a word has one tag",
        ),
        (
            ["a"],
            "labels.txt",
            "--labels: 'labels.txt' is neither a file nor a list of tags; write",
        ),
    ],
)
def test_labels_that_mean_nothing(tags, given, said):
    with pytest.raises(UserError) as refused:
        spell_model(tags, folder="m", given=given)
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(
    "content",
    [
        "O\nB-PER\n\nI-PER\n",
        '["O", "B-PER", "I-PER"]',
        '{"2": "I-PER", "0": "O", "1": "B-PER"}',
        json.dumps({"id2label": {"0": "O", "1": "B-PER", "2": "I-PER"}, "model_type": "bert"}),
    ],
)
def test_a_file_of_labels(tmp_path, content):
    path = tmp_path / "labels"
    path.write_text(content)
    assert read_labels(str(path)) == ["O", "B-PER", "I-PER"] == read_labels("O, B-PER,I-PER")
    assert labels_of(["LABEL_0", "LABEL_1", "LABEL_2"], given=str(path)) == LabelSet.from_types(["PER"])


@pytest.mark.parametrize("content", ["[1, 2]", '{"O": 0, "B-PER": 1}', "7"])
def test_a_file_of_something_else(tmp_path, content):
    path = tmp_path / "labels.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"labels\.json: holds no list of tags; write a list of tags"):
        read_labels(str(path))


def test_two_types_that_become_one_stay_two_entities():
    spelt = spell_model(["O", "GPE", "LOC"], folder="m", given=None)
    labels = LabelSet.from_types(["LOC"])
    decoder = Decoder(spelt, places(spelt.names, {"GPE": "LOC"}, labels.types), labels, iob2=False)
    said, offsets = np.array([1, 1, 2, 0, 2, 1]), np.array([0, 5, 6])
    read = decoder.decode(said, offsets, counts=decoder.evidence(said, offsets))
    assert [labels.tags[tag] for tag in read] == ["B-LOC", "I-LOC", "B-LOC", "O", "B-LOC", "B-LOC"]
