"""CSV tables: a row for each word, or a row for each sentence or text whose cells hold lists.

The first line names the columns. A word's sentence is in a column of its own, whose cell may be empty below
the sentence's first word, or sentences are separated by empty rows.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ner_dist.data.corpus import Rows, missing_column, rows_from_lists
from ner_dist.data.file_text import HEAD
from ner_dist.data.formats.cell_text import LIST_NAMES, is_list, tags_in
from ner_dist.data.tag_shapes import TAG_NAMES, WORD_NAMES
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.recipe_data import Data

_DELIMITERS = ",;\t|"
_SENTENCE = re.compile(r"sent(ence)?s?[\W_]*(#|id|idx|no|nr|num|number|index)?", flags=re.IGNORECASE)
_DOCUMENT = re.compile(r"(doc|document|file|article)s?[\W_]*(id|idx|name|no|nr|number)?", flags=re.IGNORECASE)
# No cell of annotated text is longer; the library's own limit is 131,072.
_LONGEST = 1 << 28
_FIRST = 1000


@dataclass(frozen=True)
class Table:
    """The rows of a CSV file below its first line."""

    file: str
    names: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    """Line at which each row starts, and its cells: as many as there are names, none for an empty row."""

    def column(self, name: str, key: str) -> int:
        """The index of the column that `data.<key>` names.

        Raises:
            UserError: there is none.
        """
        if name not in self.names:
            raise missing_column(name, key, self.names, f"{self.file}:1")
        self.check_once(name)
        return self.names.index(name)

    def check_once(self, name: str) -> None:
        """Refuse a name of several columns.

        Raises:
            UserError: it is one.
        """
        if (times := self.names.count(name)) > 1:
            what = f"{times} columns are called '{name}'"
            raise UserError(what, where=f"{self.file}:1", fix="rename all but one")


def has_header(head: str) -> bool:
    """Whether a text begins with the names of columns of words and tags, separated by commas or the like."""
    first = head.partition("\n")[0].strip().lower()
    split = ([cell.strip(" \"'") for cell in first.split(mark)] for mark in ",;|")
    return any(not WORD_NAMES.isdisjoint(cells) and not TAG_NAMES.isdisjoint(cells) for cells in split)


def read_table(text: str, *, file: str) -> Table:
    """Cut a CSV text into cells; the delimiter is that of the first line.

    Raises:
        UserError: quotes do not match, or a row has more or fewer cells than the first.
    """
    delimiter = max(_DELIMITERS, key=lambda mark: _first_width(text, mark))
    names: tuple[str, ...] = ()
    rows: list[tuple[int, tuple[str, ...]]] = []
    # Not str.splitlines: cells may hold U+2028 and the like.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    with _long_cells():
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                fix = 'put quotes around a cell with a quote, and write that quote twice: `""""`'
                raise UserError(f"not CSV ({error})", where=f"{file}:{line}", fix=fix) from None
            if not names:
                names = tuple(cell.strip() for cell in cells)
                continue
            if not any(cell.strip() for cell in cells):
                rows.append((line, ()))
            elif len(cells) != len(names):
                what = f"{len(cells)} cells, but the first line names {len(names)} columns"
                fix = f"fix the line; cells are separated by {delimiter!r}"
                raise UserError(what, where=f"{file}:{line}", fix=fix)
            else:
                rows.append((line, tuple(cells)))
    return Table(file, names, tuple(rows))


def _first_width(text: str, delimiter: str) -> int:
    """Number of cells in the first line; 0 if it cannot be cut."""
    try:
        return len(next(csv.reader(io.StringIO(text[:HEAD], newline=""), delimiter=delimiter), ()))
    except csv.Error:
        return 0


@contextmanager
def _long_cells() -> Iterator[None]:
    before = csv.field_size_limit(_LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def objects_of(table: Table, data: Data) -> list[tuple[int, dict[str, Any]]] | None:
    """Line and row of a table with a row for each sentence or text; None if it has one for each word.

    Tags or spans are lists then; a word alone may look like one, as `[1]` does.
    """
    filled = [(line, cells) for line, cells in table.rows if cells]
    columns = [
        number
        for number, name in enumerate(table.names)
        if name == data.tags_column or (name.lower() in LIST_NAMES and name.lower() not in WORD_NAMES)
    ]
    cells_of_lists = (cells[number] for _, cells in filled[:_FIRST] for number in columns)
    if not any(is_list(cell) or tags_in(cell) for cell in cells_of_lists):
        return None
    for name in filter(None, table.names):
        table.check_once(name)
    return [
        (
            line,
            {
                name: cell if cell or number not in columns else "[]"
                for number, (name, cell) in enumerate(zip(table.names, cells, strict=True))
            },
        )
        for line, cells in filled
    ]


@dataclass
class _Sentence:
    """A sentence while its rows are read."""

    line: int
    document: str
    language: str
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    """Line of every word."""


def rows_of_words(table: Table, data: Data) -> Rows:
    """The sentences of a table with a row for each word.

    Raises:
        UserError: a column is missing, nothing separates the sentences, or a row has no word or tag.
    """
    everything = _sentences(table, data)
    kept = [each for each in everything if data.language in (None, each.language)]
    rows = rows_from_lists(
        [each.words for each in kept],
        [each.tags for each in kept],
        file=table.file,
        line_numbers=[each.line for each in kept],
        read=len(everything),
        languages=Counter(each.language for each in everything if data.language is not None),
    )
    rows.word_lines = np.array([line for each in kept for line in each.lines], dtype=np.int64)
    if _document_column(table, data) is not None:
        rows.documents = [each.document for each in kept]
    return rows


def _sentences(table: Table, data: Data) -> list[_Sentence]:
    if not table.rows:
        return []
    word = _find(table, data, "tokens_column", WORD_NAMES)
    tag = _find(table, data, "tags_column", TAG_NAMES)
    sentence, document = _sentence_column(table, data, {word, tag}), _document_column(table, data)
    language = table.column(data.language_column, "language_column") if data.language is not None else None
    if sentence is None and table.rows and all(cells for _, cells in table.rows):
        what = f"no column says where sentences start; the columns are {', '.join(table.names)}"
        fix = "set data.sentence_column, or leave a row empty after each sentence"
        raise UserError(what, where=table.file, fix=fix)
    found: list[_Sentence] = []
    last = {sentence: "", document: "", language: ""}
    fresh = True
    for line, row in table.rows:
        if not row:
            fresh = True
            continue
        cells = [cell.strip() for cell in row]
        for number in last:
            # An empty cell repeats the one above it.
            if number is not None and cells[number] not in ("", last[number]):
                last[number], fresh = cells[number], True
        for number, what in ((word, "word"), (tag, "tag")):
            if not cells[number]:
                what = f"no {what} in column '{table.names[number]}'"
                raise UserError(what, where=f"{table.file}:{line}", fix="fill the cell, or remove the row")
        if fresh:
            found.append(_Sentence(line, last[document], last[language]))
            fresh = False
        found[-1].words.append(cells[word])
        found[-1].tags.append(cells[tag])
        found[-1].lines.append(line)
    return found


def _find(table: Table, data: Data, key: str, usual: frozenset[str]) -> int:
    """The column that the recipe names, or the only one with a usual name."""
    named = getattr(data, key)
    if named in table.names or named != type(data).model_fields[key].default:
        return table.column(str(named), key)
    found = [number for number, name in enumerate(table.names) if name.lower() in usual]
    if not found:
        raise missing_column(str(named), key, table.names, f"{table.file}:1")
    if len(found) > 1:
        there = ", ".join(table.names[number] for number in found)
        fix = f"set data.{key} to one of them"
        raise UserError(f"several columns may be meant: {there}", where=f"{table.file}:1", fix=fix)
    return found[0]


def _sentence_column(table: Table, data: Data, taken: set[int]) -> int | None:
    if data.sentence_column is not None:
        return table.column(data.sentence_column, "sentence_column")
    found = (number for number, name in enumerate(table.names) if _SENTENCE.fullmatch(name))
    return next((number for number in found if number not in taken), None)


def _document_column(table: Table, data: Data) -> int | None:
    if data.document_column is not None:
        return table.column(str(data.document_column), "document_column")
    return next((number for number, name in enumerate(table.names) if _DOCUMENT.fullmatch(name)), None)
