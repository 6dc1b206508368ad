"""Spans whose label the models of other folds contradict, the most suspicious first.

A candidate is a place where annotation and model can disagree: an annotated entity, with what the model finds
there instead, or an entity that the model finds where nothing is annotated. A reading of the place is as
credible as the word of it that the model believes least, the word behind included; the evidence is the
logarithm of how much more credible the model's reading is than the annotation. So neither the length of an
entity counts, nor how sure the model is of words that both readings have alike. benchmarks/label_errors.py
compares this with other measures.

An annotated entity that the model finds just so is compared with the most probable other reading of it:
another type, no entity, or one word more or less on either side. So every entity has a place in the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from ner_dist.labels import UNLABELLED, extract_spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ner_dist.data.corpus import Split
    from ner_dist.labels import LabelSet

Kind = Literal["missing", "extra", "wrong type", "wrong boundary", "wrong type and boundary"]
_LEAST = 1e-6
"""Probabilities below are those of rounding."""


@dataclass(frozen=True)
class Span:
    """An entity in a sentence."""

    start: int
    """First word of the sentence."""
    end: int
    """Behind the last."""
    type: str


@dataclass(frozen=True)
class Suspect:
    """A place of a sentence that may be annotated wrongly."""

    sentence: int
    annotated: tuple[Span, ...]
    """What the data says there; empty if nothing is annotated."""
    suggested: tuple[Span, ...]
    """What the model finds most probable there, or the best other reading if it agrees."""
    kind: Kind
    """What the annotation would be if the model were right."""
    evidence: float
    """Logarithm of how much more credible the suggested reading is than the annotated one; negative if the
    model agrees."""
    confidence: float
    """The model's probability of the annotated word that it believes least, from 0 to 1."""
    other_confidence: float
    """Likewise of the suggested reading."""
    agrees: bool
    """Whether the model's most probable reading is the annotated one."""


def suspects(split: Split, tags: np.ndarray, probabilities: np.ndarray, labels: LabelSet) -> list[Suspect]:
    """All candidates of a split, the most suspicious first.

    Args:
        split: the sentences.
        tags: label ids of the annotation in `labels`, int [W]; nothing is claimed of words without a label.
        probabilities: out-of-fold, float [W, labels]; rows of zeros where nothing is known.
        labels: what columns and ids mean.
    """
    found: list[Suspect] = []
    coder = _Coder(labels)
    logs = np.log(np.maximum(probabilities, _LEAST))
    known = (probabilities.sum(axis=1) > 0) & (tags != UNLABELLED)
    logs[~known] = 0.0  # every reading is the same to a word that no model saw, or nobody labelled
    predicted = np.where(known, probabilities.argmax(axis=1), tags)
    annotated, suggested = (
        _by_sentence(each.astype(np.int16), split.offsets, labels) for each in (tags, predicted)
    )
    for sentence in range(len(split)):
        start, end = int(split.offsets[sentence]), int(split.offsets[sentence + 1])
        sides = (annotated.get(sentence, []), suggested.get(sentence, []))
        found += _Sentence(sentence, logs[start:end], known[start:end], coder, *sides).suspects()
    found.sort(key=lambda suspect: -suspect.evidence)
    return found


def _by_sentence(tags: np.ndarray, offsets: np.ndarray, labels: LabelSet) -> dict[int, list[Span]]:
    spans = extract_spans(tags, offsets, labels, strict=False)
    sentence = np.searchsorted(offsets, spans.start, side="right") - 1
    grouped: dict[int, list[Span]] = {}
    for at, start, end, kind in zip(
        sentence.tolist(), spans.start.tolist(), spans.end.tolist(), spans.type.tolist(), strict=True
    ):
        first = int(offsets[at])
        grouped.setdefault(at, []).append(Span(start - first, end - first, labels.types[kind]))
    return grouped


class _Coder:
    """Turns readings into label ids."""

    def __init__(self, labels: LabelSet) -> None:
        self.types = labels.types
        self.outside = labels.label2id["O"]
        self.begin = {name: labels.label2id[f"B-{name}"] for name in labels.types}
        self.inside = {name: labels.label2id[f"I-{name}"] for name in labels.types}


@dataclass(frozen=True)
class _Sentence:
    """One sentence, and the log-probability of every label for its words."""

    index: int
    logs: np.ndarray
    """float [words, labels]"""
    known: np.ndarray
    """bool [words]: whether a model saw the word, and somebody labelled it."""
    coder: _Coder
    annotated: Sequence[Span]
    suggested: Sequence[Span]

    @cached_property
    def ends(self) -> set[tuple[int, str]]:
        """Where an entity of a type ends: behind it, an I- of this type would continue it."""
        return {(span.end, span.type) for span in (*self.annotated, *self.suggested)}

    @cached_property
    def taken(self) -> set[int]:
        """Words of entities."""
        both = (*self.annotated, *self.suggested)
        return {word for span in both for word in range(span.start, span.end)}

    def suspects(self) -> Iterator[Suspect]:
        """The candidates of the sentence."""
        for own, others in _groups(self.annotated, self.suggested):
            if own == others:
                yield self._best_other(own[0])
            else:
                yield self._suspect(tuple(own), tuple(others), agrees=False)

    def _best_other(self, span: Span) -> Suspect:
        """An annotated entity with which the model agrees, against the best other reading."""
        others: list[tuple[Span, ...]] = [()]
        others += [(Span(span.start, span.end, name),) for name in self.coder.types if name != span.type]
        bounds = []
        if span.start > 0 and span.start - 1 not in self.taken:
            bounds.append((span.start - 1, span.end))
        if span.end < len(self.logs) and span.end not in self.taken:
            bounds.append((span.start, span.end + 1))
        if span.end - span.start > 1:
            bounds += [(span.start + 1, span.end), (span.start, span.end - 1)]
        others += [(Span(start, end, span.type),) for start, end in bounds]
        found = [self._suspect((span,), other, agrees=True) for other in others]
        return max(found, key=lambda suspect: suspect.evidence)

    def _suspect(self, annotated: tuple[Span, ...], suggested: tuple[Span, ...], *, agrees: bool) -> Suspect:
        both = (*annotated, *suggested)
        start, end = min(span.start for span in both), max(span.end for span in both)
        given, other = (self._log(reading, start, end) for reading in (annotated, suggested))
        return Suspect(
            sentence=self.index,
            annotated=annotated,
            suggested=suggested,
            kind=_kind(annotated, suggested),
            evidence=float(other.min() - given.min()),
            confidence=float(np.exp(given.min())),
            other_confidence=float(np.exp(other.min())),
            agrees=agrees,
        )

    def _log(self, reading: tuple[Span, ...], start: int, end: int) -> np.ndarray:
        """Log-probability of each word's tag in a reading, float [end - start + 1].

        Words outside its entities are O; the first word of an entity has B-, or an I- that continues none.
        The last number is that of the word behind: it may be anything but
        the rest of an entity that ends at `end`.
        """
        ids = np.full(end - start, self.coder.outside)
        for span in reading:
            ids[span.start - start] = self.coder.begin[span.type]
            ids[span.start - start + 1 : span.end - start] = self.coder.inside[span.type]
        logs = np.zeros(end - start + 1)
        logs[:-1] = self.logs[np.arange(start, end), ids]
        for span in reading:
            # An I- that continues no entity begins one, too.
            if (span.start, span.type) not in self.ends and self.known[span.start]:
                inside = self.logs[span.start, self.coder.inside[span.type]]
                logs[span.start - start] = min(np.logaddexp(logs[span.start - start], inside), 0.0)
        last = next((span for span in reading if span.end == end), None)
        if last is not None and end < len(self.logs) and self.known[end]:
            goes_on = np.exp(self.logs[end, self.coder.inside[last.type]])
            logs[-1] = np.log(max(1 - goes_on, _LEAST))
        return logs


def _groups(annotated: Sequence[Span], suggested: Sequence[Span]) -> Iterator[tuple[list[Span], list[Span]]]:
    """Annotated and suggested entities that overlap, directly or through others."""
    marked = [(span, True) for span in annotated] + [(span, False) for span in suggested]
    marked.sort(key=lambda each: (each[0].start, each[0].end))
    group: list[tuple[Span, bool]] = []
    end = -1
    for span, own in marked:
        if group and span.start >= end:
            yield _sides(group)
            group = []
        group.append((span, own))
        end = max(end, span.end)
    if group:
        yield _sides(group)


def _sides(group: Sequence[tuple[Span, bool]]) -> tuple[list[Span], list[Span]]:
    return [span for span, own in group if own], [span for span, own in group if not own]


def _kind(annotated: tuple[Span, ...], suggested: tuple[Span, ...]) -> Kind:
    if not annotated:
        return "missing"
    if not suggested:
        return "extra"
    same_type = {span.type for span in annotated} == {span.type for span in suggested}
    same_words = [(span.start, span.end) for span in annotated] == [
        (span.start, span.end) for span in suggested
    ]
    if same_words:
        return "wrong type"
    return "wrong boundary" if same_type else "wrong type and boundary"
