"""The words of many sentences, as Arrow's lists: bytes in memory or in a mapped file, not Python objects.

Ten words take a hundred bytes instead of a thousand. They become Python's where they are looked at: a
sentence at a time, or some thousand in turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

PART = 10_000
"""Sentences that are converted at a time."""


class Part(Protocol):
    """Some sentences in a row."""

    def __len__(self) -> int: ...
    def load(self) -> pa.Array:
        """Arrow's lists of text, without nulls."""


class InMemory:
    """A part that is in memory, or mapped."""

    def __init__(self, lists: pa.Array) -> None:
        self._lists = lists

    def __len__(self) -> int:
        return len(self._lists)

    def load(self) -> pa.Array:
        return self._lists


class Sentences(Sequence[list[str]]):
    """The words of every sentence."""

    def __init__(self, parts: Sequence[Part], chosen: np.ndarray | None = None) -> None:
        """
        Args:
            parts: all sentences, in order.
            chosen: indices of the sentences that count, never falling; None for all.
        """
        self._parts, self._chosen = list(parts), chosen
        self._ends = np.cumsum([0, *map(len, self._parts)])
        self._keys: np.ndarray | None = None

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]]) -> Sentences:
        """Sentences given as lists, or as they are if they are `Sentences`."""
        if isinstance(sentences, Sentences):
            return sentences
        words = list(sentences)
        return cls([InMemory(arrow_lists(words[at : at + PART])) for at in range(0, len(words), PART)])

    @classmethod
    def joined(cls, several: Iterable[Sequence[list[str]]]) -> Sentences:
        """Sentences of several, in order; no word is copied."""
        each = list(map(cls.of, several))
        parts = [part for one in each for part in one._parts]
        if all(one._chosen is None for one in each):
            return cls(parts)
        chosen, before = [np.empty(0, np.int64)], 0
        for one in each:
            chosen.append((np.arange(len(one)) if one._chosen is None else one._chosen) + before)
            before += int(one._ends[-1])
        return cls(parts, np.concatenate(chosen))

    def keep(self, which: np.ndarray) -> Sentences:
        """Select sentences by a mask, bool [N], or by indices that never fall, int [n]; no word is copied."""
        chosen = (np.arange(len(self)) if self._chosen is None else self._chosen)[which]
        kept = Sentences(self._parts, chosen)
        kept._keys = None if self._keys is None else self._keys[which]
        return kept

    def parts(self) -> Iterator[pa.Array]:
        """The sentences as Arrow's lists, at most some thousand at a time."""
        for number, part in enumerate(self._parts):
            if self._chosen is None:
                here = part.load()
            else:
                start, end = np.searchsorted(self._chosen, self._ends[number : number + 2])
                if start == end:
                    continue
                here = part.load().take(self._chosen[start:end] - self._ends[number])
            for at in range(0, len(here), PART):
                yield here.slice(at, PART)

    def keys(self) -> np.ndarray:
        """A hash of the words of every sentence, uint64 [N, 2]: equal for equal sentences alone.

        128 bits are so many that two of a billion different sentences never meet.
        """
        if self._keys is None:
            self._keys = self._hashes()
        return self._keys

    def _hashes(self) -> np.ndarray:
        import xxhash  # which a machine that only predicts need not have

        found = bytearray()
        for part in self.parts():
            ends = _ends(part)
            words = part.values[int(ends[0]) : int(ends[-1])]
            ends -= ends[0]
            _, starts, text = words.buffers()
            texts = np.frombuffer(starts or bytes(4), np.int32, len(words) + 1, 4 * words.offset)
            lengths, text = np.diff(texts), memoryview(text or b"")
            for start, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
                digest = xxhash.xxh3_128(text[texts[start] : texts[end]])
                digest.update(lengths[start:end].data)  # "ab" "c" is not "a" "bc"
                found += digest.digest()
        return np.frombuffer(bytes(found), np.uint64).reshape(-1, 2)

    def __len__(self) -> int:
        return int(self._ends[-1]) if self._chosen is None else len(self._chosen)

    def __iter__(self) -> Iterator[list[str]]:
        for part in self.parts():
            yield from _lists(part)

    @overload
    def __getitem__(self, index: int) -> list[str]: ...
    @overload
    def __getitem__(self, index: slice) -> Sentences: ...
    def __getitem__(self, index: int | slice) -> list[str] | Sentences:
        if isinstance(index, slice):
            start, end, step = index.indices(len(self))
            assert step == 1
            return self._between(start, max(start, end))
        place = range(len(self))[index]
        at = place if self._chosen is None else int(self._chosen[place])
        number = int(np.searchsorted(self._ends, at, side="right")) - 1
        result: list[str] = self._parts[number].load()[at - int(self._ends[number])].as_py()
        return result

    def _between(self, start: int, end: int) -> Sentences:
        chosen = np.arange(start, end) if self._chosen is None else self._chosen[start:end]
        if not len(chosen):
            return Sentences([])
        first, last = np.searchsorted(self._ends, chosen[[0, -1]], side="right") - 1
        return Sentences(self._parts[first : last + 1], chosen - self._ends[first])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}.of({list(self)!r:.1000})"


def arrow_lists(sentences: Sequence[Sequence[str]]) -> pa.Array:
    """Arrow's lists of the words of some sentences."""
    import pyarrow as pa

    return pa.array(sentences, type=pa.list_(pa.string()))


def _ends(part: Any) -> np.ndarray:
    """Where every list begins in `part.values`, and where the last ends, int64 [n+1]."""
    result: np.ndarray = part.offsets.to_numpy().astype(np.int64)
    return result


def _lists(part: Any) -> Iterator[list[str]]:
    ends = _ends(part)
    first = int(ends[0])
    # A conversion of all words at once takes a tenth of the time of `to_pylist`.
    words = part.values[first : int(ends[-1])].to_numpy(zero_copy_only=False).tolist()
    starts = (ends - first).tolist()
    return (words[start:end] for start, end in pairwise(starts))
