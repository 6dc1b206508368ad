"""Read CoNLL files, a piece of some megabytes after the other.

The first piece with words decides what the columns are, for the whole file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ner_dist.data.column_roles import (
    Tags,
    described,
    document_column,
    tag_column,
    tag_like,
    without_ranges,
    word_column,
)
from ner_dist.data.columns import Columns, Remarks, cut
from ner_dist.data.file_text import read_text, text_pieces
from ner_dist.data.gathered import gathered
from ner_dist.data.tag_shapes import is_outside
from ner_dist.errors import UserError
from ner_dist.files import printable

if TYPE_CHECKING:
    from ner_dist.data.corpus import Rows
    from ner_dist.recipe_data import Data

_EMPTY_LINES = (b"\n\n", b"\n\r\n")


@dataclass(frozen=True)
class _Roles:
    """The columns of a file that are read."""

    words: int
    tags: Tags
    documents: int | None


def read_conll(path: Path, data: Data) -> Rows:
    """Read a file with a word on each line.

    Raises:
        UserError: it cannot be read, or a line does not match `data`.
    """
    if data.language is not None:
        raise UserError(
            "CoNLL files have no language column", where=str(path), fix="set data.language to null"
        )
    return gathered(_pieces(path, data), data)


def read_columns(
    path: Path, data: Data | None = None, *, separator: str | None = None, tags: int = -1
) -> Columns:
    """Read a CoNLL file as a whole; see `columns.cut` and `file_text.read_text`."""
    return without_ranges(cut(read_text(path, data), _named(path), separator=separator, tags=tags))


def column_number(written: str | int) -> int:
    """The index of a column; -1, the last, if it is given by name."""
    try:
        return int(written)
    except ValueError:
        return -1


def _pieces(path: Path, data: Data) -> Iterator[Rows]:
    remarks, before, roles = Remarks(), None, None
    number = column_number(data.tags_column)
    for text in text_pieces(path, data, ends=_EMPTY_LINES):
        whole = cut(
            *(text, _named(path)), separator=data.separator, tags=number, after=before, remarks=remarks
        )
        columns = without_ranges(whole)
        before = columns.layout
        if roles is None:
            roles = _roles(columns, data)
        tokens = _words(columns, roles)
        yield columns.rows(
            tokens, roles.tags.number, attribute=roles.tags.attribute, documents=roles.documents
        )
    remarks.log(_named(path))


def _roles(columns: Columns, data: Data) -> _Roles:
    columns.require(2, "see data.separator, data.tokens_column and data.tags_column")
    words = word_column(columns, data)
    return _Roles(words, tag_column(columns, data, words), document_column(columns, data))


def _words(columns: Columns, roles: _Roles) -> list[list[str]]:
    """The words of every sentence.

    Raises:
        UserError: a line has none.
    """
    try:
        return columns.words(roles.words)
    except UserError as error:
        holding, tags = tag_like(columns), roles.tags
        if holding and tags.attribute is None and all(map(is_outside, columns.distinct(tags.number))):
            # A wrong column is the graver fault, and may be why there is no word.
            what = f"{error.what}, and every tag of the file is O. Its columns: {described(columns)}"
            fix = f"set data.tags_column={' or '.join(holding)}, and {error.fix}"
            raise UserError(what, where=error.where, fix=fix) from None
        raise


def _named(path: Path) -> Path:
    """The path for messages, which names of other bytes than UTF-8 would spoil."""
    return Path(printable(path))
