"""The model card describes the model, and its examples, run as printed, give the scored tags."""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from ner_dist.data.encoding import Encoded
from ner_dist.evaluation.figures import LenientScores, SplitFigures
from ner_dist.evaluation.metrics import PrecisionRecallF1, TypeScores
from ner_dist.labels import LabelSet
from ner_dist.training.model_card import model_card, try_examples
from ner_dist.training.results import Environment, RunResults, TrainFigures, TriedExamples
from tests import small
from tests.encoders import make_encoder

LABELS = LabelSet.from_types(["PER", "ORG"])
FIGURES = SplitFigures(
    loss=0.03,
    precision=0.12345,
    recall=0.5,
    f1=0.2,
    accuracy=0.99,
    macro=PrecisionRecallF1(0.1, 0.1, 0.1),
    per_type={"PER": TypeScores(0.1, 0.1, 0.1, 900), "ORG": TypeScores(0.1, 0.1, 0.1, 410)},
    scheme="strict IOB2",
    lenient=LenientScores(0.1, 0.1, 0.1, PrecisionRecallF1(0.1, 0.1, 0.1), {}, "lenient"),
    sentences=1200,
    words=30_000,
    words_per_second=1.0,
)
TRIED = TriedExamples(
    split="test",
    sentences=100,
    words=1234,
    words_as_scored=1234,
    entities=310,
    entities_found=310,
    entities_beside=0,
    longest=512,
    stride=64,
    precision="fp32",
    without_subwords=0,
)


def card(folder, *overrides, data=None, **results):
    train = TrainFigures(0.1, "mean", 10, 1, 1024, 5e-5, 10, 1.0)
    environment = Environment("one process", 1, "fp32")
    results = RunResults(2, "tiny", list(LABELS.types), train, data or {}, environment, **results)
    return model_card(small.recipe(folder, *overrides), LABELS, results)


def test_the_card_says_what_the_model_is_and_how_well_it_does(tmp_path):
    text = card(tmp_path, test=FIGURES)
    front = yaml.safe_load(text.split("---")[1])
    assert front["pipeline_tag"] == "token-classification" and front["library_name"] == "transformers"
    assert "# tiny\n" in text and "PER, ORG" in text and "`scratch`" in text and "on synthetic." in text
    assert "| test | 1,200 | 1,310 | 0.1235 | 0.5000 | 0.2000 | 0.9900 | 0.0300 |" in text
    assert "strict IOB2" in text and "| validation" not in text


def test_the_card_says_how_many_of_the_scored_sentences_training_has_seen(tmp_path):
    text = card(tmp_path, test=FIGURES, data={"test_in_train": 4, "validation_in_train": 2})
    assert "4 of the 1,200 test sentences also occur in train." in text and "validation sentences" not in text
    assert "occur in train" not in card(tmp_path, test=FIGURES, data={"test_in_train": 0})


def test_a_card_before_the_figures_has_no_table_and_claims_nothing(tmp_path):
    text = model_card(small.recipe(tmp_path), LABELS)
    assert "| split |" not in text and 'pipeline("token-classification"' in text
    assert "were scored" not in text


def test_no_place_on_this_machine_is_on_the_card(tmp_path, monkeypatch):
    (tmp_path / "base" / "model").mkdir(parents=True)
    (tmp_path / "news.conll").touch()
    text = card(tmp_path, f"model.name={tmp_path / 'base' / 'model'}", f"data.path={tmp_path / 'news.conll'}")
    assert "`base`, fine-tuned" in text and "on news.conll." in text and str(tmp_path) not in text
    monkeypatch.chdir(tmp_path / "base")
    text = card(tmp_path, "model.name=./model", "data.path=.")
    assert "`base`, fine-tuned" in text and "on base." in text
    # Gone since, and still no place to tell of.
    assert "on x." in card(tmp_path, "data.path=/gone/x")
    text = card(tmp_path, "model.name=FacebookAI/roberta-base", "data.path=Babelscape/multinerd")
    assert "`FacebookAI/roberta-base`, fine-tuned" in text and "on Babelscape/multinerd." in text


@pytest.mark.parametrize(
    ("tried", "says"),
    [
        ({}, "These are the tags that were scored, for all 1,234 words of the first 100 sentences of test."),
        ({}, "Sentences of more than 512 subwords were scored in overlapping windows, as `ner-dist"),
        ({}, 'aggregation_strategy="first", stride=64)'),
        (
            {},
            "of test, joined by spaces, it finds exactly the 310 entities that were scored.",
        ),
        (
            {"words_as_scored": 1230, "precision": "bf16"},
            "for 1,230 of the 1,234 words of the first 100 sentences of test; scoring computed in bf16.",
        ),
        (
            {"entities_found": 290, "entities_beside": 3},
            "finds 290 of the 310 entities that were scored, and 3 beside",
        ),
        ({"entities_beside": 1}, "it finds 310 of the 310 entities that were scored, and 1 "),
        ({"without_subwords": 2}, "Words without subwords belong to an entity that continues after them"),
        ({"stride": None}, 'aggregation_strategy="first")'),
    ],
)
def test_the_card_says_how_far_its_examples_give_what_was_scored(tmp_path, tried, says):
    assert says in card(tmp_path, test=FIGURES, examples=replace(TRIED, **tried))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that was trained long enough to predict entities."""
    overrides = ["train.max_steps=60", "train.learning_rate=5e-3", "data.max_length=32"]
    return small.train(small.recipe(tmp_path_factory.mktemp("card"), *overrides))


def blocks(run):
    text = (run / "model" / "README.md").read_text()
    return re.findall(r"```python\n(.*?)```", text, flags=re.S)


def executed(code, run, *, words=None):
    """The names that an example defines, run as printed but for the folder and, if given, the words."""
    code = code.replace("path/to/this/folder", str(run / "model"))
    if words is not None:
        printed = '["Anna", "Berg", "visits", "York", "."]'
        assert printed in code
        code = code.replace(printed, repr(words))
    names: dict = {}
    exec(code, names)
    return names


def short_lines(run, tokenizer):
    """The predictions for sentences that scoring did not cut."""
    lines = [json.loads(line) for line in (run / "predictions" / "test.jsonl").open()]
    lengths = [len(tokenizer(line["tokens"], is_split_into_words=True).input_ids) for line in lines]
    return [line for line, length in zip(lines, lengths, strict=True) if length <= 32]


def test_the_example_for_words_gives_the_tags_that_were_scored(run):
    example, _ = blocks(run)
    names = executed(example, run)
    assert len(names["tags"]) == 5
    tried = json.loads((run / "results.json").read_text())["examples"]
    assert tried["words"] == tried["words_as_scored"] > 300 and tried["longest"] == 32
    lines = short_lines(run, names["tokenizer"])
    assert tried["sentences"] == min(len(lines), 100) > 30
    assert any(tag.startswith("I-") for line in lines for tag in line["predicted"])
    for line in lines[:40]:
        assert executed(example, run, words=line["tokens"])["tags"] == line["predicted"]


def test_the_example_for_text_gives_the_entities_that_the_card_says(run):
    _, example = blocks(run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = executed(example, run)
    assert isinstance(names["entities"], list)
    scored, found = set(), set()
    for i, line in enumerate(short_lines(run, names["tag"].tokenizer)):
        at = 0
        for token, tag in zip(line["tokens"], line["predicted"], strict=True):
            if tag.startswith("B-"):
                scored.add((i, tag[2:], at))
            at += len(token) + 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = names["tag"](" ".join(line["tokens"]))
        found |= {(i, each["entity_group"], each["start"]) for each in given}
    tried = json.loads((run / "results.json").read_text())["examples"]
    assert len(scored) == tried["entities"] > 30
    # By their first characters alone here: ends may differ beside.
    assert tried["entities_found"] <= len(scored & found)
    assert len(found) == tried["entities_found"] + tried["entities_beside"]


def test_the_saved_model_says_nothing_of_this_machine(tmp_path):
    base = make_encoder("roberta", tmp_path / "secret" / "tiny-roberta")
    data = tmp_path / "secret" / "news.jsonl"
    rows = [{"tokens": ["Anna", "visits", "York"], "ner_tags": ["B-PER", "O", "B-LOC"]}] * 3
    rows += [
        {"tokens": ["Berg", "met", "Anna", str(i)], "ner_tags": ["B-PER", "O", "B-PER", "O"]}
        for i in range(9)
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    overrides = [f"model.name={base}", f"data.path={data.parent}", "train.max_steps=1"]
    overrides += ["data.files={train: news.jsonl, validation: news.jsonl, test: news.jsonl}"]
    made = small.train(small.recipe(tmp_path, *overrides))
    for path in (made / "model").iterdir():
        assert b"secret" not in path.read_bytes().replace(b"on secret.", b""), path
    assert "`tiny-roberta`, fine-tuned" in (made / "model" / "README.md").read_text()


def test_examples_that_cannot_be_tried_are_said_to_and_end_nothing(tmp_path, log_lines):
    """There is no tokenizer in the folder."""
    encoded = Encoded(*(np.array(each) for each in ([4], [0, 1], [0], [0])))
    split = SimpleNamespace(encoded=encoded, n_sentences=1, offsets=[0, 1], tokens=lambda: [["Anna"]])
    settings = {"name": "test", "predicted": np.zeros(1, int), "labels": LABELS, "longest": 9, "overlap": 2}
    assert try_examples(torch.nn.Identity(), tmp_path, split=split, precision="fp32", **settings) is None
    assert log_lines[0].startswith(f"the examples of {tmp_path / 'README.md'} could not be tried: ")
