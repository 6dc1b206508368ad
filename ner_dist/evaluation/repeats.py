"""The scores of a split as it was published: with the repeated sentences that were dropped from it.

Repeats make intervals narrower than they are, so the headline figures are without them. Published figures
of standard test sets count them (CoNLL-2003: 3,453 test sentences, 3,184 of them distinct): both are given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.data.corpus import offsets_of
from ner_dist.evaluation import metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from ner_dist.data.prepare import PreparedSplit
    from ner_dist.evaluation.evaluate import EvaluationResult


def with_repeats(
    evaluation: EvaluationResult,
    split: PreparedSplit,
    *,
    gold_of: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> dict[str, Any] | None:
    """The entry `with_repeats` of a split's figures; None if nothing was dropped from it.

    A repeat has the words of a sentence that was scored, and so its prediction; its gold tags are its own.
    The model need not run again.

    Args:
        evaluation: of the sentences that were kept, with predictions.
        split: those sentences, and what was dropped.
        gold_of: gives label ids in the evaluation's labels for the data's own, int [W], and offsets [N+1].
    """
    repeats = split.repeats
    if repeats is None:
        return None
    assert evaluation.predicted is not None
    lengths = np.diff(split.offsets)[repeats.of]
    offsets = offsets_of(lengths)
    words = np.repeat(split.offsets[repeats.of] - offsets[:-1], lengths) + np.arange(offsets[-1])
    gold, predicted = gold_of(repeats.tags, offsets), evaluation.predicted[words]
    right = evaluation.correct_words + int((gold == predicted).sum())
    figures: dict[str, Any] = {}
    for name, scheme, counted in (
        ("strict", metrics.STRICT, evaluation.strict),
        ("lenient", metrics.LENIENT, evaluation.lenient),
    ):
        own = metrics.count(gold, predicted, offsets, evaluation.labels, strict=name == "strict")
        scores = metrics.scores(counted + own, evaluation.labels.types)
        figures[name] = {key: scores[key] for key in ("precision", "recall", "f1")} | {"scheme": scheme}
    return {
        **figures["strict"],
        "accuracy": right / (evaluation.words + len(gold)),
        "lenient": figures["lenient"],
        "sentences": evaluation.sentences + len(repeats.of),
        "words": evaluation.words + len(gold),
    }


def in_words(figures: dict[str, Any]) -> str:
    """The entry on one line."""
    return (
        f"F1 {figures['f1']:.4f}  precision {figures['precision']:.4f}  recall {figures['recall']:.4f}  "
        f"accuracy {figures['accuracy']:.4f} on all {figures['sentences']:,} sentences, repeats among them"
    )
