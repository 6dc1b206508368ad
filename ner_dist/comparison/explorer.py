"""The sentences worth looking at: where a model errs, or where models differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.comparison.error_kinds import CORRECT, KINDS, outcome
from ner_dist.metrics import sentence_of

if TYPE_CHECKING:
    from ner_dist.comparison.error_kinds import Outcome
    from ner_dist.comparison.ground import Ground
    from ner_dist.metrics import Spans


def disagreements(ground: Ground, *, limit: int | None = None) -> list[dict[str, Any]]:
    """Distinct sentences on which a model's first run errs, or on which the first runs of two models differ.

    Of a sentence's copies the first is shown on which that is so.

    Args:
        ground: the sentences.
        limit: how many at most. Those on which models differ come first; each group is in the data's order.

    Returns:
        Of each sentence `id` (its place, if it has none), `tokens` (or None), `words` and `copies` (numbers),
        `gold` and `predicted` entities by model as `[type, first word, word behind the last]`; `kinds` of
        errors by model; `types` of the entities that some model has wrong; `disagree`, whether models differ.
    """
    found = {
        model: outcome(ground.gold, runs[0], ground.offsets, ground.labels)
        for model, runs in ground.predicted.items()
    }
    differ = _differ(ground, list(found.values()))
    err = np.zeros(len(ground), dtype=bool)
    for each in found.values():
        err[_wrong(each, ground.offsets)[0]] = True
    shown = np.flatnonzero(differ | err)
    # Stable, so that what comes first of a unit, and of each group, is what comes first in the data.
    shown = shown[np.argsort(~differ[shown], kind="stable")]
    shown = shown[np.sort(np.unique(ground.unit[shown], return_index=True)[1])][:limit]
    return _Sentences(ground, found).of(shown, differ)


def _differ(ground: Ground, found: list[Outcome]) -> np.ndarray:
    """bool [N]: sentences in which the predicted entities of two models are not the same."""
    places = np.zeros(len(ground), dtype=bool)
    types, words = len(ground.labels.types), len(ground.gold) + 1

    def keys(spans: Spans) -> np.ndarray:
        # One number an entity, which begins with its first word.
        return (spans.start * words + spans.end) * types + spans.type

    first = keys(found[0].predicted)
    for other in found[1:]:
        alone = np.setxor1d(first, keys(other.predicted), assume_unique=True)
        places[sentence_of(alone // (words * types), ground.offsets)] = True
    return places


def _wrong(found: Outcome, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sentence, type and kind of every entity, gold or predicted, that is not correct."""
    sides = ((found.gold, found.kind_of_gold), (found.predicted, found.kind_of_predicted))
    wrong = [(spans, kind, kind != CORRECT) for spans, kind in sides]
    return (
        np.concatenate([sentence_of(spans.start[bad], offsets) for spans, _, bad in wrong]),
        np.concatenate([spans.type[bad] for spans, _, bad in wrong]),
        np.concatenate([kind[bad] for _, kind, bad in wrong]),
    )


class _Sentences:
    """What is to be shown of each sentence, looked up by its place."""

    def __init__(self, ground: Ground, found: dict[str, Outcome]) -> None:
        self.ground = ground
        self.copies = np.bincount(ground.unit)
        some = next(iter(found.values()))
        self.gold = _Entities(some.gold, ground)
        self.predicted = {model: _Entities(each.predicted, ground) for model, each in found.items()}
        self.kinds: dict[str, dict[int, set[int]]] = {model: {} for model in found}
        self.types: dict[int, set[int]] = {}
        for model, each in found.items():
            of_model = self.kinds[model]
            for sentence, type_index, kind in zip(
                *(column.tolist() for column in _wrong(each, ground.offsets)), strict=True
            ):
                of_model.setdefault(sentence, set()).add(kind)
                self.types.setdefault(sentence, set()).add(type_index)

    def of(self, sentences: np.ndarray, differ: np.ndarray) -> list[dict[str, Any]]:
        ground, names = self.ground, self.ground.labels.types
        return [
            {
                "id": i if ground.ids is None else ground.ids[i],
                "tokens": None if ground.tokens is None else ground.tokens[i],
                "words": int(ground.offsets[i + 1] - ground.offsets[i]),
                "copies": int(self.copies[ground.unit[i]]),
                "gold": self.gold.of(i),
                "predicted": {model: entities.of(i) for model, entities in self.predicted.items()},
                "kinds": {
                    model: [KINDS[kind] for kind in sorted(kinds.get(i, ()))]
                    for model, kinds in self.kinds.items()
                },
                "types": [names[index] for index in sorted(self.types.get(i, ()))],
                "disagree": bool(differ[i]),
            }
            for i in sentences.tolist()
        ]


class _Entities:
    """The entities of each sentence."""

    def __init__(self, spans: Spans, ground: Ground) -> None:
        sentence = sentence_of(spans.start, ground.offsets)
        begin = ground.offsets[sentence]
        self.names = [ground.labels.types[index] for index in spans.type.tolist()]
        self.start, self.end = (spans.start - begin).tolist(), (spans.end - begin).tolist()
        self.first = np.searchsorted(sentence, np.arange(len(ground) + 1)).tolist()

    def of(self, sentence: int) -> list[list[Any]]:
        """`[type, start, end]` of each, counted within the sentence."""
        here = range(self.first[sentence], self.first[sentence + 1])
        return [[self.names[k], self.start[k], self.end[k]] for k in here]
