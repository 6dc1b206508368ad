"""An operating point: which tags are chosen from logits, and which entities are kept.

A bias of a type is added to the logits of its tags before tags are chosen, so that more of its entities are
found. An entity is kept if its probability, the product of those of its words' tags, is at least the
threshold of its type; the words of others become O. Probabilities are those of the softmax of the logits
divided by the model's temperature, without the bias.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ner_dist.data.notation import OUT, Spelt
from ner_dist.errors import UserError
from ner_dist.labels import OUTSIDE, UNLABELLED, LabelSet, extract_spans


@dataclass(frozen=True)
class PerType:
    """A number for each type: its own, or the common one."""

    common: float = 0.0
    own: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, given: ByType) -> PerType:
        """From a number for all types, or a mapping; types that it does not name have 0."""
        if isinstance(given, PerType):
            return given
        return cls(own=dict(given)) if isinstance(given, Mapping) else cls(float(given))

    @classmethod
    def parse(cls, words: Sequence[str], option: str) -> PerType:
        """From values of an option: `.8` is for all types that no `PER=.5` names.

        Raises:
            UserError: a value is not a number or TYPE=NUMBER, or is given twice.
        """
        found: dict[str, float] = {}
        for word in words:
            name, equals, number = word.rpartition("=")
            try:
                value = float(number)
            except ValueError:
                value = math.nan
            if math.isnan(value) or (equals and not name):
                fix = f"write {option} 0.8, or {option} PER=0.8 for one type"
                raise UserError(f"'{word}' is neither a number nor TYPE=NUMBER", where=option, fix=fix)
            if name in found:
                what = f"gives `{name}` two numbers" if name else "gives two numbers for all types"
                raise UserError(what, where=option, fix="give one")
            found[name] = value
        return cls(found.pop("", 0.0), found)

    def words(self) -> list[str]:
        """The values of the option that `parse` reads."""
        return [str(self.common), *(f"{name}={value}" for name, value in self.own.items())]

    def by_type(self, types: Sequence[str]) -> dict[str, float] | None:
        """The number of each type; None if all are 0."""
        found = {name: self.own.get(name, self.common) for name in types}
        return found if any(found.values()) else None

    def values(self, types: Sequence[str], where: str) -> np.ndarray:
        """The number of each type, float64 [types].

        Raises:
            UserError: a type that is named is not among them.
        """
        for name in self.own:
            if name not in types:
                close = difflib.get_close_matches(name, types, n=1)
                hint = f"did you mean `{close[0]}`? " if close else ""
                what = f"the model has no type `{name}`"
                raise UserError(what, where=where, fix=f"{hint}it has {', '.join(types)}")
        return np.array([self.own.get(name, self.common) for name in types], dtype=np.float64)


ByType = float | Mapping[str, float] | PerType
"""One number for all types, or one for each of some types."""


@dataclass(frozen=True)
class OperatingPoint:
    """How tags are chosen from the logits of one model."""

    temperature: float = 1.0
    bias: np.ndarray | None = None
    """float32 [labels of the model], added to its logits; None adds nothing."""
    threshold: np.ndarray | None = None
    """float64 [types of the label set]: the least probability of an entity; None keeps all."""
    outside: np.ndarray | None = None
    """int [k]: the model's labels that mean O; None is the O of the label set."""

    def best(self, logits: np.ndarray) -> np.ndarray:
        """The best label of each word on its own, int [n], for logits [n, labels]."""
        scores = logits if self.bias is None else logits + self.bias
        result: np.ndarray = scores.argmax(axis=1)
        return result

    def probabilities(self, logits: np.ndarray, tags: np.ndarray) -> np.ndarray:
        """The calibrated probability of the label of each word, float64 [n]; see `tag_probabilities`."""
        return tag_probabilities(logits, tags, self.temperature)

    def drop(
        self,
        tags: np.ndarray,
        probability: np.ndarray,
        missing: np.ndarray,
        offsets: np.ndarray,
        labels: LabelSet,
    ) -> np.ndarray:
        """Replace entities below their threshold by O, in place.

        An I- that continues nothing begins an entity here, as for `ner-dist predict`. Strict entities are
        among these, so that none appears when another is dropped.

        Args:
            tags: label ids, int [W].
            probability: of each of them, float64 [W].
            missing: words to pass over, bool [W]: another rank has them, or they have no subwords.
            offsets: int64 [N+1]: sentence i holds the words offsets[i]:offsets[i + 1].
            labels: what the ids mean.

        Returns:
            The words that became O, rising, int64 [n].
        """
        if self.threshold is None:
            return np.empty(0, dtype=np.int64)
        present = np.where(missing, np.asarray(UNLABELLED, dtype=tags.dtype), tags)
        spans = extract_spans(present, offsets, labels, strict=False)
        below = spans.products(np.where(missing, 1.0, probability)) < self.threshold[spans.type]
        changed = np.zeros(len(tags) + 1, dtype=np.int64)
        changed[spans.start[below]] = 1
        np.subtract.at(changed, spans.end[below], 1)
        words = np.flatnonzero((changed.cumsum()[:-1] > 0) & ~missing)
        tags[words] = labels.label2id[OUTSIDE]
        return words


def operating_point(
    *,
    temperature: float,
    threshold: PerType,
    bias: PerType,
    spelt: Spelt,
    to: np.ndarray,
    known: Sequence[str],
    scored: Sequence[str],
) -> OperatingPoint:
    """The operating point of a model from numbers by type.

    Args:
        temperature: that of the model.
        threshold: from 0 to 1.
        bias: any finite number.
        spelt: the model's labels, by id.
        to: int16 [types]: the place in `known` of each type of `spelt`; -1 counts as O.
        known: the model's types, under the names that are used.
        scored: the types of the label set of the tags, some of `known`.

    Raises:
        UserError: a type is unknown, or a number is out of range.
    """
    least, added = threshold.values(known, "threshold"), bias.values(known, "bias")
    if not ((least >= 0) & (least <= 1)).all():
        raise UserError("is not a probability from 0 to 1", where="threshold", fix="write a number like 0.8")
    if not np.isfinite(added).all():
        raise UserError("is not a finite number", where="bias", fix="write a number like 1.5")
    place = np.where(spelt.parts == OUT, -1, to[spelt.types])
    of_label = np.append(added, 0.0)[place].astype(np.float32)
    return OperatingPoint(
        temperature=temperature,
        bias=of_label if of_label.any() else None,
        threshold=least[[list(known).index(name) for name in scored]] if least.any() else None,
        outside=np.flatnonzero(place < 0),
    )


def tag_probabilities(logits: np.ndarray, tags: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """The probability of one label of each word, float64 [n].

    Args:
        logits: float [n, labels].
        tags: label ids, int [n].
        temperature: the logits are divided by it.
    """
    scores = logits.astype(np.float64)
    if temperature != 1:
        scores /= temperature
    scores -= scores.max(axis=1, keepdims=True)
    share = np.exp(scores)
    result: np.ndarray = share[np.arange(len(tags)), tags] / share.sum(axis=1)
    return result
