"""Checks of repeats: equal and nearly equal sentences, within a split and between two.

Nearly equal sentences share most of their runs of three words. MinHash (rensa) finds candidates in one pass,
and the exact share of the runs decides, so that no pair is reported by chance.
"""

from __future__ import annotations

import logging
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

import numpy as np

from ner_dist import formatting
from ner_dist.data.duplicates import first_occurrence, sentence_key, shared
from ner_dist.doctor.findings import MATTERS, SHOWN, Example, Finding, Severity
from ner_dist.doctor.inspected import short

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ner_dist.doctor.inspected import Inspected
    from ner_dist.recipe_data import Data

log = logging.getLogger(__name__)

NEAR = 0.8
"""Share of common runs of words that makes two sentences nearly equal (Jaccard)."""
_RUN = 3
_SHORTEST = 8
"""Words of a sentence below which likeness says little."""
_HASHES, _BANDS = 128, 32
_SEED = 13
_LARGE = 50
"""Sentences of a group from which on not all pairs are compared."""
_CONTRADICT = 0.1
"""Share of repeats with other tags from which on annotation is unreliable."""


def check_repeats(splits: Mapping[str, Inspected], data: Data) -> list[Finding]:
    """Findings about repeats.

    Args:
        splits: as read, repeats included.
        data: `deduplicate` and `drop_test_sentences_from_train`.
    """
    findings = []
    for split in splits.values():
        findings += _within(split, data)
    held_out = [name for name in ("test", "validation") if name in splits]
    pairs = [(name, "train") for name in held_out if "train" in splits]
    if len(held_out) == 2:
        pairs.append(("test", "validation"))
    for name, other in pairs:
        findings += _across(splits[name], splits[other], data)
    return findings + _near(splits, pairs)


def _within(split: Inspected, data: Data) -> list[Finding]:
    first = first_occurrence(split.split)
    repeats = np.flatnonzero(first != np.arange(len(first)))
    if not len(repeats):
        return []
    what = f"{len(repeats):,} of {len(first):,} sentences are exact repeats"
    severity: Severity = "info" if data.deduplicate else "warning"
    findings = [
        Finding(
            check="repeats",
            severity=severity,
            split=split.name,
            count=len(repeats),
            what=what,
            effect="repeats weigh more in training; in a held-out split they make intervals too narrow",
            remedy="handled: data.deduplicate=true keeps the first of each"
            if data.deduplicate
            else "data.deduplicate=true keeps the first of each",
            examples=[_pair(split, int(first[i]), split, int(i)) for i in repeats[:SHOWN]],
        )
    ]
    pairs = [(int(i), int(first[i])) for i in repeats]
    return findings + _with_other_tags(split, split, pairs)


def _across(split: Inspected, other: Inspected, data: Data) -> list[Finding]:
    both = np.flatnonzero(shared(split.split, other.split))
    if not len(both):
        return []
    share = len(both) / len(split.split)
    from_train = other.name == "train"
    handled = data.drop_test_sentences_from_train and from_train
    severity: Severity = "info"
    if not handled and share >= MATTERS:
        severity = "error" if from_train else "warning"
    first = {sentence_key(words): i for i, words in reversed(list(enumerate(other.split.tokens)))}
    remedy = "data.drop_test_sentences_from_train=true drops them from train"
    if handled:
        remedy = f"handled: {remedy}"
    if not from_train:
        remedy = "take them out of validation: it chooses the weights that test scores"
    keys = [sentence_key(split.split.tokens[i]) for i in both.tolist()]
    distinct = len(set(keys))
    twins = [first[key] for key in keys]
    findings = [
        Finding(
            check="repeats_across_splits",
            severity=severity,
            split=f"{split.name} and {other.name}",
            count=len(both),
            what=f"{len(both):,} of {len(split.split):,} sentences of {split.name} "
            f"({formatting.share(share)}; {distinct:,} distinct) also occur in {other.name}",
            effect="the model has seen them with their tags, so the scores are too high",
            remedy=remedy,
            examples=[
                _pair(other, twin, split, int(i)) for twin, i in zip(twins[:SHOWN], both, strict=False)
            ],
        )
    ]
    return findings + _with_other_tags(split, other, list(zip(both.tolist(), twins, strict=True)))


def _with_other_tags(split: Inspected, other: Inspected, pairs: Sequence[tuple[int, int]]) -> list[Finding]:
    """Sentences of a split whose tags are not those of the same words in the other.

    Args:
        split, other: may be one.
        pairs: a sentence of the one, and that of the other with the same words.
    """
    differ = [(i, twin) for i, twin in pairs if _tags(split, i) != _tags(other, twin)]
    if not differ:
        return []
    within = split.name == other.name
    number = formatting.counted(len(differ), "repeat has", "repeats have")
    return [
        Finding(
            check="repeats_with_other_tags",
            severity="warning" if len(differ) >= _CONTRADICT * len(pairs) else "info",
            split=split.name if within else f"{split.name} and {other.name}",
            count=len(differ),
            what=f"{number} other tags than the "
            + ("first occurrence of the sentence" if within else f"same sentence in {other.name}"),
            effect="at least one of the two is wrong: a direct measure of annotation errors",
            remedy="correct the wrong one, by hand or with data.corrections"
            + ("; with data.deduplicate=true the first occurrence decides" if within else ""),
            examples=[_pair(other, twin, split, i) for i, twin in differ[:SHOWN]],
        )
    ]


def _near(splits: Mapping[str, Inspected], pairs: Sequence[tuple[str, str]]) -> list[Finding]:
    """Nearly equal sentences; exact repeats are not counted again."""
    runs: list[frozenset[str]] = []
    places: list[tuple[str, int]] = []
    seen: set[str] = set()
    for split in splits.values():
        for index, words in enumerate(split.split.tokens):
            # Exact repeats, which have findings of their own, are not looked at again.
            if len(words) >= _SHORTEST and (key := sentence_key(words)) not in seen:
                seen.add(key)
                places.append((split.name, index))
                runs.append(_runs(words))
    twins = _twins(runs, places)
    findings = []
    for name in splits:
        found = twins.get((name, name))
        if found:
            findings.append(_near_within(splits[name], found))
    for name, other in pairs:
        found = twins.get((name, other))
        if found:
            findings.append(_near_across(splits[name], splits[other], found))
    return findings


def _runs(words: Sequence[str]) -> frozenset[str]:
    """Runs of words, whatever their case: two sentences that differ in one word share most."""
    folded = [word.casefold() for word in words]
    return frozenset(" ".join(folded[i : i + _RUN]) for i in range(len(folded) - _RUN + 1))


def _twins(
    runs: Sequence[frozenset[str]], places: Sequence[tuple[str, int]]
) -> dict[tuple[str, str], dict[int, int]]:
    """For pairs of splits, and each split with itself: sentences and one of the other that is nearly it."""
    found: dict[tuple[str, str], dict[int, int]] = {}
    if not runs:
        return found
    try:
        from rensa import RMinHash
    except ImportError:
        log.warning("nearly equal sentences are not looked for: pip install 'ner_dist[doctor]'")
        return found
    digests = RMinHash.digests_from_token_sets([list(each) for each in runs], _HASHES, _SEED)
    table = np.array(digests, dtype=np.uint64).reshape(len(runs), _BANDS, -1)
    compared: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        for group in _equal_rows(table[:, band]):
            for i, j in _candidates(group, places):
                if (i, j) in compared:
                    continue
                compared.add((i, j))
                if len(runs[i] & runs[j]) < NEAR * len(runs[i] | runs[j]):
                    continue
                (one, at), (two, other_at) = places[i], places[j]
                # Splits are in the order train, validation, test: the later of two has the leak.
                found.setdefault((two, one), {}).setdefault(other_at, at)
    return found


def _candidates(group: Sequence[int], places: Sequence[tuple[str, int]]) -> Iterator[tuple[int, int]]:
    """Pairs of a group to compare, each with the earlier sentence first.

    Of a large group, which is text of one template, these are neighbours, and each sentence with the first
    one of its own and of every earlier split: enough to find a twin of nearly all.

    Args:
        group: sentences, ascending.
        places: split of each sentence, split after split.
    """
    if len(group) <= _LARGE:
        yield from combinations(group, 2)
        return
    yield from pairwise(group)
    first: dict[str, int] = {}
    for sentence in group:
        for each in first.values():
            yield each, sentence
        first.setdefault(places[sentence][0], sentence)


def _equal_rows(rows: np.ndarray) -> list[list[int]]:
    """Groups of two or more equal rows of [N, columns]."""
    _, group, sizes = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.cumsum(sizes)[:-1])
    return [part.tolist() for part in parts if len(part) > 1]


def _near_within(split: Inspected, found: Mapping[int, int]) -> Finding:
    share = formatting.share(len(found) / len(split.split))
    return Finding(
        check="near_repeats",
        severity="info",
        split=split.name,
        count=len(found),
        what=f"{len(found):,} of {len(split.split):,} sentences ({share}) share at least "
        f"{formatting.share(NEAR)} of their runs of three words with another",
        effect="they weigh like repeats: less variety than the number of sentences says",
        remedy="no key drops them; keep one of each if they come of a template or a copied page",
        examples=[_pair(split, j, split, i) for i, j in sorted(found.items())[:SHOWN]],
    )


def _near_across(split: Inspected, other: Inspected, found: Mapping[int, int]) -> Finding:
    share = len(found) / len(split.split)
    return Finding(
        check="near_repeats_across_splits",
        severity="warning" if share >= MATTERS else "info",
        split=f"{split.name} and {other.name}",
        count=len(found),
        what=f"{len(found):,} of {len(split.split):,} sentences of {split.name} ({formatting.share(share)}) "
        f"share at least {formatting.share(NEAR)} of their runs of three words with one of {other.name}",
        effect="the model has seen them almost word for word, so the scores are somewhat too high",
        remedy="cut the splits by document, so that one page is in one split",
        examples=[_pair(other, j, split, i) for i, j in sorted(found.items())[:SHOWN]],
    )


def _tags(split: Inspected, sentence: int) -> list[str | None]:
    start, end = split.split.offsets[sentence : sentence + 2]
    return split.labels.tags_of(split.split.tags[start:end])


def _pair(one: Inspected, i: int, two: Inspected, j: int) -> Example:
    """Two sentences that are alike."""
    return Example(f"{one.where(i)} and {two.where(j)}", short(" ".join(two.split.tokens[j])))
