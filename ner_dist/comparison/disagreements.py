"""Sentences to look at: those in which a model errs, or in which models differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.comparison.matching import CORRECT, KINDS
from ner_dist.evaluation.metrics import sentence_of

if TYPE_CHECKING:
    from ner_dist.comparison.aligned import AlignedPredictions
    from ner_dist.comparison.matching import Outcome
    from ner_dist.labels import Spans


@dataclass(frozen=True)
class Entity:
    """An entity, by its words within the sentence."""

    type: str
    start: int
    end: int
    """Index after the last word."""


@dataclass(frozen=True)
class EntityError:
    """An entity of the gold or of the prediction that is not correct."""

    kind: str
    """One of `matching.KINDS`."""
    entity: Entity


@dataclass(frozen=True)
class Disagreement:
    """A sentence in which a model errs or models differ."""

    id: str | int
    """The place of the sentence, from 1, if it has no id."""
    tokens: list[str] | None
    """The words; None if the predictions hold none."""
    words: int
    """Number of words."""
    copies: int
    """Number of sentences that are copies of this one, itself included."""
    gold: list[Entity]
    predicted: dict[str, list[Entity]]
    """By model."""
    errors: dict[str, list[EntityError]]
    """By model, those of the gold first: a matched pair that differs is two errors."""
    models_differ: bool


def disagreements(aligned: AlignedPredictions, *, limit: int | None = None) -> list[Disagreement]:
    """Distinct sentences in which a model's first run errs, or in which the first runs of two models differ.

    Of the copies of a sentence, the first of which this is true is returned.

    Args:
        aligned: the sentences.
        limit: largest number of sentences. Those in which models differ come first; each group is in the
            order of the data.
    """
    outcomes = {model: runs[0] for model, runs in aligned.outcomes.items()}
    differ = _differ(aligned, list(outcomes.values()))
    err = np.zeros(len(aligned), dtype=bool)
    for outcome in outcomes.values():
        for spans, kind in _sides(outcome):
            err[sentence_of(spans.start[kind != CORRECT], aligned.offsets)] = True
    chosen = np.flatnonzero(differ | err)
    # Stable, so that what comes first of a unit, and of each group, is what comes first in the data.
    chosen = chosen[np.argsort(~differ[chosen], kind="stable")]
    chosen = chosen[np.sort(np.unique(aligned.unit[chosen], return_index=True)[1])][:limit]
    return list(_described(aligned, outcomes, chosen, differ))


def _differ(aligned: AlignedPredictions, outcomes: list[Outcome]) -> np.ndarray:
    """bool [N]: sentences in which the predicted entities of two models are not the same."""
    places = np.zeros(len(aligned), dtype=bool)
    types, words = len(aligned.labels.types), len(aligned.gold) + 1

    def keys(spans: Spans) -> np.ndarray:
        # One number an entity, which begins with its first word.
        result: np.ndarray = (spans.start * words + spans.end) * types + spans.type
        return result

    first = keys(outcomes[0].predicted)
    for other in outcomes[1:]:
        alone = np.setxor1d(first, keys(other.predicted), assume_unique=True)
        places[sentence_of(alone // (words * types), aligned.offsets)] = True
    return places


def _sides(outcome: Outcome) -> tuple[tuple[Spans, np.ndarray], tuple[Spans, np.ndarray]]:
    """The gold and the predicted entities, each with their kinds."""
    return (outcome.gold, outcome.kind_of_gold), (outcome.predicted, outcome.kind_of_predicted)


def _described(
    aligned: AlignedPredictions, outcomes: dict[str, Outcome], chosen: np.ndarray, differ: np.ndarray
) -> Iterator[Disagreement]:
    """The sentences whose indices are chosen, int64 [n]."""
    copies = np.bincount(aligned.unit)
    sides = {
        model: [_BySentence(spans, kind, aligned) for spans, kind in _sides(outcome)]
        for model, outcome in outcomes.items()
    }
    gold, _ = next(iter(sides.values()))
    for i in chosen.tolist():
        yield Disagreement(
            id=i + 1 if aligned.ids is None else aligned.ids[i],
            tokens=None if aligned.tokens is None else aligned.tokens[i],
            words=int(aligned.offsets[i + 1] - aligned.offsets[i]),
            copies=int(copies[aligned.unit[i]]),
            gold=gold.entities(i),
            predicted={model: predicted.entities(i) for model, (_, predicted) in sides.items()},
            errors={
                model: [error for side in both for error in side.errors(i)] for model, both in sides.items()
            },
            models_differ=bool(differ[i]),
        )


class _BySentence:
    """The gold or the predicted entities of each sentence, with their kinds."""

    def __init__(self, spans: Spans, kind: np.ndarray, aligned: AlignedPredictions) -> None:
        sentence = sentence_of(spans.start, aligned.offsets)
        begin = aligned.offsets[sentence]
        types = [aligned.labels.types[index] for index in spans.type.tolist()]
        self._kinds = kind.tolist()
        self._entities = [*map(Entity, types, (spans.start - begin).tolist(), (spans.end - begin).tolist())]
        self._first = np.searchsorted(sentence, np.arange(len(aligned) + 1)).tolist()

    def entities(self, sentence: int) -> list[Entity]:
        return self._entities[self._first[sentence] : self._first[sentence + 1]]

    def errors(self, sentence: int) -> list[EntityError]:
        return [
            EntityError(KINDS[self._kinds[i]], self._entities[i])
            for i in range(self._first[sentence], self._first[sentence + 1])
            if self._kinds[i] != CORRECT
        ]
