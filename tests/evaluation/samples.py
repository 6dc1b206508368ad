"""Random samples of logits with their gold tags."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from ner_dist.data.corpus import offsets_of
from ner_dist.evaluation.logit_sample import LogitSample
from ner_dist.labels import UNLABELLED, LabelSet

LABELS = LabelSet.from_types(["PER", "LOC"])


@st.composite
def samples(draw, annotated: bool | None = None) -> LogitSample:
    """Some sentences, with words without labels and words without subwords among them."""
    lengths = np.array(draw(st.lists(st.integers(0, 7), min_size=1, max_size=6)))
    n = int(lengths.sum())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    gold = rng.integers(0, len(LABELS), n).astype(np.int16)
    logits = (rng.normal(size=(n, len(LABELS))) * draw(st.sampled_from([0.5, 3.0]))).astype(np.float32)
    # A model that has learned something: the gold label is likely.
    logits[np.arange(n), gold] += rng.integers(0, 2, n) * 3
    gaps = np.flatnonzero(rng.random(n) < 0.1)
    logits[gaps] = 0
    partial = draw(st.booleans()) if annotated is None else annotated
    known = np.ones((n, len(LABELS)), dtype=bool)
    known[np.repeat(rng.random(len(lengths)) < 0.5, lengths), 3:] = False
    if partial:  # nothing is annotated with a type that its source does not annotate
        gold[~known[np.arange(n), gold]] = 0
    gold[rng.random(n) < 0.1] = UNLABELLED
    return LogitSample(
        labels=LABELS,
        gold=gold,
        offsets=offsets_of(lengths),
        logits=logits,
        gaps=gaps,
        annotated=known if partial else None,
    )
