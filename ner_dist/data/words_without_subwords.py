"""Tag the words without subwords, for which the model makes no prediction.

The tokenizer produces no subwords for some words: zero-width characters, line breaks, no-break spaces. A
model cannot be trained on them or tag them, so one rule gives them a tag wherever predictions are made or
scored: such a word between two words of one entity belongs to that entity (`I-`), any other is `O`. So no
entity begins or ends with one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ner_dist.labels import OUTSIDE

if TYPE_CHECKING:
    from ner_dist.labels import LabelSet

# As `LabelSet.coded` has it.
_INSIDE = 2


def join_entities(tags: np.ndarray, gaps: np.ndarray, offsets: np.ndarray, labels: LabelSet) -> None:
    """Tag the words without subwords, in place, from the tags of the words around them.

    Args:
        tags: label ids, int [W]; at `gaps` they are written, not read.
        gaps: the words without subwords, rising, int [n].
        offsets: int64 [N+1]: sentence i holds the words offsets[i]:offsets[i + 1].
        labels: what the ids mean.
    """
    if not len(gaps):
        return
    first = np.flatnonzero(np.diff(gaps, prepend=-2) > 1)
    sizes = np.diff(first, append=len(gaps))
    before, after = gaps[first] - 1, gaps[first] + sizes
    between = (before >= 0) & (after < len(tags))
    before, after = np.maximum(before, 0), np.minimum(after, len(tags) - 1)
    between &= np.searchsorted(offsets, before, side="right") == np.searchsorted(offsets, after, side="right")
    kind, type_of = labels.coded()
    one_entity = (
        between
        & (kind[tags[before]] != 0)
        & (kind[tags[after]] == _INSIDE)
        & (type_of[tags[before]] == type_of[tags[after]])
    )
    tags[gaps] = np.repeat(np.where(one_entity, tags[after], labels.label2id[OUTSIDE]), sizes)
