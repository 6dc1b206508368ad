"""Encoding: from words to subwords, and from long sentences to windows.

The first subword of a word stands for it in training and scoring. Sentences longer than the model are cut
at word boundaries into overlapping windows; every word is *owned* by exactly one of them, the one that shows
most of what stands around it, so that each word is trained on and scored once. Words without subwords (a
zero-width character, say) are owned by none: they cannot be trained on and are predicted `O`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.data.tokenizer import special_tokens
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from ner_dist.data.corpus import Split

# Sentences that the tokenizer's threads are given at a time; bounds the memory for its own objects.
_CHUNK = 20_000


@dataclass(frozen=True)
class Encoded:
    """One split as the model reads it. An example is a sentence, or one window of a long one."""

    input_ids: np.ndarray
    """int32 [S]: subword ids of all examples, special tokens included."""
    example_offsets: np.ndarray
    """int64 [E+1]: example e holds the subwords example_offsets[e]:example_offsets[e + 1]."""
    word_index: np.ndarray
    """int32 [S]: at the first subword of a word that the example owns, the word's index in the split; else -1."""
    sentence: np.ndarray
    """int32 [E]: the sentence of each example, rising."""

    @property
    def lengths(self) -> np.ndarray:
        """Subwords of each example, int32 [E]."""
        return np.diff(self.example_offsets).astype(np.int32)

    def words_per_example(self) -> np.ndarray:
        """Words that each example owns, int32 [E]."""
        owned = np.concatenate([[0], np.cumsum(self.word_index >= 0)])
        return np.diff(owned[self.example_offsets]).astype(np.int32)


def encode(split: Split, tokenizer: PreTrainedTokenizerFast, *, max_length: int, overlap: int) -> Encoded:
    """Cut a split into examples.

    Args:
        split: the words.
        tokenizer: a fast tokenizer.
        max_length: longest example in subwords, special tokens included.
        overlap: subwords that neighbouring windows share, about.

    Raises:
        UserError: max_length leaves no room for words.
    """
    prefix, suffix = special_tokens(tokenizer)
    room = max_length - len(prefix) - len(suffix)
    if room < 1:
        raise UserError(f"{max_length} subwords leave no room for words", where="data.max_length")
    ids: list[np.ndarray] = []
    words: list[np.ndarray] = []
    lengths: list[int] = []
    sentences: list[int] = []
    for first in range(0, len(split.tokens), _CHUNK):
        chunk = split.tokens[first : first + _CHUNK]
        encodings = tokenizer.backend_tokenizer.encode_batch(chunk, is_pretokenized=True, add_special_tokens=False)
        for number, encoding in enumerate(encodings, start=first):
            subwords = np.array(encoding.ids, dtype=np.int32)
            word = np.array(encoding.word_ids, dtype=np.int64) if len(subwords) else np.empty(0, np.int64)
            first_word = int(split.offsets[number])
            for part, owned in _windows(word, room=room, overlap=overlap):
                ids.append(np.concatenate([prefix, subwords[part], suffix]).astype(np.int32))
                index = np.where(owned, word[part] + first_word, -1)
                words.append(np.concatenate([[-1] * len(prefix), index, [-1] * len(suffix)]).astype(np.int32))
                lengths.append(len(ids[-1]))
                sentences.append(number)
    return Encoded(
        input_ids=np.concatenate(ids) if ids else np.empty(0, np.int32),
        example_offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        word_index=np.concatenate(words) if words else np.empty(0, np.int32),
        sentence=np.array(sentences, dtype=np.int32),
    )


def _windows(word: np.ndarray, *, room: int, overlap: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut a sentence into windows.

    Args:
        word: the word of each subword, rising, int [n].
        room: subwords that a window holds.
        overlap: subwords that neighbours share, about.

    Returns:
        Per window the indices of its subwords, and which of them are first subwords that it owns.
    """
    leads = np.ones(len(word), dtype=bool)
    leads[1:] = word[1:] != word[:-1]
    if len(word) <= room:
        return [(np.arange(len(word)), leads)]
    kept = _cut_long_words(leads, longest=max(1, room - overlap))
    leads = leads[kept]
    starts = np.append(np.flatnonzero(leads), len(kept))
    spans = _spans(starts, room=room, overlap=overlap)
    borders = [0]
    for (_, end), (start, _) in zip(spans, spans[1:], strict=False):
        # Halfway through what two windows share, both show equally much beyond the word.
        middle = starts[np.searchsorted(starts, (start + end) / 2)]
        borders.append(int(max(middle, borders[-1] + 1)))
    borders.append(len(kept))
    place = np.arange(len(kept))
    return [
        (kept[start:end], (leads & (place >= low) & (place < high))[start:end])
        for (start, end), low, high in zip(spans, borders, borders[1:], strict=False)
    ]


def _cut_long_words(leads: np.ndarray, *, longest: int) -> np.ndarray:
    """Indices of the subwords that stay when each word keeps at most `longest` of its own."""
    place = np.arange(len(leads))
    within = place - np.maximum.accumulate(np.where(leads, place, 0))
    return np.flatnonzero(within < longest)


def _spans(starts: np.ndarray, *, room: int, overlap: int) -> list[tuple[int, int]]:
    """Windows as (first subword, subword behind the last), each beginning and ending with a whole word.

    Args:
        starts: first subword of each word, and the number of subwords, rising.
        room: subwords that a window holds; every word is short enough to leave room for the overlap.
        overlap: subwords that neighbours share, at most.
    """
    spans, start, total = [], 0, int(starts[-1])
    while True:
        end = int(starts[np.searchsorted(starts, start + room, side="right") - 1])
        spans.append((start, end))
        if end == total:
            return spans
        # The next window begins with the first word within the overlap, and must hold a word beyond `end`.
        beyond = int(starts[np.searchsorted(starts, end, side="right")])
        start = int(starts[np.searchsorted(starts, max(end - overlap, beyond - room))])
