"""A of 33 types against B of five, trained on MultiCoNER from a pretrained encoder, compared as users would.

What `ner-dist compare` says is checked against seqeval, which reads the prediction files by itself.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

import pytest
from seqeval.metrics.v1 import precision_recall_fscore_support
from seqeval.scheme import IOB2

from tests.conftest import REPOSITORY
from tests.distributed.launching import environment, train

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.encoder,
    pytest.mark.soak,
    pytest.mark.timeout(900),
]

FIVE = ["Disease", "ORG", "HumanSettlement", "Artist", "Politician"]
FIGURES = ("precision", "recall", "f1")


@pytest.fixture(scope="module")
def runs(real_data, minilm, tmp_path_factory):
    """The two runs: small steps that look at entities first, so that either soon finds some."""
    read = {"train": 2000, "validation": 150, "test": None}
    folder, data = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("data")
    for split, sentences in read.items():
        lines = (real_data / f"multiconer_v2_en/{split}.jsonl").read_text().splitlines(keepends=True)
        (data / f"{split}.jsonl").write_text("".join(lines[:sentences]))
    settings = (
        *(f"model.name={minilm}", f"data.path={data}", "data.language=null", "evaluation.every=1000"),
        *("train.learning_rate=5e-4", "train.layer_decay=0.9", "train.max_steps=70"),
        *("train.batch_tokens=256", "train.micro_batch_tokens=256", "train.class_weights={O: 0.2}"),
    )
    for recipe, labels in (("full", ()), ("subset", (f"labels=[{','.join(FIVE)}]",))):
        train(REPOSITORY / f"recipes/{recipe}.yaml", f"output_dir={folder / recipe}", *settings, *labels)
    return folder


@pytest.fixture(scope="module")
def comparison(runs):
    """The files and the output of the command."""
    words = [sys.executable, "-m", "ner_dist.cli", "compare", "full", "subset", "--out", "comparison"]
    done = subprocess.run(words, cwd=runs, env=environment(), capture_output=True, text=True, check=True)
    return json.loads((runs / "comparison/compare.json").read_text()), done.stdout


def predictions(run):
    lines = [json.loads(line) for line in (run / "predictions/test.jsonl").read_text().splitlines()]
    return [line["gold"] for line in lines], [line["predicted"] for line in lines]


def only(types, sentences):
    """What is of other types becomes O."""
    return [[tag if tag.partition("-")[2] in types else "O" for tag in tags] for tags in sentences]


def seqeval(gold, predicted, average="micro"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 0/0
        return precision_recall_fscore_support(gold, predicted, average=average, scheme=IOB2)


def test_the_figures_are_seqevals(runs, comparison):
    figures, _ = comparison
    assert sorted(figures["shared"]["types"]) == sorted(FIVE)
    assert figures["shared"]["sentences"] == 871
    for model, run in (("A", "full"), ("B", "subset")):
        gold, predicted = predictions(runs / run)
        own = seqeval(gold, predicted)
        assert [figures["headline"][model]["mean"]["test"][key] for key in FIGURES] == pytest.approx(own[:3])
        assert 0 < own[2] < 1, "it has learnt nothing, or all"

        gold, predicted = only(FIVE, gold), only(FIVE, predicted)
        shared = figures["shared"][model]
        assert [shared[key] for key in FIGURES] == pytest.approx(seqeval(gold, predicted)[:3])
        each = zip(sorted(FIVE), *seqeval(gold, predicted, average=None), strict=True)
        for name, *scores, support in each:
            assert [shared["per_type"][name][key] for key in FIGURES] == pytest.approx(scores)
            assert shared["per_type"][name]["support"] == support
        strict = figures["errors"][model]["strict"]
        assert [strict[key] for key in FIGURES] == pytest.approx([shared[key] for key in FIGURES])


def test_the_gap_is_what_its_parts_add_up_to(comparison):
    figures, _ = comparison
    parts = figures["decomposition"]["B"]
    headline = {model: figures["headline"][model]["mean"]["test"]["f1"] for model in "AB"}
    assert parts["gap"] == pytest.approx(headline["B"] - headline["A"], abs=1e-12)
    assert parts["label_set"] + parts["sentences"] + parts["model"] == pytest.approx(parts["gap"], abs=1e-12)
    assert parts["model"] == pytest.approx(figures["shared"]["B"]["f1"] - figures["shared"]["A"]["f1"])


def test_everything_that_runs_can_tell_is_there(runs, comparison):
    figures, said = comparison
    for model in "AB":
        assert sum(bucket["support"] for bucket in figures["errors"][model]["by_seen"]) > 0
        assert 0 < figures["calibration"][model]["words"]["ece"] < 0.5
    assert all(effect["why"] is None for effect in figures["effects"].values())
    assert figures["verdict"]["paragraph"] in " ".join(said.split())
    html, short = ((runs / "comparison" / name).read_text() for name in ("report.html", "report.md"))
    for text in (html, short):
        assert "HumanSettlement" in text
        assert f"{figures['shared']['A']['f1']:.4f}" in text and f"{figures['shared']['B']['f1']:.4f}" in text
