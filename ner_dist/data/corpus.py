"""The rows of one file, the splits of a corpus, and the conversion of tags to label ids.

Words are stored by sentence, tags in one flat array with offsets. So millions of words are checked, mapped
and counted as whole columns; no Python loop runs over words.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, compress, islice
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.data.tags import Tags, read_tags, spell_labels
from ner_dist.data.unlabelled import NO_CODE, without_no_label
from ner_dist.errors import UserError
from ner_dist.labels import MULTINERD_TYPES, LabelSet

if TYPE_CHECKING:
    from ner_dist.data.annotation import AnnotatedSource
    from ner_dist.recipe import Data

log = logging.getLogger(__name__)


LONGEST_WORD = 1_000_000
"""Characters of a word; a tokenizer takes some hundred bytes of memory for each."""
_CUT = "see whether the words are in another column, or cut it into words"
# Python refuses to read numbers of thousands of digits.
_DIGITS = 20
_MOST_TYPES = (np.iinfo(np.int16).max - 1) // 2
"""Entity types whose labels, two for each and O, have ids in int16."""


@dataclass(frozen=True)
class Repeats:
    """Sentences that were dropped because they repeat the words of a kept one."""

    of: np.ndarray
    """int64 [R]: index of the kept sentence that each one repeats."""
    tags: np.ndarray
    """int16: label ids of their words, sentence after sentence."""


@dataclass
class Split:
    """One split of a corpus."""

    tokens: list[list[str]]
    """The words of every sentence."""
    tags: np.ndarray
    """int16 [W]: label id of every word, sentence after sentence; `labels.UNLABELLED` where there is none."""
    offsets: np.ndarray
    """int64 [N+1]: sentence i holds the words offsets[i]:offsets[i+1]."""
    origin: list[str] | None = None
    """Location of every sentence: `file:line`."""
    repeats: Repeats | None = None
    """What was dropped from a held-out split, if anything was."""
    documents: list[str] | None = None
    """Document of every sentence, if the data says which sentences belong together."""
    chars: np.ndarray | None = None
    """int64 [W, 2]: start and end of every word in the text of its document, if there is one."""
    source: np.ndarray | None = None
    """int8 [N]: the source of every sentence, in data of several sources."""

    @classmethod
    def of_words(cls, sentences: Sequence[list[str]]) -> Split:
        """Sentences whose tags are not known: all are 0."""
        offsets = offsets_of(np.array([len(words) for words in sentences], dtype=np.int64))
        return cls(list(sentences), tags=np.zeros(offsets[-1], dtype=np.int16), offsets=offsets)

    def __len__(self) -> int:
        """Number of sentences."""
        return len(self.tokens)

    def keep(self, chosen: np.ndarray) -> Split:
        """Select sentences by a mask, bool [N]; their order stays."""
        if chosen.all():
            return self
        lengths = np.diff(self.offsets)
        words = np.repeat(chosen, lengths)
        return Split(
            tokens=list(compress(self.tokens, chosen)),
            tags=self.tags[words],
            offsets=offsets_of(lengths[chosen]),
            origin=None if self.origin is None else list(compress(self.origin, chosen)),
            documents=None if self.documents is None else list(compress(self.documents, chosen)),
            chars=None if self.chars is None else self.chars[words],
            source=None if self.source is None else self.source[chosen],
        )


@dataclass
class Corpus:
    """The splits of one data set, under one label set."""

    splits: dict[str, Split]
    """The requested ones among `train`, `validation` and `test`."""
    labels: LabelSet
    """All labels of the data, including those that are not learnt."""
    counts: dict[str, int | str]
    """Counts from reading, as `<split>_<name>`; see `duplicates.py` and `labelled`."""
    fingerprint: str
    """sha256 over the words and tags of every split."""
    sources: tuple[AnnotatedSource, ...] = ()
    """What each source annotates, in data of several."""


@dataclass
class Rows:
    """The sentences of one file, in its order, after the language filter."""

    tokens: list[list[str]]
    tags: np.ndarray
    """int64 [W]: index into `values` of every word's tag; -1 for a word without a label."""
    values: tuple[str, ...] | tuple[int, ...]
    """The distinct tags as the file writes them: all text (`B-PER`) or all ids."""
    offsets: np.ndarray
    """int64 [N+1]: sentence i holds the words offsets[i]:offsets[i+1]."""
    file: str
    line_numbers: np.ndarray
    """int64 [N]: line or row of every sentence (its first word's line in CoNLL files), from 1."""
    place_prefix: str = ""
    """Prefix of `line_numbers` in messages: empty for lines, `row ` for rows."""
    word_lines: np.ndarray | None = None
    """int64 [W]: line of every word, from 1, in formats with one word per line."""
    names: tuple[str, ...] | None = None
    """The tag of each id, if the file states it."""
    read: int = 0
    """Rows before the language filter."""
    languages: Counter[str] = field(default_factory=Counter)
    """Number of rows in each language, if a language is selected."""
    documents: list[str] | None = None
    """Document of every sentence, if the file says which sentences belong together."""
    chars: np.ndarray | None = None
    """int64 [W, 2]: start and end of every word in the text of its document, in code points."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Number of annotations that are not read, by kind, in formats with many files."""

    def origin(self) -> list[str]:
        """`file:line` or `file:row N` of every sentence."""
        return [f"{self.file}:{self.place_prefix}{number}" for number in self.line_numbers.tolist()]

    def place_of_tag(self, code: int) -> str:
        """Location of the first tag `values[code]`."""
        return self.place(int(np.argmax(self.tags == code)))

    def place(self, word: int) -> str:
        """Location of a word, by its index."""
        if self.word_lines is not None:
            return f"{self.file}:{self.word_lines[word]}"
        sentence = int(np.searchsorted(self.offsets, word, side="right")) - 1
        return f"{self.file}:{self.place_prefix}{self.line_numbers[sentence]}"


def rows_from_lists(
    tokens: list[Any],
    tags: list[Any],
    *,
    file: str,
    line_numbers: Iterable[int],
    place_prefix: str = "",
    **counts: Any,
) -> Rows:
    """Check lists of words and of tags for each sentence, and make rows of them.

    Raises:
        UserError: something that is not a list of text, tags that are not all text or all whole numbers,
            or a sentence with more or fewer tags than words.
    """
    at = np.fromiter(line_numbers, np.int64, count=len(tokens))

    def where(sentence: int) -> str:
        return f"{file}:{place_prefix}{at[sentence]}"

    for column, what in ((tokens, "words"), (tags, "tags")):
        if set(map(type, column)) - {list}:
            index = next(i for i, cell in enumerate(column) if type(cell) is not list)
            raise UserError(f"{column[index]!r:.60} is not a list of {what}", where=where(index))
    lengths = np.fromiter(map(len, tokens), np.int64, count=len(tokens))
    check_lengths(lengths, np.fromiter(map(len, tags), np.int64, count=len(tags)), where)
    check_words(tokens, where)
    _check_tags(tags, where)
    codes, values = _codes(list(chain.from_iterable(tags)))
    return Rows(tokens, codes, values, offsets_of(lengths), file, at, place_prefix, **counts)


def check_lengths(lengths: np.ndarray, tag_lengths: np.ndarray, where: Callable[[int], str]) -> None:
    """Refuse a sentence with more or fewer tags than words."""
    differ = np.flatnonzero(lengths != tag_lengths)
    if len(differ):
        first = int(differ[0])
        what = f"{lengths[first]} words but {tag_lengths[first]} tags"
        raise UserError(what, where=where(first), fix="give every word exactly one tag")


def check_words(tokens: list[list[Any]], where: Callable[[int], str]) -> None:
    """Refuse words that are not text, that cannot be encoded as UTF-8, or that are endless."""
    if set(map(type, chain.from_iterable(tokens))) - {str}:
        index, word = next((i, w) for i, words in enumerate(tokens) for w in words if type(w) is not str)
        raise UserError(f"{word!r:.60} is not a word", where=where(index), fix="write words as text")
    _check_characters(tokens, "word", where)
    if max(map(len, chain.from_iterable(tokens)), default=0) > LONGEST_WORD:
        index, word = next((i, w) for i, words in enumerate(tokens) for w in words if len(w) > LONGEST_WORD)
        raise UserError(f"a word of {len(word):,} characters: '{word:.40}…'", where=where(index), fix=_CUT)


def _check_characters(column: list[list[str]], what: str, where: Callable[[int], str]) -> None:
    try:
        "\n".join(chain.from_iterable(column)).encode()
    except UnicodeEncodeError:
        index = next(i for i, items in enumerate(column) if re.search("[\ud800-\udfff]", " ".join(items)))
        raise UserError(
            f"half of a surrogate pair (\\ud800 to \\udfff) in a {what}", where=where(index)
        ) from None


def _check_tags(tags: list[list[Any]], where: Callable[[int], str]) -> None:
    kinds = list(dict.fromkeys(map(type, chain.from_iterable(tags))))
    kinds = [kind for kind in kinds if kind is not type(None)]  # a word without a label
    if kinds == [str]:
        _check_characters([[tag for tag in row if tag is not None] for row in tags], "tag", where)
    if kinds in ([], [str], [int]):
        return
    wrong = kinds[0] if kinds[0] not in (str, int) else kinds[1]
    index, tag = next((i, tag) for i, sentence in enumerate(tags) for tag in sentence if type(tag) is wrong)
    others = {str: "text", int: "whole numbers"}.get(kinds[0], "text or whole numbers")
    fix = "write all tags as text (B-PER) or all as whole numbers"
    raise UserError(f"tag {tag!r:.60} is not {others}", where=where(index), fix=fix)


def _codes(flat: list[Any]) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Encode tags as indices into the distinct tags, -1 for words without a label; return both."""
    values = tuple(dict.fromkeys(flat))
    code = {value: index for index, value in enumerate(values)}
    tags, values = without_no_label(
        np.fromiter(map(code.__getitem__, flat), np.int64, count=len(flat)), values
    )
    return tags, ids_from_text(values)


def ids_from_text(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Convert distinct tags to numbers if all are ids written as text."""
    written_ids = bool(values) and all(
        isinstance(value, str) and value.isdecimal() and len(value) < _DIGITS for value in values
    )
    return tuple(map(int, values)) if written_ids else values


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """Offsets of N consecutive runs with these lengths, int64 [N+1]."""
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))).astype(np.int64)


def missing_column(column: str, key: str, there: Iterable[str], where: str) -> UserError:
    """The error for a file without a column that `data.<key>` names."""
    return UserError(
        f"no column '{column}'; the columns are {', '.join(there) or 'none'}",
        where=where,
        fix=f"set data.{key}",
    )


def labelled(
    rows: dict[str, list[Rows]], data: Data
) -> tuple[LabelSet, dict[str, Split], dict[str, int | str]]:
    """The label set of a data set, its splits, and counts about its tags.

    The counts, as `<split>_<name>`: `scheme` (of all its files), `stray_i`
    entities that begin with an I- where the scheme has B-, `stray_i_words` in them; `words_without_label` if
    there are any.

    Args:
        rows: by split, the rows of its files.
        data: label names, and the treatment of stray I- tags.

    Raises:
        UserError: a tag cannot be understood or is none of `data.label_names`, or ids have no names.
    """
    labels, flat = label_ids([part for parts in rows.values() for part in parts], data)
    if len(labels.types) > _MOST_TYPES:
        where = next(part.file for parts in rows.values() for part in parts)
        what = f"{len(labels.types):,} entity types, and {_MOST_TYPES:,} at most can be told apart"
        raise UserError(what, where=where, fix="see whether data.tags_column is the column of tags")
    left, splits, counts = iter(flat), {}, dict[str, int | str]()
    for name, parts in rows.items():
        tags = list(islice(left, len(parts)))
        splits[name] = to_split(parts, tags, labels)
        counts[f"{name}_scheme"] = ", ".join(dict.fromkeys(part.scheme for part in tags))
        counts[f"{name}_stray_i"] = sum(part.stray for part in tags)
        counts[f"{name}_stray_i_words"] = sum(part.stray_words for part in tags)
        if unlabelled := sum(int((part.tags == NO_CODE).sum()) for part in parts):
            counts[f"{name}_words_without_label"] = unlabelled
    return labels, splits, counts


def label_ids(rows: list[Rows], data: Data) -> tuple[LabelSet, list[Tags]]:
    """The label set of the rows of all splits, and their tags in IOB2.

    Ids are named by `data.label_names`, else by the data itself, else, for a path called MultiNERD, by
    MultiNERD's order. Without ids, types come in MultiNERD's order if they are all MultiNERD's, else sorted.

    Raises:
        UserError: a tag cannot be understood or is none of `data.label_names`, or ids have no names.
    """
    numbered = [part for part in rows if part.values and isinstance(part.values[0], int)]
    written = [part for part in rows if part.values and isinstance(part.values[0], str)]
    if numbered and written:
        raise UserError(f"tags are ids here but text in {written[0].file}", where=numbered[0].file)
    if numbered or data.label_names is not None:
        names, where = _names_of_ids(numbered, data)
        spelt = spell_labels(names, where=where)
        rows = [replace(part, values=_ids_of(part, names), names=names) for part in rows]
        tags = read_tags(rows, stated=names, where=where, repair=data.repair)
        if spelt.as_written:
            return LabelSet.from_tags(names, where=where), tags
        return LabelSet.from_types(spelt.names), tags
    tags = read_tags(rows, repair=data.repair)
    types = {name for part in tags for name in part.names}
    known = types <= set(MULTINERD_TYPES)
    ordered = [name for name in MULTINERD_TYPES if name in types] if known else sorted(types)
    return LabelSet.from_types(ordered), tags


def _ids_of(part: Rows, names: tuple[str, ...]) -> tuple[int, ...]:
    """Map the distinct tags of a file to indices into all tag names."""
    place = {name.strip(): index for index, name in enumerate(names)}
    ids = []
    for code, value in enumerate(part.values):
        if isinstance(value, int):
            index, what = value, f"tag id {value} is not in the range 0 to {len(names) - 1}"
        else:
            index = place.get(str(value).strip(), -1)
            what = f"tag `{value!s:.60}` is not among the {len(names)} tags of data.label_names"
        if not 0 <= index < len(names):
            raise UserError(what, where=part.place_of_tag(code), fix="fix the tag or data.label_names")
        ids.append(index)
    return tuple(ids)


def _names_of_ids(rows: list[Rows], data: Data) -> tuple[tuple[str, ...], str]:
    if data.label_names is not None:
        return tuple(data.label_names), "data.label_names"
    stated = {part.names: part.file for part in rows if part.names is not None}
    if len(stated) > 1:
        first, second = list(stated.values())[:2]
        raise UserError(f"tag ids have different names in {first}", where=second, fix="set data.label_names")
    if stated:
        return next(iter(stated.items()))
    if "multinerd" in PurePath(data.path).name.lower():
        return LabelSet.from_types(MULTINERD_TYPES).tags, rows[0].file
    raise UserError(
        "tags are numbers without names",
        where=rows[0].place(0),
        fix="set data.label_names to the tag of each id, from 0",
    )


def to_split(rows: list[Rows], tags: list[Tags], labels: LabelSet) -> Split:
    """Join the rows of a split's files, in order, with their tags.

    Documents, and offsets in their texts, are kept if every file has them.
    """
    lengths = np.concatenate([np.diff(part.offsets) for part in rows])
    documents = [part.documents for part in rows if part.documents is not None]
    chars = [part.chars for part in rows if part.chars is not None]
    if documents and len(documents) < len(rows):
        without = next(part.file for part in rows if part.documents is None)
        log.info("%s does not name documents, other files do: documents are not kept", without)
    return Split(
        tokens=list(chain.from_iterable(part.tokens for part in rows)),
        tags=np.concatenate([part.ids(labels) for part in tags]),
        offsets=offsets_of(lengths),
        origin=list(chain.from_iterable(part.origin() for part in rows)),
        documents=list(chain.from_iterable(documents)) if len(documents) == len(rows) else None,
        chars=np.concatenate(chars) if len(chars) == len(rows) else None,
    )


def fingerprint(splits: dict[str, Split], labels: LabelSet) -> str:
    """Hexadecimal sha256 of the splits' names, words and tags, and of the label set."""
    digest = hashlib.sha256(json.dumps(labels.tags).encode())
    for name in sorted(splits):
        digest.update(name.encode())
        digest.update(json.dumps(splits[name].tokens).encode())
        digest.update(splits[name].tags.astype("<i2").tobytes())
    return digest.hexdigest()
