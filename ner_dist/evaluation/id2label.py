"""Decode the label ids of a trained tagger, in whatever scheme it was trained, to IOB2 in a label set.

Taggers on the hub predict without the B- of a type, with I- alone, types without parts, IOBES, labels of
padding, or I- where IOB2 has B- although they have a B-. They are scored on their entities, not on these.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ner_dist.data.file_text import read_text
from ner_dist.data.notation import BEGIN, OUT, SINGLE, Spelt
from ner_dist.data.renaming import Renaming, new_names, places
from ner_dist.data.schemes import evidence, renamed, scheme_name, to_iob2
from ner_dist.data.tags import label_ids, spell_labels
from ner_dist.errors import UserError
from ner_dist.labels import OUTSIDE, LabelSet

_OPTION = "--labels"


@dataclass(frozen=True)
class Decoder:
    """Maps the ids that a model predicts to those of a label set."""

    spelt: Spelt
    """The model's labels, by id."""
    to: np.ndarray
    """int16 [types]: the place in `labels.types` of each of the model's types; -1 counts as O."""
    labels: LabelSet
    """The scored label set."""
    iob2: bool
    """The model is known to predict IOB2, whatever its predictions look like."""

    @property
    def one_to_one(self) -> bool:
        """Whether every id means the same in `labels`, so that there is a loss."""
        return _in_iob2(self.spelt, [*self.labels.types], self.to) == list(self.labels.tags)

    @property
    def is_identity(self) -> bool:
        """Whether the model's ids are those of `labels` already, and its predictions in IOB2."""
        return self.iob2 and self.one_to_one

    def decode_words(
        self,
        predicted: np.ndarray,
        words: np.ndarray,
        offsets: np.ndarray,
        *,
        add_up: Callable[[np.ndarray], np.ndarray] = lambda evidence: evidence,
    ) -> str:
        """Turn the ids of some words into those of `labels`, in place, as if there were no other words.

        Args:
            predicted: the model's id of every word, int [W].
            words: the places of those that were predicted, rising, int [n].
            offsets: int64 [N+1]: sentence i holds the words offsets[i]:offsets[i + 1] of all.
            add_up: sums `evidence` over the ranks that predicted the others.

        Returns:
            The scheme of the predictions.
        """
        own_offsets = np.searchsorted(words, offsets)
        found = add_up(self.evidence(predicted[words], own_offsets))
        predicted[words] = self.decode(predicted[words], own_offsets, found=found)
        return self.scheme(found)

    def evidence(self, predicted: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Evidence of the scheme of the predictions, int64 [2], summed over ranks.

        Args:
            predicted: id of every word, int [W].
            offsets: int64 [N+1]: sentence i holds the words offsets[i]:offsets[i + 1].
        """
        types = self.spelt.types[predicted]
        parts = np.where(self._always[types], OUT, self.spelt.parts[predicted])
        found = evidence(parts, types, offsets)
        return np.array([found.begins, found.stray], dtype=np.int64)

    def scheme(self, found: np.ndarray) -> str:
        """The scheme of the predictions, by their `evidence`."""
        begins = self._always.all() or self._begins_with_inside(found)
        return scheme_name(self.spelt.letters, begins_with_inside=bool(begins))

    def decode(self, predicted: np.ndarray, offsets: np.ndarray, *, found: np.ndarray) -> np.ndarray:
        """Ids in `labels`, in IOB2, int16 [W].

        Args:
            predicted: as for `evidence`.
            offsets: likewise.
            found: the `evidence` of all ranks.
        """
        types = self.spelt.types[predicted]
        parts = to_iob2(
            *(self.spelt.parts[predicted], types, offsets),
            begins_with_inside=self._begins_with_inside(found) | self._always[types],
        )
        return label_ids(*renamed(parts, types, offsets, self.to), self.labels.types, self.labels)

    @cached_property
    def without_begin(self) -> list[str]:
        """The types that have an I- and no B-: their entities always begin with I-."""
        return [name for name, always in zip(self.spelt.names, self._always, strict=True) if always]

    @cached_property
    def _always(self) -> np.ndarray:
        """bool [types]: an I- that continues nothing begins an entity of it."""
        begin = np.isin(self.spelt.parts, (BEGIN, SINGLE))
        return ~np.isin(np.arange(len(self.spelt.names)), self.spelt.types[begin])

    def _begins_with_inside(self, found: np.ndarray) -> bool:
        """Whether it does of the other types, as most of their entities do."""
        begins, stray = found.tolist()
        return not self.iob2 and 2 * stray > begins + stray


def known_labels(spelt: Spelt, renaming: Renaming) -> LabelSet:
    """The label set of a model's types under their new names, in the order of its ids if it is in IOB."""
    names = new_names(spelt.names, renaming)
    tags = _in_iob2(spelt, names, places(spelt.names, renaming, names))
    if spelt.letters <= {"B", "I"} and len(set(tags)) == len(tags):
        return LabelSet.from_tags(tags)
    return LabelSet.from_types(names)


def _in_iob2(spelt: Spelt, names: list[str], to: np.ndarray) -> list[str]:
    """The labels by id under new names; of labels that are not in IOB, something that no label set holds."""
    of_id = zip(spelt.parts.tolist(), spelt.types.tolist(), strict=True)
    new = [(" BI??"[part], to[name] if part else -1) for part, name in of_id]
    return [OUTSIDE if name < 0 else f"{prefix}-{names[name]}" for prefix, name in new]


def spell_model(tags: Sequence[str], *, folder: str, given: str | None) -> Spelt:
    """Parse the labels of a model.

    Args:
        tags: as its config names them, by id.
        folder: the model, for messages.
        given: `--labels`: the tags by id with commas between, or a file of them; None if not given.

    Raises:
        UserError: the labels are no tags, or others than the model has.
    """
    if given is None:
        if all(re.fullmatch(r"LABEL_\d+", tag) for tag in tags):
            raise UserError(
                f"the labels have no names: LABEL_0 to LABEL_{len(tags) - 1}",
                where=f"{folder}: id2label",
                fix=f"name the tags of the {len(tags)} ids in order, as in --labels O,B-PER,I-PER",
            )
        return spell_labels(tags, where=f"{folder}: id2label", fix=f"name the tags by id with {_OPTION}")
    names = read_labels(given)
    if len(names) != len(tags):
        what = f"names {len(names)} tags, but the model has {len(tags)} labels"
        raise UserError(what, where=_OPTION, fix="name one for each id, in order")
    return spell_labels(names, where=_OPTION, fix="write each as O, B-TYPE or I-TYPE")


def read_labels(given: str) -> list[str]:
    """The tags of ids in order: `O,B-PER,I-PER`, or a file with one a line, a JSON list or `id2label`."""
    path = Path(given).expanduser()
    if not path.is_file():
        if "," not in given:
            what = f"'{given}' is neither a file nor a list of tags"
            raise UserError(what, where=_OPTION, fix="write --labels O,B-PER,I-PER, or name a file")
        return [tag.strip() for tag in given.split(",")]
    text = read_text(path)
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return [line.strip() for line in text.splitlines() if line.strip()]
    if isinstance(found, dict):
        found = found.get("id2label", found)
    if isinstance(found, dict) and sorted(found) == sorted(map(str, range(len(found)))):
        found = [found[str(i)] for i in range(len(found))]
    if not (isinstance(found, list) and all(isinstance(tag, str) for tag in found)):
        fix = "write a list of tags, or an object with the tag of each id"
        raise UserError("holds no list of tags", where=f"{_OPTION} {given}", fix=fix)
    return found
