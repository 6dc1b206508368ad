"""The run that the tests of predictions share."""

from __future__ import annotations

import pytest

import ner_dist
from tests.distributed.launching import RECIPE


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A trained run whose long sentences have windows."""
    folder = tmp_path_factory.mktemp("predict")
    (folder / "tiny.yaml").write_text(RECIPE, encoding="utf-8")
    settings = ["train.max_steps=40", "model.scratch.max_length=24", "data.window_overlap=4"]
    settings += [
        "train.learning_rate=5e-3",
        "train.class_weights=balanced",
        "evaluation.every=40",
        f"output_dir={folder / 'run'}",
    ]
    return ner_dist.train_recipe(ner_dist.load_recipe(folder / "tiny.yaml", settings))


@pytest.fixture(scope="session")
def tagger(run):
    return ner_dist.load_tagger(run.folder, device="cpu")
