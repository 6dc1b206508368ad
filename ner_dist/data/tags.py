"""Read the tags of a data set: convert every spelling and scheme to IOB2, and log the conversion.

Training, evaluation and comparison read the tags of data here and nowhere else.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from ner_dist import formatting
from ner_dist.blocks import blocks_of, occurrences, taken
from ner_dist.data.notation import BARE, BEGIN, OUT, UNTYPED, NotATag, Spelt, alike, spell
from ner_dist.data.renaming import places
from ner_dist.data.schemes import (
    Evidence,
    begins_with_inside,
    evidence,
    follows,
    renamed,
    scheme_name,
    to_iob2,
)
from ner_dist.data.unlabelled import NO_CODE
from ner_dist.errors import UserError
from ner_dist.labels import OUTSIDE, UNLABELLED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.data.renaming import Renaming
    from ner_dist.labels import LabelSet

log = logging.getLogger(__name__)

Repair = Literal["none", "begin"]

# A larger share of ignored predictions is due to the format of a tool, not to occasional errors.
_MANY = 0.1


class Written(Protocol):
    """The tags of one file as written, such as `corpus.Rows`."""

    @property
    def file(self) -> str: ...
    @property
    def values(self) -> Sequence[str] | Sequence[int]:
        """The distinct tags."""

    @property
    def tags(self) -> np.ndarray:
        """int [W]: index into `values` of every word's tag; -1 for a word without a label."""

    @property
    def offsets(self) -> np.ndarray:
        """int64 [N+1]"""

    def place(self, word: int) -> str: ...
    def place_of_tag(self, code: int) -> str: ...


@dataclass(frozen=True)
class Tags:
    """The tags of one file in IOB2."""

    parts: np.ndarray
    """int8 [W]: OUT, BEGIN or INSIDE."""
    types: np.ndarray
    """int16 [W]: index into `names`; undefined where `parts` is OUT."""
    names: tuple[str, ...]
    """The types, in the order in which they first occur."""
    scheme: str
    """Scheme of the file: IOB2, IOB1, IO, IOBES, ..."""
    stray: int = 0
    """Number of entities that begin with an I- although the scheme requires B-."""
    stray_words: int = 0
    """Number of words in these."""
    unlabelled: np.ndarray | None = None
    """bool [W]: words without a label, whose part is OUT; None if there are none."""

    @property
    def entities(self) -> Counter[str]:
        """Number of entities of each type."""
        counts = occurrences(self.types[self.parts == BEGIN], len(self.names))
        return Counter(dict(zip(self.names, counts.tolist(), strict=True)))

    def ids(self, labels: LabelSet) -> np.ndarray:
        """The label id of every word, int16 [W]; `labels` has the B- and I- of every type."""
        ids = label_ids(self.parts, self.types, self.names, labels)
        if self.unlabelled is not None:
            ids[self.unlabelled] = UNLABELLED
        return ids


def label_ids(parts: np.ndarray, types: np.ndarray, names: Sequence[str], labels: LabelSet) -> np.ndarray:
    """Label ids of words in IOB2, int16 [W].

    Args:
        parts: OUT, BEGIN or INSIDE, int [W].
        types: index into `names`, int [W]; of no meaning where `parts` is OUT.
        names: types that `labels` has.
        labels: what the ids mean.
    """
    table = np.full((3, max(len(names), 1)), labels.label2id["O"], dtype=np.int16)
    for place, name in enumerate(names):
        table[1:, place] = labels.label2id[f"B-{name}"], labels.label2id[f"I-{name}"]
    found = np.empty(len(parts), dtype=np.int16)
    for block in blocks_of(len(parts)):
        found[block] = table[parts[block], types[block]]
    return found


def renamed_ids(
    tags: np.ndarray, offsets: np.ndarray, *, known: LabelSet, renaming: Renaming, labels: LabelSet
) -> np.ndarray:
    """Ids in another label set of types under other names, int16 [W]; entities stay separate.

    Args:
        tags: ids in `known`, int [W].
        offsets: int64 [N+1].
        known: what `tags` mean.
        renaming: the new names; a type that has none, or that `labels` does not have, becomes O.
        labels: what the result means.
    """
    part_of, type_of = known.coded()
    labelled = tags != UNLABELLED
    ids = np.where(labelled, tags, known.label2id[OUTSIDE])
    to = places(known.types, renaming, labels.types)
    new = label_ids(*renamed(taken(part_of, ids), taken(type_of, ids), offsets, to), labels.types, labels)
    new[~labelled] = UNLABELLED
    return new


@dataclass(frozen=True)
class _Column:
    """The tags of one file as they are written."""

    rows: Written
    spelt: Spelt
    parts: np.ndarray
    types: np.ndarray
    found: Evidence
    unlabelled: np.ndarray | None = None
    """bool [W]: words without a label; None if there are none."""

    @property
    def bare(self) -> bool:
        """Tags name no part: neighbours of one type are one entity, whatever other files do."""
        return self.spelt.spelling == BARE


def read_tags(
    files: Sequence[Written],
    *,
    stated: Sequence[str] | None = None,
    where: str = "",
    repair: Repair = "none",
    repair_with: str = "data.repair=begin",
    which: str = "",
    like: Sequence[Written] = (),
    iob2: bool = False,
    fix: str = "see data.tags_column, or write each tag as O, B-TYPE or I-TYPE",
) -> list[Tags]:
    """Read the tags of all files of a data set, each file in its own scheme.

    Args:
        files: with tags as text, or all with ids.
        stated: the tag of each id, if tags are ids.
        where: the place that states them, for messages.
        repair: treatment of an I- that continues no entity in IOB2: `none` leaves it as it is, `begin` starts
            an entity with it.
        repair_with: the setting that does so, for messages; "" for predictions, which are not repaired.
        which: `gold ` or `predicted `, for messages.
        like: files in the same scheme, for files that do not reveal it themselves.
        iob2: treat the files as IOB2, whatever their tags look like.
        fix: advice for an invalid tag.

    Raises:
        UserError: a tag cannot be understood.
    """
    columns = [_column(*each) for each in zip(files, _spelt(files, stated, where, fix), strict=True)]
    examples = [_column(*each) for each in zip(like, _spelt(like, None, where, fix), strict=True)]
    read = []
    for column in columns:
        others = [other.found for other in (*columns, *examples) if other is not column and not other.bare]
        begins = not iob2 and (column.bare or begins_with_inside(column.found, others))
        read.append(_in_iob2(column, begins=begins, repair=repair))
        _say_unlabelled(column, which)
        _say_spelling(column, which)
        _say_scheme(column, read[-1], which)
        if not begins and column.found.stray:
            _say_stray(column, which, repair=repair, repair_with=repair_with)
    _say_schemes_differ(columns, read, which)
    _say_types_alike(read, which)
    return read


def _spelt(files: Sequence[Written], stated: Sequence[str] | None, where: str, fix: str) -> list[Spelt]:
    """Parse the distinct tags of each file, in one spelling for all files if possible."""
    if stated is not None:
        labels = spell_labels(stated, where=where)
        return [labels.take([int(value) for value in rows.values]) for rows in files]
    words: Counter[str] = Counter()
    for rows in files:
        words.update(dict(zip(map(str, rows.values), _words(rows).tolist(), strict=True)))
    try:
        whole = spell(list(words), words=np.fromiter(words.values(), np.int64, count=len(words)))
    except NotATag:
        return [_spelt_alone(rows, fix) for rows in files]
    place = {tag: index for index, tag in enumerate(words)}
    return [whole.take([place[str(value)] for value in rows.values]) for rows in files]


def _spelt_alone(rows: Written, fix: str) -> Spelt:
    try:
        return spell([str(value) for value in rows.values], words=_words(rows))
    except NotATag as error:
        raise UserError(error.what, where=rows.place_of_tag(error.index), fix=error.fix or fix) from None


def spell_labels(tags: Sequence[str], *, where: str, fix: str | None = None) -> Spelt:
    """Parse the labels that a model or a data set lists in the order of their ids.

    Args:
        tags: the labels.
        where: the place that states them, for messages.
        fix: advice for a label that is not a tag.

    Raises:
        UserError: a label is not a tag or appears twice, or there is no O.
    """
    try:
        spelt = spell(tags)
    except NotATag as error:
        raise UserError(error.what, where=where, fix=error.fix or fix) from None
    twice = [tag for tag, count in Counter(tags).items() if count > 1]
    if twice:
        raise UserError(f"label `{twice[0]}` appears twice", where=where)
    if spelt.parts.all():
        raise UserError("there is no label `O`", where=where, fix=fix)
    return spelt


def _words(rows: Written) -> np.ndarray:
    """How many words bear each tag, int64 [V]."""
    return occurrences(rows.tags, len(rows.values))


def _column(rows: Written, spelt: Spelt) -> _Column:
    unlabelled = rows.tags == NO_CODE
    if not unlabelled.any():
        parts, types = taken(spelt.parts, rows.tags), taken(spelt.types, rows.tags)
        return _Column(rows, spelt, parts, types, evidence(parts, types, rows.offsets))
    # Such a word is outside of all entities, as far as is known. Its code -1 takes what is appended here.
    parts, types = (
        taken(np.append(spelt.parts, np.int8(OUT)), rows.tags),
        taken(np.append(spelt.types, np.int16(-1)), rows.tags),
    )
    return _Column(rows, spelt, parts, types, evidence(parts, types, rows.offsets, unlabelled), unlabelled)


def _in_iob2(column: _Column, *, begins: bool, repair: Repair) -> Tags:
    letters = set(column.spelt.letters)
    if not column.found.ends:
        letters &= {"", "B", "I"}
    damaged = column.found if not begins else None
    starts: bool | np.ndarray = begins or repair == "begin"
    if column.unlabelled is not None and not begins:
        # An I- behind a word without a label may continue what begins there.
        starts = starts & ~follows(column.unlabelled, column.rows.offsets)
    return Tags(
        parts=to_iob2(
            *(column.parts, column.types, column.rows.offsets),
            begins_with_inside=starts,
        ),
        types=column.types,
        names=column.spelt.names,
        scheme=scheme_name(letters, begins_with_inside=begins),
        stray=damaged.stray if damaged else 0,
        stray_words=damaged.stray_words if damaged else 0,
        unlabelled=column.unlabelled,
    )


def _say_unlabelled(column: _Column, which: str) -> None:
    """Log the number of words that are neither trained on nor scored."""
    if column.unlabelled is None:
        return
    count, of = int(column.unlabelled.sum()), len(column.unlabelled)
    log.info(
        "%s: %s of %s without a %slabel (null, -100 or ?), the first at %s: neither trained on nor scored",
        *(column.rows.file, f"{count:,}", formatting.counted(of, "word"), which),
        column.rows.place(int(np.argmax(column.unlabelled))),
    )


def _say_spelling(column: _Column, which: str) -> None:
    """Log how tags were read that are not spelt as O, B-TYPE and I-TYPE."""
    rows, spelt = column.rows, column.spelt
    words = _words(rows)
    if spelt.spelling not in ("B-TYPE", BARE) and words[spelt.parts != OUT].any():
        untyped = f" of one type, {UNTYPED}" if spelt.spelling == "B" else ""
        log.info("%s: %stags are written as %s: read as B-TYPE%s", rows.file, which, spelt.spelling, untyped)
    for chosen, what in (
        (spelt.trimmed, "have blanks around them: trimmed"),
        (spelt.doubled, "are doubled: read as one"),
        (spelt.outside, "are read as O"),
    ):
        if count := int(words[chosen].sum()):
            code = int(np.flatnonzero(chosen & (words > 0))[0])
            log.info(
                "%s: the %stags of %s %s (%.60r, the first at %s)",
                *(rows.file, which, formatting.counted(count, "word"), what),
                *(spelt.written[code], rows.place_of_tag(code)),
            )


def _say_scheme(column: _Column, read: Tags, which: str) -> None:
    """Log the conversion of a scheme."""
    file, found = column.rows.file, column.found
    entities = formatting.counted(found.entities, "entity", "entities")
    if not found.entities:
        return
    if read.scheme == "IO":
        how = f"IO, types alone ({entities}): read as IOB2, neighbouring words of one type as one entity"
        log.info("%s: %stags are %s", file, which, how)
    elif read.scheme in ("IOB1", "IOE"):
        say, slips = log.info, "none"
        if found.begins:
            say, place = log.warning, column.rows.place(found.first_begin)
            slips = f"but {found.begins:,} (the first at {place})"
        begin = formatting.counted(found.stray, "entity begins", "entities begin")
        inside = "I-" if read.scheme == "IOB1" else "I- or E-"
        how = f"{read.scheme} ({begin} with {inside}, {slips} with a B- that {read.scheme} would not write)"
        say("%s: %stags are %s: read as IOB2", file, which, how)
    elif found.ends:
        log.info("%s: %stags are %s (%s): read as IOB2", file, which, read.scheme, entities)
    if found.ends and found.unended:
        ends = "L- or U-" if read.scheme == "BILOU" else "E-, S- or W-"
        log.warning(
            "%s: %d of %s have no %s at their end, the first at %s: read as ending there",
            *(file, found.unended, entities, ends, column.rows.place(found.first_unended)),
        )


def _say_stray(column: _Column, which: str, *, repair: Repair, repair_with: str) -> None:
    """Log entities that strict scoring ignores, and the setting that keeps them."""
    found = column.found
    share = formatting.share(found.stray / found.entities)
    what = (
        f"{column.rows.file}: {found.stray:,} of {found.entities:,} {which}entities ({share}, "
        f"{formatting.counted(found.stray_words, 'word')}) begin with an I- that continues no entity, "
        f"the first at {column.rows.place(found.first_stray)}"
    )
    if repair == "begin":
        log.info("%s: read as entities (%s)", what, repair_with)
    elif repair_with:
        log.warning("%s: strict scoring ignores them; %s reads them as entities", what, repair_with)
    elif found.stray > _MANY * found.entities:
        log.warning("%s: strict scoring ignores them", what)


def _say_schemes_differ(columns: list[_Column], read: list[Tags], which: str) -> None:
    schemes = {
        PurePath(column.rows.file).name: tags.scheme
        for column, tags in zip(columns, read, strict=True)
        if column.found.entities
    }
    if len(set(schemes.values())) > 1:
        each = ", ".join(f"{file} {scheme}" for file, scheme in schemes.items())
        log.info("%stags are in different schemes (%s): each file was read in its own", which, each)


def _say_types_alike(read: list[Tags], which: str) -> None:
    entities = sum((tags.entities for tags in read), Counter[str]())
    for group in alike(entities):
        each = " and ".join(f"`{name}` ({entities[name]:,})" for name in group)
        log.warning(
            "%sentities of types %s: the names differ only in case, blanks or hyphens, but count as "
            "different types; spell them alike in the data if they mean the same",
            *(which, each),
        )
