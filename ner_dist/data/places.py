"""Where sentences come from, as a number for each and a few prefixes, such as `train.conll:`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np


class Places(Sequence[str]):
    """Where sentences come from: a few prefixes such as `file:`, and a number for each sentence."""

    def __init__(self, prefixes: Sequence[str], prefix: np.ndarray, number: np.ndarray) -> None:
        """
        Args:
            prefixes: the distinct ones.
            prefix: index of every sentence's, int [N].
            number: what follows it, int [N]; negative for nothing.
        """
        self._prefixes, self._prefix, self._number = list(prefixes), prefix, number

    @classmethod
    def of(cls, places: Sequence[str]) -> Places:
        """Places given as texts, or as they are if they are `Places`."""
        if isinstance(places, Places):
            return places
        return cls(places, np.arange(len(places)), np.full(len(places), -1))

    @classmethod
    def joined(cls, several: Iterable[Sequence[str]]) -> Places:
        each = list(map(cls.of, several))
        firsts = np.cumsum([0, *(len(one._prefixes) for one in each)])
        return cls(
            [prefix for one in each for prefix in one._prefixes],
            np.concatenate([one._prefix + first for one, first in zip(each, firsts, strict=False)]),
            np.concatenate([one._number for one in each]),
        )

    def keep(self, which: np.ndarray) -> Places:
        """Select places by a mask, bool [N], or by indices, int [n]."""
        return Places(self._prefixes, self._prefix[which], self._number[which])

    def __len__(self) -> int:
        return len(self._number)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Places: ...
    def __getitem__(self, index: int | slice) -> str | Places:
        if isinstance(index, slice):
            return Places(self._prefixes, self._prefix[index], self._number[index])
        number, prefix = int(self._number[index]), self._prefixes[int(self._prefix[index])]
        return prefix if number < 0 else f"{prefix}{number}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]
