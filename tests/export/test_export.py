"""`ner-dist export`: the folder computes what torch computes, and is complete or absent."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.main import get_command

from ner_dist.cli import app
from ner_dist.errors import UserError
from ner_dist.export import check, command
from ner_dist.export.check import check_logits, check_sentences
from ner_dist.model.exported import MANIFEST, ExportedModel
from ner_dist.run.directory import Run
from tests import small

pytest.importorskip("onnxscript", reason="no onnxscript: pip install 'ner_dist[onnx]'")
pytest.importorskip("onnxruntime", reason="no ONNX Runtime: pip install 'ner_dist[onnx]'")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """A run whose long sentences have windows."""
    folder = tmp_path_factory.mktemp("export")
    settings = ["train.max_steps=40", "model.scratch.max_length=24", "train.learning_rate=5e-3"]
    settings += ["train.class_weights=balanced", "evaluation.every=40", "evaluation.decode=viterbi"]
    return Run(small.train(small.recipe(folder, *settings)))


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "onnx"
    get_command(app)(["export", str(run.folder), str(folder)], standalone_mode=False)
    return folder


@pytest.fixture(scope="module")
def quantised(run, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("quantised") / "onnx"
    command.export(str(run.folder), folder, quantise="int8", allow_loss=1.0)
    return folder


def test_the_folder_says_how_it_was_checked(run, exported):
    manifest = ExportedModel.open(exported).manifest
    assert (manifest.precision, manifest.checked_sentences) == ("fp32", check.SENTENCES)
    assert 0 < manifest.largest_difference <= check.TOLERANCE
    assert (manifest.max_length, manifest.overlap) == (24, 6)


def test_an_existing_folder_is_left_alone(run, exported):
    before = (exported / MANIFEST).read_bytes()
    with pytest.raises(UserError, match="exists already; name another folder, or delete it"):
        command.export(str(run.folder), exported)
    assert (exported / MANIFEST).read_bytes() == before


def test_an_export_that_fails_leaves_nothing(run, tmp_path, monkeypatch):
    monkeypatch.setattr(check, "TOLERANCE", 0.0)
    with pytest.raises(UserError, match="its logits differ from torch's"):
        command.export(str(run.folder), tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("difference", [1.1e-4, float("nan")])
def test_logits_that_differ_are_refused(difference):
    check_logits(0.9e-4, 50)
    with pytest.raises(UserError, match="differ"):
        check_logits(difference, 50)


def test_int8_is_smaller_and_scored(exported, quantised):
    manifest = ExportedModel.open(quantised).manifest
    assert manifest.precision == "int8" and manifest.validation_f1.fp32 > 0.05
    (before,), (after,) = ([*(folder / "onnx").iterdir()] for folder in (exported, quantised))
    assert after.stat().st_size < before.stat().st_size


def test_int8_that_loses_too_much_leaves_nothing(run, tmp_path):
    # No model gains that much.
    with pytest.raises(UserError, match=r"int8 loses .* more than -1; leave --quantise out"):
        command.export(str(run.folder), tmp_path / "out", quantise="int8", allow_loss=-1)
    assert not list(tmp_path.iterdir())


def test_sentences_of_the_check_are_those_held_out_else_the_embedded_corpus(run, tmp_path):
    sentences, origin = check_sentences(run)
    lengths = list(map(len, sentences))
    assert origin == "validation" and len(sentences) == 50 and max(lengths) > 2 * min(lengths)
    sentences, origin = check_sentences(Run(tmp_path))
    assert origin == "the embedded corpus" and len(sentences) == 50
