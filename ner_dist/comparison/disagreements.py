"""The sentences worth looking at: where a model errs, or where models differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.comparison.matching import CORRECT, KINDS
from ner_dist.evaluation.metrics import sentence_of

if TYPE_CHECKING:
    from ner_dist.comparison.aligned import AlignedPredictions
    from ner_dist.comparison.matching import Outcome
    from ner_dist.labels import Spans


def disagreements(aligned: AlignedPredictions, *, limit: int | None = None) -> list[dict[str, Any]]:
    """Distinct sentences on which a model's first run errs, or on which the first runs of two models differ.

    Of a sentence's copies the first is shown on which that is so.

    Args:
        aligned: the sentences.
        limit: how many at most. Those on which models differ come first; each group is in the data's order.

    Returns:
        Of each sentence `id` (its place counted from 1, if it has none), `tokens` (or None), `words` and
        `copies` (numbers), `gold` and `predicted` entities by model as `[type, first word, word behind the
        last]`; `errors` by model: `[kind, type, first word, word behind the last]` of every entity that is
        not correct, the gold ones first, so that of a pair that does not match both are there; `disagree`,
        whether models differ.
    """
    found = {model: outcomes[0] for model, outcomes in aligned.outcomes.items()}
    differ = _differ(aligned, list(found.values()))
    err = np.zeros(len(aligned), dtype=bool)
    for each in found.values():
        for spans, kind in _sides(each):
            err[sentence_of(spans.start[kind != CORRECT], aligned.offsets)] = True
    shown = np.flatnonzero(differ | err)
    # Stable, so that what comes first of a unit, and of each group, is what comes first in the data.
    shown = shown[np.argsort(~differ[shown], kind="stable")]
    shown = shown[np.sort(np.unique(aligned.unit[shown], return_index=True)[1])][:limit]
    return _Sentences(aligned, found).of(shown, differ)


def _differ(aligned: AlignedPredictions, found: list[Outcome]) -> np.ndarray:
    """bool [N]: sentences in which the predicted entities of two models are not the same."""
    places = np.zeros(len(aligned), dtype=bool)
    types, words = len(aligned.labels.types), len(aligned.gold) + 1

    def keys(spans: Spans) -> np.ndarray:
        # One number an entity, which begins with its first word.
        result: np.ndarray = (spans.start * words + spans.end) * types + spans.type
        return result

    first = keys(found[0].predicted)
    for other in found[1:]:
        alone = np.setxor1d(first, keys(other.predicted), assume_unique=True)
        places[sentence_of(alone // (words * types), aligned.offsets)] = True
    return places


def _sides(found: Outcome) -> tuple[tuple[Spans, np.ndarray], ...]:
    """Gold and predicted entities, each with what became of them."""
    return (found.gold, found.kind_of_gold), (found.predicted, found.kind_of_predicted)


class _Sentences:
    """Data to show for a sentence, by its index."""

    def __init__(self, aligned: AlignedPredictions, found: dict[str, Outcome]) -> None:
        self.aligned = aligned
        self.copies = np.bincount(aligned.unit)
        self.sides = {
            model: [_Entities(spans, kind, aligned) for spans, kind in _sides(each)]
            for model, each in found.items()
        }

    def of(self, sentences: np.ndarray, differ: np.ndarray) -> list[dict[str, Any]]:
        aligned = self.aligned
        some = next(iter(self.sides.values()))
        return [
            {
                "id": i + 1 if aligned.ids is None else aligned.ids[i],
                "tokens": None if aligned.tokens is None else aligned.tokens[i],
                "words": int(aligned.offsets[i + 1] - aligned.offsets[i]),
                "copies": int(self.copies[aligned.unit[i]]),
                "gold": some[0].of(i),
                "predicted": {model: predicted.of(i) for model, (_, predicted) in self.sides.items()},
                "errors": {
                    model: [error for side in sides for error in side.errors(i)]
                    for model, sides in self.sides.items()
                },
                "disagree": bool(differ[i]),
            }
            for i in sentences.tolist()
        ]


class _Entities:
    """The entities of each sentence, and what became of them."""

    def __init__(self, spans: Spans, kind: np.ndarray, aligned: AlignedPredictions) -> None:
        sentence = sentence_of(spans.start, aligned.offsets)
        begin = aligned.offsets[sentence]
        self.kind = kind.tolist()
        self.names = [aligned.labels.types[index] for index in spans.type.tolist()]
        self.start, self.end = (spans.start - begin).tolist(), (spans.end - begin).tolist()
        self.first = np.searchsorted(sentence, np.arange(len(aligned) + 1)).tolist()

    def of(self, sentence: int) -> list[list[Any]]:
        """`[type, start, end]` of each, counted within the sentence."""
        return [[self.names[k], self.start[k], self.end[k]] for k in self._here(sentence)]

    def errors(self, sentence: int) -> list[list[Any]]:
        """`[kind, type, start, end]` of each that is not correct."""
        return [
            [KINDS[self.kind[k]], self.names[k], self.start[k], self.end[k]]
            for k in self._here(sentence)
            if self.kind[k] != CORRECT
        ]

    def _here(self, sentence: int) -> range:
        return range(self.first[sentence], self.first[sentence + 1])
