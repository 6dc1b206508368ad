"""Partial annotation, weights of sources and words without labels: as reproducible as any other training."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from tests.distributed.launching import events, results

pytestmark = pytest.mark.distributed

STEPS = 8


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, tiny_recipe):
    """Overrides for two sources of the embedded corpus that annotate different types, with gaps in one."""
    from ner_dist.data.synthetic import generate
    from ner_dist.recipe_data import Synthetic

    folder = tmp_path_factory.mktemp("mixed")
    for split, found in generate(Synthetic(train=150, validation=20, test=30, seed=1)).items():
        lines = [
            {"tokens": list(words), "ner_tags": [None if i % 7 == 3 else tag for i, tag in enumerate(tags)]}
            for words, tags in found
        ]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    dropped = dict.fromkeys(("LOC", "ORG", "DIS"))
    sizes = {"train": 150, "validation": 20, "test": 30}
    sources = [
        {"path": str(folder), "map": dropped, "weight": 2.0},
        {"path": "synthetic", "synthetic": sizes, "map": {"PER": None}},
    ]
    settings = ["data.path=null", f"data.sources={json.dumps(sources)}", f"train.max_steps={STEPS}"]
    return tiny_recipe, settings


def test_one_process_and_two_compute_the_same_and_a_resumed_run_too(server, mixed, tmp_path):
    recipe, settings = mixed
    one = server.start(recipe, f"output_dir={tmp_path / 'one'}", *settings)
    assert one.wait() == [0], one.text()
    two = server.start(recipe, f"output_dir={tmp_path / 'two'}", *settings, config="cpu", processes=2)
    assert two.wait() == [0, 0], two.text()
    for expected, got in zip(events(tmp_path / "one"), events(tmp_path / "two"), strict=True):
        assert got["loss"] == pytest.approx(expected["loss"], rel=1e-4)
        assert got["grad_norm"] == pytest.approx(expected["grad_norm"], rel=1e-3)
    first, second = results(tmp_path / "one"), results(tmp_path / "two")
    assert first["data"] == second["data"] and first["test"]["words"] == second["test"]["words"]

    resumed = server.start(
        recipe,
        f"output_dir={tmp_path / 'again'}",
        f"resume={tmp_path / 'one/checkpoints/step-000004'}",
        *settings,
    )
    assert resumed.wait() == [0], resumed.text()
    weights, expected = (load_file(tmp_path / name / "model/model.safetensors") for name in ("again", "one"))
    assert all(torch.equal(weights[name], weight) for name, weight in expected.items())
    assert results(tmp_path / "again")["test"]["f1"] == first["test"]["f1"]
