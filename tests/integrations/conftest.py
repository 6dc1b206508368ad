"""The run that the tests of other libraries' pipelines share."""

from __future__ import annotations

from pathlib import Path

import pytest

import ner_dist
from tests import small


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    """A run that predicts entities, and whose long sentences have windows."""
    settings = ["train.max_steps=40", "train.learning_rate=5e-3", "data.max_length=24"]
    settings += ["train.class_weights=balanced", "evaluation.every=40", "evaluation.decode=viterbi"]
    return small.train(small.recipe(tmp_path_factory.mktemp("integrations"), *settings))


@pytest.fixture(scope="session")
def tagger(run) -> ner_dist.Tagger:
    return ner_dist.load_tagger(run, device="cpu")
