"""Find the word column and the tag column of a CoNLL file.

The recipe decides, or else the file: the names of its columns (a header, or `# global.columns` of CoNLL-U
Plus, https://universaldependencies.org/ext-format.html), columns of numbers that count words, or the look of
the cells. Otherwise the first column holds the words and the last the tags. Any other choice is logged with
the key that overrides it; several tag columns are an error.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.data.cells import SAMPLE
from ner_dist.data.columns import Columns, Remarks, attribute_of
from ner_dist.data.tag_shapes import TAG_NAMES, WORD_NAMES, are_tags, is_outside, is_prefixed, type_in
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.recipe_data import Data

log = logging.getLogger(__name__)

# https://universaldependencies.org/format.html
_CONLLU = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
# Of HIPE's columns of tags (https://hipe-eval.github.io) the one that every data set fills.
_HIPE_COARSE = "NE-COARSE-LIT"
_ID = r"^\d+([-.]\d+)?$"
_NO_WORD = r"^\d+[-.]\d+$"
_HEAD = 1_000
# So many words, all whole numbers, are not text.
_NO_TEXT = 20


@dataclass(frozen=True)
class Tags:
    """The location of a file's tags."""

    number: int
    attribute: str | None = None
    """`NER` where cells are like CoNLL-U's MISC: `SpaceAfter=No|NER=B-PER`."""


def without_ranges(columns: Columns) -> Columns:
    """Drop CoNLL-U's ranges (`3-4`), whose words follow, and its empty nodes (`3.1`)."""
    import pyarrow.compute as pc

    later = columns.first_line > 0
    number = columns.numbered if later else _id_column(columns)
    if number is None:
        return columns
    ids = columns.cells.take(columns.at, number)
    if not later and not pc.all(pc.match_substring_regex(ids, _ID)).as_py():
        return columns
    skipped = pc.match_substring_regex(ids, _NO_WORD).to_numpy(zero_copy_only=False)
    kept = replace(columns.keep(~skipped), numbered=number)
    if columns.names is None and not later:
        called = any(suffix in (".conllu", ".conllup") for suffix in columns.path.suffixes)
        if not _is_numbering(kept, number) and not (called and columns.width == len(_CONLLU)):
            return columns
        if columns.width >= len(_CONLLU):
            kept = replace(kept, names=(*_CONLLU, *("?" * (columns.width - len(_CONLLU)))))
    if skipped.any():
        ranges = int(pc.sum(pc.match_substring(ids, "-")).as_py())
        remarks = Remarks() if columns.remarks is None else columns.remarks
        remarks.ranges += ranges
        remarks.empty_nodes += int(skipped.sum()) - ranges
        if columns.remarks is None:
            remarks.log(columns.path)
    return kept


def _id_column(columns: Columns) -> int | None:
    """The column that may hold word ids; None if fewer than two other columns remain."""
    if columns.names is not None:
        lowered = [name.lower() for name in columns.names]
        return lowered.index("id") if "id" in lowered else None
    first = columns.distinct(0, first=200) if columns.width > 2 else []
    return 0 if first and all(re.fullmatch(_ID, cell) for cell in first) else None


def _is_numbering(columns: Columns, number: int) -> bool:
    """Whether a column numbers words or sentences, or holds one name per sentence, instead of words.

    That takes more than numbers, which may be words: they have to count, and a column with more than one
    distinct cell has to lie between them and the last, to hold the words.
    """
    between = range(number + 1, columns.width - 1)
    if not any(len(columns.distinct(other, first=SAMPLE)) > 1 for other in between):
        return False
    head = np.arange(len(columns.at)) < _HEAD
    if not head.all() and not _is_numbering(columns.keep(head), number):
        return False  # most files end here, without a look at all of them
    first = np.zeros(len(columns.at), dtype=bool)
    first[columns.starts] = True
    if len(first) < 2:
        return False
    inside = ~first[1:]
    cells = columns.cells.take(columns.at, number)
    if _all_numbers(cells):
        if len(first) >= _NO_TEXT:
            return True
        numbers = cells.cast("int64").to_numpy()
        step, begin = np.diff(numbers), numbers[first]
        all_words = bool(len(numbers) > 2 and (step == 1).all())
        if not inside.any():  # a word a sentence: they all begin with 1, as any text may
            return all_words
        # Here and there a line may be gone.
        words = (step[inside] > 0).all() and np.mean(np.r_[step[inside] == 1, begin < 2]) > 0.9
        # The same number everywhere counts nothing.
        sentences = (~inside).any() and not step[inside].any() and (step[~inside] == 1).all()
        return bool(words or all_words or sentences)
    codes = cells.dictionary_encode().indices.to_numpy()
    several = int((np.diff(columns.offsets) > 1).sum())
    return several >= 5 and not np.diff(codes)[inside].any()


def _all_numbers(cells: object) -> bool:
    import pyarrow.compute as pc

    return bool(pc.all(pc.match_substring_regex(cells, r"^\d{1,18}$")).as_py())


def word_column(columns: Columns, data: Data | None = None) -> int:
    """The index of the word column.

    Args:
        columns: columns of the file.
        data: the recipe's `data`, whose `tokens_column` wins; None looks at the file only.

    Raises:
        UserError: there is no column of that name or number.
    """
    if data is not None and (named := _as_set(columns, data, "tokens_column")) is not None:
        return named
    for number, name in enumerate(columns.names or ()):
        if name.lower() in WORD_NAMES:
            return number
    number = 0
    while number < columns.width - 2 and _is_numbering(columns, number):
        number += 1
    if number:
        log.info(
            "%s: column %d (%s) numbers words or sentences, so words are read from column %d; "
            "set data.tokens_column to change this",
            columns.path,
            number - 1,
            _shown(columns, number - 1),
            number,
        )
    return number


def document_column(columns: Columns, data: Data) -> int | None:
    """The index of the column that names the document; None if the recipe names none.

    Raises:
        UserError: there is no column of that name or number.
    """
    return None if data.document_column is None else _as_set(columns, data, "document_column")


def tag_column(columns: Columns, data: Data, words: int) -> Tags:
    """Find the tag column.

    Raises:
        UserError: the column that the recipe names does not exist, or several columns hold tags.
    """
    set_to = str(data.tags_column)
    base, _, attribute = set_to.partition(":")
    if attribute and columns.names and set_to not in columns.names and base in columns.names:
        return Tags(columns.names.index(base), attribute)
    number = _as_set(columns, data, "tags_column")
    if number is not None:
        in_misc = columns.names is not None and columns.names[number] == "MISC" and "FORM" in columns.names
        return (_attribute(columns, number) if in_misc else None) or Tags(number)
    return _by_name(columns) or _in_misc(columns) or _by_cells(columns, words, data)


def _as_set(columns: Columns, data: Data, key: str) -> int | None:
    """The index of the column that the recipe names; None if it leaves the choice to the file."""
    written = getattr(data, key)
    names = [name.lower() for name in columns.names or ()]
    if str(written).lower() in names:
        return names.index(str(written).lower())
    if written == type(data).model_fields[key].default:
        return None
    try:
        number = int(written)
    except ValueError:
        there = f"; the columns are {', '.join(columns.names)}" if columns.names else ""
        fix = "count CoNLL columns from 0; -1 is the last"
        raise UserError(f"'{written}' is not a column number{there}", where=f"data.{key}", fix=fix) from None
    columns.require(
        number + 1 if number >= 0 else -number, "see data.separator, data.tokens_column and data.tags_column"
    )
    return number % columns.width if columns.width else number


def _by_name(columns: Columns) -> Tags | None:
    names = columns.names or ()
    # A name may follow that of its project: `UNER:NER`.
    found = [number for number, name in enumerate(names) if name.lower().split(":")[-1] in TAG_NAMES]
    holding = [number for number in found if are_tags(columns.distinct(number, first=SAMPLE))] or found
    usual = [number for number in holding if names[number] == _HIPE_COARSE]
    if len(holding) > 1 and not usual:
        raise _several(columns, holding)
    if not holding:
        return None
    if usual:
        others = ", ".join(names[number] for number in holding if number not in usual)
        what = "%s: tags are read from column %s, not from %s; set data.tags_column to change this"
        log.info(what, columns.path, _HIPE_COARSE, others)
        return Tags(usual[0])
    log.info("%s: tags are read from column %s", columns.path, names[holding[0]])
    return Tags(holding[0])


def _in_misc(columns: Columns) -> Tags | None:
    if columns.names is None or "MISC" not in columns.names or "FORM" not in columns.names:
        return None
    found = _attribute(columns, columns.names.index("MISC"))
    if found is not None:
        log.info(
            "%s: tags are read from %s= in column MISC, O where it is absent; "
            "set data.tags_column to change this",
            columns.path,
            found.attribute,
        )
    return found


def _attribute(columns: Columns, number: int) -> Tags | None:
    """Find the attribute that holds tags in cells like `SpaceAfter=No|NER=B-PER`.

    Raises:
        UserError: several do.
    """
    import pyarrow as pa

    cells = columns.distinct(number, first=SAMPLE)
    parts = (part.partition("=") for cell in cells for part in cell.split("|"))
    names = list(dict.fromkeys(name.strip() for name, equals, _ in parts if equals))
    distinct = pa.array(cells, pa.large_string())
    values = {name: attribute_of(distinct, name).unique().to_pylist() for name in names}
    found = [name for name in names if are_tags(values[name])]
    if not found:  # no entity in it, or plain types; `Entity=(e1-person` is another thing
        named = (name for name in names if name.lower() in TAG_NAMES)
        found = [name for name in named if not any(value.startswith("(") for value in values[name])]
    if len(found) > 1:
        raise UserError(
            f"{' and '.join(f'{name}=' for name in found)} in column MISC hold tags",
            where=str(columns.path),
            fix=" or ".join(f"set data.tags_column=MISC:{name}" for name in found),
        )
    return Tags(number, found[0]) if found else None


def _by_cells(columns: Columns, words: int, data: Data) -> Tags:
    """The last column, unless it cannot hold tags and exactly one other does."""
    if columns.width < 2:
        return Tags(-1)
    others = [number for number in range(columns.width) if number != words]
    last, values = others[-1], {number: columns.distinct(number, first=SAMPLE) for number in others}
    tags = [number for number, cells in values.items() if are_tags(cells)]
    if last in tags:
        # A column of chunks is in the same scheme as one of entities, but shares no type with it.
        types = set(map(type_in, values[last]))
        layers = [number for number in tags if (types & set(map(type_in, values[number]))) - {""}]
        if len(layers) > 1:
            raise _several(columns, layers)
        if others := [number for number in tags if number != last]:
            log.info(
                "%s: tags are read from the last column (%s), not from column %s (%s); "
                "set data.tags_column to change this",
                columns.path,
                _shown(columns, last),
                _name(columns, others[-1]),
                _shown(columns, others[-1]),
            )
        return Tags(last)
    # A file may hold no entity, and words such as `B` and nothing else.
    if are_tags(columns.distinct(words, first=SAMPLE)) and not all(map(is_outside, values[last])):
        raise UserError(
            f"column {_name(columns, words)} is read as words but holds tags ({_shown(columns, words)})",
            where=columns.place(0),
            fix=f"set data.tags_column={_name(columns, words)} and data.tokens_column",
        )
    ids = all(cell.isdecimal() for cell in values[last])
    if any(map(is_outside, values[last])) and not (ids and tags and data.label_names is None):
        return Tags(last)
    if not tags:  # plain types: PERSON, and O where there is none
        tags = [number for number, cells in values.items() if "O" in cells and len(cells) > 1]
    if len(tags) > 1:
        raise _several(columns, tags)
    if tags:
        log.info(
            "%s: the last column (%s) holds no tags, so tags are read from column %s (%s); "
            "set data.tags_column to change this",
            columns.path,
            _shown(columns, last),
            _name(columns, tags[0]),
            _shown(columns, tags[0]),
        )
        return Tags(tags[0])
    if columns.names is not None:
        raise UserError(
            f"no column holds entity tags; the columns are {described(columns)}",
            where=columns.place(0),
            fix="set data.tags_column, MISC:NAME for an attribute of column MISC",
        )
    return Tags(last)


def _several(columns: Columns, numbers: list[int]) -> UserError:
    """The error for tags in more than one column, as for nested entities or several annotators."""
    each = ", ".join(f"{_name(columns, number)} ({_shown(columns, number)})" for number in numbers)
    fix = " or ".join(f"data.tags_column={_name(columns, number)}" for number in numbers)
    what = f"several columns hold tags of entities: {each}"
    return UserError(what, where=columns.place(0), fix=f"set {fix}")


def described(columns: Columns) -> str:
    """Describe the columns of a file with samples of their cells."""
    numbers = range(columns.width)
    return ", ".join(f"{_name(columns, number)} ({_shown(columns, number)})" for number in numbers)


def tag_like(columns: Columns) -> list[str]:
    """What `data.tags_column` would be for each column that holds tags of entities."""
    return [
        _name(columns, number)
        for number in range(columns.width)
        if are_tags(columns.distinct(number, first=SAMPLE))
    ]


def _name(columns: Columns, number: int) -> str:
    named = columns.names is not None and number < len(columns.names) and columns.names[number] != "?"
    return columns.names[number] if columns.names is not None and named else str(number)


def _shown(columns: Columns, number: int) -> str:
    """A few of a column's cells, tags before O."""
    cells = columns.distinct(number, first=SAMPLE)
    found = [cell for cell in cells if is_prefixed(cell)][:3] if are_tags(cells) else cells[:3]
    return ", ".join(f"{cell:.20}" for cell in found)
