"""Values written as text in the cells of a table: Python lists, JSON, and numpy's arrays.

pandas writes a list into a CSV file as Python prints it, `['In', 'Bern']`, and an array as numpy prints it,
`['In' 'Bern']`, where Python would join the two texts.
"""

from __future__ import annotations

import ast
import io
import logging
import re
import tokenize
from collections.abc import Iterable, Iterator
from typing import Any

from ner_dist.data.json_text import NotJson, Refused, parse
from ner_dist.data.tag_shapes import TAG_NAMES, is_outside, is_prefixed
from ner_dist.errors import UserError

log = logging.getLogger(__name__)

LIST_NAMES = TAG_NAMES | {"tokens", "words", "spans", "annotation", "annotations"}
"""Names of columns whose text may be a list; a text `[Applause]` in another column is none."""

_LIST = re.compile(r"\s*\[.*\]\s*", flags=re.DOTALL)
_NUMBERS = re.compile(r"\[[\s\d-]*\]")
# Python, unlike JSON, makes no character of two halves.
_HALF = re.compile(r"(?<!\\)(?:\\\\)*\\(?:u|U0000)[dD][89a-fA-F]")
_QUOTED = re.compile(r"""['"]\s+['"]""")


def is_list(cell: Any) -> bool:
    """Whether a cell is text that may be a list."""
    return isinstance(cell, str) and _LIST.fullmatch(cell) is not None


def tags_in(cell: Any) -> list[str]:
    """The tags of a text that holds several, with blanks between them, and nothing else."""
    parts = cell.split() if isinstance(cell, str) else []
    return parts if len(parts) > 1 and all(is_outside(part) or is_prefixed(part) for part in parts) else []


def with_lists(
    numbered: Iterable[tuple[int, Any]], words: str, tags: str, *, file: str, place_prefix: str = ""
) -> Iterator[tuple[int, Any]]:
    """Rows with the lists that are written as text in their cells.

    Words with blanks between them are cut there if there are as many tags.

    Args:
        numbered: line or row, and object.
        words: column of words.
        tags: column of tags.
        file: name in messages.
        place_prefix: what precedes the number in messages.

    Raises:
        UserError: a cell looks like a list and is none.
    """
    said = False
    for number, row in numbered:
        if isinstance(row, dict) and any(type(cell) is str for cell in row.values()):
            row = dict(row)
            for name, cell in row.items():
                if (name in (words, tags) or name.lower() in LIST_NAMES) and is_list(cell):
                    try:
                        row[name] = value_of(cell)
                    except ValueError as error:
                        what = f"'{cell:.60}' in column '{name}' is no list: {error}"
                        where = f"{file}:{place_prefix}{number}"
                        raise UserError(what, where=where, fix="write the list as JSON") from None
            if isinstance(row.get(words), str) and _cut_by_blanks(row, words, tags) and not said:
                log.info("%s: words are cut at the blanks in column %s", file, words)
                said = True
        yield number, row


def _cut_by_blanks(row: dict[str, Any], words: str, tags: str) -> bool:
    """Cut text into words, and tags if they are text too, if that gives as many of both; whether it does."""
    found = row.get(tags)
    found = found if isinstance(found, list) else tags_in(found)
    parts = row[words].split()
    fits = 0 < len(parts) == len(found) and not any(isinstance(tag, list | dict) for tag in found)
    if fits:
        row[words], row[tags] = parts, found
    return fits


def value_of(cell: str) -> Any:
    """The list in a cell.

    Raises:
        ValueError: it is none; the message says why.
    """
    text = cell.strip()
    try:
        return parse(text)
    except Refused:
        raise
    except NotJson:
        pass
    if _NUMBERS.fullmatch(text):
        return [int(number) for number in text[1:-1].split()]
    if _QUOTED.search(text):
        items = _array(text)
        if items is not None:
            return items
    if _HALF.search(text):
        raise ValueError("half of a surrogate pair, which is no character")
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError):
        raise ValueError("neither JSON nor a Python list") from None
    except (RecursionError, MemoryError):
        raise ValueError("nested too deeply") from None


def _array(text: str) -> list[str] | None:
    """The texts of a list that numpy has printed, without commas; None if it is no such list."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
        kept = [token for token in tokens if token.string.strip()]
        inner = kept[1:-1]
        if not inner or any(token.type != tokenize.STRING for token in inner):
            return None
        return [ast.literal_eval(token.string) for token in inner]
    except (tokenize.TokenError, SyntaxError, ValueError):
        return None
