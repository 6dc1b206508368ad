"""Encode words as subwords, and cut long sentences into windows.

The first subword of a word represents it in training and scoring. Sentences longer than the model's limit are
cut at word boundaries into overlapping windows; every word is *owned* by exactly one of them, the one with
the most context around it, so that each word is trained on and scored once. Words without subwords (such as a
zero-width character) are owned by no window: they are not trained on, and follow the entity around them in
predictions (`words_without_subwords.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ner_dist.blocks import blocks_of, sentence_blocks
from ner_dist.data.sentences import PART
from ner_dist.errors import UserError
from ner_dist.model.tokenizer import padding_id, special_tokens
from ner_dist.runtime.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ner_dist.data.corpus import Split
    from ner_dist.model.tokenizer import WordTokenizer


@dataclass(frozen=True)
class Encoded:
    """One split as the model sees it. An example is a sentence, or one window of a long sentence."""

    input_ids: np.ndarray
    """int32 [S]: subword ids of all examples, special tokens included."""
    example_offsets: np.ndarray
    """int64 [E+1]: example e holds the subwords example_offsets[e]:example_offsets[e + 1]."""
    word_index: np.ndarray
    """int32 [S]: the word's index in the split at the first subword of an owned word, else -1."""
    sentence: np.ndarray
    """int32 [E]: the sentence of each example, rising."""

    @property
    def lengths(self) -> np.ndarray:
        """Subwords of each example, int32 [E]."""
        return np.diff(self.example_offsets).astype(np.int32)

    def words_per_example(self, chosen: np.ndarray | None = None) -> np.ndarray:
        """Words that each example owns, or the `chosen` ones (bool [W]) among them, int32 [E]."""
        found = np.empty(len(self.example_offsets) - 1, dtype=np.int32)
        for examples, places in sentence_blocks(self.example_offsets):
            words = self.word_index[places]
            owned = words >= 0
            if chosen is not None:
                owned &= chosen[words]
            before = np.concatenate([[0], np.cumsum(owned)])
            ends = self.example_offsets[examples.start : examples.stop + 1] - places.start
            found[examples] = np.diff(before[ends])
        return found

    def without_subwords(self, n_words: int) -> np.ndarray:
        """Words that no example owns, among the split's `n_words`; ascending, int64 [n]."""
        missing = np.ones(n_words, dtype=bool)
        for block in blocks_of(len(self.word_index)):
            words = self.word_index[block]
            missing[words[words >= 0]] = False
        return np.flatnonzero(missing)


def encode(split: Split, tokenizer: WordTokenizer, *, max_length: int, overlap: int) -> Encoded:
    """Cut a split into examples; the arguments are those of `encode_parts`."""
    empty = np.empty(0, np.int32)
    parts = [Encoded(empty, np.zeros(1, np.int64), empty, empty)]
    parts += encode_parts(split, tokenizer, max_length=max_length, overlap=overlap)
    lengths = np.concatenate([np.diff(part.example_offsets) for part in parts])
    return Encoded(
        input_ids=np.concatenate([part.input_ids for part in parts]),
        example_offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        word_index=np.concatenate([part.word_index for part in parts]),
        sentence=np.concatenate([part.sentence for part in parts]),
    )


def encode_parts(
    split: Split, tokenizer: WordTokenizer, *, max_length: int, overlap: int, first: int = 0
) -> Iterator[Encoded]:
    """Cut a split into examples, some thousand sentences at a time.

    Args:
        split: the words.
        tokenizer: a fast tokenizer.
        max_length: longest example in subwords, special tokens included.
        overlap: subwords that neighbouring windows share, at most.
        first: the sentence to begin with, a multiple of `PART`.

    Yields:
        The examples of the next `PART` sentences, which bounds the memory for the tokenizer's own objects.
        Words and sentences are counted from the beginning of the split, `example_offsets` from that of the
        part.

    Raises:
        UserError: max_length leaves no room for words.
    """
    prefix, suffix = special_tokens(tokenizer)
    room = max_length - len(prefix) - len(suffix)
    if room < 1:
        raise UserError(f"{max_length} subwords leave no room for words", where="data.max_length")
    for subwords in _tokenise(split, tokenizer, first):
        subwords = _shorten_words(subwords, room)
        if not prefix and not suffix:
            subwords = _fill_empty(subwords, padding_id(tokenizer))
        windows = _windows(subwords, room=room, overlap=overlap)
        ids, words, lengths = _write(subwords, windows, prefix, suffix)
        yield Encoded(
            input_ids=ids,
            example_offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            word_index=words,
            sentence=(windows.sentence + subwords.first_sentence).astype(np.int32),
        )


class _Subwords(NamedTuple):
    """Subwords of some sentences, without special tokens."""

    first_sentence: int
    """Index in the split of the first sentence here."""
    ids: np.ndarray
    """int32 [n]"""
    lead: np.ndarray
    """int64 [n]: the word's index in the split at its first subword, else -1."""
    ends: np.ndarray
    """int64 [sentences + 1]: sentence i holds the subwords ends[i]:ends[i + 1]."""


class _Windows(NamedTuple):
    """Examples as positions in the subwords of `_Subwords`; every field is int64 [examples]."""

    sentence: np.ndarray
    start: np.ndarray
    end: np.ndarray
    owned_start: np.ndarray
    """The window owns the words whose first subword stands in owned_start:owned_end."""
    owned_end: np.ndarray


def _tokenise(split: Split, tokenizer: WordTokenizer, start: int) -> Iterator[_Subwords]:
    with progress("tokenising", len(split.tokens)) as show:
        for first in range(start, len(split.tokens), PART):
            chunk = list(split.tokens[first : first + PART])
            # Its own threads do the work; the tokenizer of transformers would add Python to every sentence.
            encodings = tokenizer.backend_tokenizer.encode_batch(
                chunk, is_pretokenized=True, add_special_tokens=False
            )
            counts = np.fromiter(map(len, encodings), np.int64, count=len(encodings))
            total = int(counts.sum())
            ids = np.fromiter(chain.from_iterable(each.ids for each in encodings), np.int32, count=total)
            word = np.fromiter(
                chain.from_iterable(each.word_ids for each in encodings), np.int64, count=total
            )
            word += np.repeat(split.offsets[first : first + len(chunk)], counts)
            leads = np.diff(word, prepend=-1) != 0
            ends = np.concatenate([[0], np.cumsum(counts)])
            yield _Subwords(first, ids=ids, lead=np.where(leads, word, -1), ends=ends)
            show(first + len(chunk))


def _shorten_words(subwords: _Subwords, room: int) -> _Subwords:
    """Truncate words that are longer than a window."""
    place = np.arange(len(subwords.ids))
    word_start = np.maximum.accumulate(np.where(subwords.lead >= 0, place, 0))
    kept = place - word_start < room
    if kept.all():
        return subwords
    return _Subwords(
        subwords.first_sentence,
        ids=subwords.ids[kept],
        lead=subwords.lead[kept],
        ends=np.concatenate([[0], np.cumsum(kept)])[subwords.ends],
    )


def _fill_empty(subwords: _Subwords, filler: int) -> _Subwords:
    """Add one subword to each sentence without any, even special tokens: models reject empty input."""
    empty = np.diff(subwords.ends) == 0
    places = subwords.ends[:-1][empty]
    return _Subwords(
        subwords.first_sentence,
        ids=np.insert(subwords.ids, places, filler),
        lead=np.insert(subwords.lead, places, -1),
        ends=subwords.ends + np.concatenate([[0], np.cumsum(empty)]),
    )


def _windows(subwords: _Subwords, *, room: int, overlap: int) -> _Windows:
    """Cut sentences longer than `room` into windows; any other is one window that owns all its words."""
    starts, ends = subwords.ends[:-1], subwords.ends[1:]
    short = np.flatnonzero(ends - starts <= room)
    parts = [np.stack([short, starts[short], ends[short], starts[short], ends[short]], axis=1)]
    for sentence in np.flatnonzero(ends - starts > room):
        start, end = starts[sentence], ends[sentence]
        word_starts = np.append(np.flatnonzero(subwords.lead[start:end] >= 0), end - start)
        cut = _cut_sentence(word_starts, room=room, overlap=overlap) + start
        parts.append(np.insert(cut, 0, sentence, axis=1))
    rows = np.concatenate(parts)
    return _Windows(*rows[np.argsort(rows[:, 0], kind="stable")].T)


def _cut_sentence(word_starts: np.ndarray, *, room: int, overlap: int) -> np.ndarray:
    """Cut one sentence into windows of whole words.

    Args:
        word_starts: first subword of each word, and the number of subwords, rising; no word exceeds `room`.
        room: subwords that a window holds.
        overlap: subwords that neighbours share, at most.

    Returns:
        start, end, owned start and owned end of each window, int64 [windows, 4].
    """
    total = int(word_starts[-1])
    starts, ends = [0], [int(word_starts[np.searchsorted(word_starts, room, side="right") - 1])]
    while ends[-1] < total:
        # The next window begins with a whole word of the overlap, and must hold a word beyond this one's end.
        beyond = int(word_starts[np.searchsorted(word_starts, ends[-1], side="right")])
        starts.append(int(word_starts[np.searchsorted(word_starts, max(ends[-1] - overlap, beyond - room))]))
        ends.append(int(word_starts[np.searchsorted(word_starts, starts[-1] + room, side="right") - 1]))
    # A word belongs to the later of two windows once it stands farther from that one's start than from the
    # other's end, that is once the sum of its own two ends reaches the sum of those.
    borders = np.array(starts[1:]) + np.array(ends[:-1])
    owner = np.searchsorted(borders, word_starts[:-1] + word_starts[1:], side="right")
    owned = word_starts[np.searchsorted(owner, np.arange(len(starts) + 1))]
    cut = np.stack([starts, ends, owned[:-1], owned[1:]], axis=1)
    return cut[owned[:-1] < owned[1:]]


def _write(
    subwords: _Subwords, windows: _Windows, prefix: list[int], suffix: list[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`input_ids`, `word_index` and lengths of the windows, with special tokens added."""
    inner = windows.end - windows.start
    lengths = inner + len(prefix) + len(suffix)
    behind = np.cumsum(lengths)
    within = np.arange(int(inner.sum())) - np.repeat(np.cumsum(inner) - inner, inner)
    source = np.repeat(windows.start, inner) + within
    target = np.repeat(behind - lengths + len(prefix), inner) + within

    ids = np.empty(int(lengths.sum()), dtype=np.int32)
    ids[target] = subwords.ids[source]
    ids[(behind - lengths)[:, None] + np.arange(len(prefix))] = prefix
    ids[behind[:, None] - len(suffix) + np.arange(len(suffix))] = suffix
    words = np.full(len(ids), -1, dtype=np.int32)
    owned = (source >= np.repeat(windows.owned_start, inner)) & (source < np.repeat(windows.owned_end, inner))
    words[target[owned]] = subwords.lead[source[owned]]
    return ids, words, lengths
