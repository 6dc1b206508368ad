"""`ner-dist export`: what is checked, and which families it takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from ner_dist.errors import UserError
from ner_dist.export import command
from ner_dist.export.check import check_logits
from ner_dist.labels import LabelSet
from ner_dist.model.exported import Manifest
from tests.conftest import REPOSITORY
from tests.encoders import make_encoder

pytest.importorskip("onnxscript", reason="no onnxscript: pip install 'ner_dist[onnx]'")
pytest.importorskip("onnxruntime", reason="no ONNX Runtime: pip install 'ner_dist[onnx]'")


def test_the_page_names_every_key_of_the_manifest():
    page = (REPOSITORY / "docs/export.md").read_text(encoding="utf-8")
    rows = page.split("| key of `export.json` |")[1].split("\n\n")[0]
    keys = [key for row in rows.splitlines()[2:] for key in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert keys == list(Manifest.model_fields)


@pytest.mark.parametrize("difference", [1.1e-4, float("nan")])
def test_logits_that_differ_are_refused(difference):
    check_logits(0.9e-4, 50)
    with pytest.raises(UserError, match="differ"):
        check_logits(difference, 50)


def tagging_model(name: str, folder: Path) -> Path:
    """A tiny model of a family, with weights so large that its logits differ clearly between words."""
    from transformers import AutoModelForTokenClassification

    from ner_dist.model.tokenizer import load_tokenizer

    labels = LabelSet.from_types(["PER", "LOC"])
    encoder = make_encoder(name, folder / "encoder")
    torch.manual_seed(0)
    model = AutoModelForTokenClassification.from_pretrained(
        encoder, id2label=labels.id2label, label2id=labels.label2id
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(10)
    model.save_pretrained(folder / "model")
    load_tokenizer(str(encoder)).save_pretrained(folder / "model")
    return folder / "model"


@pytest.mark.soak
@pytest.mark.parametrize("name", ["bert", "distilbert", "deberta-v3", "modernbert"])
def test_families_that_can_be_exported(name, tmp_path):
    manifest = command.export(str(tagging_model(name, tmp_path)), tmp_path / "onnx")
    assert 0 < manifest.largest_difference <= 1e-4


@pytest.mark.soak
def test_a_family_that_cannot_is_one_line(tmp_path):
    with pytest.raises(UserError, match="cannot export a model of the family xlnet: "):
        command.export(str(tagging_model("xlnet", tmp_path)), tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()
