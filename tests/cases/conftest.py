"""Fixtures that several cases share."""

from __future__ import annotations

from pathlib import Path

import pytest

from ner_dist.recipe_file import load_recipe
from tests import small

CASES = Path(__file__).parent
REPOSITORY = CASES.parents[1]
SMALL_STEPS = ["precision=fp32", "train.batch_tokens=512", "train.micro_batch_tokens=512"]
SMALL_STEPS += ["checkpoint.every=null", "evaluation.every=6", "data.language=null", "labels=all"]


def settings(case: str, folder: Path, *overrides: str):
    """The recipe of a case, as its command loads it."""
    where = [f"output_dir={folder}", f"data.path={CASES / case}"]
    return load_recipe(REPOSITORY / "recipes" / "full.yaml", [*where, *SMALL_STEPS, *overrides])


@pytest.fixture(scope="session")
def tagger(minilm, tmp_path_factory):
    """A run on `words_without_subwords` with the types PER, ORG and LOC."""
    folder = tmp_path_factory.mktemp("tagger") / "run"
    steps = ["train.max_steps=12", "train.learning_rate=5e-4"]
    return small.train(settings("words_without_subwords", folder, f"model.name={minilm}", *steps))
