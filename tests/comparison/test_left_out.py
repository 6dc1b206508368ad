"""What a comparison leaves out is found, said, and refused where little is left."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ner_dist.comparison.compare import compare
from ner_dist.errors import UserError


def lines(seed: int, sentences: int = 400, *, error: float = 0.15) -> list[dict]:
    """Predictions of a model that gets some names wrong."""
    gold = np.random.default_rng(0).random(sentences) < 0.6
    wrong = np.random.default_rng(seed).random(sentences) < error
    return [
        {
            "id": number,
            "tokens": [f"Name{number}", "Sleeps"],
            "gold": ["B-PER" if entity else "O", "O"],
            "predicted": ["B-PER" if entity != error else "O", "O"],
        }
        for number, (entity, error) in enumerate(zip(gold.tolist(), wrong.tolist(), strict=True))
    ]


def written(path, rows) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def compared(tmp_path):
    def make(a, b, **options):
        files = written(tmp_path / "a.jsonl", a), written(tmp_path / "b.jsonl", b)
        return compare(*files, out=tmp_path / "out", resamples=200, **options)

    return make


def test_a_file_that_leaves_out_what_its_model_gets_wrong_is_caught(compared):
    right = [row for row in lines(1, error=0.3) if row["gold"] == row["predicted"]]
    # The models err on the same sentences, as models do.
    found = compared(lines(1, error=0.3), right)
    (remark,) = found.alignment.harder
    number = 400 - len(right)
    assert remark.startswith(f"The {number} sentences of A that other files lack are harder: A gets 100 %")
    assert remark in found.verdict.caveats
    assert f"which leaves out {number} of A" in found.verdict.paragraph


def test_sentences_that_are_missing_by_chance_are_no_reason_for_suspicion(compared):
    assert compared(lines(1), lines(2)[::2]).alignment.harder == []


def test_another_test_set_is_refused_unless_asked_for(compared):
    other = lines(2)[:40] + [row | {"tokens": ["Other", f"Words{row['id']}"]} for row in lines(2)[40:]]
    with pytest.raises(UserError, match="only 40 of 400 sentences can be compared") as error:
        compared(lines(1), other)
    assert "--partial" in str(error.value.fix)
    assert compared(lines(1), other, partial=True).shared.sentences == 40


def test_lower_cased_words_are_recognised(compared):
    small = [row | {"tokens": [word.lower() for word in row["tokens"]]} for row in lines(2)]
    found, plain = compared(lines(1), small), compared(lines(1), lines(2))
    assert found.shared == plain.shared
    assert "Files write words in other case: sentences were aligned in lower case." in found.alignment.notes
