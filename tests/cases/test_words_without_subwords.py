"""Zero-width spaces as tokens inside entities: they belong to the entity around them."""

from __future__ import annotations

import json

import pytest

from ner_dist.data.prepare import prepare
from ner_dist.data.report import log_data
from ner_dist.evaluation.command import evaluate
from ner_dist.model.encoder import load_config
from tests.cases.conftest import REPOSITORY, SMALL_STEPS, settings
from tests.distributed.conftest import server  # noqa: F401

pytestmark = pytest.mark.encoder


def test_a_model_that_tags_every_other_word_right_has_an_f1_of_one(tagger):
    results = json.loads((tagger / "results.json").read_text())
    assert results["test"]["f1"] == results["test"]["accuracy"] == 1.0
    data = results["data"]
    assert data["test_words_without_subwords"] == data["test_words_without_subwords_in_entities"] == 27
    lines = [json.loads(line) for line in (tagger / "predictions" / "test.jsonl").open()]
    pairs = [pair for line in lines for pair in zip(line["tokens"], line["predicted"], strict=True)]
    tags = [tag for word, tag in pairs if word == "\u200b"]
    assert len(tags) == 27 and all(tag.startswith("I-") for tag in tags)


def test_the_log_counts_them(tagger, minilm, log_lines):
    recipe = settings("words_without_subwords", tagger, f"model.name={minilm}")
    data = prepare(recipe, load_config(recipe.model))
    log_data(data, data.labels)
    says = (
        "test: 27 words have no subwords ('\\u200b'), 27 of them inside gold entities: they carry no loss, "
    )
    assert f"{says}and their tags follow from the words around them" in log_lines


def test_evaluate_gives_what_the_training_gave(tagger, tmp_path, log_lines):
    figures = evaluate(str(tagger), data=None, split="test", settings=[], precision="fp32", out=str(tmp_path))
    assert figures.scores.f1 == 1.0
    ours, theirs = (folder / "predictions" / "test.jsonl" for folder in (tmp_path, tagger))
    # What training had seen only a training knows.
    of_training = [json.loads(line) for line in theirs.read_text().splitlines()]
    for line in of_training:
        del line["in_train"], line["seen"]
    assert [json.loads(line) for line in ours.read_text().splitlines()] == of_training
    assert any(line.startswith("test: 27 words have no subwords") for line in log_lines)


@pytest.mark.soak
@pytest.mark.distributed
def test_two_ranks_give_what_one_gives(tagger, tmp_path, server):  # noqa: F811
    """Continue from the tagger with a learning rate of almost 0."""
    overrides = [f"data.path={REPOSITORY / 'tests' / 'cases' / 'words_without_subwords'}", *SMALL_STEPS]
    overrides += [f"model.name={tagger / 'model'}", "train.max_steps=1", "train.learning_rate=1e-12"]
    job = server.start(
        REPOSITORY / "recipes" / "full.yaml",
        f"output_dir={tmp_path / 'run'}",
        *overrides,
        "evaluation.batch_tokens=60",
        config="cpu",
        processes=2,
    )
    assert set(job.wait()) == {0}, job.text()
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["environment"]["processes"] == 2 and results["test"]["f1"] == 1.0
    ours, theirs = (
        [json.loads(line)["predicted"] for line in (run / "predictions" / "test.jsonl").open()]
        for run in (tmp_path / "run", tagger)
    )
    assert ours == theirs


def test_gold_that_the_rule_cannot_give_is_counted(tmp_path, minilm, log_lines):
    """An entity that begins with such a word, and one that ends with one."""
    rows = [
        {"tokens": ["Anna", "\n", "left"], "ner_tags": ["B-PER", "I-PER", "O"]},
        {"tokens": ["\u00a0", "Berg", "\u200b"], "ner_tags": ["B-PER", "I-PER", "O"]},
    ]
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    overrides = ["data.drop_test_sentences_from_train=false", f"data.path={tmp_path}", f"model.name={minilm}"]
    recipe = settings("words_without_subwords", tmp_path / "run", *overrides)
    data = prepare(recipe, load_config(recipe.model))
    log_data(data, data.labels)
    says = "test: 3 words have no subwords ('\\n', '\\xa0', '\\u200b'), 2 of them inside gold entities"
    says += (
        ": they carry no loss, and their tags follow from the words around them; gold differs at 2, where an"
    )
    assert f"{says} entity begins or ends: take these words out of it" in log_lines
