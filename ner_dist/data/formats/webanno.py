"""WebAnno TSV 3, which INCEpTION exports too.

A line for every word or part of a word, with a column for every feature of every layer. An annotation over
several words, or one of several at a word (`PER[1]|ORG[2]`), has a number; `_` is none, `*` one without a
value, and a backslash escapes characters with a meaning. Offsets count UTF-16 units
(https://inception-project.github.io/releases/34.1/docs/user-guide.html#sect_webannotsv).
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ner_dist.data.cells import with_unix_ends
from ner_dist.data.documents import Document, Span
from ner_dist.data.file_text import read_text
from ner_dist.data.formats.form import Documents, FileFormat
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.recipe_data import Data

log = logging.getLogger(__name__)

_FORMAT = "#FORMAT=WebAnno TSV 3"
_LAYER = re.compile(r"#T_(SP|CH|RL)=(.*)")
_UNIT = re.compile(r"(\d+)-(\d+)(\.\d+)?\t(\d{1,18})-(\d{1,18})\t([^\t]*)(?:\t(.*))?")
_STACKED = re.compile(r"(?:[^\\|]|\\.)+", flags=re.DOTALL)
_NUMBERED = re.compile(r"((?:[^\\\[\]]|\\.)*)(?:\[(\d+)\])?", flags=re.DOTALL)
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "b": "\b"}
# Layers of other things than entities, in the packages of DKPro Core.
_OTHER_THINGS = ("lexmorph", "segmentation", "syntax", "transform", "coref", "metadata", "semantics")
_FIRST_FEATURE = 3
# Characters between two sentences, which the file does not hold: a wrong offset must not fill the memory.
_LARGEST_GAP = 1 << 20


@dataclass(frozen=True)
class _Feature:
    """A column: a feature of a layer."""

    layer: str
    name: str
    column: int

    @property
    def short(self) -> str:
        return f"{self.layer.rpartition('.')[2]}.{self.name}"

    @property
    def names(self) -> tuple[str, ...]:
        """What a recipe may call it."""
        return self.short, self.name, self.layer, self.layer.rpartition(".")[2]


@dataclass(frozen=True)
class Parsed:
    """What a file holds."""

    document: Document | None
    """None if the file has no words."""
    feature: str
    """The layer and feature that the types come from: `NamedEntity.value`."""
    others: tuple[str, ...]
    """Names of the other layers."""
    without_value: int
    """Number of annotations that have no type, and are left out."""


def parse(text: str, *, file: str, wanted: str | None = None) -> Parsed:
    """Read a file.

    Args:
        text: its contents.
        file: its name in messages.
        wanted: layer and feature of the types, `NamedEntity.value`, or one of the two; None finds them.

    Raises:
        UserError: no or several layers may be that of entities, or a line is damaged.
    """
    lines = with_unix_ends(text).split("\n")
    features, layers = _features(lines)
    feature = _choose(features, wanted, file)
    reader = _Reader(feature.column, file)
    for number, line in enumerate(lines, start=1):
        reader.read(line, number)
    reader.end_sentence()
    others = tuple(name.rpartition(".")[2] for name in layers if name != feature.layer)
    return Parsed(reader.document(), feature.short, others, reader.without_value)


def _features(lines: list[str]) -> tuple[list[_Feature], list[str]]:
    """The features of the layers of spans, with their columns, and the names of all layers."""
    found, layers, column = [], [], _FIRST_FEATURE
    for line in lines:
        match = _LAYER.fullmatch(line)
        if match:
            layer, *names = match[2].split("|")
            layers.append(layer)
            names = names or [""]
            if match[1] == "SP":
                found += [_Feature(layer, name, column + index) for index, name in enumerate(names)]
            column += len(names)
        elif line and not line.startswith("#"):
            break
    return found, layers


def _choose(features: list[_Feature], wanted: str | None, file: str) -> _Feature:
    """The feature that holds the types of entities.

    Raises:
        UserError: there is none, or several may be meant.
    """
    if wanted is not None:
        there = [each for each in features if wanted in each.names]
    else:
        there = [each for each in features if each.layer.endswith(".NamedEntity")]
        if not there:
            there = [each for each in features if not any(f".{x}." in each.layer for x in _OTHER_THINGS)]
    if len(there) > 1:
        there = [each for each in there if each.name == "value"] or there
    if len(there) == 1:
        return there[0]
    if there:
        what = f"several features may be the types of entities: {', '.join(each.short for each in there)}"
    else:
        what = f"no feature is {wanted or 'known as the types of entities'}"
        what += f"; there are {', '.join(each.short for each in features) or 'none of spans'}"
    raise UserError(what, where=file, fix="set data.tags_column to LAYER.FEATURE")


class _Reader:
    """Builds the document while lines are read."""

    def __init__(self, column: int, file: str) -> None:
        self.column, self.file = column, file
        self.text: list[str] = []
        self.length = self.units = 0
        """Characters and UTF-16 units of the text so far."""
        self.sentence: list[str] = []
        """The `#Text=` lines of the current sentence."""
        self.places: list[int] | None = None
        """The character in the document at every UTF-16 unit of the sentence; None before its first word."""
        self.words: list[tuple[int, int]] = []
        self.sentences: list[int] = []
        self.line_starts: list[tuple[int, int]] = []
        self.numbered: dict[tuple[str, str], tuple[int, int]] = {}
        self.single: list[Span] = []
        self.without_value = 0

    def read(self, line: str, number: int) -> None:
        if line.startswith("#Text="):
            if self.places is not None:
                self.end_sentence()
            self.sentence.append(_plain(line.removeprefix("#Text=")))
        elif not line.strip():
            self.end_sentence()
        elif not line.startswith("#"):
            self.read_unit(line, number)

    def read_unit(self, line: str, number: int) -> None:
        """Read the line of a word or a part of one."""
        place = f"{self.file}:{number}"
        unit = _UNIT.fullmatch(line)
        if unit is None:
            fix = "write SENTENCE-WORD, START-END, word and the features, with tabs between them"
            raise UserError(f"'{line:.60}' is no line of a word", where=place, fix=fix)
        first, last = int(unit[4]), int(unit[5])
        if self.places is None:
            self.begin_sentence(first, number)
        start, end = self.character(first, place), self.character(last, place)
        there = "".join(self.sentence)[start - self.places_from : end - self.places_from]
        if there != _plain(unit[6]):
            what = f"the word is '{_plain(unit[6]):.40}', but characters {first} to {last} are '{there:.40}'"
            raise UserError(what, where=place, fix="count UTF-16 units from the start of the document")
        if unit[3] is None:
            if start >= end or (self.words and start < self.words[-1][1]):
                what = f"the word '{there:.40}' is empty, or not after the word before it"
                raise UserError(what, where=place, fix="export the document again")
            self.words.append((start, end))
            self.line_starts.append((start, number))
        cells = (unit[7] or "").split("\t")
        index = self.column - _FIRST_FEATURE
        if index >= len(cells) or not cells[index]:
            fix = "write _ where there is no annotation"
            raise UserError(f"no column {self.column} in '{line:.60}'", where=place, fix=fix)
        if cells[index] != "_":
            self.annotate(cells[index], start, end, place)

    def annotate(self, cell: str, start: int, end: int, place: str) -> None:
        for value in _STACKED.findall(cell):
            found = _NUMBERED.fullmatch(value)
            if found is None:
                raise UserError(f"'{cell:.60}' is no annotation", where=place, fix="escape brackets with \\")
            kind, number = found[1], found[2]
            if number is not None and (kind, number) in self.numbered:
                known = self.numbered[kind, number]
                self.numbered[kind, number] = (min(start, known[0]), max(end, known[1]))
                continue
            if kind == "*":
                self.without_value += 1
            if number is not None:
                self.numbered[kind, number] = (start, end)
            elif kind != "*":
                self.single.append(Span(start, end, _plain(kind)))

    def begin_sentence(self, first: int, number: int) -> None:
        """Place the text of a sentence whose first word starts at a UTF-16 unit of the document."""
        gap = first - self.units
        what = None
        if gap < 0:
            what = "the sentence starts before the last ends"
        elif gap > _LARGEST_GAP:
            what = f"the sentence starts {gap} characters after the last ends"
        elif not self.sentence:
            what = "the sentence has no #Text= line"
        if what is not None:
            raise UserError(what, where=f"{self.file}:{number}", fix="export the document again")
        # The text between sentences is not stored, only its length.
        self.text.append("\n" + " " * (gap - 1) if gap else "")
        self.length += gap
        self.units += gap
        self.sentence = ["\n".join(self.sentence)]
        self.places_from, self.units_from = self.length, self.units
        self.places = []
        for offset, character in enumerate(self.sentence[0]):
            self.places += [self.length + offset] * (1 if ord(character) < 0x10000 else 2)
        self.places.append(self.length + len(self.sentence[0]))
        self.sentences.append(len(self.words))

    def character(self, unit: int, place: str) -> int:
        assert self.places is not None
        if not 0 <= unit - self.units_from < len(self.places):
            raise UserError(f"character {unit} is outside the sentence", where=place, fix="export it again")
        return self.places[unit - self.units_from]

    def end_sentence(self) -> None:
        if self.places is not None:
            self.text += self.sentence
            self.length += len(self.sentence[0])
            self.units += len(self.places) - 1
        self.sentence, self.places = [], None

    def document(self) -> Document | None:
        if not self.words:
            return None
        several = [
            Span(start, end, _plain(kind)) for (kind, _), (start, end) in self.numbered.items() if kind != "*"
        ]
        return Document(
            text="".join(self.text),
            spans=tuple(sorted(self.single + several, key=lambda span: (span.start, -span.end))),
            line=self.line_starts[0][1],
            words=tuple(self.words),
            sentences=tuple(self.sentences),
            line_starts=tuple(self.line_starts),
        )


def _plain(text: str) -> str:
    """Text without its backslashes."""
    return re.sub(r"\\(.)", lambda found: _ESCAPED.get(found[1], found[1]), text, flags=re.DOTALL)


def _recognises(path: Path, head: str) -> bool:
    return head.lstrip("\ufeff").startswith(_FORMAT)


def _read(path: Path, data: Data) -> Documents:
    set_to = str(data.tags_column)
    wanted = None if set_to == type(data).model_fields["tags_column"].default else set_to
    found = parse(read_text(path, data), file=str(path), wanted=wanted)
    what = "%s: entities are read from %s, not from the layers %s; set data.tags_column to change this"
    log.info(what, path, found.feature, ", ".join(found.others) or "-")
    if found.without_value:
        what = (
            "annotation without a value is" if found.without_value == 1 else "annotations without a value are"
        )
        log.warning("%s: %d %s left out", path, found.without_value, what)
    return Documents([found.document] if found.document is not None else [], str(path))


FORMAT = FileFormat("a WebAnno TSV file of INCEpTION", _recognises, _read)
