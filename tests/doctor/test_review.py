"""What a review writes: whole sentences for Label Studio, and one rank for each candidate."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ner_dist.data.corpus import Split, offsets_of
from ner_dist.doctor.review import SUSPECTS, TASKS, write_review
from ner_dist.doctor.suspects import suspects
from ner_dist.labels import LabelSet

LABELS = LabelSet.from_types(["PER", "LOC"])
# The words of a sentence, its tags, and the tags that the model finds, with their probability.
SENTENCES = [
    ("Anna Berg sees York and Bonn", "B-PER I-PER O B-LOC O O", "B-PER I-PER O B-PER O B-LOC", 0.9),
    ("Oslo grows", "B-LOC O", "B-LOC O", 0.25),
    ("Lima grows", "B-LOC O", "O O", 0.25),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a review."""
    out = tmp_path_factory.mktemp("review")
    words = [text.split() for text, *_ in SENTENCES]
    lengths = np.array([len(each) for each in words])
    tags, model = (
        np.array([LABELS.label2id[tag] for row in SENTENCES for tag in row[side].split()], dtype=np.int16)
        for side in (1, 2)
    )
    sure = np.repeat([row[3] for row in SENTENCES], lengths)
    known = np.repeat((1 - sure)[:, None] / (len(LABELS) - 1), len(LABELS), axis=1)
    known[np.arange(len(model)), model] = sure
    split = Split(words, tags=tags, offsets=offsets_of(lengths), origin=["a:1", "a:2", "a:3"])
    found = suspects(split, tags, known, LABELS)
    write_review(out, split, found, name="train", types=LABELS.types, fingerprint="f")
    return out


def test_tasks_hold_all_entities_of_a_disputed_sentence(folder):
    tasks = json.loads((folder / TASKS).read_text())
    assert [task["data"]["where"] for task in tasks] == ["a:1", "a:3"]
    sides = []
    for task in tasks:
        ((annotation,), (prediction,)) = task["annotations"], task["predictions"]
        text = task["data"]["text"]
        for side in (annotation, prediction):
            values = [region["value"] for region in side["result"]]
            assert all(text[value["start"] : value["end"]] == value["text"] for value in values)
            sides.append([(value["text"], *value["labels"]) for value in values])
    assert sides == [
        [("Anna Berg", "PER"), ("York", "LOC")],
        [("Anna Berg", "PER"), ("York", "PER"), ("Bonn", "LOC")],
        [("Lima", "LOC")],
        [],
    ]


def test_rank_on_the_page_is_that_of_the_list(folder):
    rows = [json.loads(line) for line in (folder / SUSPECTS).read_text().splitlines()]
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]
    page = (folder / "review.html").read_text()
    data = page.split('<script type="application/json" id="data">')[1].split("</script>")[0]
    shown = json.loads(data)["suspects"]
    assert shown == [row for row in rows if not row["agrees"]]
    assert shown[-1]["rank"] == 4, "a doubtful agreement is before it"
