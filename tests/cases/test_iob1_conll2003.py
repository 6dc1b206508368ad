"""CoNLL-2003 as published is IOB1: it trains, scores and compares as its copy in IOB2 does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ner_dist.data.sources import load_corpus
from ner_dist.recipe_data import Data
from tests import small
from tests.command_line import ner_dist

CASES = Path(__file__).parent


def data(scheme):
    return Data(path=str(CASES / f"{scheme}_conll2003"))


def test_it_is_the_same_corpus(caplog):
    caplog.set_level("INFO", "ner_dist")
    one, two = (load_corpus(data(scheme)) for scheme in ("iob1", "iob2"))
    assert one.fingerprint == two.fingerprint
    assert [one.counts[f"{name}_scheme"] for name in one.splits] == ["IOB1"] * 3
    assert [two.counts[f"{name}_scheme"] for name in two.splits] == ["IOB2"] * 3
    assert "train.txt: tags are IOB1 (136 entities begin with I-, none with a B-" in caplog.text


def test_training_sees_every_entity(tmp_path):
    settings = [f"data.path={CASES / 'iob1_conll2003'}", "data.language=null", "train.max_steps=2"]
    run = small.train(small.recipe(tmp_path, *settings))
    results = json.loads((run / "results.json").read_text())
    assert results["data"]["train_scheme"] == "IOB1"
    supports = [figures["support"] for figures in results["test"]["per_type"].values()]
    assert sum(supports) == 44


def rows(scheme, column):
    split = load_corpus(data(scheme), splits=["test"]).splits["test"]
    lines = (CASES / f"{scheme}_conll2003" / "test.txt").read_text().splitlines()
    tags = iter([line.split()[-1] for line in lines if line and not line.startswith("-DOCSTART-")])
    return [{"tokens": words, column: [next(tags) for _ in words]} for words in split.tokens]


@pytest.mark.parametrize("order", [("AB"), ("BA")])
def test_predictions_in_iob1_lose_nothing(tmp_path, capsys, order):
    """Predictions with the published tags against gold tags of the copy: both score 1.0."""
    gold = rows("iob2", "gold")
    for name, scheme in (("A", "iob1"), ("B", "iob2")):
        lines = [line | said for line, said in zip(gold, rows(scheme, "predicted"), strict=True)]
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    files = [str(tmp_path / f"{name}.jsonl") for name in order]
    assert ner_dist("compare", *files, "--out", str(tmp_path / "out"), "--resamples", "100", "--no-html") == 0
    shared = json.loads((tmp_path / "out" / "compare.json").read_text())["shared"]
    assert (shared["A"]["f1"], shared["B"]["f1"]) == (1.0, 1.0)
    assert "A.jsonl: predicted tags are IOB1 (44 entities begin with I-" in capsys.readouterr().err
