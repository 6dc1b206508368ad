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
from tests.comparison.made_runs import A_LINES, A_TYPES, B_LINES, B_TYPES, seqeval_on, tagged, write_run
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


@pytest.fixture
def validated(here):
    """The runs, with predictions on validation in which A is right more often than on test."""
    for run, types, said in (
        ("a", A_TYPES, ("B-PER O O B-ANIM", "O B-LOC I-LOC", "O O", "O O")),
        ("b", B_TYPES, ("O O O O", "O B-LOC O", "B-ORG O", "O O")),
    ):
        lines = tagged(types, *said)
        f1 = float(seqeval_on(lines, types)[2])
        rewrite(run, validation={"f1": f1, "precision": 0.25})
        text = "".join(json.dumps(line) + "\n" for line in lines)
        Path(run, "predictions/validation.jsonl").write_text(text)
    return here


def test_runs_are_compared_on_validation(validated, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert ner_dist(*compare(), "--split", "validation") == 0
    said = capsys.readouterr()
    assert "results.json says" not in said.err, "the headline is that of validation"
    figures = json.loads(written()["compare.json"])
    published = figures["headline"]["B"]["mean"]["validation"]["f1"]
    assert figures["split"] == "validation" and figures["shared"]["A"]["f1"] == 1.0
    assert figures["decomposition"]["B"]["grounds"]["B"]["own"] == published
    rows = [line for line in said.out.splitlines() if "F1" in line]
    assert any("gap in headline validation F1" in row for row in rows)
    assert "Validation split, 4 sentences that both tagged" in said.out
    page, short = (written()[name].decode() for name in ("report.html", "report.md"))
    for text in (page, short):
        assert "over other validation sentences" in text and "over other test sentences" not in text
    assert "validation sentences</th>" in page and "**validation F1**" in short


def test_plain_files_are_as_they_are_on_either_split(here):
    files = [f"{run}/predictions/test.jsonl" for run in "ab"]
    shared = []
    for split in ("test", "validation"):
        assert ner_dist(*compare(*files), "--no-html", "--split", split) == 0
        figures = json.loads(written()["compare.json"])
        assert figures["headline"]["A"]["mean"][split]["f1"] is not None
        shared.append(figures["uncertainty"]["models"])
    assert shared[0] == shared[1]


def test_a_run_without_predictions_on_validation(here, refused):
    assert refused(*compare(), "--split", "validation") == (
        "a/results.json: has no validation figures; train with data.splits.validation set"
    )
    rewrite("a", validation={"f1": 0.5})
    rewrite("b", validation={"f1": 0.5})
    assert refused(*compare(), "--split", "validation").startswith(
        "a/predictions/validation.jsonl: there are"
    )


class TestRequirements:
    def test_what_holds_is_said(self, here, capsys):
        assert ner_dist(*compare(), "--no-html", "--require", "B >= A - 2", "--require", "A > B - 2") == 0
        *_, first, second = capsys.readouterr().out.splitlines()
        assert first.startswith(
            "The requirement B >= A - 2 holds: by the 95 % interval of the trained models,"
        )
        assert second.startswith("The requirement A > B - 2 holds: ") and "F1 of A − B is" in second

    def test_what_fails_ends_with_1_after_everything_is_written(self, here, capsys):
        assert ner_dist(*compare(), "--require", "A >= B + .5", "--require", "B >= A - 2") == 1
        said = capsys.readouterr()
        (line,) = (line for line in said.err.splitlines() if "requirement" in line)
        assert (
            line.startswith("The requirement A >= B + .5 fails: ") and "F1 of A − B may be as low as" in line
        )
        assert "The requirement B >= A - 2 holds" in said.out
        files = written()
        assert set(files) == {"compare.json", "report.md", "report.html"}
        figures = json.loads(files["compare.json"])
        assert [each["holds"] for each in figures["requirements"]] == [False, True]
        (pair,) = figures["uncertainty"]["differences"]
        bounds = [each["low"] for each in figures["requirements"]]
        assert bounds == [-pair["micro"]["f1"]["high"], pair["micro"]["f1"]["low"]]

    def test_it_is_not_judged_where_the_gold_decides_who_leads(self, here, capsys):
        alike = [{"id": i, "tokens": [f"w{i}"], "gold": ["B-PER"], "predicted": ["B-PER"]} for i in range(9)]
        for run, tag in (("c", "B-PER"), ("d", "B-LOC")):
            own = [{"id": f"n{i}", "tokens": [f"n{i}"], "gold": [tag], "predicted": [tag]} for i in range(4)]
            write_run(Path(run), ["PER", "LOC"], [*alike, *own])
        for order in (("c", "d"), ("d", "c")):
            assert ner_dist(*compare(*order), "--no-html", "--require", "B >= A - 0.5") == 1
            said = capsys.readouterr().err
            assert "B >= A - 0.5 is not judged: whose gold is right decides whether B or A leads." in said
            assert json.loads(written()["compare.json"])["requirements"][0]["holds"] is None

    def test_figures_on_standard_output_stay_json(self, here, capsys):
        assert ner_dist(*compare(), "--no-html", "--json", "--require", "B >= A - 2") == 0
        said = capsys.readouterr()
        assert json.loads(said.out)["requirements"][0]["holds"] and "B >= A - 2 holds" in said.err

    @pytest.mark.parametrize(
        ("required", "said"),
        [
            ("B", "'B' is no requirement; write two models and what the first may lack, such as"),
            ("B = A", "'B = A' is no requirement"),
            ("B >= A - x", "'B >= A - x' is no requirement"),
            ("B <= A", "'B <= A' is no requirement"),
            ("A >= A", "'A >= A' requires a model to be better than itself"),
            ("C >= A", "there is no model C in 'C >= A'; the models are A and B"),
            ("B > Z - 0.1", "there is no model Z in 'B > Z - 0.1'"),
        ],
    )
    def test_what_cannot_be_required(self, here, refused, required, said):
        assert refused(*compare(), "--require", required).startswith(f"--require: {said}")
        assert not Path("out").exists()


def test_a_comparison_of_other_models_is_replaced_with_a_word(here, log_lines):
    Path("c").mkdir()
    Path("c/theirs.jsonl").write_bytes(Path("b/predictions/test.jsonl").read_bytes())
    for paths in (("a", "b"), ("a", "b"), ("a", "c/theirs.jsonl")):
        assert ner_dist(*compare(*paths), "--no-html") == 0
    said = [line for line in log_lines if "replaces" in line]
    assert said == ["replaces the comparison of a and b in out"]


class TestGroupedRuns:
    """`--runs` makes seeds of one model of plain files, whose recipes nobody knows."""

    @pytest.fixture
    def files(self, here):
        """Three seeds of two tools."""
        for tool, said in (("a", A_LINES), ("t", B_LINES)):
            for seed in range(3):
                lines = [line | {"predicted": ["O"] * len(line["gold"])} if i == seed else line
                         for i, line in enumerate(said)]  # fmt: skip
                Path(f"{tool}{seed}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return ["a0.jsonl,a1.jsonl,a2.jsonl", "t0.jsonl,t1.jsonl,t2.jsonl"]

    def test_files_are_seeds_of_one_model(self, files):
        assert ner_dist(*compare("--runs", f"A={files[0]}", "--runs", f"B={files[1]}"), "--no-html") == 0
        figures = json.loads(written()["compare.json"])
        assert [run["paths"] for run in figures["runs"].values()] == [each.split(",") for each in files]
        (pair,) = figures["uncertainty"]["differences"]
        assert pair["micro"]["f1"]["recipes"]["low"] < pair["micro"]["f1"]["recipes"]["high"]
        assert "1 training of each" not in figures["verdict"]["paragraph"]

    def test_other_arguments_have_the_other_letters(self, files):
        assert ner_dist(*compare("a", "--runs", f"A={files[1]}"), "--no-html") == 0
        runs = json.loads(written()["compare.json"])["runs"]
        assert {letter: len(run["paths"]) for letter, run in runs.items()} == {"A": 3, "B": 1}
        assert runs["B"]["paths"] == ["a"]

    def test_a_type_that_one_seed_never_has_is_the_models(self, here):
        for seed, tag in enumerate(("B-PER", "B-LOC")):
            line = {"id": 0, "tokens": ["Anna"], "gold": ["B-PER"], "predicted": [tag]}
            Path(f"s{seed}.jsonl").write_text(json.dumps(line) + "\n")
        assert ner_dist(*compare("s1.jsonl", "--runs", "B=s0.jsonl,s1.jsonl"), "--no-html") == 0
        assert json.loads(written()["compare.json"])["runs"]["B"]["labels"] == ["PER", "LOC"]

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (["--runs", "A=a0.jsonl,a1.jsonl"], "a comparison is of two runs or more"),
            (
                ["a", "--runs", "C=a0.jsonl,a1.jsonl"],
                "--runs: 'C' names no model; the letters of 2 models are A, B",
            ),
            (["a", "--runs", "a0.jsonl"], "--runs: 'a0.jsonl' is not LETTER=PATH,PATH; write"),
            (["a", "--runs", "B=a0.jsonl", "--runs", "B=a1.jsonl"], "--runs: B is named twice"),
            (["a", "--runs", "B=b,a1.jsonl"], "--runs: runs and files are named for B; name the runs'"),
            (["a", "--runs", "B=a0.jsonl,none.jsonl"], "none.jsonl: there is no such file"),
        ],
    )
    def test_what_is_no_group_is_refused(self, files, refused, given, said):
        assert refused(*compare(*given)).startswith(said)
