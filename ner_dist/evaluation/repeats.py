"""The scores of a split as it was published: with the repeated sentences that were dropped from it.

Repeats make intervals narrower than they are, so the headline figures are without them. Published figures
of standard test sets count them (CoNLL-2003: 3,453 test sentences, 3,184 of them distinct): both are given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ner_dist.data.corpus import offsets_of
from ner_dist.evaluation import metrics
from ner_dist.evaluation.figures import LenientFigures, RepeatsFigures
from ner_dist.labels import UNLABELLED

if TYPE_CHECKING:
    from collections.abc import Callable

    from ner_dist.data.prepared import PreparedSplit
    from ner_dist.evaluation.evaluate import EvaluationResult


def with_repeats(
    evaluation: EvaluationResult,
    split: PreparedSplit,
    *,
    gold_of: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> RepeatsFigures | None:
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
    places = np.repeat(split.offsets[repeats.of] - offsets[:-1], lengths) + np.arange(offsets[-1])
    gold, predicted = gold_of(repeats.tags, offsets), evaluation.predicted[places]
    words = evaluation.words + int((gold != UNLABELLED).sum())
    right = evaluation.correct_words + int((gold == predicted).sum())
    strict, lenient = (
        metrics.scores(
            counted + metrics.count(gold, predicted, offsets, evaluation.labels, strict=is_strict),
            evaluation.labels.types,
        )
        for counted, is_strict in ((evaluation.strict, True), (evaluation.lenient, False))
    )
    return RepeatsFigures(
        precision=strict.precision,
        recall=strict.recall,
        f1=strict.f1,
        scheme=metrics.STRICT,
        accuracy=right / max(words, 1),
        lenient=LenientFigures(lenient.precision, lenient.recall, lenient.f1, metrics.LENIENT),
        sentences=evaluation.sentences + len(repeats.of),
        words=words,
    )
