"""Texts annotated with brat: `NAME.txt` beside `NAME.ann` (https://brat.nlplab.org/standoff.html).

Entities are the lines of an .ann file that begin with T, triggers of events among them. Other annotations
are about entities or between them, and are counted. An entity in several pieces (`0 5;16 23`) is read from
the start of its first piece to the end of its last, and listed.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ner_dist.data.cells import with_unix_ends
from ner_dist.data.documents import Document, Span
from ner_dist.data.file_text import read_text
from ner_dist.data.formats.form import Documents, FileFormat
from ner_dist.data.notes import detail
from ner_dist.data.offsets import code_points
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.data.offsets import Unit
    from ner_dist.recipe_data import Data

_TEXT_BOUND = re.compile(r"T[^\t]*\t(\S+) (\d{1,18} \d{1,18}(?:;\d{1,18} \d{1,18})*)[ ]*(?:\t(.*))?")
_OTHERS = {
    "E": "events",
    "R": "relations",
    "*": "relations",
    "A": "attributes",
    "M": "attributes",
    "N": "links to a database",
    "#": "notes",
}


@dataclass(frozen=True)
class Annotations:
    """What an .ann file holds."""

    spans: tuple[Span, ...]
    pieces: tuple[str, ...]
    """Location and text of every entity in several pieces."""
    others: Counter[str]
    """Number of annotations that are no entities, by kind."""


def parse(annotations: str, text: str, *, file: str, offsets: Unit = "characters") -> Annotations:
    """Read the annotations of a text.

    Args:
        annotations: contents of the .ann file.
        text: contents of the .txt file, whose characters the annotations count.
        file: name of the .ann file in messages.
        offsets: what starts and ends count.

    Raises:
        UserError: a line is no annotation, or an entity is not where it says.
    """
    spans, pieces, others = [], [], Counter[str]()
    point_of = code_points(text, offsets)
    for number, line in enumerate(with_unix_ends(annotations).split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{file}:{number}"
        if line[0] in _OTHERS:
            others[_OTHERS[line[0]]] += 1
            continue
        found = _TEXT_BOUND.fullmatch(line)
        if found is None:
            raise UserError(
                f"'{line:.60}' is no annotation of brat",
                where=place,
                fix="write entities as ID, tab, TYPE START END, tab, text",
            )
        numbers = [tuple(map(int, piece.split())) for piece in found[2].split(";")]
        bounds = []
        for start, end in numbers:
            first, last = point_of(start), point_of(end)
            if first is None or last is None or first >= last:
                what = f"characters {start} to {end} of a text with {len(text)}"
                raise UserError(what, where=place, fix="give every entity a start, and an end after it")
            bounds.append((first, last))
        _check(bounds, found[3], text, place)
        span = Span(min(start for start, _ in bounds), max(end for _, end in bounds), found[1])
        spans.append(span)
        if len(bounds) > 1:
            pieces.append(f"{place} '{text[span.start : span.end]:.60}'")
    return Annotations(tuple(spans), tuple(pieces), others)


def _check(bounds: list[tuple[int, int]], stated: str | None, text: str, place: str) -> None:
    """Refuse an entity with other text than the file says."""
    there = " ".join(text[start:end] for start, end in bounds)
    # brat writes a blank for the end of a line.
    if stated is None or "".join(stated.split()) == "".join(there.split()):
        return
    fix = "count characters of the .txt from 0, as it is on disk, or set data.offsets"
    if "\r\n" in text:
        fix += "; its lines end with CR LF, which are two"
    what = f"the entity is '{stated:.40}', but the text there is '{there:.40}'"
    raise UserError(what, where=place, fix=fix)


def pair_in(folder: Path) -> Path | None:
    """A text in a folder that has its annotations beside it; None if there is none."""
    annotated = (path.with_suffix(".txt") for path in sorted(folder.glob("*.ann")))
    return next((path for path in annotated if path.is_file()), None)


def _recognises(path: Path, head: str) -> bool:
    return path.suffix == ".txt" and (path.with_suffix(".ann").is_file() or pair_in(path.parent) is not None)


def _read(path: Path, data: Data) -> Documents:
    beside = path.with_suffix(".ann")
    if not beside.is_file():
        fix = "create it, empty if the text has no entities, or move the text to another folder"
        raise UserError(f"no {beside.name} beside this text, in a folder of brat", where=str(path), fix=fix)
    text = read_text(path, data)
    found = parse(read_text(beside, data), text, file=str(beside), offsets=data.offsets)
    starts = [0, *(end.end() for end in re.finditer("\n", text))]
    document = Document(
        text,
        found.spans,
        line=1,
        id=path.stem,
        line_starts=tuple(zip(starts, range(1, len(starts) + 1), strict=True)),
    )
    for piece in found.pieces:
        detail(f"{piece}: read from the first of its pieces to the last")
    # A corpus has thousands of files, so that these are counted over the split.
    left_out = found.others + Counter({"gaps in entities of several pieces": len(found.pieces)})
    return Documents([document] if text.strip() else [], str(path), left_out=left_out)


FORMAT = FileFormat("text annotated with brat", _recognises, _read)
