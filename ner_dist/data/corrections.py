"""Corrections of annotation errors, applied while data is read; the source stays as it is.

A file has a JSON object a line, as the review page of `ner-dist doctor --folds` saves it. Several files are
applied one after the other, so that a second review corrects what the first has left:

    {"decision": "accept", "split": "train", "tokens": ["Anna", …],
     "was": [{"start": 0, "end": 1, "type": "ORG"}], "now": [{"start": 0, "end": 2, "type": "PER"}]}

`start` and `end` count words of the sentence. A sentence is found by its words, wherever it is now, and is
changed only if it is annotated at that place as it was when it was reviewed.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.data.duplicates import sentence_key
from ner_dist.data.file_text import read_text
from ner_dist.data.json_text import json_lines
from ner_dist.data.split_files import SPLITS
from ner_dist.errors import UserError
from ner_dist.formatting import counted
from ner_dist.labels import OUTSIDE, LabelSet, extract_spans

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ner_dist.data.corpus import Split
    from ner_dist.recipe_data import Data, Reading

log = logging.getLogger(__name__)

Span = tuple[int, int, str]
"""First word in the sentence, the word behind the last, type."""
_AGAIN = "run ner-dist doctor RECIPE --folds 5 --out FOLDER on the data as it is now, and review it again"
_FORM = "save the file from the review page again"


@dataclass(frozen=True)
class Correction:
    """One accepted change of one place in a sentence."""

    split: str
    tokens: list[str]
    was: list[Span]
    now: list[Span]
    where: str
    """`file:line` of the correction."""

    @property
    def start(self) -> int:
        """First word that it touches."""
        return min(span[0] for span in (*self.was, *self.now))

    @property
    def end(self) -> int:
        """Behind the last word that it touches."""
        return max(span[1] for span in (*self.was, *self.now))


def correct(
    splits: Mapping[str, Split], labels: LabelSet, data: Data, *, counts: dict[str, int | str]
) -> LabelSet:
    """Change the tags of the splits as `data.corrections` says.

    Args:
        splits: as read; their tags are replaced.
        labels: what their ids mean.
        data: names the files, which are applied in their order; without one nothing happens.
        counts: the number of corrected places is added as `<split>_corrected`.

    Returns:
        The labels, with those of types that only corrections have at their end.

    Raises:
        UserError: a file cannot be read, or a sentence is not in the data as it was reviewed.
    """
    files = correction_files(data)
    if not files:
        return labels
    of_split: defaultdict[str, list[Correction]] = defaultdict(list)
    for correction in (each for path in files for each in read_corrections(path)):
        of_split[correction.split].append(correction)
    named = ", ".join(map(str, files))
    if unread := [f"{name} {len(of_split[name])}" for name in list(of_split) if name not in splits]:
        log.info("%s: corrections of splits that are not read: %s", named, ", ".join(unread))
    own = [name for split in splits for each in of_split[split] for _, _, name in each.now]
    if new := [name for name in dict.fromkeys(own) if name not in labels.types]:
        log.warning("%s: types that the data itself does not have: %s", named, ", ".join(new))
        labels = LabelSet((*labels.tags, *(f"{part}-{name}" for name in new for part in "BI")))
    for name, split in splits.items():
        split.tags, changed, already = _corrected(split, labels, of_split[name])
        counts[f"{name}_corrected"] = changed
        if of_split[name]:
            said = f"{already} found in the data already" if already else "all of them new"
            what = counted(len(of_split[name]), "correction")
            of = counted(changed, "place was", "places were")
            log.info("%s: %s of %s: %s changed, %s", name, what, named, of, said)
    return labels


def correction_files(data: Reading) -> list[Path]:
    """The files of `data.corrections`, in the order in which they are applied."""
    named = data.corrections or []
    return [Path(each) for each in ([named] if isinstance(named, str) else named)]


def read_corrections(path: Path) -> list[Correction]:
    """The accepted corrections of a file.

    Raises:
        UserError: it cannot be read, or a line is no correction.
    """
    if not path.is_file():
        raise UserError("no such file", where=f"data.corrections {path}", fix="save it from the review page")
    found = []
    for number, row in json_lines(read_text(path), path):
        where = f"{path}:{number}"
        try:
            if row["decision"] not in ("accept", "reject"):
                raise ValueError
            correction = Correction(
                str(row["split"]), _words(row["tokens"]), _spans(row["was"]), _spans(row["now"]), where
            )
            accepted = row["decision"] == "accept"
        except (KeyError, TypeError, ValueError):
            what = "not a correction with decision, split, tokens, was and now"
            raise UserError(what, where=where, fix=_FORM) from None
        if correction.split not in SPLITS:
            what = f"there is no split `{correction.split}`; the splits are {', '.join(SPLITS)}"
            raise UserError(what, where=where, fix=_FORM)
        both = (*correction.was, *correction.now)
        if not both or any(not 0 <= start < end <= len(correction.tokens) for start, end, _ in both):
            raise UserError("its spans do not lie in the sentence", where=where, fix=_FORM)
        if accepted:
            found.append(correction)
    return found


def _words(tokens: Any) -> list[str]:
    """The words of a sentence.

    Raises:
        ValueError: they are no list of texts.
    """
    if not isinstance(tokens, list) or not all(isinstance(word, str) for word in tokens):
        raise ValueError
    return tokens


def _spans(rows: Any) -> list[Span]:
    """Spans in their order.

    Raises:
        KeyError, TypeError, ValueError: a row is no span of words with a type.
    """
    spans = [(row["start"], row["end"], row["type"]) for row in rows]
    for start, end, name in spans:
        if type(start) is not int or type(end) is not int or not isinstance(name, str) or not name:
            raise ValueError
    return sorted(spans)


def _corrected(split: Split, labels: LabelSet, corrections: list[Correction]) -> tuple[np.ndarray, int, int]:
    """The corrected tags, the number of changed places, and of those that had been changed already."""
    if not corrections:
        return split.tags, 0, 0
    places: defaultdict[str, list[int]] = defaultdict(list)
    wanted = {sentence_key(correction.tokens) for correction in corrections}
    for index, words in enumerate(split.tokens):
        if (key := sentence_key(words)) in wanted:
            places[key].append(index)
    tags, changed, already = split.tags.copy(), 0, 0
    for correction in corrections:
        known = places[sentence_key(correction.tokens)]
        if not known:
            what = f"{correction.split} has no sentence `{' '.join(correction.tokens):.60}` any more"
            raise UserError(what, where=correction.where, fix=_AGAIN)
        states = [_state(tags, split, index, correction, labels) for index in known]
        for index, state in zip(known, states, strict=True):
            if state == correction.was:
                _write(tags, int(split.offsets[index]), correction, labels)
                changed += 1
            elif state == correction.now:
                already += 1
        if correction.was not in states and correction.now not in states:
            origin = split.origin[known[0]] if split.origin else f"sentence {known[0] + 1}"
            what = f"{origin} is annotated in another way than when it was reviewed"
            raise UserError(what, where=correction.where, fix=_AGAIN)
    return tags, changed, already


def _state(
    tags: np.ndarray, split: Split, index: int, correction: Correction, labels: LabelSet
) -> list[Span]:
    """The entities that overlap the place of a correction, as the sentence is annotated now."""
    start, end = split.offsets[index : index + 2]
    spans = extract_spans(tags[start:end], np.array([0, end - start]), labels, strict=False)
    rows = zip(spans.start.tolist(), spans.end.tolist(), spans.type.tolist(), strict=True)
    return [
        (first, behind, labels.types[kind])
        for first, behind, kind in rows
        if first < correction.end and correction.start < behind
    ]


def _write(tags: np.ndarray, first: int, correction: Correction, labels: LabelSet) -> None:
    tags[first + correction.start : first + correction.end] = labels.label2id[OUTSIDE]
    for start, end, name in correction.now:
        tags[first + start] = labels.label2id[f"B-{name}"]
        tags[first + start + 1 : first + end] = labels.label2id[f"I-{name}"]
