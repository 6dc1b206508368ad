"""The training text is read again as it was trained on, or it is said why not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from ner_dist.comparison.training_overlap import NO_TRAINING, TrainingText, of_run
from ner_dist.data.prepare import prepare, prepared_folder
from ner_dist.data.sources import load_corpus
from ner_dist.model.encoder import load_config
from ner_dist.recipe_file import load_recipe
from ner_dist.run.directory import Run
from ner_dist.run.provenance import write_recipe
from tests import small
from tests.comparison.grounds import LABELS, ids_of

SENTENCES = [
    ("Anna Berg met Anna", ["B-PER", "I-PER", "O", "B-PER"]),
    ("Paris", ["B-LOC"]),
    ("Paris signed Anna Berg", ["B-ORG", "O", "B-LOC", "I-LOC"]),
    ("Paris", ["B-LOC"]),
]


@pytest.fixture
def run(tmp_path):
    """A run whose data was prepared and recorded, as a training does first."""
    data = tmp_path / "data"
    data.mkdir()
    for split in ("train", "validation", "test"):
        lines = [json.dumps({"tokens": text.split(), "ner_tags": tags}) for text, tags in SENTENCES]
        (data / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    recipe = small.recipe(tmp_path, f"data.path={data}", f"data.cache_dir={tmp_path / 'cache'}")
    run = Run(tmp_path / "run")
    write_recipe(run, recipe, world={}, fingerprint=prepare(recipe, load_config(recipe.model)).fingerprint)
    return run


def check(training):
    assert training.sentences == {
        "\x1f".join(words.split()) for words in ("Anna Berg met Anna", "Paris", "Paris signed Anna Berg")
    }
    assert training.forms == {
        "Anna Berg": {"PER", "LOC"},
        "Anna": {"PER"},
        "Paris": {"LOC", "ORG"},
    }


def test_it_is_read_from_the_prepared_data_alone(run, tmp_path):
    shutil.rmtree(tmp_path / "data")
    check(of_run(run))


def test_without_prepared_data_the_source_is_read(run, tmp_path):
    shutil.rmtree(tmp_path / "cache")
    check(of_run(run))
    assert not (tmp_path / "cache").exists()


def test_a_source_that_has_changed_is_not_what_was_trained_on(run, tmp_path, log_lines):
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "data" / "train.jsonl").write_text(
        json.dumps({"tokens": ["x"], "ner_tags": ["B-PER"]}) + "\n"
    )
    assert of_run(run) == NO_TRAINING
    assert "has changed since the run was trained" in log_lines[-1]


def test_a_source_that_is_gone_is_named(run, tmp_path, log_lines):
    shutil.rmtree(tmp_path / "cache")
    shutil.rmtree(tmp_path / "data")
    assert of_run(run) == NO_TRAINING
    assert f"{tmp_path / 'data'}: neither prepared" in log_lines[-1]


def test_prepared_data_that_is_damaged_is_no_crash(run, log_lines):
    recipe = load_recipe(run.recipe)
    folder = prepared_folder(recipe, load_config(recipe.model))
    (folder / "train" / "tokens.arrow").write_bytes(b"broken")
    assert of_run(run) == NO_TRAINING
    assert "the training text cannot be read" in log_lines[-1]


def test_a_folder_without_a_recipe_has_no_training_text(tmp_path, log_lines):
    assert of_run(Run(tmp_path)) == NO_TRAINING
    assert "there is no recipe" in log_lines[-1]


def test_the_embedded_corpus_is_made_again(tmp_path):
    recipe = small.recipe(tmp_path, f"data.cache_dir={tmp_path / 'cache'}")
    corpus = load_corpus(recipe.data)
    run = Run(tmp_path / "run")
    write_recipe(run, recipe, world={}, fingerprint=corpus.fingerprint)
    training = of_run(run)
    assert all(map(training.holds, corpus.splits["train"].tokens))
    assert len(training.sentences) == len(corpus.splits["train"])


def test_case_and_the_borders_of_words_matter():
    tags = ids_of(["B-PER I-PER"])
    training = TrainingText.from_split([["New York", "City"]], tags, np.array([0, 2]), LABELS)
    assert training.types_of(["New York", "City"]) == {"PER"}
    assert training.types_of(["new York", "City"]) == training.types_of(["City"]) == frozenset()
    assert training.holds(["New York", "City"]) and not training.holds(["New", "York", "City"])


@pytest.mark.parametrize(
    "name", ["error_analysis", "calibration", "data_effects", "disagreements", "training_overlap"]
)
def test_import_needs_neither_torch_nor_transformers(name):
    heavy = "{'torch', 'transformers'}"
    code = f"import sys, ner_dist.comparison.{name}; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
