"""`ner-dist compare` from the command line: every refusal is one line, and no file is lost."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import ner_dist
from tests.comparison.made_runs import A_LINES, A_TYPES, B_LINES, B_TYPES, tagged, write_run
from tests.distributed.launching import environment


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The user's folder, with the runs a and b."""
    monkeypatch.chdir(tmp_path)
    write_run(Path("a"), A_TYPES, A_LINES)
    write_run(Path("b"), B_TYPES, B_LINES)
    return tmp_path


@pytest.fixture
def refused(capsys):
    """The one-line error of `ner-dist ARGUMENTS`."""

    def refused(*arguments: str) -> str:
        assert ner_dist(*arguments) == 2
        said = capsys.readouterr()
        errors = [line for line in said.err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1 and "Traceback" not in said.err, said.err
        return errors[0].removeprefix("error: ")

    return refused


def compare(*arguments: str) -> tuple[str, ...]:
    return ("compare", *(arguments or ("a", "b")), "--out", "out", "--resamples", "200")


def rewrite(run: str, **changes) -> None:
    """Change values of a run's results; None removes a key."""
    path = Path(run) / "results.json"
    whole = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in whole.items() if value is not None}))


def written(folder: str = "out") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


@pytest.fixture
def full_disk(monkeypatch):
    """Let every synced file, such as results, meet a full disk."""

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)


def test_a_full_disk_costs_nothing_that_was_there(here, refused, request):
    assert ner_dist(*compare()) == 0
    before = written()
    assert set(before) == {"compare.json", "report.md", "report.html"}
    request.getfixturevalue("full_disk")
    assert refused(*compare()) == (
        "out/compare.json: No space left on device; free disk space and repeat the command: "
        "what was saved is still there"
    )
    assert written() == before


def test_a_disk_too_full_for_the_report_of_a_run(here, refused, full_disk):
    (here / "a" / "metrics.jsonl").touch()
    assert refused("report", "a").startswith("a/report.html: No space left on device; free disk space")
    assert not [path for path in (here / "a").iterdir() if "report" in path.name]


@pytest.mark.parametrize("name", ["compare.json", "report.md", "report.html"])
def test_a_folder_in_the_place_of_what_is_written_is_found_before_the_work(here, refused, name, log_lines):
    (here / "out" / name).mkdir(parents=True)
    said = refused(*compare("a", "none"))
    assert said == f"--out out: holds a folder called {name}, which is to be a file; name another folder"


def test_a_folder_in_the_place_of_the_report_of_a_run(here, refused):
    (here / "a" / "metrics.jsonl").touch()
    (here / "a" / "report.html").mkdir()
    assert "holds a folder called report.html" in refused("report", "a")


def test_a_name_that_is_too_long(here, refused):
    said = refused("compare", "a", "none", "--out", "x" * 300)
    assert said.endswith("xxx: cannot be used: File name too long; name another folder")
    assert refused(*compare("a", "x" * 300)).endswith("xxx: File name too long; name a shorter one")


def test_a_path_that_may_not_be_looked_at(here, refused, monkeypatch):
    def denied(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "is_file", denied)
    assert refused(*compare()) == "a: Permission denied; get permission there, or name another place"


def test_figures_that_are_not_finite_are_not_known(here, capsys):
    rewrite(
        "a", train={"loss": float("nan")}, validation={"f1": float("inf"), "loss": 10**400, "macro": None}
    )
    rewrite("b", train={"loss": True})
    assert ner_dist(*compare()) == 0
    headline = json.loads(Path("out/compare.json").read_text())["headline"]
    assert headline["A"]["mean"]["train"]["loss"] is None is headline["B"]["mean"]["train"]["loss"]
    assert set(headline["A"]["mean"]["validation"].values()) == {None}
    assert "training loss" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": None}, "b/results.json: holds no `name` that can be used; name the run's predictions/"),
        ({"labels": None}, "b/results.json: holds no `labels` that can be used; name"),
        ({"labels": [1]}, "b/results.json: holds no `labels` that can be used; name"),
        ({"test": {"loss": 0.1}}, "b/results.json: holds no `test.f1` that can be used; name"),
        ({"test": {"f1": float("nan")}}, "b/results.json: holds no `test.f1` that can be used; name"),
        ({"test": [1]}, "b/results.json: holds no `test.f1` that can be used; name"),
        ({"name": "\ud800"}, "b/results.json: half of a surrogate pair"),
    ],
)
def test_results_that_lack_what_is_compared(here, refused, changes, said):
    rewrite("b", **changes)
    assert refused(*compare()).startswith(said)
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"name": "b", "labels": ["PER"], "test": null}',
            "has no test figures; name b/predictions/test",
        ),
        ("[]", "is not a JSON object"),
        ("[" * 100_000, "cannot be read"),
        ('{"f1": ' + "1" * 5000 + "}", "cannot be read"),
    ],
)
def test_results_that_are_none(here, refused, text, said):
    Path("b/results.json").write_text(text)
    assert refused(*compare()).startswith(f"b/results.json: {said}")


def test_names_and_types_are_no_markup(here, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    types = ["[/red]", ":dog:"]
    for run in "cd":
        lines = [{"gold": ["B-[/red]", "B-:dog:"], "predicted": ["B-[/red]", "O"]}]
        write_run(Path(run), types, lines, name=f"{run}[bold]")
    assert ner_dist(*compare("c", "d")) == 0
    printed = capsys.readouterr().out
    for shown in ("A (c[bold], 2 types)", "same ground: [/red], :dog:", "F1 [/red]", "F1 :dog:"):
        assert shown in printed


def test_names_of_files_that_are_not_utf_8(here, capsys):
    name = os.fsdecode(b"their\xff.jsonl")
    try:
        Path(name).write_bytes(Path("b/predictions/test.jsonl").read_bytes())
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    out = os.fsdecode(b"out\xff")
    assert ner_dist("compare", "a", name, "--out", out, "--resamples", "200") == 0
    assert "written to out�/report.html" in capsys.readouterr().out
    run = json.loads((Path(out) / "compare.json").read_text())["runs"]["B"]
    assert (run["name"], run["paths"]) == ("their�", ["their�.jsonl"])


def test_a_report_of_older_figures_does_not_stay(here):
    assert ner_dist(*compare()) == 0
    assert ner_dist(*compare(), "--no-html") == 0
    assert set(written()) == {"compare.json", "report.md"}


def test_a_file_that_is_not_there_is_no_run(here, refused):
    assert refused(*compare("a", "theirs.jsonl.gz")) == (
        "theirs.jsonl.gz: there is no such file; name a file of predictions, or a run's directory"
    )


def test_a_run_without_a_recipe_among_several(here, refused):
    write_run(Path("c"), A_TYPES, tagged(A_TYPES, "O O O O", "O O O", "O O", "O O"))
    assert refused(*compare("a", "b", "c")) == (
        "a: has no recipe.yaml, which says whether two runs are seeds of one model; compare it with one "
        "other run, or name its predictions/test.jsonl in its place"
    )


def test_the_folder_of_a_run_is_no_place_for_a_comparison(here, refused):
    (here / "a/recipe.yaml").write_text("name: a\n")
    said = refused("compare", "a", "b", "--out", "a")
    assert said == "--out a: is a run, which has a report of its own; name another folder"


def test_names_may_stand_in_one_word(here):
    assert ner_dist(*compare(), "--names", "A=all,B=some") == 0
    runs = json.loads(written()["compare.json"])["runs"]
    assert [run["name"] for run in runs.values()] == ["all", "some"]


def test_a_terminal_that_is_not_utf_8_is_told_all_the_same(here):
    words = [sys.executable, "-m", "ner_dist.cli", *compare()]
    env = environment() | {"PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(words, env=env, capture_output=True, check=True)
    assert b"written to out/report.html" in done.stdout
