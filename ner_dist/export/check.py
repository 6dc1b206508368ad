"""Compare the logits of an exported model with those of the model it was made from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.data.batch_plan import plan_evaluation
from ner_dist.data.corpus import Split
from ner_dist.data.encoding import encode
from ner_dist.data.synthetic import generate
from ner_dist.errors import UserError
from ner_dist.recipe_data import Synthetic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ner_dist.data.encoding import Encoded
    from ner_dist.model.exported import PlainTokenizer
    from ner_dist.prediction.scorers import Scorer
    from ner_dist.prediction.tagger import Tagger
    from ner_dist.run.directory import Run

SENTENCES = 50
"""Sentences on which every export is checked."""
TOLERANCE = 1e-4
"""Largest absolute difference of two logits."""


def check_sentences(run: Run, number: int = SENTENCES) -> tuple[list[list[str]], str]:
    """Sentences of all lengths that the run held out, or of the embedded corpus; also say which.

    Args:
        run: its directory may hold a model alone.
        number: how many sentences, if there are that many.
    """
    for split in ("validation", "test"):
        path = run.predictions(split)
        if path.exists():
            return [json.loads(line)["tokens"] for line in _spread(_lines(path), number)], split
    sentences = [words for words, _ in generate(Synthetic(train=1, validation=1, test=number))["test"]]
    return sentences, "the embedded corpus"


def _lines(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as file:
        return [line for line in file if not line.isspace()]


def _spread(lines: list[str], number: int) -> list[str]:
    """Some of the lines, from the shortest to the longest."""
    by_length = sorted(lines, key=len)
    chosen = np.linspace(0, len(lines) - 1, min(number, len(lines))).astype(int)
    return [by_length[i] for i in chosen]


def check_tokenizer(tokenizer: PlainTokenizer, tagger: Tagger, sentences: Sequence[list[str]]) -> Encoded:
    """Encode the sentences with the exported tokenizer; it has to give what the model's own gives.

    Raises:
        UserError: it does not.
    """
    split = Split.of_words(sentences)
    sizes = {"max_length": tagger.max_length, "overlap": tagger.overlap}
    exported, own = encode(split, tokenizer, **sizes), encode(split, tagger.tokenizer, **sizes)
    same = (
        np.array_equal(exported.input_ids, own.input_ids),
        np.array_equal(exported.word_index, own.word_index),
    )
    if not all(same):
        raise UserError(
            "the tokenizer.json that it writes gives other subwords than the tokenizer itself",
            where="--format onnx",
            fix="use the run itself",
        )
    return exported


def largest_difference(tagger: Tagger, exported: Scorer, encoded: Encoded) -> float:
    """Largest absolute difference of two logits of a word; NaN if one is not a number."""
    plan = plan_evaluation(encoded.lengths, encoded.sentence, batch_tokens=tagger.batch_tokens)
    micro_batches = plan.rank_micro_batches(0, 1)
    both = (each.word_logits(encoded, micro_batches) for each in (tagger.scorer, exported))
    passes = zip(*both, strict=True)
    return float(np.max([np.abs(given - expected).max(initial=0) for (_, expected), (_, given) in passes]))


def check_logits(difference: float, sentences: int) -> None:
    """Refuse an export that computes something else.

    Raises:
        UserError: the difference is larger than `TOLERANCE`, or is not a number.
    """
    if not difference <= TOLERANCE:
        raise UserError(
            f"on {sentences} sentences, its logits differ from torch's by up to {difference:.1e}, more than "
            f"{TOLERANCE:.0e}",
            where="--format onnx",
            fix="use the run itself",
        )
