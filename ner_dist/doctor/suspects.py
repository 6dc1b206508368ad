"""Spans whose label the models of other folds contradict, the most suspicious first.

A candidate is a place where annotation and model can disagree: an annotated entity, with what the model finds
there instead, or an entity that the model finds where nothing is annotated. The two readings of the place
are compared as whole tag sequences, up to the word behind it: the evidence is the logarithm of how much more
probable the model's reading is than the annotation. Words that both read alike cancel, so a long entity is
not suspicious for its length.

An annotated entity that the model finds just so is compared with the most probable other reading of it:
another type, no entity, or one word more or less on either side. So every entity has a place in the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ner_dist.labels import extract_spans

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
    """Logarithm of the odds of the suggested reading against the annotated one; negative if the model
    agrees."""
    confidence: float
    """The model's probability of the annotated tags of these words, their geometric mean."""
    agrees: bool
    """Whether the model's most probable reading is the annotated one."""


def suspects(split: Split, tags: np.ndarray, probabilities: np.ndarray, labels: LabelSet) -> list[Suspect]:
    """All candidates of a split, the most suspicious first.

    Args:
        split: the sentences.
        tags: label ids of the annotation in `labels`, int [W].
        probabilities: out-of-fold, float [W, labels]; rows of zeros where nothing is known.
        labels: what columns and ids mean.
    """
    found: list[Suspect] = []
    coder = _Coder(labels)
    logs = np.log(np.maximum(probabilities, _LEAST))
    logs[probabilities.sum(axis=1) == 0] = 0.0  # every reading is the same to a word that no model saw
    predicted = np.where(probabilities.sum(axis=1) > 0, probabilities.argmax(axis=1), labels.label2id["O"])
    annotated, suggested = (
        _by_sentence(each.astype(np.int16), split.offsets, labels) for each in (tags, predicted)
    )
    for sentence in range(len(split)):
        start, end = int(split.offsets[sentence]), int(split.offsets[sentence + 1])
        own = coder.sentence(sentence, logs[start:end])
        found += own.suspects(annotated.get(sentence, []), suggested.get(sentence, []))
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

    def sentence(self, index: int, logs: np.ndarray) -> _Sentence:
        return _Sentence(index, logs, self)


@dataclass(frozen=True)
class _Sentence:
    """One sentence, and the log-probability of every label for its words."""

    index: int
    logs: np.ndarray
    """float [words, labels]"""
    coder: _Coder

    def suspects(self, annotated: Sequence[Span], suggested: Sequence[Span]) -> Iterator[Suspect]:
        """The candidates of the sentence."""
        for own, others in _groups(annotated, suggested):
            if not own:
                yield self._suspect((), tuple(others), agrees=False)
            elif not others:
                for span in own:
                    yield self._suspect((span,), (), agrees=False)
            elif own == others:
                yield self._best_other(own[0])
            else:
                yield self._suspect(tuple(own), tuple(others), agrees=False)

    def _best_other(self, span: Span) -> Suspect:
        """An annotated entity with which the model agrees, against the best other reading."""
        others: list[tuple[Span, ...]] = [()]
        others += [(Span(span.start, span.end, name),) for name in self.coder.types if name != span.type]
        for start, end in (
            (span.start - 1, span.end),
            (span.start + 1, span.end),
            (span.start, span.end - 1),
            (span.start, span.end + 1),
        ):
            if 0 <= start < end <= len(self.logs):
                others.append((Span(start, end, span.type),))
        found = [self._suspect((span,), other, agrees=True) for other in others]
        return max(found, key=lambda suspect: suspect.evidence)

    def _suspect(self, annotated: tuple[Span, ...], suggested: tuple[Span, ...], *, agrees: bool) -> Suspect:
        both = (*annotated, *suggested)
        first = min(span.start for span in both)
        # The word behind tells whether an entity goes on.
        behind = min(max(span.end for span in both) + 1, len(self.logs))
        given, other = (self._log(reading, first, behind) for reading in (annotated, suggested))
        covered = max(span.end for span in both) - first
        return Suspect(
            sentence=self.index,
            annotated=annotated,
            suggested=suggested,
            kind=_kind(annotated, suggested),
            evidence=float(other.sum() - given.sum()),
            confidence=float(np.exp(given[:covered].mean())),
            agrees=agrees,
        )

    def _log(self, reading: tuple[Span, ...], first: int, behind: int) -> np.ndarray:
        """Log-probability of each word's tag in a reading, float [behind - first].

        The word behind is any word that does not go on with the entity before it.
        """
        ids = np.full(behind - first, self.coder.outside)
        for span in reading:
            ids[span.start - first] = self.coder.begin[span.type]
            ids[span.start - first + 1 : span.end - first] = self.coder.inside[span.type]
        logs: np.ndarray = self.logs[np.arange(first, behind), ids].copy()
        last = max((span.end for span in reading), default=0)
        if first < last < behind:
            goes_on = self.coder.inside[max(reading, key=lambda span: span.end).type]
            logs[last - first] = np.log(max(1 - np.exp(self.logs[last, goes_on]), _LEAST))
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
        end = max(end, span.end) if len(group) > 1 else span.end
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
