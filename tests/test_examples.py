"""The scripts in examples/ run on tiny data and print the expected output."""

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
    """Run a script of examples/ as a program; return its output."""
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

    texts = ["Anna Berg visits York.", "", "York"]
    lines = example("predict.py", "full", given="\n".join(texts)).splitlines()
    assert [line for line in lines if not line.startswith("  ")] == texts
    entities = [each for of_text in ner_dist.load_tagger("full").spans(texts) for each in of_text]
    assert [line.split()[0] for line in lines if line.startswith("  ")] == [
        f"{each.start}-{each.end}" for each in entities
    ]


def test_presidio_finds_what_the_tagger_finds(example, folder):
    pytest.importorskip("presidio_analyzer", reason="presidio-analyzer is not installed")
    if not (folder / "full").exists():
        example("train.py", "tiny.yaml", "output_dir=full", "train.max_steps=4")
    text = "Anna Berg, DE89 3704 0044 0532 0130 00"
    printed, *lines = example("presidio_recognizer.py", "full", given=text).splitlines()
    assert printed == text and "  11-38 IBAN_CODE DE89 3704 0044 0532 0130 00 (1.00)" in lines
    names = {"PER": "PERSON", "LOC": "LOCATION", "ORG": "ORGANIZATION"}
    (entities,) = ner_dist.load_tagger("full").spans([text])
    found = {f"  {each.start}-{each.end} {names.get(each.type, each.type)} {each.text}" for each in entities}
    assert {line.rpartition(" ")[0] for line in lines if "IBAN" not in line} <= found
    assert lines and found


def test_every_example_is_run():
    assert {path.name for path in (REPOSITORY / "examples").iterdir()} == {
        "train.py",
        "compare.py",
        "predict.py",
        "presidio_recognizer.py",
    }
