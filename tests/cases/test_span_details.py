"""Every change to a span is in a file beside the prepared data, and every start of a training names it."""

from __future__ import annotations

import json
import logging

from ner_dist.data.prepare import prepare
from ner_dist.data.prepared import DETAILS
from ner_dist.data.report import say_notes
from ner_dist.model.encoder import load_config
from ner_dist.recipe import SCRATCH
from ner_dist.recipe_file import load_recipe

ROWS = [{"text": f"{n} Ann in Berlin", "label": [[len(f"{n} "), len(f"{n} An"), "PER"]]} for n in range(20)]


def test_details_are_kept_with_the_data(tmp_path, caplog):
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    settings = [f"data.path={tmp_path}", f"data.cache_dir={tmp_path / 'cache'}", f"model.name={SCRATCH}"]
    recipe = load_recipe("recipes/own_data.yaml", [*settings, "output_dir=runs/x"])
    for start in range(2):
        with caplog.at_level(logging.INFO):
            caplog.clear()
            data = prepare(recipe, load_config(recipe.model))
            say_notes(data)
        assert data.just_made == (start == 0)
        lines = (data.folder / DETAILS).read_text().splitlines()
        assert len(lines) == 3 * len(ROWS)
        assert lines[0] == f"{tmp_path / 'train.jsonl'}:1: misaligned: `An` (PER) becomes `Ann`"
        said = [record.getMessage() for record in caplog.records]
        assert sum("20 spans begin or end within a word" in line for line in said) == 3
        assert any(str(data.folder / DETAILS) in line for line in said)
        assert not any(line in said for line in lines)
