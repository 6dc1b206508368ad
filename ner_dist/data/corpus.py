"""The rows of one file, as read, and the splits of a corpus.

Words are stored by sentence, tags in one flat array with offsets. So millions of words are checked, mapped
and counted as whole columns; no Python loop runs over words.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.blocks import blocks_of
from ner_dist.data.places import Places
from ner_dist.data.sentences import PART, Sentences
from ner_dist.data.unlabelled import without_no_label
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.data.annotation import AnnotatedSource
    from ner_dist.labels import LabelSet

LONGEST_WORD = 1_000_000
"""Characters of a word; a tokenizer takes some hundred bytes of memory for each."""
_CUT = "see whether the words are in another column, or cut it into words"
# Python refuses to read numbers of thousands of digits.
_DIGITS = 20


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

    tokens: Sequence[list[str]]
    """The words of every sentence; `Sentences`, but for some that are made in memory."""
    tags: np.ndarray
    """int16 [W]: label id of every word, sentence after sentence; `labels.UNLABELLED` where there is none."""
    offsets: np.ndarray
    """int64 [N+1]: sentence i holds the words offsets[i]:offsets[i+1]."""
    origin: Sequence[str] | None = None
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
            tokens=Sentences.of(self.tokens).keep(chosen),
            tags=self.tags[words],
            offsets=offsets_of(lengths[chosen]),
            origin=None if self.origin is None else Places.of(self.origin).keep(chosen),
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

    tokens: Sequence[list[str]]
    tags: np.ndarray
    """int [W]: index into `values` of every word's tag; -1 for a word without a label."""
    values: tuple[str, ...] | tuple[int, ...]
    """The distinct tags as the file writes them: all text (`B-PER`) or all ids."""
    offsets: np.ndarray
    """int64 [N+1]: sentence i holds the words offsets[i]:offsets[i+1]."""
    file: str
    line_numbers: np.ndarray
    """int [N]: line or row of every sentence (its first word's line in CoNLL files), from 1."""
    place_prefix: str = ""
    """Prefix of `line_numbers` in messages: empty for lines, `row ` for rows."""
    word_lines: np.ndarray | None = None
    """int [W]: line of every word, from 1, in formats with one word per line."""
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

    def origin(self) -> Places:
        """`file:line` or `file:row N` of every sentence."""
        prefix = np.zeros(len(self.line_numbers), dtype=np.int32)
        return Places([f"{self.file}:{self.place_prefix}"], prefix, self.line_numbers)

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


def fingerprint(splits: dict[str, Split], labels: LabelSet) -> str:
    """Hexadecimal sha256 of the splits' names, words and tags, and of the label set."""
    digest = hashlib.sha256(json.dumps(labels.tags).encode())
    for name in sorted(splits):
        digest.update(name.encode())
        for text in _as_json(splits[name].tokens):
            digest.update(text.encode())
        for block in blocks_of(len(splits[name].tags)):
            digest.update(splits[name].tags[block].astype("<i2").tobytes())
    return digest.hexdigest()


def _as_json(sentences: Iterable[list[str]]) -> Iterator[str]:
    """The text of `json.dumps(sentences)`, in pieces."""
    left, before = iter(sentences), ""
    yield "["
    while some := list(islice(left, PART)):
        yield before + json.dumps(some)[1:-1]
        before = ", "
    yield "]"
