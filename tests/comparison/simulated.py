"""Simulated predictions for tests of statistics: random gold tags, and models with known error rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ner_dist.comparison.aligned import AlignedPredictions
from ner_dist.comparison.predictions import words_of
from ner_dist.labels import LabelSet

TYPES = ("PER", "ORG", "LOC", "DIS", "ANIM")


def gold_tags(
    rng: np.random.Generator, sentences: int, *, types: Sequence[str] = TYPES, words: int = 12
) -> tuple[np.ndarray, np.ndarray]:
    """Tags and offsets of sentences of 3 to 2 x `words` words; the first types are the common ones."""
    lengths = rng.integers(3, 2 * words + 1, size=sentences)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    chances = 1 / np.arange(1, len(types) + 1)
    kind = rng.choice(len(types), size=offsets[-1], p=chances / chances.sum())
    starts = rng.random(offsets[-1]) < 0.1
    tags = np.where(starts, 1 + 2 * kind, 0).astype(np.int16)
    # Every other entity has a second word, where nothing else begins and the sentence goes on.
    second = np.flatnonzero(starts[:-1] & ~starts[1:] & (rng.random(len(starts) - 1) < 0.5)) + 1
    second = second[~np.isin(second, offsets)]
    tags[second] = tags[second - 1] + 1
    return tags, offsets


def said(
    rng: np.random.Generator,
    gold: np.ndarray,
    offsets: np.ndarray,
    *,
    error: float | np.ndarray,
    types: int = len(TYPES),
) -> np.ndarray:
    """Predicted tags with errors in the share `error` of words that begin an entity, and in a few others.

    `error` may be an array, by type. Errors come in clusters: a sentence may be harder than another.
    """
    hardness = np.repeat(rng.gamma(1.0, 1.0, size=len(offsets) - 1), np.diff(offsets))
    by_type = np.broadcast_to(error, types)
    error = np.where(gold > 0, by_type[(gold - 1) // 2], by_type.mean())
    wrong = rng.random(len(gold)) < error * hardness * np.where(gold % 2 == 1, 1.0, 0.02)
    other = np.where(rng.random(len(gold)) < 0.5, 0, 1 + 2 * rng.integers(0, types, size=len(gold)))
    return np.where(wrong, other, gold).astype(np.int16)


def aligned(
    gold: np.ndarray,
    offsets: np.ndarray,
    predicted: dict[str, list[np.ndarray]],
    *,
    types: Sequence[str] = TYPES,
    unit: np.ndarray | None = None,
    seeds: dict[str, list[int | None]] | None = None,
) -> AlignedPredictions:
    """Aligned predictions; by default every sentence is its own unit and seeds are 1, 2, ..."""
    return AlignedPredictions(
        labels=LabelSet.from_types(types),
        gold=gold,
        offsets=offsets,
        predicted=predicted,
        seeds=seeds or {model: list(range(1, len(runs) + 1)) for model, runs in predicted.items()},
        unit=np.arange(len(offsets) - 1) if unit is None else unit,
    )


def two_models(
    seed: int, *, sentences: int = 300, errors: tuple[float, float] = (0.15, 0.15), runs: int = 1
) -> AlignedPredictions:
    """Models A and B with independent errors of given probabilities."""
    rng = np.random.default_rng(seed)
    gold, offsets = gold_tags(rng, sentences)
    predicted = {
        model: [said(rng, gold, offsets, error=error) for _ in range(runs)]
        for model, error in zip("AB", errors, strict=True)
    }
    return aligned(gold, offsets, predicted)


def copied(
    aligned: AlignedPredictions, sentences: np.ndarray, *, own_units: bool = False
) -> AlignedPredictions:
    """Select sentences, int64 [n]: those selected twice are copies, or each is its own unit."""
    words, offsets = words_of(sentences, aligned.offsets)
    return replace(
        aligned,
        gold=aligned.gold[words],
        offsets=offsets,
        predicted={model: [run[words] for run in runs] for model, runs in aligned.predicted.items()},
        unit=np.arange(len(sentences)) if own_units else np.unique(sentences, return_inverse=True)[1],
    )


@dataclass(frozen=True)
class Luck:
    """How the success of a run varies, in log-odds: standard deviations of normal distributions."""

    seed: float = 0.0
    """Between runs of one recipe."""
    noise: float = 1.0
    """Between runs, on each sentence anew."""
    shared: float = 0.0
    """Share of the variance between runs that runs of the same seed have in common."""
    difficulty: float = 1.0
    """Between sentences, the same for all runs."""


def crossed(
    seed: int,
    *,
    sentences: int = 300,
    runs: Sequence[int] = (3, 3),
    luck: Luck | None = None,
    ahead: float = 0.0,
    same_seeds: bool = True,
) -> AlignedPredictions:
    """Models A, B, ... whose entities are found with logistic probabilities: runs and sentences are crossed.

    About 80 of 100 entities are found; B and later models are `ahead` by so much in log-odds.
    """
    luck = luck or Luck()
    rng = np.random.default_rng(seed)
    gold, offsets = gold_tags(rng, sentences, types=TYPES[:1])
    # One word an entity, so that an entity is found as a whole or not at all.
    gold = np.where(gold == 2, 0, gold).astype(np.int16)
    lengths = np.diff(offsets)
    difficulty = rng.normal(0, luck.difficulty, sentences)
    common = rng.normal(0, luck.seed * np.sqrt(luck.shared), max(runs))
    predicted: dict[str, list[np.ndarray]] = {}
    for place, number in enumerate(runs):
        own = rng.normal(0, luck.seed * np.sqrt(1 - luck.shared), number)
        each = []
        for run in range(number):
            odds = 1.8 + difficulty + common[run] + own[run] + (ahead if place else 0.0)
            odds = odds + rng.normal(0, luck.noise, sentences)
            chance = np.repeat(1 / (1 + np.exp(-odds)), lengths)
            found = (gold > 0) & (rng.random(len(gold)) < chance)
            invented = (gold == 0) & (rng.random(len(gold)) < 0.1 * (1 - chance))
            each.append(np.where(found | invented, 1, 0).astype(np.int16))
        predicted["ABCDEFGH"[place]] = each
    numbered = {
        model: [run + 1 + (0 if same_seeds else 100 * place) for run in range(len(each))]
        for place, (model, each) in enumerate(predicted.items())
    }
    return aligned(gold, offsets, predicted, types=TYPES[:1], seeds={**numbered})
