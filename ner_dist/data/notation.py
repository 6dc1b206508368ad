"""Parse the spelling of tags: the prefix (the part of an entity) and the type of each tag in a file.

`B-PER` is the spelling of this project. Others carry the same information: `B_PER`, `b-PER`, `PER-B`, `B`
without a type, `PER` without a prefix. A file uses one of them; tags in no known spelling are refused, so
that a column of something else is not mistaken for tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ner_dist.labels import OUTSIDE

OUT, BEGIN, INSIDE, END, SINGLE = range(5)
"""Parts of an entity; IOB uses OUT, BEGIN and INSIDE only."""

UNTYPED = "ENTITY"
"""The type of tags that name none (`B`, `I`)."""

BIO = "(O, B-TYPE or I-TYPE)"

# Letters of IOB, IOBES, BILOU, BMES and BMEWO.
_PARTS = {"B": BEGIN, "I": INSIDE, "M": INSIDE, "E": END, "L": END, "S": SINGLE, "U": SINGLE, "W": SINGLE}
_SPELLINGS = {
    "B-TYPE": re.compile(r"(?P<part>[BIMELSUW])-(?P<blank>\s*)(?P<type>\S.*)", re.S),
    "B_TYPE": re.compile(r"(?P<part>[BIMELSUW])[-_](?P<blank>\s*)(?P<type>\S.*)", re.S),
    "b-type": re.compile(r"(?P<part>[bimelsuw])[-_](?P<blank>\s*)(?P<type>\S.*)", re.S),
    "TYPE-B": re.compile(r"(?P<type>\S.*?)(?P<blank>\s*)[-_](?P<part>[BIMELSUW])", re.S),
    "B": re.compile(r"(?P<part>[BIMELSUW])(?P<blank>)(?P<type>)"),
}
BARE = "TYPE"
_BLANK = r"[\s\u200b-\u200d\u2060\ufeff]"
_LAST_TYPE = np.iinfo(np.int16).max
_AROUND = re.compile(rf"\A{_BLANK}+|{_BLANK}+\Z")
_BETWEEN_TWO = (";", ",", "|", "/", "+", "&", None)  # None is white space
# Labels of words that are none, in taggers that were trained on padding and on all subwords.
_SPECIAL = re.compile(r"X|PAD|\[\w+\]|<[/\w]+>", re.I)
# A column of parts of speech, of words or of anything but tags has no O, or hardly any.
_LEAST_OUTSIDE = 0.1


class NotATag(ValueError):
    """A tag that cannot be understood.

    Args:
        index: which of the distinct tags.
        what: what is wrong with it.
        fix: what to do; None where only the caller knows.
    """

    def __init__(self, index: int, what: str, fix: str | None = None) -> None:
        self.index, self.what, self.fix = index, what, fix
        super().__init__(what)


@dataclass(frozen=True)
class Spelt:
    """V distinct tags, parsed."""

    written: tuple[str, ...]
    """The tags."""
    parts: np.ndarray
    """int8 [V]: OUT, BEGIN, INSIDE, END or SINGLE."""
    types: np.ndarray
    """int16 [V]: index into `names`; -1 for O."""
    names: tuple[str, ...]
    """The types, in the order in which the tags name them."""
    spelling: str
    """`B-TYPE`, or another way to write it; `TYPE` where tags name no part."""
    letters: frozenset[str]
    """Those of the parts: B, I, E, ..."""
    trimmed: np.ndarray
    """bool [V]: had blanks around it or after its hyphen."""
    doubled: np.ndarray
    """bool [V]: was doubled (`B-PER;B-PER`)."""
    outside: np.ndarray
    """bool [V]: is not `O` but was read as `O`."""

    @property
    def as_written(self) -> bool:
        """Whether the tags are `O`, `B-TYPE` and `I-TYPE`, letter for letter."""
        changed = self.trimmed | self.doubled | self.outside
        return self.spelling == "B-TYPE" and self.letters <= {"B", "I"} and not changed.any()

    def take(self, chosen: Sequence[int]) -> Spelt:
        """Some of the tags, in the order given."""
        at = np.array(chosen, dtype=np.int64)
        per_tag = ("parts", "types", "trimmed", "doubled", "outside")
        taken: dict[str, Any] = {name: getattr(self, name)[at] for name in per_tag}
        return replace(self, written=tuple(self.written[i] for i in chosen), **taken)


def spell(tags: Sequence[str], *, words: np.ndarray | None = None) -> Spelt:
    """Parse distinct tags, and detect their spelling.

    Args:
        tags: as they are written.
        words: int [V], how many words bear each. None for tags that were stated to be labels, by a model or
            a data set: among those may be labels of padding and the like, which count as O.

    Raises:
        NotATag: a tag is in another spelling than the rest, or is none at all.
    """
    cleaned = [_AROUND.sub("", tag) for tag in tags]
    if "" in cleaned:
        raise NotATag(cleaned.index(""), "a tag is empty", "give every word a tag: O outside entities")
    single = [_one_of_two(i, tag) for i, tag in enumerate(cleaned)]
    plain = {i for i, tag in enumerate(single) if tag == OUTSIDE}
    named = [i for i in range(len(single)) if i not in plain]
    spelling, others = _spelling(single, named, words, plain)
    parts, types = np.zeros(len(tags), np.int8), np.full(len(tags), -1, np.int16)
    trimmed = np.array([tag != clean for tag, clean in zip(tags, cleaned, strict=True)], dtype=bool)
    names: dict[str, int] = {}
    letters = set()
    for i in named:
        if i in others:
            continue
        letter, name = "", single[i]
        if spelling != BARE:
            match = _SPELLINGS[spelling].fullmatch(single[i])
            assert match is not None
            letter, name = match["part"].upper(), match["type"] or UNTYPED
            trimmed[i] |= bool(match["blank"])
        letters.add(letter)
        parts[i] = _PARTS.get(letter, INSIDE)
        if len(names) > _LAST_TYPE:
            what = f"more than {_LAST_TYPE:,} entity types, of which this is one"
            raise NotATag(i, what, "see whether data.tags_column is the column of tags")
        types[i] = names.setdefault(name, len(names))
    _check_types(names, types)
    return Spelt(
        written=tuple(tags),
        parts=parts,
        types=types,
        names=tuple(names),
        spelling=spelling,
        letters=frozenset(letters),
        trimmed=trimmed,
        doubled=np.array([tag != one for tag, one in zip(cleaned, single, strict=True)], dtype=bool),
        outside=np.array([i in others for i in range(len(tags))], dtype=bool),
    )


def alike(names: Iterable[str]) -> list[list[str]]:
    """Groups of types that differ only in case, blanks, hyphens and underscores."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(re.sub(r"[\s_-]+", "", name).casefold() or name, []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _spelling(
    tags: list[str], named: list[int], words: np.ndarray | None, outside: set[int]
) -> tuple[str, set[int]]:
    """The spelling of all tags but `O`, and the indices of tags that are synonyms of `O`."""
    for spelling, pattern in _SPELLINGS.items():
        matches = {i: pattern.fullmatch(tags[i]) for i in named}
        rest = [i for i, match in matches.items() if match is None]
        letters = {match["part"].upper() for match in matches.values() if match}
        others = {i for i in rest if _is_outside(tags[i], stated=words is None)}
        telling = set("BI") if spelling == "B" else set("BISUW")
        if letters & telling and len(others) == len(rest):
            return spelling, others
    if not named:
        return "B-TYPE", set()
    prefixed = [i for i in named if _SPELLINGS["B-TYPE"].fullmatch(tags[i])]
    not_bio = next((i for i in named if i not in prefixed), named[0])
    if any(tags[i][0] in "BI" for i in prefixed):
        raise NotATag(not_bio, f"tag `{tags[not_bio]:.60}` is not BIO {BIO}, as others are")
    return BARE, _check_bare(tags, named, words, outside, not_bio)


def _is_outside(tag: str, *, stated: bool) -> bool:
    return tag in ("o", "0") or (stated and _SPECIAL.fullmatch(tag) is not None)


def _check_bare(
    tags: list[str], named: list[int], words: np.ndarray | None, outside: set[int], first: int
) -> set[int]:
    """Refuse what does not look like types without parts; return those that are other words for O."""
    others = {i for i in named if tags[i] == "o" and not outside}
    if words is None:
        others |= {i for i in named if re.fullmatch(r"\[\w+\]|<[/\w]+>", tags[i])}
    if any("*" in tags[i] or tags[i].startswith("(") for i in named):
        fix = "write one tag a word: O, B-TYPE or I-TYPE"
        raise NotATag(first, f"tag `{tags[first]:.60}` is of CoNLL's bracket notation, not BIO {BIO}", fix)
    _check_no_part(tags, named)
    odd = [i for i in named if i not in others and not tags[i][0].isalpha()]
    none_outside = not (outside | others) or (
        words is not None and words[sorted(outside | others)].sum() < _LEAST_OUTSIDE * words.sum()
    )
    if odd or none_outside:
        index = odd[0] if odd else first
        raise NotATag(index, f"tag `{tags[index]:.60}` is not BIO {BIO}")
    return others


def _check_no_part(tags: list[str], named: list[int]) -> None:
    """Refuse types that are parts and types joined in another way: `B:PER`, `BPER` beside `IPER`, `B-`."""
    known = set(tags)
    for i in named:
        part, rest = tags[i][:1], tags[i][1:]
        if part not in _PARTS or not rest:
            continue
        both = len(rest) > 1 and {f"B{rest}", f"I{rest}"} <= known
        if both or rest in ("-", "_") or (part in "BI" and rest[0] in ":/" and rest[1:]):
            meant = part if rest in ("-", "_") else f"{part}-{rest.lstrip(':/.')}"
            raise NotATag(i, f"tag `{tags[i]:.60}` is not BIO {BIO}", f"write it as `{meant}`")


def _one_of_two(index: int, tag: str) -> str:
    """The tag, or one of two that are equal (`B-PER;B-PER`)."""
    for mark in _BETWEEN_TWO:
        halves = [_AROUND.sub("", half) for half in tag.split(mark)]
        if len(halves) > 1 and all(map(_is_whole_tag, halves)):
            if len(set(halves)) > 1:
                fix = "a word has one tag: keep one of them, such as the outermost entity's"
                raise NotATag(index, f"tag `{tag:.60}` holds {len(halves)} tags", fix)
            return halves[0]
    return tag


def _is_whole_tag(text: str) -> bool:
    whole = (_SPELLINGS[spelling].fullmatch(text) for spelling in ("B_TYPE", "b-type", "TYPE-B"))
    return text == OUTSIDE or any(whole)


def _check_types(names: Iterable[str], types: np.ndarray) -> None:
    known = set(names)
    for place, name in enumerate(names):
        halves = [half.strip() for half in re.split(r"[;,|]", name)]
        if len(halves) > 1 and all(half in known or halves.count(half) > 1 for half in halves):
            index = int(np.argmax(types == place))
            fix = "a word has one tag: keep one of them"
            raise NotATag(index, f"the type `{name:.60}` holds {len(halves)} types", fix)
