"""Tagging schemes: detect the scheme of a file, and convert its tags to IOB2 without loss.

All schemes mark the words of an entity; they differ in the tags of its first and last word.

- IOB2: with B-. The project's own: what is learnt, predicted, scored and written.
- IOB1 (Ramshaw and Marcus 1995, and CoNLL-2003 as published): with I-; with B- only directly after another
  entity of its type.
- IO: types without parts, or I- alone; neighbouring words of one type are one entity.
- IOBES, BILOU, BMES, BMEWO: as IOB2, with E-, L- on the last word and S-, U-, W- on an only one.
- IOE1, IOE2: with I- or E-, and E- on the last word, in IOE1 only directly before another of its type.

One rule reads them all. An entity begins with B-, S-, U- or W-. I-, M-, E- or L- continues the entity before
it if that has the same type and has not ended; otherwise it is stray. A stray tag begins an entity in IOB1,
IO and IOE; in IOB2 and IOBES it is an error, which strict scoring ignores. The majority of entities tells the
two apart: an entity that does not directly follow another of its type begins with I- in every valid IOB1
file, and with B- in every valid IOB2 file. So a valid file is always read correctly, and a damaged one like
most of its entities.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from ner_dist.blocks import sentence_blocks
from ner_dist.data.notation import BEGIN, END, INSIDE, OUT, SINGLE


@dataclass(frozen=True)
class Evidence:
    """Counts of how the entities of a file begin and end."""

    entities: int = 0
    begins: int = 0
    """Entities with a B- (S-, U-, W-) that IOB1 would not write: they follow no entity of their type."""
    stray: int = 0
    """Entities that begin with a stray I- (E-, L-)."""
    stray_words: int = 0
    """Number of words in these."""
    first_begin: int = -1
    """The first word of `begins`; -1 for none."""
    first_stray: int = -1
    """The first word of `stray`; -1 for none."""
    ends: int = 0
    """Words with E-, L-, S-, U- or W-."""
    unended: int = 0
    """Entities whose last word has none of these."""
    first_unended: int = -1
    """The last word of the first of these; -1 for none."""

    def __add__(self, later: Evidence) -> Evidence:
        """The evidence of both, of which the other is that of words behind."""
        sums = {
            name: getattr(self, name) + getattr(later, name)
            for name in ("entities", "begins", "stray", "stray_words", "ends", "unended")
        }
        firsts = {
            name: getattr(self if getattr(self, name) >= 0 else later, name)
            for name in ("first_begin", "first_stray", "first_unended")
        }
        return Evidence(**sums, **firsts)

    @property
    def telling(self) -> int:
        """Entities that begin in one way in IOB1 and in another in IOB2."""
        return self.begins + self.stray


@dataclass(frozen=True)
class _Layout:
    """Masks of words that begin or continue entities, each bool [W]."""

    explicit: np.ndarray
    """B-, S-, U-, W-."""
    implicit: np.ndarray
    """Stray I-, E-, L-."""
    behind: np.ndarray
    """Directly after a word of the same type in the same sentence."""


def evidence(
    parts: np.ndarray, types: np.ndarray, offsets: np.ndarray, unlabelled: np.ndarray | None = None
) -> Evidence:
    """Count how entities begin and end. What stands beside a word without a label tells nothing of it.

    Args:
        parts: what part of an entity every word is, as in `notation`, int [W].
        types: index of every word's type, int [W]; -1 outside.
        offsets: int64 [N+1]; sentence i has the words offsets[i]:offsets[i + 1].
        unlabelled: bool [W], words without a label, which are OUT here; None for none.
    """
    total = Evidence()
    for sentences, words in sentence_blocks(offsets):
        known = None if unlabelled is None else unlabelled[words]
        total += _evidence(parts[words], types[words], _within(offsets, sentences), known, words.start)
    return total


def _within(offsets: np.ndarray, sentences: slice) -> np.ndarray:
    """The offsets of some sentences, from the first word of the first."""
    found: np.ndarray = offsets[sentences.start : sentences.stop + 1] - offsets[sentences.start]
    return found


def _evidence(
    parts: np.ndarray, types: np.ndarray, offsets: np.ndarray, unlabelled: np.ndarray | None, start: int
) -> Evidence:
    """As `evidence`, of some sentences, the first of which begins with word `start`."""
    layout = _layout(parts, types, offsets)
    begins, stray = layout.explicit & ~layout.behind, layout.implicit
    starts = layout.explicit | layout.implicit
    if unlabelled is not None:
        known = ~follows(unlabelled, offsets)
        begins, stray = begins & known, stray & known
    piece = np.cumsum(starts)
    inside = parts != OUT
    stray_piece = np.concatenate([[False], stray[starts]])
    last = inside & ~np.append(inside[1:] & ~starts[1:], False)
    ended = np.isin(parts, (END, SINGLE))
    unended = last & ~ended
    if unlabelled is not None:
        unended[:-1] &= ~unlabelled[1:]
    return Evidence(
        entities=int(starts.sum()),
        begins=int(begins.sum()),
        stray=int(stray.sum()),
        stray_words=int((inside & stray_piece[piece]).sum()),
        first_begin=_first(begins, start),
        first_stray=_first(stray, start),
        ends=int(ended.sum()),
        unended=int(unended.sum()),
        first_unended=_first(unended, start),
    )


def begins_with_inside(found: Evidence, others: Iterable[Evidence] = ()) -> bool:
    """Whether an I- that continues no entity starts one, as in IOB1, or is an error, as in IOB2.

    Most entities of the file decide. The other files of the data set count as one more, so that they decide
    what a single entity cannot.

    Args:
        found: of the file.
        others: of the other files of its data set.
    """
    known = [other for other in others if other.telling]
    share = sum(other.stray for other in known) / sum(other.telling for other in known) if known else None
    if share is None:
        return 2 * found.stray > found.telling
    return 2 * (found.stray + share) > found.telling + 1


def scheme_name(letters: Collection[str], *, begins_with_inside: bool) -> str:
    """The name of a scheme, from the prefixes it uses; "" stands for tags without a prefix."""
    used = set(letters)
    if "" in used:
        return "IO"
    if used & set("ELSUMW"):
        if begins_with_inside:
            return "IOE"
        if used & set("LU"):
            return "BILOU"
        return "BMEWO" if "W" in used else "BMES" if "M" in used else "IOBES"
    return "IOB1" if begins_with_inside else "IOB2"


def to_iob2(
    parts: np.ndarray, types: np.ndarray, offsets: np.ndarray, *, begins_with_inside: bool | np.ndarray
) -> np.ndarray:
    """The parts of the same words in IOB2, int8 [W]: OUT, BEGIN or INSIDE.

    What continues nothing begins an entity if `begins_with_inside`; else it stays I-, no entity to strict
    scoring. Where IOB2 would read that I- as the rest of the entity before it (`E-PER I-PER`), it becomes O.

    Args:
        parts, types, offsets: as in `evidence`.
        begins_with_inside: as the function of this name says; or for every word, bool [W].
    """
    found = np.empty(len(parts), dtype=np.int8)
    for sentences, words in sentence_blocks(offsets):
        begin = begins_with_inside
        begin = begin[words] if isinstance(begin, np.ndarray) else begin
        found[words] = _to_iob2(parts[words], types[words], _within(offsets, sentences), begin)
    return found


def _to_iob2(
    parts: np.ndarray, types: np.ndarray, offsets: np.ndarray, begins_with_inside: bool | np.ndarray
) -> np.ndarray:
    layout = _layout(parts, types, offsets)
    iob2 = np.where(parts == OUT, OUT, INSIDE).astype(np.int8)
    begins = layout.explicit | (layout.implicit & begins_with_inside)
    iob2[begins] = BEGIN
    return _without_pieces(iob2, begins | layout.implicit, layout.implicit & ~begins & layout.behind)


def renamed(
    parts: np.ndarray, types: np.ndarray, offsets: np.ndarray, to: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rename the types of IOB2 tags; entities stay separate even if two types become one.

    Args:
        parts: of IOB2, int8 [W].
        types: int [W]; -1 outside.
        offsets: as in `evidence`.
        to: int [types], the index of each type's new name; -1 makes it O.

    Returns:
        Parts and types of the words, int8 [W] and int16 [W].
    """
    new_parts, new = np.empty(len(parts), dtype=np.int8), np.empty(len(parts), dtype=np.int16)
    for sentences, words in sentence_blocks(offsets):
        new_parts[words], new[words] = _renamed(parts[words], types[words], _within(offsets, sentences), to)
    return new_parts, new


def _renamed(
    parts: np.ndarray, types: np.ndarray, offsets: np.ndarray, to: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    layout = _layout(parts, types, offsets)
    new = np.where(parts == OUT, -1, to[types]).astype(np.int16)
    new_parts = np.where(new < 0, OUT, parts).astype(np.int8)
    # An I- that continued nothing must not go on with an entity that is of its type only now.
    behind_now = _behind(new, offsets)
    new_parts = _without_pieces(new_parts, layout.explicit | layout.implicit, layout.implicit & behind_now)
    new[new_parts == OUT] = -1
    return new_parts, new


def _layout(parts: np.ndarray, types: np.ndarray, offsets: np.ndarray) -> _Layout:
    behind = _behind(types, offsets)
    open_before = np.zeros(len(parts), dtype=bool)
    open_before[1:] = (parts[:-1] == BEGIN) | (parts[:-1] == INSIDE)
    explicit = (parts == BEGIN) | (parts == SINGLE)
    implicit = ((parts == INSIDE) | (parts == END)) & ~(behind & open_before)
    return _Layout(explicit, implicit, behind)


def follows(chosen: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """bool [W]: words directly after a chosen one, bool [W], in the same sentence."""
    after = np.zeros(len(chosen), dtype=bool)
    after[1:] = chosen[:-1]
    after[offsets[:-1][np.diff(offsets) > 0]] = False
    return after


def _behind(types: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    behind = np.zeros(len(types), dtype=bool)
    behind[1:] = (types[1:] == types[:-1]) & (types[1:] >= 0)
    behind[offsets[:-1][np.diff(offsets) > 0]] = False
    return behind


def _without_pieces(iob2: np.ndarray, starts: np.ndarray, dropped: np.ndarray) -> np.ndarray:
    """Set words to O, from each dropped word to the next start of an entity."""
    if not dropped.any():
        return iob2
    goes = np.concatenate([[False], dropped[starts]])
    return np.where(goes[np.cumsum(starts)], OUT, iob2).astype(np.int8)


def _first(where: np.ndarray, start: int) -> int:
    return start + int(np.argmax(where)) if where.any() else -1
