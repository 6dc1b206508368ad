"""Draw training sentences with replacement (`data.resample`), to see how results vary with the training set.

The Poisson bootstrap: each sentence, or each document where they are known, is taken as often as a Poisson
variable of mean 1 says, so about 63 % of them occur, some several times. A draw depends on the seed and the
place of the sentence alone, not on how many there are, so that data can be drawn while it is read (Oza &
Russell 2001; Chamandy et al. 2012). Random numbers are raw words of PCG64, as in `cutting.py`, so that a draw
is the same on any machine.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.data.corpus import Split, offsets_of
from ner_dist.data.places import Places
from ner_dist.data.sentences import Sentences
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

_MOST = 16
"""More copies of one sentence have a probability below 2**-48."""
_BELOW = np.cumsum([math.exp(-1) / math.factorial(number) for number in range(_MOST)])
"""Probability of at most so many copies, from 0 on."""


def resampled(train: Split, seed: int) -> Split:
    """Draw the training sentences anew, in their order, copies next to each other.

    Raises:
        UserError: no sentence is drawn.
    """
    group, by = _groups(train.documents, len(train))
    number = int(group.max(initial=-1)) + 1
    uniform = np.random.PCG64([seed, 1]).random_raw(number) / 2.0**64
    copies = np.searchsorted(_BELOW, uniform, side="right")[group]
    taken = np.repeat(np.arange(len(train)), copies)
    if not len(taken):
        raise UserError(
            f"the draw of {number} {by}s has none of them",
            where="data.resample",
            fix="choose another seed, or more data",
        )
    log.info(
        "train: %d of %d sentences, drawn with replacement by %s (data.resample, seed %d), %d distinct",
        *(len(taken), len(train), by, seed, len(np.unique(taken))),
    )
    return _take(train, taken)


def _groups(documents: Sequence[str] | None, sentences: int) -> tuple[np.ndarray, str]:
    """What each sentence is drawn with, int64 [N], numbered in order of appearance; and what that is."""
    if documents is None:
        return np.arange(sentences), "sentence"
    number: dict[str, int] = {}
    return np.array([number.setdefault(name, len(number)) for name in documents], dtype=np.int64), "document"


def _take(split: Split, taken: np.ndarray) -> Split:
    """Sentences by their index, int64 [n], which never falls; some several times."""
    lengths = np.diff(split.offsets)[taken]
    offsets = offsets_of(lengths)
    words = np.arange(offsets[-1]) + np.repeat(split.offsets[taken] - offsets[:-1], lengths)
    documents = split.documents
    return Split(
        tokens=Sentences.of(split.tokens).keep(taken),
        tags=split.tags[words],
        offsets=offsets,
        origin=None if split.origin is None else Places.of(split.origin).keep(taken),
        documents=None if documents is None else [documents[place] for place in taken.tolist()],
        chars=None if split.chars is None else split.chars[words],
        source=None if split.source is None else split.source[taken],
    )
