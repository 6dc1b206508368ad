"""Validation F1 reaches 1.0 long before the model is trained: the weights kept are the surest ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import small

DATA = Path(__file__).parent / "iob2_conll2003"


@pytest.mark.soak
@pytest.mark.encoder
def test_of_equal_f1_the_lower_validation_loss_wins(tmp_path, minilm):
    settings = {
        "model": f"{{name: {minilm}}}",
        "data": f"{{path: {DATA}}}",
        "train": "{max_steps: 40, batch_tokens: 512, micro_batch_tokens: 512, learning_rate: 5.0e-4}",
        "evaluation.every": "8",
        "checkpoint.every": "null",
    }
    run = small.train(small.recipe(tmp_path, *(f"{key}={value}" for key, value in settings.items())))
    results = json.loads((run / "results.json").read_text())
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    scored = [event for event in events if event["event"] == "evaluation"]
    assert sum(event["f1"] == 1 for event in scored) > 2
    lowest = min(event["loss"] for event in scored)
    assert results["validation"]["loss"] == pytest.approx(lowest) and lowest < 0.02
    assert results["train"]["best_step"] > 30
    assert results["test"]["f1"] > 0.99 and results["test"]["loss"] < 0.05, "not 0.9773 and 0.2951"
