"""Decompose the gap between two headline scores into task, gold and model.

The headline of a model is its F1 on its own labels and sentences. Two models are compared on the types that
both know and on the sentences that both tagged, where their gold tags agree. The **model**'s part of the gap
is the difference there. What leads there from the headlines is another task, in two changes that can be made
in either order: the **label set** first, or the **sentences**. Each order gives other parts, since leaving
out types changes which sentences matter. The parts here are the means over both orders (the Shapley values;
Shapley 1953), and the parts of each order are given beside them. Sentences whose **gold** differs are left
out last.

    gap = label set + sentences + gold + model

holds exactly. Intervals are for other test sentences, by the delta method as in `influence.py`: the influence
of a sentence on a part is the sum of its influences on the scores that the part is made of, on both models.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from ner_dist.comparison.claims import Bounds
from ner_dist.comparison.influence import influence_on_ratio
from ner_dist.evaluation import metrics
from ner_dist.evaluation.json_form import key
from ner_dist.labels import LabelSet, look_up

if TYPE_CHECKING:
    from ner_dist.comparison.aligned import AlignedPredictions
    from ner_dist.comparison.predictions import Predictions

PARTS = ("label_set", "sentences", "gold", "model")
"""The parts of a gap, in the order in which they are shown."""
LEVEL = 0.95


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
    """By part, `gap` and `task` too: over other test sentences."""
    orders: Orders
    grounds: dict[str, Grounds]
    """By model."""


@dataclass(frozen=True)
class _Score:
    """An F1, with the influence of every sentence on it."""

    f1: float
    influence: np.ndarray
    """float64 [clusters]"""

    def __add__(self, other: _Score) -> _Score:
        return _Score(self.f1 + other.f1, self.influence + other.influence)

    def __sub__(self, other: _Score) -> _Score:
        return _Score(self.f1 - other.f1, self.influence - other.influence)

    def halved(self) -> _Score:
        return _Score(self.f1 / 2, self.influence / 2)

    @property
    def bounds(self) -> Bounds:
        n = np.count_nonzero(self.influence)
        error = np.sqrt((self.influence**2).sum() * n / max(n - 1, 1))
        reach = stats.norm.ppf((1 + LEVEL) / 2) * error
        return Bounds(float(self.f1 - reach), float(self.f1 + reach))


def decomposition(own: dict[str, list[Predictions]], aligned: AlignedPredictions) -> dict[str, Decomposition]:
    """By further model: its gap to the first model in F1 (micro, strict IOB2, means over runs), in parts."""
    first, *others = aligned.models
    clusters = _Clusters(own, aligned)
    scored = {model: _scores(own[model], aligned, model, clusters) for model in aligned.models}
    return {model: _gap(first, scored[first], model, scored[model]) for model in others}


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
    """A model's mean F1 over its runs by the names of `Grounds`."""
    summed: dict[str, list[_Score]] = {}
    for number, run in enumerate(own):
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
            summed.setdefault(name, []).append(_score(counts, ground, cluster, clusters.number))
    return {
        name: _Score(
            float(np.mean([each.f1 for each in runs])), np.mean([each.influence for each in runs], axis=0)
        )
        for name, runs in summed.items()
    }


def _counts(run: Predictions, labels: LabelSet) -> np.ndarray:
    """True positives, predicted and gold entities of every sentence on these types, int64 [N, 3]."""
    onto = run.labels.projection(labels)
    gold, predicted = look_up(onto, run.gold), onto[run.predicted]
    counts = metrics.count_per_sentence(gold, predicted, run.offsets, labels, strict=True)
    result: np.ndarray = counts.sum(axis=2, dtype=np.int64)
    return result


def _score(counts: np.ndarray, ground: np.ndarray, cluster: np.ndarray, clusters: int) -> _Score:
    right, predicted, gold = counts[ground].T
    f1 = float(metrics.precision_recall_f1(right.sum(), predicted.sum(), gold.sum())["f1"])
    influence = influence_on_ratio(2 * right, predicted + gold, np.ones(len(right)))
    return _Score(f1, np.bincount(cluster[ground], influence, minlength=clusters))


def _gap(a: str, of_a: dict[str, _Score], b: str, of_b: dict[str, _Score]) -> Decomposition:
    def change(before: str, after: str) -> _Score:
        return (of_a[after] - of_a[before]) + (of_b[before] - of_b[after])

    labels = change("own", "shared_types"), change("shared_sentences", "shared")
    sentences = change("shared_types", "shared"), change("own", "shared_sentences")
    parts = {
        "gap": of_b["own"] - of_a["own"],
        "label_set": (labels[0] + labels[1]).halved(),
        "sentences": (sentences[0] + sentences[1]).halved(),
        "gold": change("shared", "agreed"),
        "model": of_b["agreed"] - of_a["agreed"],
        "task": change("own", "shared"),
    }
    return Decomposition(
        base=a,
        **{name: part.f1 for name, part in parts.items()},
        intervals={name: part.bounds for name, part in parts.items()},
        orders=Orders(*(Order(one.f1, two.f1) for one, two in zip(labels, sentences, strict=True))),
        grounds={
            model: Grounds(**{name: score.f1 for name, score in scores.items()})
            for model, scores in ((a, of_a), (b, of_b))
        },
    )
