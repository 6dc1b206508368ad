"""The embedded corpus (`data.path: synthetic`): sentences with the 15 MultiNERD types, made from a seed.

It needs no network and trains in minutes, yet poses what real data poses: types as skewed as
MultiNERD's; names that only the context tells apart (`Marlow` a person, a town or a club); names in
names (`Bank of Torvik` is one ORG); names of several words; test names that training never shows;
wrong labels in training, as in silver data; typos and lost capitals; a few repeated sentences and
a few test sentences that also stand in training. The words are in `synthetic_words.py`.

Only `random.Random(text).random()` is drawn from, whose values Python guarantees for all platforms
and versions; each split has a stream of its own, so its sentences do not depend on the others' sizes
(except that training avoids, and in a few places repeats, held-out sentences).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from ner_dist import recipe
from ner_dist.data import synthetic_words as words

Sentence = tuple[list[str], list[str]]
"""Words and their BIO tags, of the same length."""

# Entities of each type in MultiNERD's English test split. SOFTENING lifts the rare types to a support
# that can be learnt and scored in a small corpus; the order stays.
MULTINERD_SUPPORT = {
    "LOC": 24015, "PER": 10525, "ORG": 6614, "ANIM": 3208, "PLANT": 1788, "DIS": 1517, "FOOD": 1132,
    "MEDIA": 916, "EVE": 704, "TIME": 578, "CEL": 82, "MYTH": 64, "VEHI": 64, "INST": 24, "BIO": 16,
}  # fmt: skip
