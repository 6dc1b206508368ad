"""`ner-dist settings`: every key of a recipe is listed and explained, and the page in docs/ says the same."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from ner_dist.commands.settings import describe, groups, type_in_words
from ner_dist.errors import UserError
from ner_dist.recipe import Recipe
from ner_dist.recipe_errors import known_keys
from tests.command_line import ner_dist
from tests.conftest import REPOSITORY


def test_the_page_in_docs_is_what_the_command_prints():
    page = (REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page.rstrip() == describe(markdown=True).rstrip(), (
        "ner-dist settings --markdown > docs/settings.md"
    )


def test_every_key_is_listed_once_with_what_it_means():
    listed = [setting.key for group in groups() for setting in group.settings]
    sections = [group.key for group in groups() if group.key]
    assert sorted(listed + sections) == sorted(known_keys())
    for setting in (setting for group in groups() for setting in group.settings):
        assert len(setting.meaning) > 10 and setting.meaning.endswith("."), setting.key
        assert not set(setting.type) & set("|{}'"), setting.type


def test_what_is_said_of_a_default_is_what_a_recipe_without_the_key_gets():
    recipe = Recipe.model_validate({"name": "a", "output_dir": "b", "data": {"path": "c"}})
    said = {setting.key: setting.default for group in groups() for setting in group.settings}
    assert said["name"] == said["output_dir"] == said["data.path"] == "required"
    assert said["data.tokens_column"] == recipe.data.tokens_column
    assert float(said["train.weight_decay"]) == recipe.train.weight_decay
    assert said["data.splits.test"] == "test" and said["model.revision"] == "null"


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "whole number"),
        (Annotated[int, Field(gt=0)], "whole number > 0"),
        (Annotated[int, Field(gt=0)] | Literal["auto"], "whole number > 0 or auto"),
        (Annotated[int, Field(ge=0, lt=2**63)], "whole number in [0, 2^63)"),
        (Annotated[float, Field(gt=0, le=1)] | None, "number in (0, 1] or null"),
        (Annotated[float, Field(ge=0.5)], "number ≥ 0.5"),
        (Annotated[str, Field(min_length=1, pattern="a")], "text"),
        (bool, "true or false"),
        (Literal["a", "b"], "one of a, b"),
        (Literal["all"] | list[str], "all or list of names"),
        (list[Literal["a", "b"]], "list of a, b"),
        (tuple[Annotated[float, Field(ge=0, lt=1)], float], "list of 2 numbers in [0, 1)"),
        (dict[Literal["a", "b"], str], "mapping of a, b to names"),
        (dict[str, Annotated[float, Field(ge=0)]], "mapping of names to numbers ≥ 0"),
    ],
)
def test_types_are_said_in_words(annotation, words):
    assert type_in_words(annotation) == words


def test_one_key_or_one_section_can_be_asked_for(capsys):
    assert ner_dist("settings", "checkpoint.every") == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "checkpoint.every  (whole number > 0 or text or null; default 500)\n    Steps between checkpoi"
    )
    assert said.count("\n    ") in (1, 2) and "keep_last" not in said
    assert ner_dist("settings", "data", "--markdown") == 0
    said = capsys.readouterr().out
    assert "| `data.splits.validation` | text or null | `validation` |" in said
    assert "# Settings" not in said and "`train.epochs`" not in said


@pytest.mark.parametrize(
    ("key", "fix"),
    [
        ("train.epoch", "did you mean `train.epochs`?"),
        ("learning_rate", "did you mean `train.learning_rate`?"),
        ("trian", "did you mean `train`?"),
        ("train.zzz", "the keys are epochs, max_steps, "),
    ],
)
def test_an_unknown_key_is_told_the_nearest(key, fix):
    with pytest.raises(UserError) as caught:
        describe(key)
    assert str(caught.value).startswith(f"there is no key `{key}`; {fix}")
