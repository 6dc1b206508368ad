"""Kill a command before each of its changes of the file system: repeated, it ends as if undisturbed.

It does not matter where the kill falls: in a run that has not begun, in a checkpoint, or in a report.
`make soak` tries every change, `make test` those that begin a run.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.distributed.faults import fault, watch_changes
from tests.distributed.launching import RECIPE

pytestmark = pytest.mark.distributed

SMALL = (
    re.sub("synthetic: {.*?}", "synthetic: {train: 60, validation: 20, test: 20}", RECIPE)
    + """
checkpoint: {every: 3, keep_last: 1}
evaluation: {every: 2}
"""
)
TRAIN = [
    "train",
    "tiny.yaml",
    "output_dir=out",
    "data.cache_dir=cache",
    "train.max_steps=6",
    "train.batch_tokens=256",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in which commands are typed; a recipe is there."""
    folder = tmp_path_factory.mktemp("place").resolve()
    (folder / "tiny.yaml").write_text(SMALL)
    return folder


@pytest.fixture(scope="module")
def runs(server, place):
    """Two complete runs, a and b, beside the recipe."""
    for name, labels in (("a", "all"), ("b", "[PER, LOC, ORG]")):
        words = [word.replace("output_dir=out", f"output_dir={name}") for word in TRAIN]
        job = server.command(place, *words, f"labels={labels}")
        assert job.wait() == [0], job.text()
    return place


def changes(server, place: Path, words: list[str]) -> list[str]:
    """The changes that a command makes, one line each, and its undisturbed output in `place`."""
    note = place.parent / "changes"
    watch = fault(watch_changes, folder=str(place), note=str(note))
    job = server.command(place, *words, faults=[watch])
    assert job.wait() == [0], job.text()
    return note.read_text().splitlines()


def contents(folder: Path) -> dict[str, object]:
    """What a command made, by name, without times."""
    return {str(path.relative_to(folder)): _content(path) for path in folder.rglob("*") if path.is_file()}


_TIMES = {"seconds", "words_per_second", "started", "at"}


def _content(path: Path) -> object:
    if (
        path.name in ("recipe.yaml", "metrics.jsonl", "state.json", "SHA256SUMS", "meta.json")
        or "html" in path.name
    ):
        return "with times"
    if path.name == "results.json":
        return _without_times(json.loads(path.read_text()))
    return path.read_bytes()


def _without_times(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_times(each) for key, each in value.items() if key not in _TIMES}
    return value


def clear(place: Path, *, cache: bool) -> None:
    shutil.rmtree(place / "out", ignore_errors=True)
    if cache:
        shutil.rmtree(place / "cache", ignore_errors=True)


def kill_and_repeat(
    server, place: Path, words: list[str], at: int, undisturbed: dict[str, object]
) -> str | None:
    """What is wrong after a kill before a change and the same command; None if nothing is."""
    kill = fault(watch_changes, folder=str(place), kill_before=at)
    job = server.command(place, *words, faults=[kill])
    if job.wait() != [-9]:
        return f"not killed: {job.text()[-300:]}"
    again = server.command(place, *words)
    codes = again.wait()
    is_there = words[0] == "predict" and "tagged.jsonl: exists already" in again.text()
    if not (codes == [0] or is_there) or "Traceback" in again.text():
        return f"exit code {codes}: {again.text()[-600:]}"
    now = contents(place)
    if now.keys() != undisturbed.keys():
        return f"files: {sorted(now.keys() ^ undisturbed.keys())}"
    other = [name for name in now if now[name] != undisturbed[name]]
    return f"other contents: {other}" if other else None


COMMANDS = {
    "train": TRAIN,
    "prepare": ["prepare", "tiny.yaml", "data.cache_dir=cache"],
    "evaluate": ["evaluate", "a", "--out", "out"],
    "report": ["report", "a", "--out", "out"],
    "compare": ["compare", "a", "b", "--out", "out", "--resamples", "100"],
    "predict": ["predict", "a", "text.txt", "-o", "out/tagged.jsonl"],
}


def test_a_run_that_is_killed_while_it_is_young_begins_with_the_same_command(server, place):
    """Before recipe.yaml is there; `make soak` kills it everywhere else."""
    clear(place, cache=True)
    made = changes(server, place, TRAIN)
    undisturbed = contents(place)
    before = made[: made.index("os.rename /out/.recipe.yaml.part")]
    at = 1 + sum("/cache" not in line for line in before)  # the data is prepared then
    clear(place, cache=False)
    assert kill_and_repeat(server, place, TRAIN, at, undisturbed) is None


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_before_any_change_the_same_command_ends_as_if_undisturbed(server, runs, name):
    words = COMMANDS[name]
    (runs / "text.txt").write_text("Mr. Smith went to York .\n" * 5)
    cache = name in ("train", "prepare")
    if not cache:  # which then holds what the command reads
        clear(runs, cache=False)
        assert server.command(runs, *words).wait() == [0]
    clear(runs, cache=cache)
    made = changes(server, runs, words)
    undisturbed = contents(runs)
    bad = {}
    for at in range(1, len(made) + 1):
        clear(runs, cache=cache)
        if problem := kill_and_repeat(server, runs, words, at, undisturbed):
            bad[at, made[at - 1]] = problem
            print(name, at, made[at - 1], problem)
    print(f"{name}: {len(made)} kills, {len(bad)} failures")
    assert not bad, bad
