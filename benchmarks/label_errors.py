"""How many planted label errors are at the top of the doctor's list, beside cleanlab's.

Changes 5 % of the training spans of a data set (their type, their boundary, removed, invented; at least 50
of each), trains the folds on what came of it, and counts the planted errors in the first tenth of the list.
cleanlab's token classification ranks the same spans from the same out-of-fold probabilities.

    pip install cleanlab
    python benchmarks/label_errors.py --data ../shared/data/wikineural_en_resplit --model MINILM --folds 5
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.labels import extract_spans

if TYPE_CHECKING:
    from ner_dist.data.corpus import Split
    from ner_dist.labels import LabelSet

KINDS = ("type", "boundary", "removed", "invented")
LEAST = 50


@dataclass(frozen=True)
class Planted:
    """One error that was put into the tags."""

    kind: str
    start: int
    """First word that the true or the wrong entity covers, counted over all sentences."""
    end: int
    """Behind the last."""


def plant(
    split: Split, labels: LabelSet, *, share: float, least: int = LEAST, seed: int
) -> tuple[np.ndarray, list[Planted]]:
    """Change a share of a split's spans.

    Args:
        split: true tags.
        labels: what its ids mean.
        share: of the spans, the four kinds together.
        least: errors of each kind, however few a share of the spans are.
        seed: of the choice.

    Returns:
        The changed tags, int16 [W], and what was planted.
    """
    random = np.random.default_rng(seed)
    tags = split.tags.copy()
    spans = extract_spans(tags, split.offsets, labels, strict=False)
    each = max(least, round(share * len(spans.start) / len(KINDS)))
    begins = np.array([labels.label2id[f"B-{name}"] for name in labels.types])
    insides = np.array([labels.label2id[f"I-{name}"] for name in labels.types])
    outside = labels.label2id["O"]
    sentence_of = np.repeat(np.arange(len(split)), np.diff(split.offsets))
    touched = np.zeros(len(tags), dtype=bool)
    lengths = Counter((spans.end - spans.start).tolist())
    planted: list[Planted] = []

    def free(start: int, end: int) -> bool:
        """Nothing was changed at these words or beside them."""
        return not touched[max(0, start - 1) : end + 1].any()

    def done(kind: str, start: int, end: int) -> None:
        touched[start:end] = True
        planted.append(Planted(kind, start, end))

    def write(start: int, end: int, type_: int) -> None:
        tags[start], tags[start + 1 : end] = begins[type_], insides[type_]

    count = Counter[str]()
    for index in random.permutation(len(spans.start)).tolist():
        kind = next((kind for kind in KINDS[:3] if count[kind] < each), None)
        if kind is None:
            break
        start, end, type_ = int(spans.start[index]), int(spans.end[index]), int(spans.type[index])
        if not free(start, end):
            continue
        if kind == "type":
            others = [other for other in range(len(labels.types)) if other != type_]
            write(start, end, int(random.choice(others)))
            done(kind, start, end)
        elif kind == "removed":
            tags[start:end] = outside
            done(kind, start, end)
        else:
            moves = _moves(start, end, tags, sentence_of, outside)
            if not moves:
                continue
            new_start, new_end = moves[int(random.integers(len(moves)))]
            if not free(new_start, new_end):
                continue
            tags[start:end] = outside
            write(new_start, new_end, type_)
            done(kind, min(start, new_start), max(end, new_end))
        count[kind] += 1
    sizes = list(lengths.elements())
    while count["invented"] < each:
        start, size = int(random.integers(len(tags))), int(random.choice(sizes))
        end = start + size
        inside = end <= len(tags) and sentence_of[start] == sentence_of[end - 1]
        if inside and free(start, end) and (tags[max(0, start - 1) : end + 1] == outside).all():
            write(start, end, int(random.integers(len(labels.types))))
            done("invented", start, end)
            count["invented"] += 1
    return tags, planted


def _moves(
    start: int, end: int, tags: np.ndarray, sentence_of: np.ndarray, outside: int
) -> list[tuple[int, int]]:
    """Other boundaries of an entity: one word longer or shorter on either side."""
    moves = []
    if start > 0 and sentence_of[start - 1] == sentence_of[start] and tags[start - 1] == outside:
        moves.append((start - 1, end))
    if end < len(tags) and sentence_of[end] == sentence_of[start] and tags[end] == outside:
        moves.append((start, end + 1))
    if end - start > 1:
        moves += [(start + 1, end), (start, end - 1)]
    return moves
