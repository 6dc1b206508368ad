"""Check that there is something to learn: entities in train, and enough of each type.

Entities are counted leniently: an I- that continues no entity starts one.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.data.readers import overview
from ner_dist.errors import UserError
from ner_dist.labels import extract_spans

if TYPE_CHECKING:
    from ner_dist.data.corpus import Rows, Split
    from ner_dist.labels import LabelSet
    from ner_dist.recipe_data import Data

log = logging.getLogger(__name__)

FEW = 5
_LISTED = 12


def entities_by_type(split: Any, labels: LabelSet) -> dict[str, int]:
    """Count the entities of each type in a split with `tags` and `offsets`."""
    spans = extract_spans(np.asarray(split.tags), np.asarray(split.offsets), labels, strict=False)
    counts = np.bincount(spans.type, minlength=len(labels.types))
    return dict(zip(labels.types, counts.tolist(), strict=True))


def count_entities(splits: Mapping[str, Split], labels: LabelSet, *, counts: dict[str, int]) -> None:
    """Add to `counts`: `<split>_entities`, and the number of those whose types train does not contain."""
    by_type = {name: entities_by_type(split, labels) for name, split in splits.items()}
    for name, entities in by_type.items():
        counts[f"{name}_entities"] = sum(entities.values())
        if "train" in by_type and name != "train":
            unseen = [number for kind, number in entities.items() if not by_type["train"][kind]]
            counts[f"{name}_entities_of_types_not_in_train"] = sum(unseen)


def check_train(
    splits: Mapping[str, Split],
    labels: LabelSet,
    *,
    rows: Mapping[str, list[Rows]],
    data: Data,
    before: Mapping[str, Split],
) -> None:
    """Refuse a training split without entities: most likely the wrong column was read as tags.

    Args:
        splits: as they are used.
        labels: the label set of the data.
        rows: by split, the rows of its files.
        data: how they were read.
        before: the splits as they were read, before sentences were dropped.

    Raises:
        UserError: shows the first words with their tags, the columns, and which of them holds tags.
    """
    if "train" not in splits or any(entities_by_type(splits["train"], labels).values()):
        return
    part = rows["train"][0]
    if any(entities_by_type(before["train"], labels).values()):
        what = "no entity in train: every sentence with one is also in validation or test, and was dropped"
        fix = "give train other sentences, or set data.drop_test_sentences_from_train=false"
        raise UserError(what, where=part.file, fix=fix)
    if part.chars is not None:
        fix = "see whether these are the annotated texts, and what the log says was left out"
        raise UserError("no entity in train: its texts have no spans", where=part.file, fix=fix)
    words = [
        (part.place(word), str(part.values[code]) if code >= 0 else "?")
        for word, code in enumerate(part.tags[:4].tolist())
    ]
    flat = [word for sentence in part.tokens[:4] for word in sentence][: len(words)]
    read = ", ".join(f"`{word:.20} {tag:.20}`" for word, (_, tag) in zip(flat, words, strict=True))
    what = f"no entity in train: every tag is O. Its first words and tags were read as: {read}"
    columns, candidates = overview(Path(part.file), data) if Path(part.file).is_file() else ("", [])
    if columns:
        what += f". Its columns: {columns}"
    if candidates:
        fix = f"set data.tags_column={candidates[0]}, which holds tags of entities"
    else:
        keys = "data.tags_column" + (" or data.separator" if part.word_lines is not None else "")
        fix = f"see {keys}, or give train some entities"
    raise UserError(what, where=words[0][0] if words else part.file, fix=fix)


def report_entities(counts: Mapping[str, Mapping[str, int]], labels: LabelSet) -> None:
    """Warn about types with no or too few entities to learn from.

    Args:
        counts: number of entities by split and type.
        labels: the label set to learn.

    Raises:
        UserError: train contains no entity of these types.
    """
    types = labels.types
    train = counts.get("train")
    if train is not None and not any(train[name] for name in types):
        there = _listed({name: count for name, count in train.items() if count})
        what = f"no entity of {', '.join(types) or 'any type'} in train, which holds {there}"
        raise UserError(what, where="labels", fix="choose types that occur in train")
    for split, found in counts.items():
        if split == "train":
            continue
        learnt = {name: found[name] for name in types}
        if not any(learnt.values()):
            log.warning(
                "%s: no entity of the types to learn, so F1 is 0; check data.files.%s and data.tags_column",
                split,
                split,
            )
        unseen = {name: count for name, count in learnt.items() if train and count and not train[name]}
        if unseen:
            log.warning(
                "%s: %d of %d entities are of types that train does not contain, so no model can find them: "
                "%s; check data.files.%s if the files should have the same types, or exclude these "
                "with `labels`",
                split,
                sum(unseen.values()),
                sum(learnt.values()),
                _listed(unseen),
                split,
            )
    few = {name: train[name] for name in types if 0 < train[name] < FEW} if train else {}
    if few:
        log.warning(
            "train: fewer than %d entities of %s: too few to learn from; add more, "
            "or exclude the types with `labels`",
            FEW,
            _listed(few),
        )


def _listed(counts: Mapping[str, int]) -> str:
    """`ORG (12), LOC (3)`, the most frequent first."""
    named: Collection[str] = sorted(counts, key=lambda name: (-counts[name], name))
    shown = ", ".join(f"{name} ({counts[name]})" for name in list(named)[:_LISTED])
    return shown + (f" and {len(named) - _LISTED} more" if len(named) > _LISTED else "") or "none"
