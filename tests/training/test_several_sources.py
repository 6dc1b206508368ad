"""Training on sources that annotate different types: what one does not annotate is no negative."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests import small

PEOPLE = [f"Per{i}" for i in range(12)]
PLACES = [f"Loc{i}" for i in range(12)]
LEARN = ["train.max_steps=60", "train.learning_rate=6e-3", "model.scratch.hidden_size=48"]


def sentences(seed: int, number: int) -> list[tuple[list[str], list[str]]]:
    """`Per3 saw w17 in Loc5`, with both types."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        person, place, word = rng.choice(PEOPLE), rng.choice(PLACES), f"w{rng.integers(100)}"
        found.append(([person, "saw", word, "in", place], ["B-PER", "O", "O", "O", "B-LOC"]))
    return found


def write(path: Path, found, types: str) -> Path:
    """A file in which only some types are annotated."""
    path.parent.mkdir(exist_ok=True)
    rows = [
        {"tokens": words, "ner_tags": [tag if tag[2:] in types.split() else "O" for tag in tags]}
        for words, tags in found
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def sources(tmp_path):
    """Two training sets of one type each, and a test set of both."""
    only_train = {"validation": None, "test": None}
    return [
        {"path": str(write(tmp_path / "per.jsonl", sentences(1, 150), "PER")), "splits": only_train},
        {"path": str(write(tmp_path / "loc.jsonl", sentences(2, 150), "LOC")), "splits": only_train},
        {
            "path": str(write(tmp_path / "gold/test.jsonl", sentences(3, 60), "PER LOC").parent),
            "splits": {"train": None, "validation": None},
        },
    ]


def trained(folder: Path, sources: list[dict], *settings: str) -> dict:
    folder.mkdir()
    recipe = small.recipe(folder, "data.path=null", f"data.sources={json.dumps(sources)}", *settings)
    run = small.train(recipe)
    return json.loads((run / "results.json").read_text())


def test_partial_annotation_matters(sources, tmp_path):
    """Without it each source teaches that the other's entities are none."""
    partial = trained(tmp_path / "partial", sources, *LEARN)
    claimed = [source | {"types": ["PER", "LOC"]} for source in sources]
    negatives = trained(tmp_path / "negatives", claimed, *LEARN)
    assert partial["labels"] == ["PER", "LOC"]
    assert partial["test"]["f1"] > 0.9
    assert negatives["test"]["f1"] < partial["test"]["f1"] - 0.2
    assert [source["types"] for source in partial["data"]["sources"]] == [["PER"], ["LOC"], ["PER", "LOC"]]


def test_a_type_is_not_scored_where_it_is_not_annotated(sources, tmp_path):
    """Test sentences without the persons: a predicted person is neither right nor wrong there."""
    write(tmp_path / "gold/test.jsonl", sentences(3, 60), "LOC")
    results = trained(tmp_path / "run", sources, *LEARN)
    assert results["test"]["f1"] > 0.9
    assert results["test"]["per_type"]["PER"]["support"] == 0
    lines = (tmp_path / "run/run/predictions/test.jsonl").read_text().splitlines()
    assert not any("PER" in tag for line in lines for tag in json.loads(line)["predicted"])
