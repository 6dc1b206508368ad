"""The same ground: one gold, the same sentences, the same types, and what every run of every model said."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.comparison.alignment import Alignment, align, by_words, without_words
from ner_dist.comparison.matching import Outcome, outcome
from ner_dist.comparison.scores import Scores, scores_of
from ner_dist.data.renaming import remedy
from ner_dist.errors import UserError
from ner_dist.evaluation import metrics
from ner_dist.evaluation.json_form import OPTIONAL
from ner_dist.labels import UNLABELLED, LabelSet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ner_dist.comparison.predictions import Predictions

log = logging.getLogger(__name__)

NO_WORDS = "the predictions hold no words"
NO_TRAINING = "the predictions do not say what training had seen"
"""Reasons if results that need the words, or the training text, are unknown."""

EXAMPLES = 5

FEWEST_DOCUMENTS = 10
"""From fewer documents nothing can be drawn: `resampling.py` says why."""

SHOWN_LENGTH = 200


@dataclass(frozen=True)
class LeftOutSentence:
    """A sentence that was not found in every file, by its words or else by its gold tags."""

    id: str | None
    place: int
    """In its file, from 1."""
    tags: str | None = field(default=None, metadata=OPTIONAL)
    words: str | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class LeftOut:
    """The sentences of a model's first run that are not shared, with a few examples."""

    sentences: int
    examples: list[LeftOutSentence]


@dataclass(frozen=True)
class AlignmentSummary:
    """Summary of the alignment, with the sentences left out."""

    by: str
    """Criterion, as in `alignment.Alignment`."""
    sentences: int
    units: int
    """Distinct sentences."""
    only_in: dict[str, LeftOut]
    """By model."""
    gold_differs_in: int
    """Words."""
    notes: list[str]


@dataclass(frozen=True)
class AlignedPredictions:
    """Sentence i has the words `offsets[i]:offsets[i + 1]` of the flat arrays; ids are those of `labels`."""

    labels: LabelSet
    """Of the shared types."""
    gold: np.ndarray
    """int16 [W]"""
    offsets: np.ndarray = field(repr=False)
    """int64 [N+1]"""
    predicted: dict[str, list[np.ndarray]]
    """By model name ("A", "B", ...): one int16 [W] for each of its runs, which differ in their seed."""
    seeds: dict[str, list[int | None]]
    """By model: the seed of each run, None where it is not known."""
    unit: np.ndarray
    """int64 [N]: the distinct sentence that each sentence is a copy of, 0..U-1."""
    document: np.ndarray | None = None
    """int64 [N]: the document of each sentence, 0..D-1, in order of appearance; None unless every file names
    them."""
    tokens: list[list[str]] | None = None
    ids: list[str] | None = None
    confidence: dict[str, list[np.ndarray | None]] = field(default_factory=dict)
    """By model and run: float32 [W], the probability of each word's predicted tag, where it is stored. Other
    types count as O here: a word whose predicted tag was of another type keeps that tag's probability."""
    in_train: dict[str, np.ndarray] = field(default_factory=dict)
    """By model, if it is known: bool [N], whether its training split has a sentence of the same words."""
    seen: dict[str, Mapping[str, frozenset[str]]] = field(default_factory=dict, repr=False)
    """By model, if it is known: as in `Predictions`, with the types of all its data."""

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
        """By model and run: the entities of gold and prediction, matched one to one."""
        return {
            model: [outcome(self.gold, tags, self.offsets, self.labels) for tags in runs]
            for model, runs in self.predicted.items()
        }

    @cached_property
    def counts(self) -> dict[str, list[np.ndarray]]:
        """By model and run: the counts of each sentence in strict IOB2, int32 [N, 3, types].

        The three are true positives, predicted and gold entities.
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
    """Every run of every model on the shared types, the shared sentences and the gold of the first model.

    Args:
        own: by model, the predictions of each run on its own labels and sentences.
        seeds: by model, the seed of each run.

    Raises:
        UserError: the models share no type or no sentence.
    """
    labels = shared_labels(own)
    runs = [(model, run) for model, files in own.items() for run in files]
    alignment = align([run for _, run in runs], labels)
    taken = [run.take(places, labels) for (_, run), places in zip(runs, alignment.places, strict=True)]
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
    # Whoever knows the words tells which sentences are copies, so that the order of models is of no matter.
    tokens = next((run.tokens for run in taken if run.tokens is not None), None)
    whole = runs[0][1].take(alignment.places[0], runs[0][1].labels)
    unit, notes = _units(whole, taken, tokens)
    aligned = AlignedPredictions(
        labels=labels,
        gold=taken[0].gold,
        offsets=taken[0].offsets,
        predicted=predicted,
        seeds=seeds,
        unit=unit,
        document=_documents(taken),
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
        only_in=_only_in(own, alignment),
        gold_differs_in=_differing_gold(taken),
        notes=[*alignment.notes, *notes],
    )
    return scored, summary


def _units(
    whole: Predictions, taken: list[Predictions], tokens: list[list[str]] | None
) -> tuple[np.ndarray, list[str]]:
    """Units of the shared sentences, int64 [N], and what to know of them; `whole` has all gold tags of A."""
    if tokens is not None:
        return by_words(tokens), []
    flat = [taken[0].gold, *(run.predicted for run in taken)]
    unit, note = without_words(whole, flat, whole.offsets)
    return unit, [note]


def _documents(taken: list[Predictions]) -> np.ndarray | None:
    """The document of each shared sentence, int64 [N], as the first file names them."""
    if any(run.documents is None for run in taken):
        return None
    number: dict[str, int] = {}
    return np.array([number.setdefault(name, len(number)) for name in taken[0].documents or ()], np.int64)


def _differing_gold(taken: list[Predictions]) -> int:
    """In how many words that have one, the gold of the shared sentences is not the same in all."""
    differs = np.zeros(len(taken[0].gold), dtype=bool)
    for other in taken[1:]:
        differs |= other.gold != taken[0].gold
    differs &= taken[0].gold != UNLABELLED
    if differs.any():
        log.warning(
            "gold tags differ in %d of %d words of the shared sentences: A's are used",
            *(differs.sum(), len(differs)),
        )
    return int(differs.sum())


def shared_labels(own: dict[str, list[Predictions]]) -> LabelSet:
    """The types that every model knows, in the order of the first."""
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


def _only_in(own: dict[str, list[Predictions]], alignment: Alignment) -> dict[str, LeftOut]:
    left_out = {}
    at = 0
    for model, runs in own.items():
        for number, run in enumerate(runs):
            alone = np.setdiff1d(np.arange(len(run)), alignment.places[at + number])
            if len(alone):
                log.warning(
                    "%d of %d sentences of %s (%s) are left out: they were not found in all others",
                    *(len(alone), len(run), model, run.source),
                )
            if number == 0:
                examples = [_example(run, int(place)) for place in alone[:EXAMPLES]]
                left_out[model] = LeftOut(len(alone), examples)
        at += len(runs)
    return left_out


def _example(run: Predictions, place: int) -> LeftOutSentence:
    start, end = run.offsets[place : place + 2]
    tags = " ".join(run.labels.tags[tag] for tag in run.gold[start:end])
    return LeftOutSentence(
        id=None if run.ids is None else run.ids[place],
        place=place + 1,
        tags=_shortened(tags) if run.tokens is None else None,
        words=None if run.tokens is None else _shortened(" ".join(run.tokens[place])),
    )


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]} …"
