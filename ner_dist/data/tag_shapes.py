"""Recognise tags and the names of their columns, to tell the columns of a file apart.

This only guesses the role of columns; tags get their meaning when they become labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ner_dist.data.unlabelled import is_no_label

WORD_NAMES = frozenset(("token", "tokens", "word", "words", "form", "text", "surface"))
TAG_NAMES = frozenset(
    (
        *("tag", "tags", "label", "labels", "entity", "entities", "iob", "iob2", "bio", "bioes"),
        *("ne", "nes", "ner", "net", "ne_tag", "ne_tags", "ner_tag", "ner_tags", "ner-tag", "ner-tags"),
        *("nertag", "netag", "ner_label", "ner_labels", "ner-coarse", "ner-fine", "entity_type"),
        *("gold", "true", "pred", "predicted", "prediction", "predictions"),
        *("ne-coarse-lit", "ne-coarse-meto", "ne-fine-lit", "ne-fine-meto", "ne-fine-comp", "ne-nested"),
    )
)
_OUTSIDE = frozenset(("O", "o", "0"))
# IOB, IOBES, BILOU and BMEWO with their prefix in front or behind, or with nothing but it.
_IN_FRONT = re.compile(r"[BIESLUMWbieslumw][-_](.+)")
_BEHIND = re.compile(r"(.+)[-_][BIESLUMW]")


def is_outside(tag: str) -> bool:
    return tag in _OUTSIDE


def is_prefixed(tag: str) -> bool:
    """Whether the tag has a prefix or suffix for the part of an entity: `B-PER`, `I_LOC`, `ORG-E`, `B`."""
    return tag in ("B", "I") or bool(_IN_FRONT.fullmatch(tag) or _BEHIND.fullmatch(tag))


def type_in(tag: str) -> str:
    """A tag without its prefix."""
    match = _IN_FRONT.fullmatch(tag) or _BEHIND.fullmatch(tag)
    return match[1] if match else ""


def are_tags(values: Iterable[str]) -> bool:
    """Whether distinct cells are certainly entity tags: each O, prefixed or none, not all O."""
    entities = [value for value in values if not is_outside(value) and not is_no_label(value)]
    return bool(entities) and all(map(is_prefixed, entities))
