"""Align the predictions of all runs: one gold, the same sentences, the same entity types."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.comparison.alignment import align
from ner_dist.comparison.copies import Copies, by_words, without_words
from ner_dist.comparison.left_out import AlignmentSummary, differing_gold, disputed_gold, harder, left_out
from ner_dist.comparison.matching import Outcome, outcome
from ner_dist.comparison.scores import Scores, scores_of
from ner_dist.data.renaming import remedy
from ner_dist.errors import UserError
from ner_dist.evaluation import metrics
from ner_dist.labels import UNLABELLED, LabelSet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ner_dist.comparison.predictions import Predictions

log = logging.getLogger(__name__)

NO_WORDS = "the predictions hold no words"
NO_TRAINING = "the predictions do not say what training had seen"
"""Reasons if results that need the words, or the training text, are unknown."""

FEWEST_DOCUMENTS = 10
"""From fewer documents nothing can be drawn: `resampling.py` says why."""


@dataclass(frozen=True)
class AlignedPredictions:
    """Gold tags and predictions of all models on the shared types and on the shared sentences of equal gold.

    Sentence i consists of words `offsets[i]:offsets[i + 1]` of the flat arrays. Tags are ids in `labels`.
    """

    labels: LabelSet
    """Of the shared types."""
    gold: np.ndarray
    """int16 [W]"""
    offsets: np.ndarray = field(repr=False)
    """int64 [N+1]"""
    predicted: dict[str, list[np.ndarray]]
    """By model ("A", "B", ...): label ids, int16 [W], of each of its runs, which differ in their seed."""
    seeds: dict[str, list[int | None]]
    """By model: the seed of each run; None if unknown."""
    unit: np.ndarray
    """int64 [N]: the distinct sentence that each sentence is a copy of, 0..U-1."""
    document: np.ndarray | None = None
    """int64 [N]: the document of each sentence, 0..D-1, in order of appearance; None unless every file names
    them."""
    places: dict[str, list[np.ndarray]] = field(default_factory=dict, repr=False)
    """By model and run: int64 [N], the index of each sentence in the run's own file."""
    disputed: dict[str, list[np.ndarray]] = field(default_factory=dict, repr=False)
    """Likewise of shared sentences whose gold differs between files."""
    tokens: list[list[str]] | None = None
    ids: list[str] | None = None
    confidence: dict[str, list[np.ndarray | None]] = field(default_factory=dict)
    """By model and run: float32 [W], the probability of each word's predicted tag; None if not stored. A word
    whose predicted tag was of a type that is not shared counts as O, but keeps that tag's probability."""
    in_train: dict[str, np.ndarray] = field(default_factory=dict)
    """By model, if known: bool [N], whether its training split contains a sentence of the same words."""
    seen: dict[str, Mapping[str, frozenset[str]]] = field(default_factory=dict, repr=False)
    """By model, if known: as in `Predictions`, with all types of its data."""

    @property
    def models(self) -> list[str]:
        return list(self.predicted)

    @property
    def units(self) -> int:
        return int(self.unit.max()) + 1 if len(self.unit) else 0

    @property
    def documents(self) -> int | None:
        """Number of documents; None if it is not known."""
        return None if self.document is None else int(self.document.max(initial=-1)) + 1

    @property
    def draws_documents(self) -> bool:
        """Whether resampling draws whole documents, and not sentences."""
        return self.documents is not None and self.documents >= FEWEST_DOCUMENTS

    @property
    def drawn(self) -> np.ndarray:
        """int64 [N]: what each sentence is drawn with, its document or its copies; numbered from 0."""
        return self.document if self.document is not None and self.draws_documents else self.unit

    def __len__(self) -> int:
        """Number of sentences."""
        return len(self.offsets) - 1

    def labelled_words(self) -> AlignedPredictions:
        """The same sentences without the words that have no gold label, which are not scored."""
        kept = self.gold != UNLABELLED
        if kept.all():
            return self
        tokens = None
        if self.tokens is not None:
            each = np.split(kept, self.offsets[1:-1])
            tokens = [list(compress(words, mask)) for words, mask in zip(self.tokens, each, strict=True)]
        return replace(
            self,
            gold=self.gold[kept],
            offsets=np.concatenate([[0], np.cumsum(kept)])[self.offsets],
            predicted={model: [run[kept] for run in runs] for model, runs in self.predicted.items()},
            tokens=tokens,
            confidence={
                model: [None if run is None else run[kept] for run in runs]
                for model, runs in self.confidence.items()
            },
        )

    @cached_property
    def outcomes(self) -> dict[str, list[Outcome]]:
        """By model and run: gold and predicted entities, matched one to one."""
        return {
            model: [outcome(self.gold, tags, self.offsets, self.labels) for tags in runs]
            for model, runs in self.predicted.items()
        }

    @cached_property
    def counts(self) -> dict[str, list[np.ndarray]]:
        """By model and run: entity counts of each sentence in strict IOB2, int32 [N, 3, types].

        The second axis is true positives, predicted entities, gold entities.
        """
        return {
            model: [
                metrics.count_per_sentence(self.gold, tags, self.offsets, self.labels, strict=True)
                for tags in runs
            ]
            for model, runs in self.predicted.items()
        }

    @cached_property
    def scores(self) -> dict[str, list[Scores]]:
        """By model and run: the scores over all sentences in strict IOB2."""
        return {
            model: [
                scores_of(
                    metrics.Counts.from_array(counts.sum(axis=0)),
                    self.labels,
                    metrics.token_accuracy(self.gold, tags),
                )
                for counts, tags in zip(self.counts[model], runs, strict=True)
            ]
            for model, runs in self.predicted.items()
        }


def align_predictions(
    own: dict[str, list[Predictions]], seeds: dict[str, list[int | None]]
) -> tuple[AlignedPredictions, AlignmentSummary]:
    """Project all runs onto the shared types, and onto the shared sentences whose gold is equal in all files.

    Args:
        own: by model, the predictions of each run, with its own labels and sentences.
        seeds: by model, the seed of each run.

    Raises:
        UserError: the models share no type or no sentence, or the gold differs in all of them.
    """
    labels = shared_labels(own)
    runs = [(model, run) for model, files in own.items() for run in files]
    alignment = align([run for _, run in runs], labels)
    taken = [run.take(places, labels) for (_, run), places in zip(runs, alignment.places, strict=True)]
    by_model = [model for model, _ in runs]
    differs, words = differing_gold(taken)
    disputed = disputed_gold(by_model, taken, differs, words) if differs.any() else None
    if differs.any():
        agreed = np.flatnonzero(~differs)
        places = {"agreed": [each[agreed] for each in alignment.places]}
        places["disputed"] = [each[differs] for each in alignment.places]
        taken = [run.take(agreed, labels) for run in taken]
    else:
        places = {"agreed": alignment.places, "disputed": [each[:0] for each in alignment.places]}
    predicted: dict[str, list[np.ndarray]] = {model: [] for model in own}
    confidence: dict[str, list[np.ndarray | None]] = {model: [] for model in own}
    in_train: dict[str, np.ndarray] = {}
    seen: dict[str, Mapping[str, frozenset[str]]] = {}
    for (model, _), run in zip(runs, taken, strict=True):
        predicted[model].append(run.predicted)
        confidence[model].append(run.confidence)
        # All runs of a model were trained on the same text.
        if run.in_train is not None:
            in_train.setdefault(model, run.in_train)
        if run.seen is not None:
            seen.setdefault(model, run.seen)
    # If any file holds the words, they decide which sentences are copies, whatever the order of the models.
    tokens = next((run.tokens for run in taken if run.tokens is not None), None)
    whole = runs[0][1].take(places["agreed"][0], runs[0][1].labels)
    copies = _copies(whole, taken, tokens)
    notes = [copies.note] if copies.note else []
    aligned = AlignedPredictions(
        labels=labels,
        gold=_labelled_everywhere(taken),
        offsets=taken[0].offsets,
        predicted=predicted,
        seeds=seeds,
        unit=copies.unit,
        document=_documents(taken),
        places=_grouped(by_model, places["agreed"]),
        disputed=_grouped(by_model, places["disputed"]),
        tokens=tokens,
        ids=next((run.ids for run in taken if run.ids is not None), None),
        confidence=confidence,
        in_train=in_train,
        seen=seen,
    )
    scored = aligned.labelled_words()
    if unscored := len(aligned.gold) - len(scored.gold):
        notes.append(f"Words without a gold label, which are not scored: {unscored:,}.")
    summary = AlignmentSummary(
        by=alignment.by,
        sentences=len(aligned),
        units=aligned.units,
        only_in=left_out(own, alignment),
        disputed=disputed,
        copies_unknown=copies.unknown,
        harder=harder(own, alignment, labels),
        notes=[*alignment.notes, *notes],
    )
    return scored, summary


def _labelled_everywhere(taken: list[Predictions]) -> np.ndarray:
    """The gold tags, with those words unlabelled that any file gives no label: they are not scored."""
    gold: np.ndarray = taken[0].gold.copy()
    for other in taken[1:]:
        gold[other.gold == UNLABELLED] = UNLABELLED
    return gold


def _copies(whole: Predictions, taken: list[Predictions], tokens: list[list[str]] | None) -> Copies:
    """Copies among the shared sentences; `whole` holds them with all gold tags of A."""
    if tokens is not None:
        return by_words(tokens)
    flat = [taken[0].gold, *(run.predicted for run in taken)]
    return without_words(whole, flat, whole.offsets)


def _documents(taken: list[Predictions]) -> np.ndarray | None:
    """The document of each shared sentence, int64 [N], as the first file names them."""
    if any(run.documents is None for run in taken):
        return None
    number: dict[str, int] = {}
    return np.array([number.setdefault(name, len(number)) for name in taken[0].documents or ()], np.int64)


def _grouped(models: list[str], values: list[Any]) -> dict[str, list[Any]]:
    """The values of all runs by model."""
    grouped: dict[str, list[Any]] = {}
    for model, value in zip(models, values, strict=True):
        grouped.setdefault(model, []).append(value)
    return grouped


def shared_labels(own: dict[str, list[Predictions]]) -> LabelSet:
    """The types that all models know, in the order of the first model."""
    sets = {model: runs[0].labels.types for model, runs in own.items()}
    first = next(iter(sets.values()))
    types = [name for name in first if all(name in known for known in sets.values())]
    if not types:
        raise UserError(
            f"the runs share no entity type ({'; '.join(', '.join(known) for known in sets.values())})",
            where=", ".join(runs[0].source for runs in own.values()),
            fix=_remedy(list(sets.values())),
        )
    return LabelSet.from_types(types)


def _remedy(sets: list[tuple[str, ...]]) -> str:
    """Suggested options for two models that share no type."""
    for i, one in enumerate(sets):
        for other in sets[i + 1 :]:
            if not set(one) & set(other):
                return remedy(one, other)
    return "compare those of them that share a type"
