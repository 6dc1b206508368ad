"""`ner-dist recipes` lists the shipped recipes and copies them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ner_dist.recipe_file import differing_keys, load_recipe
from tests.command_line import ner_dist
from tests.conftest import REPOSITORY

NAMES = sorted(path.stem for path in (REPOSITORY / "recipes").glob("*.yaml"))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_all_are_listed_with_a_line_each(capsys):
    assert ner_dist("recipes") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[: len(NAMES)]] == NAMES
    assert any(line.startswith("demo_full ") and "embedded corpus" in line for line in lines)
    assert all(len(line.split()) > 4 for line in lines[: len(NAMES)])
    assert lines[-1].endswith("ner-dist recipes full > mine.yaml")


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_is_the_same_recipe_anywhere(capsys, name):
    assert ner_dist("recipes", name) == 0
    Path("mine.yaml").write_text(capsys.readouterr().out, encoding="utf-8")
    copied, original = load_recipe("mine.yaml"), load_recipe(REPOSITORY / "recipes" / f"{name}.yaml")
    assert copied == original and not differing_keys(copied, original)
    assert Path("mine.yaml").read_text().startswith("# ")


def test_a_recipe_that_extends_none_is_copied_as_it_is(capsys):
    assert ner_dist("recipes", "full") == 0
    assert capsys.readouterr().out == (REPOSITORY / "recipes/full.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "said"), [("fulll", "did you mean full?"), ("xyz", "there are demo_full, demo_subset, ")]
)
def test_an_unknown_name_is_refused(capsys, name, said):
    assert ner_dist("recipes", name) == 2
    assert f"error: no recipe of ner_dist is called {name}; {said}" in capsys.readouterr().err


def test_training_one_that_is_not_there_says_how_to_get_it(capsys):
    assert ner_dist("train", "recipes/demo_full.yaml") == 2
    said = capsys.readouterr().err
    assert "there is no such recipe; " in said and "`ner-dist recipes demo_full > demo_full.yaml`" in said
