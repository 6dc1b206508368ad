"""A damaged or endless file in a model's folder is refused in a line that names the file and the remedy."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from ner_dist.errors import UserError
from ner_dist.labels import LabelSet
from ner_dist.model.encoder import load_config, load_model
from ner_dist.model.tagger import load_tagging_model
from ner_dist.model.tokenizer import load_tokenizer
from ner_dist.recipe import Model
from tests.encoders import make_encoder

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return make_encoder("bert", tmp_path_factory.mktemp("sound") / "model")


@pytest.fixture
def folder(sound, tmp_path) -> Path:
    shutil.copytree(sound, tmp_path / "model")
    return tmp_path / "model"


def load(folder: Path) -> None:
    """Load everything of a model, as training does."""
    settings = Model(name=str(folder))
    config = load_config(settings)
    size = len(load_tokenizer(settings.name))
    load_model(settings, config, LabelSet.from_types(["PER"]), seed=1, vocab_size=size)


def refused(folder: Path) -> str:
    with pytest.raises(UserError) as found:
        load(folder)
    text = str(found.value)
    assert text.isprintable() and "hub" not in text, text
    return text


def test_a_sound_model_is_loaded(folder):
    load(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize(
    ("contents", "what"),
    [
        (POINTER, "is a Git LFS pointer, not the file itself; run `git lfs pull` there"),
        ("", "is empty; copy the file again"),
        ("[]", "holds []|is damaged or cut|holds \\[\\], not an object"),
        ("NaN", "holds NaN, not an object|is damaged or cut"),
        ("[" * 100_000, "is nested too deeply|is damaged or cut"),
        ('{"a": ', r"is not JSON \(.*\)|is damaged or cut"),
    ],
    ids=["pointer", "empty", "list", "NaN", "deep", "cut"],
)
def test_a_damaged_file_is_named(folder, name, contents, what):
    (folder / name).write_text(contents)
    said = refused(folder)
    assert any(f"{name} {each}" in said for each in ("is ", "holds ")), said
    assert any(part.split(" ")[0] in said for part in what.split("|"))


def test_weights_of_pytorch_that_are_cut(folder):
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    load(folder)
    whole = (folder / "pytorch_model.bin").read_bytes()
    (folder / "pytorch_model.bin").write_bytes(whole[: len(whole) // 2])
    assert "pytorch_model.bin is damaged or cut; copy the file again from where the model is from" in refused(
        folder
    )


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("target", ["/dev/zero", "pipe"])
def test_what_is_no_file_is_not_read(folder, name, target):
    (folder / name).unlink()
    if target == "pipe":
        os.mkfifo(folder / name)
    else:
        (folder / name).symlink_to(target)
    assert f"{folder / name}: it is a device or a pipe, not a file" in refused(folder)


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("num_labels", 10**9, "has 1e+09 labels (num_labels in config.json), and 100,000 at most"),
        ("num_hidden_layers", 10**9, "has 1e+09 layers (num_hidden_layers in config.json), and 10,000"),
        (
            "vocab_size",
            10**12,
            "would hold about 64,000 GB of weights; correct its sizes, or set NER_DIST",
        ),
        ("hidden_size", 10**7, "GB of weights"),
        ("hidden_dropout_prob", 2.0, "has hidden_dropout_prob 2.0 in config.json"),
    ],
)
def test_sizes_are_bounded_before_anything_is_allocated(folder, key, value, what):
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | {key: value}))
    assert what in refused(folder)


def test_the_limit_can_be_raised(folder, monkeypatch):
    monkeypatch.setenv("NER_DIST_MAX_MODEL_GB", "0.000001")
    assert "set NER_DIST_MAX_MODEL_GB to more than 1e-06" in refused(folder)
    monkeypatch.setenv("NER_DIST_MAX_MODEL_GB", "1")
    load(folder)
    monkeypatch.setenv("NER_DIST_MAX_MODEL_GB", "much")
    assert "NER_DIST_MAX_MODEL_GB: `much` is not a number; write GB, such as 200" in refused(folder)


def test_sizes_that_contradict_each_other(folder):
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | {"type_vocab_size": 0}))
    assert "cannot load the model" in refused(folder)
    with pytest.raises(UserError, match="cannot load the model"):
        load_tagging_model(folder, precision="fp32", device=torch.device("cpu"))


def test_ids_that_no_table_holds(folder):
    known = json.loads((folder / "tokenizer.json").read_text())
    known["model"]["vocab"]["zzz"] = 2**31 - 1
    (folder / "tokenizer.json").write_text(json.dumps(known))
    assert "a subword has the id 2,147,483,647; at most 10,000,000 is read" in refused(folder)
    known["model"]["vocab"]["zzz"] = 150_000
    (folder / "tokenizer.json").write_text(json.dumps(known))
    assert "with ids up to 150,000" in refused(folder)
