"""DeBERTa-v3 as the hub has it: of its tokenizer there is spm.model alone."""

from __future__ import annotations

from ner_dist.training.inputs import fetch
from tests.cases.conftest import settings
from tests.encoders import make_encoder


def test_data_is_prepared_with_it(tmp_path):
    folder = make_encoder("deberta-v3", tmp_path / "deberta")
    assert {path.name for path in folder.iterdir()} == {
        "config.json", "model.safetensors", "spm.model", "tokenizer_config.json",
    }  # fmt: skip
    data = fetch(settings("unseen_label", tmp_path / "run", f"model.name={folder}"))
    assert data.splits["train"].n_sentences > 0 and data.counts["train_words_without_subwords"] == 0
