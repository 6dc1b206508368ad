"""Checks of the words of entities against the same words elsewhere: types, boundaries, punctuation."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from ner_dist import formatting
from ner_dist.doctor.findings import MATTERS, SHOWN, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ner_dist.doctor.inspected import Entity, Inspected

_KNOWN = 5
"""Occurrences of a surface below which its usual annotation is not known."""
_USUAL = 0.8
"""Share of its occurrences that makes an annotation the usual one."""
_REVIEW = (
    "ner-dist doctor RECIPE --folds 5 --out FOLDER ranks them for review; data.corrections applies what is "
    "accepted"
)
_CLOSES = dict(zip("([{“‘«\"'`", ")]}”’»\"'`", strict=True))


def check_surfaces(splits: Mapping[str, Inspected]) -> list[Finding]:
    """Findings about the words of entities, each split against all of them together."""
    types: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for split in splits.values():
        for entity in split.entities:
            types[entity.surface][entity.type] += 1
    findings = []
    for split in splits.values():
        findings += _other_type(split, types)
        findings += _ambiguous(split, types)
        findings += _boundaries(split, splits, types)
        findings += _punctuation(split)
    return findings


def _severity(number: int, split: Inspected) -> Severity:
    """Of a fault of so many entities."""
    return "warning" if number >= MATTERS * len(split.entities) else "info"


def _other_type(split: Inspected, types: Mapping[str, Counter[str]]) -> list[Finding]:
    """Entities whose words nearly always have another type."""
    odd = []
    for entity in split.entities:
        known = types[entity.surface]
        usual, number = known.most_common(1)[0]
        if known.total() >= _KNOWN and number / known.total() >= _USUAL and usual != entity.type:
            odd.append((number / known.total(), entity))
    if not odd:
        return []
    odd.sort(key=lambda each: -each[0])
    return [
        Finding(
            check="unusual_type",
            severity=_severity(len(odd), split),
            split=split.name,
            count=len(odd),
            what=f"{formatting.counted(len(odd), 'entity has', 'entities have')} another type than the same "
            f"words in at least {formatting.share(_USUAL)} of their {_KNOWN} or more occurrences",
            effect="many are errors of annotation: they teach the wrong type, and in test they are counted "
            "as mistakes of the model",
            remedy=_REVIEW,
            examples=[split.in_context(entity) for _, entity in odd[:SHOWN]],
        )
    ]


def _ambiguous(split: Inspected, types: Mapping[str, Counter[str]]) -> list[Finding]:
    """Entities whose words have several types, none of them the usual one."""
    found = [
        entity
        for entity in split.entities
        if len(known := types[entity.surface]) > 1
        and not (known.total() >= _KNOWN and known.most_common(1)[0][1] / known.total() >= _USUAL)
    ]
    if not found:
        return []
    surfaces = {entity.surface: entity for entity in found}
    share = formatting.share(len(found) / len(split.entities))
    return [
        Finding(
            check="ambiguous_surfaces",
            severity="info",
            split=split.name,
            count=len(surfaces),
            what=f"{formatting.counted(len(surfaces), 'surface has', 'surfaces have')} several types "
            f"({len(found):,} entities, {share})",
            effect="only context tells them apart: natural for names of places and clubs, else a guideline "
            "that was read in two ways",
            remedy="no key is needed if both readings are meant; otherwise review with "
            "--folds 5 --out FOLDER",
            examples=split.shown(surfaces.values()),
        )
    ]


def _boundaries(
    split: Inspected, splits: Mapping[str, Inspected], types: Mapping[str, Counter[str]]
) -> list[Finding]:
    """Entities that are cut where the same words are usually annotated longer."""
    whole = _usually_whole(splits, types)
    odd = [
        (entity, sorted(longer))
        for entity in split.entities
        if (longer := _longer(split, entity) & whole.keys())
    ]
    if not odd:
        return []
    examples = [split.in_context(entity) for entity, _ in odd[:SHOWN]]
    longest = ", ".join(dict.fromkeys(f"`{each}`" for _, longer in odd[:SHOWN] for each in longer))
    return [
        Finding(
            check="boundaries",
            severity=_severity(len(odd), split),
            split=split.name,
            count=len(odd),
            what=f"{formatting.counted(len(odd), 'entity ends', 'entities end')} inside words that are "
            f"annotated as a whole in at least {formatting.share(_USUAL)} of their occurrences: {longest}",
            effect="strict scoring counts a wrong boundary twice, as a missed and a spurious entity",
            remedy=_REVIEW,
            examples=examples,
        )
    ]


def _longer(split: Inspected, entity: Entity) -> set[str]:
    """The entity's words with one more on either side."""
    words = split.split.tokens[entity.sentence]
    found = set()
    if entity.start:
        found.add(" ".join(words[entity.start - 1 : entity.end]))
    if entity.end < len(words):
        found.add(" ".join(words[entity.start : entity.end + 1]))
    return found


def _usually_whole(splits: Mapping[str, Inspected], types: Mapping[str, Counter[str]]) -> dict[str, int]:
    """Surfaces of several words that are entities as a whole in most places where an entity overlaps them."""
    several = {
        surface: known.total()
        for surface, known in types.items()
        if " " in surface and known.total() >= _KNOWN
    }
    cut: Counter[str] = Counter()
    for split in splits.values():
        for entity in split.entities:
            cut.update(_longer(split, entity) & several.keys())
    return {
        surface: number for surface, number in several.items() if number / (number + cut[surface]) >= _USUAL
    }


def _punctuation(split: Inspected) -> list[Finding]:
    """Entities that begin or end with a mark that does not belong to a name."""
    odd = [entity for entity in split.entities if _has_loose_mark(entity.words)]
    if not odd:
        return []
    return [
        Finding(
            check="punctuation",
            severity=_severity(len(odd), split),
            split=split.name,
            count=len(odd),
            what=f"{formatting.counted(len(odd), 'entity begins or ends', 'entities begin or end')} with "
            "punctuation that is not part of a pair or an abbreviation",
            effect="the mark is learnt as part of the name, and boundaries without it count as wrong",
            remedy="take the marks out of the entities; data.corrections does so without touching the source",
            examples=split.shown(odd),
        )
    ]


def _has_loose_mark(words: tuple[str, ...]) -> bool:
    return any(_loose(words))


def _loose(words: tuple[str, ...]) -> Iterator[bool]:
    """Whether the first, and the last word is a mark without its partner."""
    first, last = words[0], words[-1]
    if len(words) == 1:
        yield _is_mark(first)
        return
    opened = _CLOSES.get(first[0])
    if _is_mark(first):
        yield not (opened is not None and any(opened in word for word in words[1:]))
    if _is_mark(last):
        opener = [left for left, right in _CLOSES.items() if right == last[-1]]
        closes = any(left in word for left in opener for word in words[:-1])
        # `Inc .`, `J. R .`, `Yahoo !`: such marks belong to some names.
        belongs = last in (".", "!", "?", "...") or last[0] in "'’"
        yield not (closes or belongs)


def _is_mark(word: str) -> bool:
    return all(unicodedata.category(char).startswith("P") for char in word)
