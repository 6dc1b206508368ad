"""Entity counts by unit for resampling, with equal units grouped.

A unit is a document where every file names them, else a distinct sentence with all of its copies. Every
figure is a function of sums of counts over units, so units with the same counts are interchangeable: they are
stored as one row with their number. This loses nothing, and most units have few entities, so there are few
rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from ner_dist.evaluation.metrics import precision_recall_f1

if TYPE_CHECKING:
    from ner_dist.comparison.aligned import AlignedPredictions


@dataclass(frozen=True)
class Grouped:
    """Units grouped by their counts; the largest group first, then in the order of the data."""

    rows: np.ndarray
    """float [G, C]: the counts of one unit of each group, all different. They are whole numbers, in float32
    if that represents any sum over as many units exactly."""
    copies: np.ndarray
    """int64 [G]: number of units in each group."""

    @classmethod
    def of(cls, counts: np.ndarray, copies: np.ndarray | None = None) -> Grouped:
        """Group units. The order of the groups does not depend on the order of the columns.

        Args:
            counts: whole numbers [U, C] of each unit.
            copies: int [U]: number of units with these counts; None is one each.
        """
        largest, smallest = int(counts.max(initial=0)), int(counts.min(initial=0))
        # Sorting bytes is faster than sorting 64-bit integers.
        narrow = counts.astype(np.result_type(*map(np.min_scalar_type, (largest, smallest))))
        rows, first, group = np.unique(narrow, axis=0, return_index=True, return_inverse=True)
        units = np.bincount(group.ravel(), copies, minlength=len(rows)).astype(np.int64)
        order = np.lexsort((first, -units))
        exact = units.sum() * max(largest, -smallest) < 2**24
        return cls(rows[order].astype(np.float32 if exact else np.float64), units[order])

    @property
    def units(self) -> int:
        return int(self.copies.sum())

    @cached_property
    def columns(self) -> csr_array:
        """The transposed rows, [C, G]. They are sparse, since most counts are 0."""
        return csr_array(self.rows.T)

    def sums(self, weights: np.ndarray) -> np.ndarray:
        """Sums over groups with weights [G, n], whole numbers: float64 [n, C]."""
        result: np.ndarray = (self.columns @ weights.astype(self.rows.dtype, copy=False)).T.astype(np.float64)
        return result

    @property
    def total(self) -> np.ndarray:
        """float64 [C]: summed over all units."""
        result: np.ndarray = self.sums(self.copies[:, None])[0]
        return result


@dataclass(frozen=True)
class UnitCounts:
    """Counts of entities and words of every run, by unit. Runs are ordered by model, then by seed."""

    types: tuple[str, ...]
    runs: dict[str, slice]
    """By model: its runs."""
    entities: Grouped
    """Columns: gold [types], then for each run true positives [types] and predicted [types]."""
    words: Grouped
    """Columns: words, then for each run the words with the correct tag."""

    @classmethod
    def of(cls, aligned: AlignedPredictions) -> UnitCounts:
        """Count all runs of all models, strict IOB2."""
        drawn = aligned.drawn
        order = np.argsort(drawn, kind="stable")
        starts = np.unique(drawn[order], return_index=True)[1]
        runs = [(model, run) for model in aligned.models for run in by_seed(aligned, model)]

        def by_unit(of_sentences: np.ndarray) -> np.ndarray:
            return np.add.reduceat(of_sentences[order], starts, axis=0)

        entities: list[np.ndarray] = []
        words = [by_unit(np.diff(aligned.offsets)[:, None])]
        for model, run in runs:
            tags, counts = aligned.predicted[model][run], aligned.counts[model][run]
            if not entities:
                entities.append(by_unit(counts[:, 2]))
            entities += [by_unit(counts[:, 0]), by_unit(counts[:, 1])]
            right = np.concatenate([[0], np.cumsum(aligned.gold == tags)])[aligned.offsets]
            words.append(by_unit(np.diff(right)[:, None]))
        ends = np.cumsum([0, *map(len, aligned.predicted.values())])
        return cls(
            types=aligned.labels.types,
            runs={m: slice(a, b) for m, a, b in zip(aligned.models, ends, ends[1:], strict=False)},
            entities=Grouped.of(np.concatenate(entities, axis=1)),
            words=Grouped.of(np.concatenate(words, axis=1)),
        )

    def figures_of(self, entities: np.ndarray, words: np.ndarray) -> np.ndarray:
        """The figures of all runs from sums over units.

        Args:
            entities: sums of the columns of `entities`, [..., C].
            words: sums of the columns of `words`, [..., 1 + runs].

        Returns:
            float64 [..., runs, F], in the order of `names`; conventions as in `metrics.scores`.
        """
        n = len(self.types)
        gold = entities[..., None, :n]
        of_runs = entities[..., n:].reshape(*entities.shape[:-1], -1, 2, n)
        true_positive, predicted = of_runs[..., 0, :], of_runs[..., 1, :]
        gold = np.broadcast_to(gold, predicted.shape)
        each = precision_recall_f1(true_positive, predicted, gold)
        micro = precision_recall_f1(*(part.sum(axis=-1) for part in (true_positive, predicted, gold)))
        occurring = gold + predicted > 0
        macro = each["f1"].sum(axis=-1) / np.maximum(occurring.sum(axis=-1), 1)
        accuracy = words[..., 1:] / np.maximum(words[..., :1], 1)
        rest = np.stack([*micro.values(), macro, accuracy], axis=-1)
        return np.concatenate([rest, *each.values()], axis=-1)

    @property
    def names(self) -> list[tuple[str, ...]]:
        """Path of each figure in a table of scores."""
        kinds = ("precision", "recall", "f1")
        rest = [*(("micro", kind) for kind in kinds), ("macro", "f1"), ("accuracy",)]
        return rest + [("per_type", name, kind) for kind in kinds for name in self.types]

    @property
    def observed(self) -> np.ndarray:
        """float64 [runs, F]: the figures of the original sentences."""
        return self.figures_of(self.entities.total, self.words.total)

    def means(self, figures: np.ndarray) -> np.ndarray:
        """The mean over each model's runs: [..., runs, F] to [..., models, F]."""
        return np.stack([figures[..., runs, :].mean(axis=-2) for runs in self.runs.values()], axis=-2)

    def occurring(self, *models: str) -> np.ndarray:
        """bool [types]: whether a type occurs in the gold or in a prediction of these models."""
        gold, *of_runs = self.entities.total.reshape(-1, len(self.types))
        number = gold.copy()
        for model in models:
            runs = self.runs[model]
            number += np.sum(of_runs[2 * runs.start : 2 * runs.stop], axis=0)
        result: np.ndarray = number > 0
        return result


def by_seed(aligned: AlignedPredictions, model: str) -> list[int]:
    """The indices of a model's runs in the order of their seeds, so that equal seeds are paired."""
    seeds = aligned.seeds[model]
    return sorted(range(len(seeds)), key=lambda run: -1 if (seed := seeds[run]) is None else seed)
