"""Continue from a tagger with reordered labels or another type, without losing what it has learnt."""

from __future__ import annotations

import json

import pytest

from tests import small
from tests.cases.conftest import settings

pytestmark = pytest.mark.encoder

# One step that changes nothing.
STILL = ["train.max_steps=1", "train.learning_rate=1e-9"]


def gone_on(case, tagger, folder):
    run = small.train(settings(case, folder / "run", f"model.name={tagger / 'model'}", *STILL))
    return json.loads((run / "results.json").read_text())["test"]


def test_the_same_labels_in_another_order_score_the_same(tagger, tmp_path, log_lines):
    figures = gone_on("head_order", tagger, tmp_path)
    assert figures["f1"] > 0.95
    assert (
        f"head: 7 of 7 labels copied from {tagger / 'model'}: O, B-LOC, I-LOC, B-ORG, I-ORG, B-PER, I-PER"
        in log_lines
    )


def test_one_more_type_leaves_the_others_what_they_were(tagger, tmp_path, log_lines):
    figures = gone_on("unseen_label", tagger, tmp_path)
    known = {name: each for name, each in figures["per_type"].items() if name in ("PER", "ORG", "LOC")}
    assert min(each["recall"] for each in known.values()) > 0.9
    line = next(line for line in log_lines if line.startswith("head: "))
    assert line.startswith(f"head: 7 of 9 labels copied from {tagger / 'model'}: O, B-")
    new = next(name for name in figures["per_type"] if name not in known)
    assert line.endswith(f"; drawn: B-{new}, I-{new}")
