"""Data effects that flatter scores, or may: each with what the scores would be without it.

All scores are strict micro F1 on the same ground, the mean over a model's runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.comparison.aligned import NO_TRAINING, NO_WORDS
from ner_dist.evaluation import metrics
from ner_dist.evaluation.json_form import key
from ner_dist.labels import extract_spans

if TYPE_CHECKING:
    from collections.abc import Callable

    from ner_dist.comparison.aligned import AlignedPredictions

NOTHING_LEFT = "no sentence would be left"

WHAT = {
    "duplicates": "Sentences that stand more than once count more than once; "
    "without: each distinct sentence once, by its first copy.",
    "train_test_overlap": "Sentences whose words also stand in a model's training split were learnt, "
    "not only tested; without: they are left out, for all models.",
    "entity_free_sentences": "Sentences without a gold entity can only cost precision, and some leave them "
    "out; without: they are left out.",
    "invalid_transitions": "A predicted I- that continues nothing is no entity in strict IOB2; "
    "without: it starts one, in gold and predictions alike, which is seqeval's default.",
}


@dataclass(frozen=True)
class EffectScores:
    """A model's F1 with and without an effect of the data; None where that cannot be known."""

    with_effect: float = field(metadata=key("with"))
    without: float | None
    difference: float | None


@dataclass(frozen=True)
class EffectGap:
    """F1 of the second model minus that of the first, with and without an effect."""

    with_effect: float | None = field(metadata=key("with"))
    without: float | None


@dataclass(frozen=True)
class DataEffect:
    """Something in the data that may flatter scores."""

    name: str
    what: str
    count: int | None
    """Sentences concerned; of `invalid_transitions`, entities. None where that cannot be known."""
    share: float | None
    why: str | None
    """Reason if the scores without it are unknown; else None."""
    scores: dict[str, EffectScores]
    gap: EffectGap


def effects(aligned: AlignedPredictions) -> dict[str, DataEffect]:
    """Each effect by its name.

    Returns:
        Of `invalid_transitions`, `count` and `share` are of the entities predicted in the lenient reading by
        all runs; `gap` is None of one model.
    """
    per_sentence = {  # true positives, predicted and gold entities, int64 [N, 3]
        model: [counts.sum(axis=2, dtype=np.int64) for counts in runs]
        for model, runs in aligned.counts.items()
    }
    everything = np.ones(len(aligned), dtype=bool)

    def f1(kept: np.ndarray) -> dict[str, float]:
        return {
            model: float(np.mean([_f1(each[kept].sum(axis=0)) for each in runs]))
            for model, runs in per_sentence.items()
        }

    with_all = f1(everything)
    chosen = {
        "duplicates": _repeats(aligned),
        "train_test_overlap": _overlap(aligned),
        "entity_free_sentences": _entity_free(aligned),
    }
    found = {name: _left_out(name, dropped, with_all, f1) for name, dropped in chosen.items()}
    overlap = found["train_test_overlap"]
    found["train_test_overlap"] = replace(overlap, what=overlap.what + _whose(aligned))
    return found | {"invalid_transitions": _invalid_transitions(aligned, with_all)}


def _repeats(aligned: AlignedPredictions) -> np.ndarray | str:
    """bool [N]: all but the first of each distinct sentence; or why that cannot be known."""
    _, first = np.unique(aligned.unit, return_index=True)
    if aligned.tokens is None and len(first) == len(aligned):
        return NO_WORDS
    repeats = np.ones(len(aligned), dtype=bool)
    repeats[first] = False
    return repeats


def _overlap(aligned: AlignedPredictions) -> np.ndarray | str:
    """bool [N]: what any model has learnt, so that all are still scored on the same sentences."""
    if not aligned.in_train:
        return NO_TRAINING
    result: np.ndarray | str = np.any([*aligned.in_train.values()], axis=0)
    return result


def _whose(aligned: AlignedPredictions) -> str:
    """Whose training text it is, and that others' is not known."""
    known = [model for model in aligned.models if model in aligned.in_train]
    unknown = [model for model in aligned.models if model not in aligned.in_train]
    if not known:
        return ""
    without = f" Not that of {', '.join(unknown)}: {NO_TRAINING}." if unknown else ""
    return f" Looked up in the training text of {', '.join(known)}.{without}"


def _entity_free(aligned: AlignedPredictions) -> np.ndarray:
    starts = extract_spans(aligned.gold, aligned.offsets, aligned.labels, strict=True).start
    free = np.ones(len(aligned), dtype=bool)
    free[metrics.sentence_of(starts, aligned.offsets)] = False
    return free


def _left_out(
    name: str,
    dropped: np.ndarray | str,
    with_all: dict[str, float],
    f1: Callable[[np.ndarray], dict[str, float]],
) -> DataEffect:
    """The effect of some sentences, bool [N], or of what cannot be known, for the reason given."""
    if isinstance(dropped, str):
        return _effect(name, with_all, why=dropped)
    effect = (
        _effect(name, with_all, why=NOTHING_LEFT) if dropped.all() else _effect(name, with_all, f1(~dropped))
    )
    return replace(effect, count=int(dropped.sum()), share=float(dropped.mean()) if len(dropped) else 0.0)


def _invalid_transitions(aligned: AlignedPredictions, strict: dict[str, float]) -> DataEffect:
    lenient, invalid, entities = {}, 0, 0
    for model, runs in aligned.predicted.items():
        scores = []
        for run, of_strict in zip(runs, aligned.counts[model], strict=True):
            counts = metrics.count(aligned.gold, run, aligned.offsets, aligned.labels, strict=False)
            scores.append(_f1(counts.as_array().sum(axis=1)))
            # The two readings differ in nothing else.
            invalid += int(counts.predicted.sum() - of_strict[:, 1].sum())
            entities += int(counts.predicted.sum())
        lenient[model] = float(np.mean(scores))
    effect = _effect("invalid_transitions", strict, lenient)
    return replace(effect, count=invalid, share=invalid / entities if entities else 0.0)


def _effect(
    name: str, with_it: dict[str, float], without: dict[str, float] | None = None, *, why: str | None = None
) -> DataEffect:
    scores = {
        model: EffectScores(
            with_effect=value,
            without=without[model] if without is not None else None,
            difference=value - without[model] if without is not None else None,
        )
        for model, value in with_it.items()
    }
    return DataEffect(
        name=name,
        what=WHAT[name],
        count=None,
        share=None,
        why=why,
        scores=scores,
        gap=EffectGap(_gap(with_it), _gap(without)),
    )


def _gap(f1: dict[str, float] | None) -> float | None:
    if f1 is None or len(f1) < 2:
        return None
    first, second, *_ = f1.values()
    return second - first


def _f1(counts: np.ndarray) -> float:
    """Of true positives, predicted and gold entities, int64 [3]."""
    return float(metrics.precision_recall_f1(*counts[:, None])["f1"][0])
