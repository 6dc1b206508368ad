"""Small aligned predictions: random ones for properties, and hand-written ones for examples."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from ner_dist.comparison.aligned import AlignedPredictions
from ner_dist.labels import LabelSet

LABELS = LabelSet.from_types(["PER", "LOC", "ORG"])
WORDS = ("Anna", "Berg", "Paris", "of")


def ids_of(sentences: list[str]) -> np.ndarray:
    """Label ids of sentences written as `B-PER I-PER O`."""
    return np.array([LABELS.label2id[tag] for tags in sentences for tag in tags.split()], dtype=np.int16)


def written(
    gold: list[str],
    *runs_of_models: list[list[str]],
    tokens: list[str] | None = None,
    unit: list[int] | None = None,
    confidence: list[float] | None = None,
) -> AlignedPredictions:
    """Aligned predictions from sentences of tags and words, joined by spaces; models are A, B, ...

    `confidence` is that of the first run of A.
    """
    names = "ABCDEF"[: len(runs_of_models)]
    return AlignedPredictions(
        labels=LABELS,
        gold=ids_of(gold),
        offsets=np.cumsum([0, *(len(tags.split()) for tags in gold)], dtype=np.int64),
        predicted={
            name: [ids_of(run) for run in runs] for name, runs in zip(names, runs_of_models, strict=True)
        },
        seeds={name: [None] * len(runs) for name, runs in zip(names, runs_of_models, strict=True)},
        unit=np.arange(len(gold)) if unit is None else np.array(unit, dtype=np.int64),
        tokens=None if tokens is None else [words.split() for words in tokens],
        confidence={} if confidence is None else {"A": [np.array(confidence, dtype=np.float32)]},
    )


@st.composite
def grounds(draw, *, models: int = 2, max_sentences: int = 6) -> AlignedPredictions:
    """Models of one to three runs whose tags are mostly gold, so that every kind of error occurs.

    Sentences of the same words are one unit, whatever their tags.
    """
    lengths = draw(st.lists(st.integers(0, 9), min_size=1, max_size=max_sentences))
    offsets = np.cumsum([0, *lengths], dtype=np.int64)
    n_words = int(offsets[-1])
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))

    def tags() -> np.ndarray:
        # Mostly sound: an I- has the type of the tag before it three times out of four.
        drawn = rng.integers(0, len(LABELS), n_words).astype(np.int16)
        for i in range(1, n_words):
            if drawn[i] and drawn[i] % 2 == 0 and drawn[i - 1] and rng.random() < 0.75:
                drawn[i] = drawn[i - 1] + drawn[i - 1] % 2
        return drawn

    gold = tags()

    def said() -> np.ndarray:
        return np.where(rng.random(n_words) < draw(st.sampled_from([0.0, 0.1, 0.4, 1.0])), tags(), gold)

    words = [rng.choice(WORDS, length).tolist() for length in lengths]
    first: dict[tuple[str, ...], int] = {}
    unit = [first.setdefault(tuple(sentence), len(first)) for sentence in words]
    predicted = {
        name: [said().astype(np.int16) for _ in range(draw(st.integers(1, 3)))] for name in "ABC"[:models]
    }
    return AlignedPredictions(
        labels=LABELS,
        gold=gold,
        offsets=offsets,
        predicted=predicted,
        seeds={name: [None] * len(runs) for name, runs in predicted.items()},
        unit=np.array(unit, dtype=np.int64),
        tokens=words,
        ids=list(range(len(lengths))),
        confidence={
            name: [rng.integers(0, 10_001, n_words).astype(np.float32) / 10_000 for _ in runs]
            for name, runs in predicted.items()
        },
    )
