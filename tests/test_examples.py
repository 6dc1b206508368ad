"""The scripts in examples/ run, on tiny data, and print what they promise."""

from __future__ import annotations

import io
import json
import runpy
import sys

import pytest

import ner_dist
from tests.conftest import REPOSITORY
from tests.distributed.launching import RECIPE


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    (folder / "tiny.yaml").write_text(RECIPE, encoding="utf-8")
    return folder


@pytest.fixture
def example(folder, monkeypatch, capsys):
    """Runs a script of examples/ as a program; returns what it printed."""
    monkeypatch.chdir(folder)

    def run(name: str, *arguments: str, given: str = "") -> str:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        runpy.run_path(str(REPOSITORY / "examples" / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_train_compare_predict(example, folder):
    settings = ["train.max_steps=4"]
    trained = example("train.py", "tiny.yaml", "output_dir=full", *settings)
    assert trained.splitlines()[-1].endswith("model in full/model") and "PER      F1 0." in trained
    example("train.py", "tiny.yaml", "output_dir=subset", "labels=[PER, LOC]", *settings)

    compared = example("compare.py", "full", "subset", "comparison")
    shared = json.loads((folder / "comparison/compare.json").read_text())["shared"]
    assert compared.startswith(f"{shared['sentences']} sentences, types PER, LOC\n")
    assert f"subset: F1 {shared['B']['f1']:.4f} " in compared
    assert (folder / "comparison/report.html").is_file()

    predicted = example("predict.py", "full", given="Anna Berg visits York .\n\nYork\n")
    tags = ner_dist.load_tagger("full").tags([["Anna", "Berg", "visits", "York", "."], [], ["York"]])
    lines = [line.split("\t") for line in predicted.splitlines() if line]
    assert [tag for _, tag in lines] == [tag for sentence in tags for tag in sentence]
    assert [word for word, _ in lines] == ["Anna", "Berg", "visits", "York", ".", "York"]


def test_every_example_is_run():
    assert {path.name for path in (REPOSITORY / "examples").iterdir()} == {
        "train.py",
        "compare.py",
        "predict.py",
    }
