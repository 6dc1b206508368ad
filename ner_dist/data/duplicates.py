"""Find repeated sentences within a split, and held-out sentences that also occur in train.

Repeats make epochs longer than they seem, and confidence intervals too narrow (the hub's copy of MultiNERD
contains every English sentence twice); held-out sentences in train inflate the scores. Two sentences are the
same if their words are. All are counted; the recipe decides which are dropped.

The counts, as `<split>_<what>`: `rows` read, `other_language` filtered out, `without_words` left out,
`duplicates` and `duplicates_with_other_tags` among them, `sentences` and `words` kept; for held-out splits
`in_train` (and `test_in_validation`); `train_dropped_as_held_out`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.blocks import sentence_blocks
from ner_dist.data.corpus import Repeats
from ner_dist.data.sentences import Sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.data.corpus import Split
    from ner_dist.recipe_data import Data

log = logging.getLogger(__name__)


def sentence_key(words: Sequence[str]) -> str:
    """The same text for sentences of the same words, and for no others."""
    # Half of a surrogate pair, which no word holds (`corpus.check_words`), ends every word.
    return "\ud800".join((*words, ""))


def first_occurrence(split: Split) -> np.ndarray:
    """For each sentence, the first sentence with the same words, which may be itself; int64 [N].

    Each of several sources annotates a sentence in its own way, so that only those of one are the same.
    """
    return _first_equal(Sentences.of(split.tokens).keys(), split.source)


def _first_equal(keys: np.ndarray, source: np.ndarray | None = None) -> np.ndarray:
    """For each key, uint64 [N, 2], the first equal one of its source, int [N]; int64 [N]."""
    columns = [keys[:, 0], keys[:, 1], *([] if source is None else [source])]
    order = np.lexsort(columns)  # stable: the first of equal ones stays the first
    new = np.ones(len(keys), dtype=bool)
    new[1:] = np.any([column[order[1:]] != column[order[:-1]] for column in columns], axis=0)
    first = np.empty(len(keys), dtype=np.int64)
    first[order] = order[np.maximum.accumulate(np.where(new, np.arange(len(keys)), 0))]
    return first


def with_other_tags(split: Split, first: np.ndarray) -> int:
    """Number of repeats whose tags differ from those of the first occurrence."""
    repeats = np.flatnonzero(first != np.arange(len(first)))
    ends = np.cumsum(np.append(0, np.diff(split.offsets)[repeats]))
    return sum(
        _number_with_other_tags(split, repeats[some], first[repeats[some]])
        for some, _ in sentence_blocks(ends)
    )


def _number_with_other_tags(split: Split, repeats: np.ndarray, first: np.ndarray) -> int:
    """How many of some repeats have other tags than the sentence of the same words that each is given."""
    lengths = np.diff(split.offsets)[repeats]
    begins = np.cumsum(lengths) - lengths
    within = np.arange(int(lengths.sum())) - np.repeat(begins, lengths)
    differs = (
        split.tags[within + np.repeat(split.offsets[repeats], lengths)]
        != split.tags[within + np.repeat(split.offsets[first], lengths)]
    )
    return len(np.unique(np.repeat(repeats, lengths)[differs]))


def shared(split: Split, *others: Split) -> np.ndarray:
    """Mask of the sentences of `split` that also occur in one of the others, bool [N]."""
    keys = [Sentences.of(each.tokens).keys() for each in (*others, split)]
    first = _first_equal(np.concatenate(keys))
    behind = len(first) - len(split)
    return first[behind:] < behind


def clean(splits: dict[str, Split], data: Data, *, counts: dict[str, int]) -> dict[str, Split]:
    """Drop sentences without words and, if `data` says so, repeats and leaked training sentences.

    Args:
        splits: the splits as read.
        data: `deduplicate` and `drop_test_sentences_from_train`.
        counts: new counts are added to it.
    """
    cleaned = {name: _clean_one(name, split, data, counts) for name, split in splits.items()}
    held_out: list[str] = [name for name in ("validation", "test") if name in cleaned]
    for name in held_out:
        _count_shared(cleaned, name, "train", counts)
    if len(held_out) == 2:
        _count_shared(cleaned, "test", "validation", counts)
    if data.drop_test_sentences_from_train and "train" in cleaned and held_out:
        leaked = shared(cleaned["train"], *(cleaned[name] for name in held_out))
        cleaned["train"] = cleaned["train"].keep(~leaked)
        counts["train_dropped_as_held_out"] = int(leaked.sum())
        log.info("train: dropped %d sentences that also occur in %s", leaked.sum(), " or ".join(held_out))
    for name, split in cleaned.items():
        counts[f"{name}_sentences"], counts[f"{name}_words"] = len(split), len(split.tags)
    return cleaned


def _clean_one(name: str, split: Split, data: Data, counts: dict[str, int]) -> Split:
    filled = np.diff(split.offsets) > 0
    counts[f"{name}_without_words"] = int((~filled).sum())
    if not filled.all():
        log.info("%s: skipped %d sentences without words", name, (~filled).sum())
    split = split.keep(filled)

    first = first_occurrence(split)
    original = first == np.arange(len(first))
    repeats, other_tags = int((~original).sum()), with_other_tags(split, first)
    counts[f"{name}_duplicates"], counts[f"{name}_duplicates_with_other_tags"] = repeats, other_tags
    if not repeats:
        return split
    what = f"{repeats} of {len(split)} sentences are exact repeats ({other_tags} with different tags)"
    if not data.deduplicate:
        log.info("%s: %s: kept (data.deduplicate is false)", name, what)
        return split
    also = f"; with_repeats in results.json has the scores of all {len(split)}" if name != "train" else ""
    log.info("%s: %s: dropped; data.deduplicate=false keeps them%s", name, what, also)
    kept = split.keep(original)
    if name != "train":
        place = np.cumsum(original) - 1
        own = np.repeat(~original, np.diff(split.offsets))
        kept.repeats = Repeats(of=place[first[~original]], tags=split.tags[own])
    return kept


def _count_shared(splits: dict[str, Split], name: str, other: str, counts: dict[str, int]) -> None:
    if other not in splits:
        return
    count = int(shared(splits[name], splits[other]).sum())
    counts[f"{name}_in_{other}"] = count
    if count:
        fix = "; data.drop_test_sentences_from_train=true drops them there" if other == "train" else ""
        log.info("%s: %d of %d sentences also occur in %s%s", name, count, len(splits[name]), other, fix)
