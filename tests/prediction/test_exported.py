"""Predictions with an exported model are those of torch, without torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from tokenizers import normalizers
from typer.main import get_command

import ner_dist
from ner_dist.cli import app
from ner_dist.errors import UserError
from ner_dist.evaluation.operating_curve import read_curve
from ner_dist.export import check, command
from ner_dist.export.check import check_sentences, check_tokenizer, largest_difference
from ner_dist.export.quantise import quantise_int8
from ner_dist.model.exported import FP32, INT8, MANIFEST, ExportedModel
from ner_dist.prediction.scorers import OnnxScorer
from ner_dist.run.directory import Run
from tests.distributed.launching import environment

pytest.importorskip("onnxscript", reason="no onnxscript: pip install 'ner_dist[onnx]'")
pytest.importorskip("onnxruntime", reason="no ONNX Runtime: pip install 'ner_dist[onnx]'")

LIGHT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
from ner_dist.cli import main

del sys.argv[1]
main()
"""
"""`ner-dist` without the packages that its first argument names."""
HEAVY = "torch,transformers,accelerate,datasets,scipy,pyarrow,safetensors,huggingface_hub,matplotlib,jinja2"


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "onnx"
    get_command(app)(["export", str(run.folder), str(folder)], standalone_mode=False)
    return folder


@pytest.fixture(scope="module")
def taggers(run, exported):
    return ner_dist.load_tagger(run.folder, device="cpu"), ner_dist.load_tagger(exported)


@pytest.fixture
def copied(exported, tmp_path) -> ExportedModel:
    return ExportedModel.open(shutil.copytree(exported, tmp_path / "copy"))


def test_the_folder_says_how_it_was_checked(run, exported):
    manifest = ExportedModel.open(exported).manifest
    assert (manifest.model, manifest.precision, manifest.checked_sentences) == (FP32, "fp32", 50)
    assert 0 < manifest.largest_difference <= 1e-4
    assert (manifest.max_length, manifest.overlap) == (24, 4)
    assert read_curve(exported) == read_curve(run.model) is not None


def test_it_tags_the_words_of_a_run_as_the_run_did(run, taggers):
    rows = list(map(json.loads, run.predictions("test").read_text(encoding="utf-8").splitlines()))
    tags = taggers[1].tags([row["tokens"] for row in rows])
    assert tags == [row["predicted"] for row in rows]
    assert any(tag != "O" for each in tags for tag in each)


def test_it_finds_the_entities_in_texts_that_torch_finds(run, taggers):
    sentences, _ = check_sentences(run)
    texts = ["", " ".join(word for words in sentences for word in words), *map(" ".join, sentences[:9])]
    for own, other in zip(*(tagger.spans(texts) for tagger in taggers), strict=True):
        assert [asdict(each) | {"probability": None} for each in own] == [
            asdict(each) | {"probability": None} for each in other
        ]
        probabilities = [[each.probability for each in entities] for entities in (own, other)]
        assert probabilities[0] == pytest.approx(probabilities[1], abs=2e-4)
    assert own


def test_an_evaluation_takes_the_folder(exported, run):
    options = {"data": "synthetic", "settings": ["data.synthetic.train=300", "data.synthetic.test=83"]}
    own, other = (ner_dist.evaluate(each, precision="fp32", **options) for each in (run.model, exported))
    assert own.scores.f1 == other.scores.f1 > 0


@pytest.mark.parametrize("options", [[], ["--backend=onnx", "--threshold=.3", "--format=conll"]])
def test_predicting_needs_neither_torch_nor_transformers(run, exported, tmp_path, options):
    source = tmp_path / "in.txt"
    source.write_text("Anna Berg visits York.\n\nA day at the University of York\n", encoding="utf-8")
    code = [sys.executable, "-c", LIGHT]
    words = ["predict", str(exported), str(source), *options]
    light = subprocess.run([*code, HEAVY, *words], env=environment(), capture_output=True, text=True)
    assert light.returncode == 0, light.stderr
    whole = Path(tmp_path / "whole")
    get_command(app)([*words[:1], str(exported), *words[2:], "-o", f"{whole}.jsonl"], standalone_mode=False)
    assert light.stdout == Path(f"{whole}.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backend": "torch"}, "is an exported model; name the run, or leave --backend out"),
        ({"precision": "bf16"}, "the exported model computes in fp32, not in bf16"),
    ],
)
def test_what_an_exported_model_cannot_do_is_refused(exported, tmp_path, settings, message):
    from ner_dist.prediction.command import Prediction, predict

    (tmp_path / "in.txt").write_text("York", encoding="utf-8")
    with pytest.raises(UserError, match=message):
        predict(Prediction(str(exported), str(tmp_path / "in.txt"), None, "jsonl", **settings))


def test_what_only_an_exported_model_can_do_is_refused(run, tmp_path):
    from ner_dist.prediction.command import Prediction, check

    (tmp_path / "in.txt").write_text("York", encoding="utf-8")
    with pytest.raises(UserError, match="is no exported model; write one: ner-dist export "):
        check(Prediction(str(run.folder), str(tmp_path / "in.txt"), None, "jsonl", backend="onnx"))


def test_an_existing_folder_is_left_alone(run, exported):
    before = (exported / MANIFEST).read_bytes()
    with pytest.raises(UserError, match="exists already; name another folder, or delete it"):
        command.export(str(run.folder), exported)
    assert (exported / MANIFEST).read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (MANIFEST, "{}", "export.json: ner_dist: Field required; export the model again"),
        (MANIFEST, '{"format": 2', "export.json: the file: Invalid JSON"),
        ("tokenizer.json", "{", "tokenizer.json: cannot be read"),
        ("config.json", "{}", "config.json: id2label does not name the labels"),
        (FP32, "", "model.onnx: cannot be loaded"),
    ],
)
def test_a_damaged_folder_is_one_line(copied, name, content, message):
    (copied.folder / name).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        ner_dist.load_tagger(copied.folder)


def test_other_weights_are_found_by_the_check(run, taggers, exported):
    encoded = check_tokenizer(ExportedModel.open(exported).tokenizer(), taggers[0], check_sentences(run)[0])
    assert largest_difference(taggers[0], taggers[1].scorer, encoded) <= check.TOLERANCE
    other = ner_dist.load_tagger(run.folder, device="cpu")
    with torch.no_grad():
        list(other.scorer.model.parameters())[-1][0] += 2e-4
    assert largest_difference(other, taggers[1].scorer, encoded) > check.TOLERANCE


def test_another_tokenizer_is_refused(run, taggers, exported):
    tokenizer = ExportedModel.open(exported).tokenizer()
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    with pytest.raises(UserError, match="gives other subwords"):
        check_tokenizer(tokenizer, taggers[0], [["Anna", "Berg"]])


def test_int8_is_smaller_and_scored(run, copied):
    before = (copied.folder / FP32).stat().st_size
    quantised = quantise_int8(str(run.folder), copied, allowed=1.0, data=None)
    assert [path.name for path in (copied.folder / "onnx").iterdir()] == [Path(INT8).name]
    assert (copied.folder / INT8).stat().st_size < before
    figures = json.loads(run.results.read_text(encoding="utf-8"))
    assert quantised.manifest.validation_f1.fp32 == figures["validation"]["f1"] > 0


def test_int8_that_loses_too_much_is_refused(run, copied):
    # No model gains that much.
    with pytest.raises(UserError, match=r"int8 loses .* more than -1; leave --quantise out"):
        quantise_int8(str(run.folder), copied, allowed=-1, data=None)


def test_sentences_of_the_check_are_those_held_out_else_the_embedded_corpus(run, tmp_path):
    sentences, origin = check_sentences(run)
    lengths = list(map(len, sentences))
    assert origin == "validation" and len(sentences) == 50 and max(lengths) > 2 * min(lengths)
    sentences, origin = check_sentences(Run(tmp_path))
    assert origin == "the embedded corpus" and len(sentences) == 50


@pytest.mark.soak
def test_a_thousand_sentences(run, taggers, exported, tmp_path):
    sentences, _ = check_sentences(Run(tmp_path), 1000)
    model = ExportedModel.open(exported)
    encoded = check_tokenizer(model.tokenizer(), taggers[0], sentences)
    assert largest_difference(taggers[0], OnnxScorer(model.session(), model.manifest.pad_id), encoded) <= 1e-4


@pytest.mark.soak
def test_an_export_that_fails_leaves_nothing(run, tmp_path, monkeypatch):
    monkeypatch.setattr(check, "TOLERANCE", 0.0)
    with pytest.raises(UserError, match="its logits differ from torch's"):
        command.export(str(run.folder), tmp_path / "out")
    assert not list(tmp_path.iterdir())
