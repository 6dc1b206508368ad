"""docs/formats.md describes the state of a checkpoint with every key that is written, and no other."""

from __future__ import annotations

import re

from ner_dist.training.checkpoint_files import CheckpointReader
from tests import small
from tests.conftest import REPOSITORY


def test_the_page_and_a_saved_state_have_the_same_keys(tmp_path):
    trainer = small.trainer(small.recipe(tmp_path, "train.max_steps=2"))
    with trainer.open_metrics_log() as metrics_log:
        next(trainer.steps())
        trainer.evaluate(1, metrics_log)
        trainer.save_checkpoint(metrics_log)
        trainer.checkpoints.wait()
    page = (REPOSITORY / "docs" / "formats.md").read_text(encoding="utf-8")
    of_step, of_best = page.split("`state.json` of a step:")[1].split("`state.json` of the best weights has ")
    rows = re.findall(r"^\| (`[^|]+`) \|", of_step, flags=re.M)
    described = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    assert described == CheckpointReader(trainer.checkpoints.steps()[-1]).state.keys()
    best = CheckpointReader(trainer.checkpoints.best(1)).state
    assert set(re.findall(r"`(\w+)`", of_best.split(".")[0])) == best.keys()
