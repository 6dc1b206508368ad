"""The figures of a model card: scores with their intervals, and examples of every type."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.comparison.aligned import align_predictions
from ner_dist.comparison.predictions import Predictions
from ner_dist.comparison.uncertainty import uncertainty
from ner_dist.data.corpus import offsets_of
from ner_dist.formatting import interval, score
from ner_dist.labels import UNLABELLED, LabelSet, extract_spans

if TYPE_CHECKING:
    from pathlib import Path

    from ner_dist.comparison.claims import Uncertainty
    from ner_dist.evaluation.figures import SplitFigures

RESAMPLES = 1_000
_EXAMPLES = 3
_LONGEST_EXAMPLE = 40


@dataclass(frozen=True)
class ScoredSplit:
    """A split as the card shows it."""

    name: str
    figures: SplitFigures
    uncertainty: Uncertainty
    examples: dict[str, list[str]]
    """By type: the entities that the model found most often."""

    @classmethod
    def read(
        cls, name: str, figures: SplitFigures, path: Path, *, types: list[str], seed: int
    ) -> ScoredSplit:
        """A split with what its predictions add to its figures.

        Args:
            name: of the split.
            figures: its scores.
            path: its predictions.
            types: the types of the model.
            seed: of the training.
        """
        predictions = _read(path, LabelSet.from_types(types))
        aligned, _ = align_predictions({"A": [predictions]}, {"A": [seed]})
        return cls(name, figures, uncertainty(aligned, resamples=RESAMPLES), _examples(predictions))

    @property
    def entities(self) -> int:
        """Number of gold entities."""
        return int(sum(one.support for one in self.figures.per_type.values()))

    def over_all_types(self) -> dict[str, tuple[str, str]]:
        """By the name of a figure: the score and its interval, for the table."""
        own = self.figures
        shown = {
            "precision": own.precision,
            "recall": own.recall,
            "f1": own.f1,
            "macro_f1": own.macro.f1,
            "accuracy": own.accuracy,
        }
        estimates = self.uncertainty.models["A"].overall()
        return {
            name: (score(value), interval(estimates[name].low, estimates[name].high))
            for name, value in shown.items()
        }

    def by_type(self) -> dict[str, list[str]]:
        """By type: entities, precision, recall, F1 and the interval of F1, for the table."""
        estimates = self.uncertainty.models["A"].per_type
        return {
            name: [
                f"{one.support:,.0f}",
                *map(score, (one.precision, one.recall, one.f1)),
                interval(estimates[name].f1.low, estimates[name].f1.high),
            ]
            for name, one in self.figures.per_type.items()
        }


def _read(path: Path, labels: LabelSet) -> Predictions:
    """The predictions that this training has written; `comparison/prediction_files.py` reads any."""
    with path.open(encoding="utf-8") as file:
        lines: list[dict[str, Any]] = list(map(json.loads, file))
    ids = labels.label2id | {None: UNLABELLED}

    def flat(key: str) -> np.ndarray:
        return np.array([ids[tag] for line in lines for tag in line[key]], dtype=np.int16)

    return Predictions(
        source=path.name,
        labels=labels,
        gold=flat("gold"),
        predicted=flat("predicted"),
        offsets=offsets_of(np.array([len(line["gold"]) for line in lines], dtype=np.int64)),
        tokens=[line["tokens"] for line in lines],
        documents=[str(line["document"]) for line in lines] if "document" in lines[0] else None,
    )


def _examples(predictions: Predictions) -> dict[str, list[str]]:
    """By type: the words of the entities that were found most often."""
    tokens, offsets, types = predictions.tokens or [], predictions.offsets, predictions.labels.types
    gold, found = (
        extract_spans(tags, offsets, predictions.labels, strict=True)
        for tags in (predictions.gold, predictions.predicted)
    )
    right = set(zip(found.type.tolist(), found.start.tolist(), found.end.tolist(), strict=True))
    words = [word for sentence in tokens for word in sentence]
    counts: dict[str, Counter[str]] = {name: Counter() for name in types}
    for span in zip(gold.type.tolist(), gold.start.tolist(), gold.end.tolist(), strict=True):
        text = " ".join(words[span[1] : span[2]])
        if span in right and len(text) <= _LONGEST_EXAMPLE and text.isprintable():
            counts[types[span[0]]][text] += 1
    return {name: [text for text, _ in found.most_common(_EXAMPLES)] for name, found in counts.items()}
