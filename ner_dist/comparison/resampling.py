"""Resample sentences: the bootstrap, and the randomisation test that swaps two models' predictions.

Both work on counts (`unit_counts.py`): a resample is a number of draws for each group of equal units, and a
matrix product gives the sums of all counts, from which the figures are computed. No sentence is scored twice.
Draws depend on the seed, the data and the order of the sentences in the first file. They do not depend on the
order in which the models are named, if all files hold the sentences in the same order.

**Sentences.** The paired bootstrap (Efron & Tibshirani 1993, ch. 6; for language processing Koehn 2004 and
Berg-Kirkpatrick et al. 2012): each resample draws as many units as there are, with replacement, the same
units for all models.

**Documents.** Sentences of one document are alike: they share names, style and the annotator's habits. Where
every file names documents, the units are documents with all their sentences, else the intervals take the
sentences for independent, which they are not (the cluster bootstrap: Davison & Hinkley 1997, section 3.8;
Field & Welsh 2007). From fewer than 10 documents sentences are drawn: swapping n documents knows no p-value
below 2^(1-n), and the bootstrap of a few clusters covers too little (Cameron, Gelbach & Miller 2008).

**Swapping** (approximate randomisation: Noreen 1989; Yeh 2000). If two models are equally good, it is chance
which of them made which prediction. Each resample swaps their predictions on a unit with probability 1/2, for
all runs of the unit together, since a sentence that is hard for one run is hard for the others (Dror et al.
2018 and Ulmer et al. 2022 discuss the choices). Neither says anything about other runs: `seeds.py` does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ner_dist.comparison.unit_counts import Grouped, UnitCounts

# Larger groups of equal units get one binomial draw, which costs about as much as this many single draws.
_COMMON = 16
# Cells of a block of weights, 8 bytes each.
_BLOCK = 1_000_000


def bootstrap(counted: UnitCounts, *, resamples: int, seed: int) -> np.ndarray:
    """Figures of resampled sentences, as means over each model's runs.

    Returns:
        float64 [resamples, models, F]
    """
    # Every figure is computed from one of the two tables, so they can be drawn independently.
    entities, words = np.random.default_rng([seed, 1]).spawn(2)
    size = _block(max(len(counted.entities.copies), len(counted.words.copies)), resamples)
    blocks = []
    for n in _blocks(resamples, size):
        figures = counted.figures_of(_drawn(counted.entities, n, entities), _drawn(counted.words, n, words))
        blocks.append(counted.means(figures))
    return np.concatenate(blocks)


def swapped(counted: UnitCounts, of: str, to: str, *, resamples: int, seed: int) -> np.ndarray:
    """Differences (`of` - `to`) after swapping the predictions of two models on a random half of the units.

    Returns:
        float64 [resamples, F]
    """
    streams = np.random.default_rng([seed, 2]).spawn(2)
    # With different numbers of runs, each run is repeated equally often, so that means do not change.
    sides = [np.arange(counted.runs[model].start, counted.runs[model].stop) for model in (of, to)]
    pairs = math.lcm(*map(len, sides))
    ours, theirs = (np.resize(side, pairs) for side in sides)
    types = len(counted.types)
    tables = [
        _Swaps(counted.entities, head=types, width=2 * types, ours=ours, theirs=theirs, rng=streams[0]),
        _Swaps(counted.words, head=1, width=1, ours=ours, theirs=theirs, rng=streams[1]),
    ]
    size = _block(max(len(table.changes.copies) for table in tables), resamples)
    blocks = []
    for n in _blocks(resamples, size):
        mine, other = zip(*(table.draw(n) for table in tables), strict=True)
        blocks.append(counted.figures_of(*mine).mean(axis=1) - counted.figures_of(*other).mean(axis=1))
    return np.concatenate(blocks)


def _drawn(table: Grouped, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Sums over units drawn with replacement, as many as there are: float64 [resamples, C].

    These are multinomial draws over the groups. Large groups are drawn by their numbers; the remaining draws
    pick single units of the small groups, which gives the same distribution at a lower cost.
    """
    common = int((table.copies > _COMMON).sum())
    rare = len(table.copies) - common
    owner = np.repeat(np.arange(rare), table.copies[common:])
    chances = np.append(table.copies[:common], len(owner)) / table.units
    drawn = rng.multinomial(table.units, chances, size=resamples)
    weights = np.empty((len(table.copies), resamples), dtype=table.rows.dtype)
    weights[:common] = drawn[:, :common].T
    if rare:
        picked = owner[rng.integers(0, len(owner), size=drawn[:, -1].sum(), dtype=np.int32)]
        picked += np.repeat(np.arange(resamples) * rare, drawn[:, -1])
        weights[common:] = np.bincount(picked, minlength=resamples * rare).reshape(resamples, rare).T
    return table.sums(weights)


class _Swaps:
    """The runs of two models in pairs. A swap moves the difference of their counts, if there is one."""

    def __init__(
        self,
        table: Grouped,
        head: int,
        width: int,
        ours: np.ndarray,
        theirs: np.ndarray,
        rng: np.random.Generator,
    ):
        of_runs = table.rows[:, head:].reshape(len(table.rows), -1, width)
        sides = [of_runs[:, side].reshape(len(table.rows), -1) for side in (ours, theirs)]
        self.rng = rng
        self.head = table.total[:head]
        self.ours, self.theirs = (table.copies @ side.astype(np.float64) for side in sides)
        # Units whose counts differ in the same way are interchangeable here, whatever their gold.
        differ = (sides[0] != sides[1]).any(axis=1)
        self.changes = Grouped.of((sides[1] - sides[0])[differ], table.copies[differ])

    def draw(self, resamples: int) -> tuple[np.ndarray, np.ndarray]:
        """Sums of both sides after swapping: float64 [resamples, C] each."""
        copies = self.changes.copies
        several = int((copies > 1).sum())
        swaps = np.empty((len(copies), resamples), dtype=self.changes.rows.dtype)
        swaps[:several] = self.rng.binomial(copies[:several, None], 0.5, size=(several, resamples))
        swaps[several:] = self.rng.integers(0, 2, size=swaps[several:].shape, dtype=np.int8)
        change = self.changes.sums(swaps)
        head = np.broadcast_to(self.head, (resamples, len(self.head)))
        return (
            np.concatenate([head, self.ours + change], axis=1),
            np.concatenate([head, self.theirs - change], axis=1),
        )


def _block(groups: int, resamples: int) -> int:
    return min(max(_BLOCK // max(groups, 1), 16), resamples)


def _blocks(resamples: int, size: int) -> Iterator[int]:
    for start in range(0, resamples, size):
        yield min(size, resamples - start)
