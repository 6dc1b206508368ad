"""Decompose the gap between two headline scores into task, gold and model.

The headline of a model is its F1 on its own labels and sentences. Two models are compared on the types that
both know and on the sentences that both tagged, where their gold tags agree. The **model**'s part of the gap
is the difference there. What leads there from the headlines is another task, in two changes that can be made
in either order: the **label set** first, or the **sentences**. Each order gives other parts, since leaving
out types changes which sentences matter. The parts here are the means over both orders (the Shapley values;
Shapley 1953), and the parts of each order are given beside them. Sentences whose **gold** differs are left
out last.

    gap = label set + sentences + gold + model

holds exactly. Every part is a quantity of one model less the same of the other, such as its published F1 less
that on the shared ground. Intervals are for other test sentences, by the delta method as in `influence.py`:
the influence of a sentence on a part is the sum of its influences on the scores that the part is made of.
Where a model has several runs, they are for other seeds too: runs and sentences are crossed, as in
`seeds.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from ner_dist.comparison.claims import Bounds
from ner_dist.comparison.influence import influence_on_ratio
from ner_dist.comparison.seeds import RunFigures, same_seeds, tested
from ner_dist.comparison.unit_counts import by_seed
from ner_dist.evaluation import metrics
from ner_dist.evaluation.json_form import key
from ner_dist.labels import LabelSet, look_up

if TYPE_CHECKING:
    from ner_dist.comparison.aligned import AlignedPredictions
    from ner_dist.comparison.predictions import Predictions

PARTS = ("label_set", "sentences", "gold", "model")
"""The parts of a gap, in the order in which they are shown."""
LEVEL = 0.95
SENTENCES, SEEDS_AND_SENTENCES = "sentences", "seeds and sentences"


@dataclass(frozen=True)
class Order:
    """The task's parts if its changes are made in one order."""

    label_set: float
    sentences: float


@dataclass(frozen=True)
class Orders:
    """The task's parts by the change that is made first."""

    labels_first: Order
    sentences_first: Order


@dataclass(frozen=True)
class Grounds:
    """F1 of a model, by types and by sentences: its own, or those that both models share."""

    own: float
    """The headline."""
    shared_types: float
    shared_sentences: float
    shared: float
    """Of shared types and sentences, by the model's own gold."""
    agreed: float
    """Of those of them whose gold is the same for both."""


@dataclass(frozen=True)
class Decomposition:
    """Parts of the gap between a model's headline F1 and that of `base`, which add up to `gap`."""

    base: str = field(metadata=key("from"))
    """The first model."""
    gap: float
    label_set: float
    """The mean over both orders, as `sentences`."""
    sentences: float
    gold: float
    """0 where the gold tags of shared sentences agree."""
    model: float
    task: float
    """`label_set` + `sentences`, which no order changes."""
    intervals: dict[str, Bounds]
    """By part, `gap` and `task` too."""
    intervals_over: str
    """What they cover: `sentences`, or `seeds and sentences` if a model has several runs."""
    orders: Orders
    grounds: dict[str, Grounds]
    """By model."""


@dataclass(frozen=True)
class _Score:
    """A figure of a model's runs, with the influence of every sentence on it."""

    values: np.ndarray
    """float64 [runs]"""
    influence: np.ndarray
    """float64 [runs, clusters]"""

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    def __add__(self, other: _Score) -> _Score:
        return _Score(self.values + other.values, self.influence + other.influence)

    def __sub__(self, other: _Score) -> _Score:
        return _Score(self.values - other.values, self.influence - other.influence)

    def halved(self) -> _Score:
        return _Score(self.values / 2, self.influence / 2)


def decomposition(own: dict[str, list[Predictions]], aligned: AlignedPredictions) -> dict[str, Decomposition]:
    """By further model: its gap to the first model in F1 (micro, strict IOB2, means over runs), in parts."""
    first, *others = aligned.models
    clusters = _Clusters(own, aligned)
    scored = {model: _scores(own[model], aligned, model, clusters) for model in aligned.models}
    return {
        model: _gap(
            (first, model),
            (scored[first], scored[model]),
            paired=same_seeds(aligned.seeds[first], aligned.seeds[model]),
        )
        for model in others
    }


class _Clusters:
    """Numbers of what is drawn together: shared sentences with their copies, all others on their own."""

    def __init__(self, own: dict[str, list[Predictions]], aligned: AlignedPredictions) -> None:
        self._drawn = aligned.drawn
        self._places = aligned.places
        self._disputed = aligned.disputed
        disputed = max((len(runs[0]) for runs in aligned.disputed.values()), default=0)
        at = int(self._drawn.max(initial=-1)) + 1
        self._first_disputed, at = at, at + disputed
        self._first_own = {}
        for model, runs in own.items():
            self._first_own[model], at = at, at + max(map(len, runs))
        self.number = at

    def of(self, model: str, run: int, sentences: int) -> np.ndarray:
        """The cluster of every sentence of a run, int64 [N]."""
        numbers = self._first_own[model] + np.arange(sentences)
        numbers[self._places[model][run]] = self._drawn
        disputed = self._disputed[model][run]
        numbers[disputed] = self._first_disputed + np.arange(len(disputed))
        return numbers


def _scores(
    own: list[Predictions], aligned: AlignedPredictions, model: str, clusters: _Clusters
) -> dict[str, _Score]:
    """A model's F1 by the names of `Grounds`; its runs are in the order of their seeds."""
    scored: dict[str, list[_Score]] = {}
    for number in by_seed(aligned, model):
        run = own[number]
        cluster = clusters.of(model, number, len(run))
        agreed = np.zeros(len(run), dtype=bool)
        agreed[aligned.places[model][number]] = True
        shared = agreed.copy()
        shared[aligned.disputed[model][number]] = True
        everywhere = np.ones(len(run), dtype=bool)
        published = run.before or run
        whole, projected = _counts(published, published.labels), _counts(run, aligned.labels)
        for name, counts, ground in (
            ("own", whole, everywhere),
            ("shared_types", projected, everywhere),
            ("shared_sentences", whole, shared),
            ("shared", projected, shared),
            ("agreed", projected, agreed),
        ):
            scored.setdefault(name, []).append(_score(counts, ground, cluster, clusters.number))
    return {
        name: _Score(
            np.concatenate([each.values for each in runs]), np.concatenate([each.influence for each in runs])
        )
        for name, runs in scored.items()
    }


def _counts(run: Predictions, labels: LabelSet) -> np.ndarray:
    """True positives, predicted and gold entities of every sentence on these types, int64 [N, 3]."""
    onto = run.labels.projection(labels)
    gold, predicted = look_up(onto, run.gold), onto[run.predicted]
    counts = metrics.count_per_sentence(gold, predicted, run.offsets, labels, strict=True)
    result: np.ndarray = counts.sum(axis=2, dtype=np.int64)
    return result


def _score(counts: np.ndarray, ground: np.ndarray, cluster: np.ndarray, clusters: int) -> _Score:
    """The F1 of one run on some of its sentences."""
    right, predicted, gold = counts[ground].T
    f1 = float(metrics.precision_recall_f1(right.sum(), predicted.sum(), gold.sum())["f1"])
    influence = influence_on_ratio(2 * right, predicted + gold, np.ones(len(right)))
    return _Score(np.array([f1]), np.bincount(cluster[ground], influence, minlength=clusters)[None])


def _parts(scores: dict[str, _Score]) -> dict[str, _Score]:
    """What a model adds to each part of its gap to another model."""

    def change(before: str, after: str) -> _Score:
        return scores[before] - scores[after]

    labels = change("own", "shared_types"), change("shared_sentences", "shared")
    sentences = change("shared_types", "shared"), change("own", "shared_sentences")
    return {
        "gap": scores["own"],
        "label_set": (labels[0] + labels[1]).halved(),
        "sentences": (sentences[0] + sentences[1]).halved(),
        "gold": change("shared", "agreed"),
        "model": scores["agreed"],
        "task": change("own", "shared"),
    } | {
        f"{name} of order {order}": each
        for name, by_order in (("label_set", labels), ("sentences", sentences))
        for order, each in enumerate(by_order)
    }


def _gap(
    models: tuple[str, str], scores: tuple[dict[str, _Score], dict[str, _Score]], *, paired: bool
) -> Decomposition:
    """The gap of the second model to the first."""
    before, after = map(_parts, scores)
    found = {name: part.mean - before[name].mean for name, part in after.items()}
    names = ("gap", *PARTS, "task")
    several = any(len(part["gap"].values) > 1 for part in (before, after))
    bounds = _over_seeds if several else _over_sentences
    intervals = bounds([before[name] for name in names], [after[name] for name in names], paired=paired)
    orders = (Order(*(found[f"{name} of order {order}"] for name in PARTS[:2])) for order in range(2))
    return Decomposition(
        base=models[0],
        **{name: found[name] for name in names},
        intervals=dict(zip(names, intervals, strict=True)),
        intervals_over=SEEDS_AND_SENTENCES if several else SENTENCES,
        orders=Orders(*orders),
        grounds={
            model: Grounds(**{name: score.mean for name, score in own.items()})
            for model, own in zip(models, scores, strict=True)
        },
    )


def _over_sentences(before: list[_Score], after: list[_Score], *, paired: bool) -> list[Bounds]:
    """Intervals of the differences of two single runs."""
    found = []
    for one, other in zip(before, after, strict=True):
        reach = stats.norm.ppf((1 + LEVEL) / 2) * np.sqrt(_covariance(other.influence - one.influence)[0, 0])
        difference = other.mean - one.mean
        found.append(Bounds(float(difference - reach), float(difference + reach)))
    return found


def _over_seeds(before: list[_Score], after: list[_Score], *, paired: bool) -> list[Bounds]:
    """Intervals of the differences of the means of runs, over other seeds too."""
    both = list(zip(after, before, strict=True))
    runs = RunFigures(
        np.stack([np.concatenate([each.values for each in pair]) for pair in both], axis=1),
        np.stack([_covariance(np.concatenate([each.influence for each in pair])) for pair in both]),
        units=before[0].influence.shape[1],
    )
    number = len(after[0].values)
    spreads = runs.difference(slice(0, number), slice(number, number + len(before[0].values)), paired=paired)
    difference = np.array([one.mean - other.mean for one, other in both])
    low, high, _ = tested(difference, spreads, LEVEL, by_pairs=slice(None))
    return [*map(Bounds, low.tolist(), high.tolist())]


def _covariance(influence: np.ndarray) -> np.ndarray:
    """Covariance between runs from influences [runs, clusters], float64 [runs, runs]."""
    n = np.count_nonzero(influence.any(axis=0))
    result: np.ndarray = influence @ influence.T * (n / max(n - 1, 1))
    return result
