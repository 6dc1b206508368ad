"""A finished run: its figures belong to its data; its model is trained further in another run."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from ner_dist.errors import UserError
from ner_dist.evaluation.command import evaluate
from ner_dist.train import main
from tests import small

DUPS = Path(__file__).parents[1] / "cases" / "dups"
SHORT = ["train.max_steps=1", "checkpoint.every=null"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with `data` and a complete `run` on it."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copytree(DUPS, folder / "data")
    small.train(small.recipe(folder, *SHORT, f"data.path={folder / 'data'}"))
    return folder


@pytest.fixture
def here(trained, tmp_path, monkeypatch):
    """A copy of both, in the current directory; the cache knows the run's data under another path alone."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    text = (tmp_path / "run" / "recipe.yaml").read_text()
    (tmp_path / "run" / "recipe.yaml").write_text(text.replace(str(trained), str(tmp_path)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def again(here, *overrides):
    """Repeat the command."""
    return small.train(small.recipe(here, *SHORT, f"data.path={here / 'data'}", *overrides))


def rewrite(file, change):
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    change(rows)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def forget_the_stamp(here):
    """Make the run like one of a version that did not record it."""
    recipe = yaml.safe_load((here / "run" / "recipe.yaml").read_text())
    del recipe["provenance"]["data_source"]
    (here / "run" / "recipe.yaml").write_text(yaml.safe_dump(recipe))


def other_word(rows):
    rows[0]["tokens"][0] = "Other"


def other_tag(rows):
    rows[0]["ner_tags"] = ["B-LOC", *rows[0]["ner_tags"][1:]]


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    ("file", "change"),
    [("train", other_word), ("test", other_tag), ("validation", lambda rows: rows.pop())],
)
def test_figures_of_other_data_are_no_answer(here, file, change, old):
    if old:
        forget_the_stamp(here)
    rewrite(here / "data" / f"{file}.jsonl", change)
    with pytest.raises(UserError) as caught:
        again(here)
    assert str(caught.value) == (
        f"data.path {here / 'data'}: its words or tags differ from those that {here / 'run'} was trained and "
        "scored on; restore them, train again with resume=never, or name another output_dir"
    )


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("case", ["same", "reformatted", "gone", "other_files"])
def test_a_run_on_the_same_data_or_none_is_complete(here, log_lines, case, old):
    if old:
        forget_the_stamp(here)
    if case == "reformatted":
        rewrite(here / "data" / "train.jsonl", lambda rows: [row.update(id=i) for i, row in enumerate(rows)])
    elif case == "gone":
        shutil.rmtree(here / "data")
    elif case == "other_files":
        (here / "data" / "README.md").write_text("read me")
    before = (here / "run" / "results.json").read_bytes()
    again(here)
    assert [line for line in log_lines if "holds this run, complete" in line]
    assert (here / "run" / "results.json").read_bytes() == before
    read = [line for line in log_lines if line.startswith("reading ")]
    assert bool(read) == (case == "reformatted" or (old and case != "gone")), "only where it may differ"


def test_data_that_cannot_be_read_is_said_not_to_be_known(here, log_lines):
    (here / "data" / "test.jsonl").write_text("[]\n")
    again(here)
    (line,) = [
        line for line in log_lines if line.startswith("cannot check whether the data of this run has changed")
    ]
    assert line.endswith(f" has changed: {here / 'data'}/test.jsonl:1: [] is not a JSON object")
    assert [line for line in log_lines if "holds this run, complete" in line]


def test_the_remedies_work(here):
    rewrite(here / "data" / "train.jsonl", other_word)
    again(here, f"output_dir={here / 'other'}")
    again(here, "resume=never")
    assert (here / "run.old-1" / "results.json").exists()
    again(here)


def test_a_run_is_scored_in_the_windows_of_its_training_on_any_data(here):
    windows = ["train.batch_tokens=32", "train.micro_batch_tokens=16", f"output_dir={here / 'windows'}"]
    results = json.loads((again(here, *windows) / "results.json").read_text())
    assert results["data"]["test_windows"] > results["test"]["sentences"]
    scored = evaluate(
        str(here / "windows"), data=str(here / "data"), split="test", settings=[], precision="fp32"
    )
    assert scored.scores.loss == pytest.approx(results["test"]["loss"], rel=1e-6)


def test_a_finished_model_is_trained_further_as_the_message_says(here, capsys):
    small.recipe(here)
    data = [f"data.path={here / 'data'}", "train.max_steps=2", "checkpoint.every=null"]
    assert main(["tiny.yaml", "output_dir=run", *data]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == (
        "error: output_dir run: holds a finished run with other settings (they differ in train.max_steps); "
        "its schedule has ended: to train its model further, pass model.name=run/model and another "
        "output_dir; to start over, pass overwrite=true, which moves the old run aside"
    )
    (remedy,) = shlex.split(said.split("pass ")[1].split(" and ")[0])
    assert main(["tiny.yaml", "output_dir=further", remedy, *data]) == 0
    assert (here / "further" / "results.json").exists()
