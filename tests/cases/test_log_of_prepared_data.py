"""The log of data preparation is repeated whenever the prepared data is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import small
from tests.command_line import ner_dist

DATA = Path(__file__).parent / "dups"
SAID = [
    "test: 8 of 28 sentences are exact repeats (0 with different tags): dropped; "
    "data.deduplicate=false keeps them; with_repeats in results.json has the scores of all 28",
    "validation: 6 of 20 sentences also occur in train; "
    "data.drop_test_sentences_from_train=true drops them there",
    "test: 4 of 20 sentences also occur in train; data.drop_test_sentences_from_train=true drops them there",
]


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("NER_DIST_CACHE", str(tmp_path / "cache"))
    overrides = [f"data.path={DATA}", "train.max_steps=1", "checkpoint.every=null"]
    return small.recipe(tmp_path, *overrides)


def said(lines):
    """The lines of SAID that were logged, with repetitions; empties `lines`."""
    found = [line for line in lines if line in SAID]
    lines.clear()
    return found


def test_repeats_and_leaks_are_said_once_by_every_command_that_uses_the_data(settings, tmp_path, log_lines):
    recipe = str(tmp_path / "tiny.yaml")
    overrides = [f"output_dir={settings.output_dir}", f"data.path={DATA}"]
    assert ner_dist("prepare", recipe, *overrides) == 0
    assert said(log_lines) == SAID, "by the command that builds the cache"
    run = small.train(settings)
    assert said(log_lines) == SAID, "by a training on it"
    small.train(settings.model_copy(update={"output_dir": str(tmp_path / "other")}))
    assert said(log_lines) == SAID, "by the next seed"
    assert ner_dist("evaluate", str(run), "--precision", "fp32") == 0
    assert said(log_lines) == SAID, "by an evaluation"
