"""Whatever somebody else wrote is accepted, or refused in one line with exit code 2, and none of it is run.

`make soak` tries all of it and prints the counts; a few of each kind, in this process, belong to `make test`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.command_line import ner_dist
from tests.encoders import make_encoder
from tests.hostile import datasets, models
from tests.hostile.datasets import DataCase, data_cases
from tests.hostile.models import ModelCase, model_cases
from tests.hostile.recipes import RecipeCase, recipe_cases
from tests.hostile.sandbox import Outcome, Sandbox

VALUES = 350
"""Of the thousands of values of keys, as many as are drawn."""
Case = RecipeCase | DataCase | ModelCase


def set_up(case: Case, folder: Path, sound: Path) -> tuple[str, ...]:
    """Write what a case consists of into a folder; return the command."""
    folder.mkdir()
    (folder / "typed").write_text("y\n" * 20)
    if isinstance(case, ModelCase):
        return models.set_up(case, sound, folder)
    if isinstance(case, DataCase):
        (folder / "data").mkdir()
        case.make(folder / "data")
        (folder / "r.yaml").write_text(datasets.RECIPE)
        return ("train", "r.yaml", *case.overrides)
    text = case.text if isinstance(case.text, bytes) else case.text.encode("utf-8", "surrogatepass")
    (folder / "r.yaml").write_bytes(text)
    for name, contents in case.beside.items():
        (folder / name).write_text(contents)
    return ("train", "r.yaml", *case.overrides)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """A model that the cases change."""
    return make_encoder("bert", tmp_path_factory.mktemp("sound") / "model")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory) -> Iterator[Sandbox]:
    box = Sandbox(tmp_path_factory.mktemp("sandbox"))
    yield box
    box.close()


KINDS: dict[str, Callable[[], list]] = {
    "recipes": lambda: recipe_cases(values=VALUES),
    "data": lambda: data_cases(),
    "models": lambda: model_cases(),
}


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
def test_all_of_it(tmp_path, kind, sandbox, sound, capsys):
    counts: Counter[str] = Counter()
    failed: list[tuple[str, Outcome]] = []
    cases = KINDS[kind]()
    for number, case in enumerate(cases):
        folder = tmp_path / str(number)
        words = set_up(case, folder, sound)
        outcome = sandbox.run(*words, folder=folder, answers=folder / "typed")
        counts[outcome.verdict] += 1
        if outcome.verdict not in ("accepted", "refused"):
            failed.append((case.what, outcome))
    with capsys.disabled():
        print(f"\n{kind}: {len(cases)} tried, {dict(counts)}")
    report = [f"{what}: {outcome.verdict} ({outcome.code}): {outcome.error:.300}" for what, outcome in failed]
    assert not report, "\n".join(report)


@pytest.mark.soak
def test_the_sandbox_tells_failures_from_refusals(tmp_path, sandbox):
    """A check of the checker: a command that does not end, a wrong one, and one whose input was run."""
    (tmp_path / "r.yaml").write_text(datasets.SMALL)
    long = sandbox.run("train", "r.yaml", "train.max_steps=1000000", folder=tmp_path, seconds=3)
    assert long.verdict == "hang"
    assert sandbox.run("train", "none.yaml", folder=tmp_path).verdict == "refused"
    (tmp_path / "EXECUTED").touch()
    assert sandbox.run("train", "none.yaml", folder=tmp_path).verdict == "executed"


def refused_at_once() -> list:
    """A few cases that are refused before anything is trained: of each kind of mistake one."""
    recipes = recipe_cases(values=0)
    slow = ("a mark", "CR", "without end", "long comment", "many", "lists", "deep", "train={", "twice")
    chosen = [case for case in recipes if not any(word in case.what for word in slow)][::3]
    folders = [case for case in model_cases() if case.command == "train" and "config.json: " in case.what]
    return [pytest.param(case, id=case.what) for case in (*chosen, *folders[:11])]


@pytest.mark.parametrize("case", refused_at_once())
def test_some_of_it(tmp_path, monkeypatch, capsys, sound, case):
    folder = tmp_path / "case"
    words = set_up(case, folder, sound)
    monkeypatch.chdir(folder)
    assert ner_dist(*words) in (0, 2, None)
    said = capsys.readouterr().err.splitlines()
    errors = [line for line in said if line.startswith("error: ")]
    assert len(errors) <= 1
    assert all(line.isprintable() and len(line) < 4_000 for line in errors)
    assert not Path("EXECUTED").exists()
