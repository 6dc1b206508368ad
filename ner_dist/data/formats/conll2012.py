"""CoNLL-2012 files, as OntoNotes 5 is published: entities are brackets such as `(ORG*` and `*)`.

The columns are document, part, number of the word, word, part of speech, parse, lemma, sense and others; the
brackets of entities stand in column 10, those of predicates and their arguments behind it
(https://conll.cemantix.org/2012/data.html). A part of a document is a document here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ner_dist.data.cells import with_unix_ends
from ner_dist.data.documents import Document, Span
from ner_dist.data.file_text import read_text
from ner_dist.data.formats.form import Documents, FileFormat
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.recipe_data import Data

_BEGIN = re.compile(r"#begin document\s*\(?([^);]*)\)?(?:;?\s*part\s*(\d+))?")
_ENTITIES = 10
_WORD = 3
_PARSE = ("(TOP", "(ROOT", "(S(", "(S*")
_FIRST = 1000
_FIX = "write `(TYPE*` at the first word of an entity, `*)` at its last, `(TYPE)` at its only one"
# `(PERSON*`, `(ORG*)`, `(DATE)`, `*))`, `-`
_CELL = re.compile(r"((?:\([^\s()*]+)*)(\*?)(\)*)|-")


@dataclass
class _Part:
    """A part of a document while its lines are read."""

    id: str
    line: int
    sentences: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    """Of every word."""
    spans: list[Span] = field(default_factory=list)
    """Over words."""
    open: list[tuple[str, int, int]] = field(default_factory=list)
    """Type, first word and line of every entity that has not ended."""

    def add(self, word: str, line: int, *, begins: bool) -> None:
        if begins:
            self.sentences.append([])
        self.sentences[-1].append(word)
        self.lines.append(line)

    def document(self) -> Document:
        return Document.from_words(self.sentences, self.spans, line=self.line, id=self.id, lines=self.lines)


def _recognises(path: Path, head: str) -> bool:
    """Whether the first lines are CoNLL-2012's, with brackets and not with B- and I-."""
    return bool(re.search(r"^#begin document\b", head, flags=re.MULTILINE)) and not re.search(
        r"[ \t][BI]-\S+\s*?$", head, flags=re.MULTILINE
    )


def parse(text: str, *, file: str, column: int | None = None) -> list[Document]:
    """Read the parts of all documents.

    Args:
        text: contents of the file.
        file: its name in messages.
        column: index of the column of entities; None for the usual one, or the only one with brackets.

    Raises:
        UserError: a line has too few columns, or brackets do not match.
    """
    parts: list[_Part] = []
    begins = True
    lines = with_unix_ends(text).split("\n")
    column = _found(lines) if column is None else column
    for number, line in enumerate(lines, start=1):
        line = line.strip()
        if not line or line.startswith("#end document"):
            _check_closed(parts, file)
            begins = True
        elif found := _BEGIN.match(line):
            _check_closed(parts, file)
            name = found[1].strip() or f"line {number}"
            parts.append(_Part(f"{name}; part {found[2]}" if found[2] else name, number))
            begins = True
        elif not line.startswith("#") or len(line.split()) > _WORD + 1:
            cells = line.split()
            if not parts:
                parts.append(_Part(cells[0], number))
            if len(cells) <= max(column, _WORD):
                what = f"{len(cells)} columns in '{line:.60}', but entities are in column {column}"
                raise UserError(
                    what, where=f"{file}:{number}", fix="complete the line, or set data.tags_column"
                )
            part = parts[-1]
            part.add(cells[_WORD], number, begins=begins)
            _brackets(cells[column], part, file, number)
            begins = False
    _check_closed(parts, file)
    return [part.document() for part in parts if part.lines]


def _found(lines: list[str]) -> int:
    """The column of entities: the usual one, or the first behind the parse that holds only brackets."""
    filled = (line for line in lines if line.strip() and not line.startswith("#"))
    rows = [line.split() for line in islice(filled, _FIRST)]
    width = min(map(len, rows), default=0)

    def holding(column: int) -> int:
        return sum(row[column] != "-" and _CELL.fullmatch(row[column]) is not None for row in rows)

    if width > _ENTITIES and any(set(row[_ENTITIES]) & set("(*)") for row in rows):
        return _ENTITIES
    brackets = [n for n in range(_WORD + 2, width) if holding(n) == len(rows)]
    plain = [n for n in brackets if not any(row[n].startswith(_PARSE) for row in rows)]
    return plain[0] if plain else _ENTITIES


def _brackets(cell: str, part: _Part, file: str, line: int) -> None:
    """Open and close entities at the last word of a part."""
    found = _CELL.fullmatch(cell)
    if found is None:
        what = f"'{cell:.40}' in the column of entities is no bracket"
        raise UserError(what, where=f"{file}:{line}", fix=f"{_FIX}; or set data.tags_column")
    if cell == "-":
        return
    word = len(part.lines) - 1
    part.open.extend((kind, word, line) for kind in found[1].split("(")[1:])
    for _ in found[3]:
        if not part.open:
            raise UserError(
                f"'{cell:.40}' closes an entity that is not open", where=f"{file}:{line}", fix=_FIX
            )
        kind, first, _ = part.open.pop()
        part.spans.append(Span(first, word + 1, kind))


def _check_closed(parts: list[_Part], file: str) -> None:
    """Refuse an entity that is open at the end of its sentence."""
    if parts and parts[-1].open:
        kind, _, line = parts[-1].open[0]
        what = f"the entity '({kind}' is not closed in its sentence"
        raise UserError(what, where=f"{file}:{line}", fix=_FIX)


def _read(path: Path, data: Data) -> Documents:
    column = None
    if data.tags_column != type(data).model_fields["tags_column"].default:
        try:
            column = int(data.tags_column)
        except ValueError:
            column = -1
        if column <= _WORD:
            what = f"'{data.tags_column}' is no number of a column behind the words"
            raise UserError(
                what, where="data.tags_column", fix="count columns from 0; entities are usually in 10"
            )
    return Documents(parse(read_text(path, data), file=str(path), column=column), str(path))


FORMAT = FileFormat("a CoNLL-2012 file (OntoNotes)", _recognises, _read)
