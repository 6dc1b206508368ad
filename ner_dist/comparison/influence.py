"""How far the figures of runs vary with the sentences of the test set, by the delta method.

A figure is a ratio of sums over units, such as F1 = 2 TP / (P + G). To first order, a unit moves it by its
influence (the infinitesimal jackknife: Efron & Tibshirani 1993, ch. 22):

    precision  (tp - precision p) / P          F1        (2 tp - F1 (p + g)) / (P + G)
    recall     (tp - recall g) / G             accuracy  (correct - accuracy words) / W

where small letters are the counts of the unit and capital ones their sums; macro F1 moves by the mean over
the types. Influences sum to 0. With N units, N / (N - 1) times the sum of their products estimates the
covariance of two figures, such as the F1 of two runs, over test sets of N units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ner_dist.comparison.unit_counts import Grouped, UnitCounts


def sentence_covariance(counted: UnitCounts) -> np.ndarray:
    """Covariance of the runs' figures over test sets of as many units, float64 [F, runs, runs]."""
    entities = _of_entities(counted)
    words = _of_words(counted.words)
    # The order of `UnitCounts.names`: micro averages and macro F1, accuracy, then the types.
    covariance = _covariance(entities, counted.entities.copies)
    return np.concatenate([covariance[:4], _covariance(words, counted.words.copies), covariance[4:]])


def _of_entities(counted: UnitCounts) -> np.ndarray:
    """Influences of a unit of each group on all figures but accuracy, float64 [G, runs, F - 1]."""
    n = len(counted.types)
    rows = counted.entities.rows.astype(np.float64)
    of_runs = rows[:, n:].reshape(len(rows), -1, 2, n)
    right, predicted = of_runs[:, :, 0], of_runs[:, :, 1]
    gold = np.broadcast_to(rows[:, None, :n], predicted.shape)
    copies = counted.entities.copies
    together = [part.sum(axis=-1, keepdims=True) for part in (right, predicted, gold)]
    micro = _three(together[0], together[1], together[2], copies)
    each = _three(right, predicted, gold, copies)
    occurs = np.tensordot(copies, predicted + gold, axes=1) > 0
    macro = each[2].sum(axis=-1) / np.maximum(occurs.sum(axis=-1), 1)
    return np.concatenate([*micro, macro[..., None], *each], axis=-1)


def _three(
    right: np.ndarray, predicted: np.ndarray, gold: np.ndarray, copies: np.ndarray
) -> list[np.ndarray]:
    """Influences on precision, recall and F1, each of the shape of the counts, [G, runs, types]."""
    parts = ((right, predicted), (right, gold), (2 * right, predicted + gold))
    return [influence_on_ratio(above, below, copies) for above, below in parts]


def _of_words(words: Grouped) -> np.ndarray:
    """Influences of a unit of each group on accuracy, float64 [G, runs, 1]."""
    rows = words.rows.astype(np.float64)[:, :, None]
    return influence_on_ratio(rows[:, 1:], np.broadcast_to(rows[:, :1], rows[:, 1:].shape), words.copies)


def influence_on_ratio(above: np.ndarray, below: np.ndarray, copies: np.ndarray) -> np.ndarray:
    """Influences of units [G, ...] on a ratio of sums; 0 where the sum below is."""
    total = np.tensordot(copies, below, axes=1)
    ratio = np.tensordot(copies, above, axes=1) / np.maximum(total, 1)
    result: np.ndarray = (above - ratio * below) / np.maximum(total, 1)
    return result


def _covariance(influence: np.ndarray, copies: np.ndarray) -> np.ndarray:
    """Covariance between runs from influences [G, runs, F], float64 [F, runs, runs]."""
    units = int(copies.sum())
    by_figure = np.moveaxis(influence, -1, 0)
    result: np.ndarray = by_figure.swapaxes(1, 2) @ (by_figure * copies[:, None])
    return result * (units / max(units - 1, 1))
