"""Cut the lines of a CoNLL file into cells, and tell words from comments, headers and sentence ends.

Columns are separated by tabs if the lines of a file contain tabs, so that a word may contain a space, and
otherwise by white space. The lines of all words need the same number of columns; another number is an error,
since a word could get the tag of another. `column_roles.py` decides the role of each column. Whole columns
are processed at once: no Python loop runs over words.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.data.corpus import Rows, ids_from_text
from ner_dist.data.document_ids import START, DocumentMarks, document_marks
from ner_dist.data.tag_shapes import TAG_NAMES, WORD_NAMES, are_tags, is_outside, is_prefixed
from ner_dist.data.unlabelled import without_no_label
from ner_dist.errors import UserError
from ner_dist.formatting import counted

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

WHITE_SPACE = "whitespace"
SAMPLE = 20_000
"""Number of words from which the role of a column is decided."""
# A file with so many words has more than one sentence.
_NO_SENTENCE = 500
_BLANKS = " \t\r\f\v"
_SPELLED = {"\\t": "\t", "tab": "\t"}
_NEW_SENTENCE = r"^#\s*(\S*:)?(sent_id|newdoc|newpar|document_id|id)\b|^#(begin|end)\b"
_GLOBAL_COLUMNS = re.compile(r"^#\s*global\.columns\s*=\s*(.+)$", flags=re.MULTILINE)


def cut(text: str, path: Path, *, separator: str | None = None, tags: int = -1) -> Columns:
    """Cut a CoNLL file into columns.

    Args:
        text: contents of the file.
        path: the file, for messages.
        separator: text between columns, or `tab` or `whitespace`; None means tabs if the lines contain tabs,
            and otherwise white space.
        tags: index of a tag column, which tells a word `#` from a comment; -1 is the last.

    Raises:
        UserError: a line has a different number of columns.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    text = _with_unix_ends(text)
    stated = _GLOBAL_COLUMNS.search(text) if "global.columns" in text else None
    # Arrow's kernels, unlike Python's, take neither no-break spaces nor U+2028 for white space.
    lines = pc.split_pattern(pa.array([text], pa.large_string()), "\n").flatten()
    # What hangs at the end of a line holds nothing: a tag that is missing there shows in the widths.
    trimmed = pc.ascii_rtrim_whitespace(lines)
    separator = _SPELLED.get(separator, separator) if separator is not None else _separator(trimmed, text)
    if separator == WHITE_SPACE:
        split = pc.ascii_split_whitespace(pc.ascii_ltrim_whitespace(trimmed))
    else:
        split = pc.split_pattern(trimmed, separator)
    cells = Cells(lines, split.flatten(), pc.list_value_length(split).to_numpy().astype(np.int64), separator)
    filled = pc.binary_length(trimmed).to_numpy() > 0
    documents = pc.starts_with(lines, START).to_numpy(zero_copy_only=False)
    comments = _comments(cells, filled, documents, tags)
    at = np.flatnonzero(filled & ~documents & ~comments)
    if comments.any():
        skipped = counted(int(comments.sum()), "comment line")
        log.info("%s: skipped %s, the first at line %d", path, skipped, int(np.argmax(comments)) + 1)
    names = tuple(stated[1].split()) if stated else None
    _check_widths(cells, at, path, named=len(names) if names else None)
    header = _header(cells, int(at[0])) if len(at) else None
    if header is not None:
        log.info("%s:%d: header: %s", path, at[0] + 1, ", ".join(header))
        names, at = names or header, at[1:]
    breaks = np.cumsum(~filled | documents | _breaking(cells, comments))[at]
    if header is not None and header[-1] == "MISC" and len(at):
        # HIPE (https://hipe-eval.github.io) ends its sentences so, and has no empty lines.
        ends = pc.match_substring(cells.take(at, -1), "EndOfSentence").to_numpy(zero_copy_only=False)
        breaks[1:] += np.cumsum(ends)[:-1]
    if len(at) > _NO_SENTENCE and breaks[0] == breaks[-1]:
        what = "all %d words were read as one sentence; put an empty line after each sentence"
        log.warning(f"%s: {what}", path, len(at))
    return Columns(path, cells, at, breaks, names, document_marks(lines, documents, comments, path))


def _with_unix_ends(text: str) -> str:
    """Convert line ends from CR LF, or from CR as on old Macs, to LF."""
    if "\r" not in text:
        return text
    text = re.sub("\r+\n", "\n", text)
    return text.replace("\r", "\n") if text.count("\r") > text.count("\n") else text


def _separator(lines: pa.Array, text: str) -> str:
    """A tab if at least half of the lines, comments aside, contain one; `lines` are right-trimmed."""
    import pyarrow.compute as pc

    if "\t" not in text:
        return WHITE_SPACE
    tabbed = pc.match_substring(lines, "\t").to_numpy(zero_copy_only=False)
    counted = pc.binary_length(lines).to_numpy() > 0
    hashes = pc.starts_with(lines, "#").to_numpy(zero_copy_only=False)
    if (counted & ~hashes).any():  # else every word is or begins with `#`
        counted &= ~hashes
    return "\t" if 2 * int((tabbed & counted).sum()) >= int(counted.sum()) > 0 else WHITE_SPACE


@dataclass(frozen=True)
class Cells:
    """The lines of a file, cut into columns."""

    lines: pa.Array
    flat: pa.Array
    """Every cell of every line."""
    widths: np.ndarray
    """int64 [lines]: columns of each line."""
    separator: str

    @cached_property
    def ends(self) -> np.ndarray:
        return np.cumsum(self.widths)

    def take(self, at: np.ndarray, number: int) -> pa.Array:
        """The cells of one column in the given lines."""
        first = self.ends[at] - self.widths[at]
        return self.flat.take(first + number if number >= 0 else self.ends[at] + number)

    def line(self, line: int) -> list[str]:
        """The cells of one line, stripped."""
        end = int(self.ends[line])
        return [cell.as_py().strip() for cell in self.flat[end - int(self.widths[line]) : end]]


@dataclass(frozen=True)
class Columns:
    """The words of a CoNLL file: one line each, all with the same number of columns."""

    path: Path
    cells: Cells
    at: np.ndarray
    """int64 [W]: the line of every word, from 0."""
    breaks: np.ndarray
    """int64 [W]: increases from one sentence to the next."""
    names: tuple[str, ...] | None
    """Names of the columns, if the file has them."""
    marks: DocumentMarks | None = None
    """Where documents begin, if the file says so."""

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.cells.widths[self.at[0]]) if len(self.at) else 0

    @cached_property
    def starts(self) -> np.ndarray:
        """int64 [N]: the first word of every sentence."""
        return np.flatnonzero(np.diff(self.breaks, prepend=-1))

    @cached_property
    def offsets(self) -> np.ndarray:
        return np.append(self.starts, len(self.at))

    def keep(self, chosen: np.ndarray) -> Columns:
        """Select words by a mask, bool [W]."""
        return replace(self, at=self.at[chosen], breaks=self.breaks[chosen])

    def distinct(self, number: int, *, first: int | None = None) -> list[str]:
        """The distinct cells of a column, or of its first words, in order of appearance, stripped."""
        found = self.cells.take(self.at[:first], number).unique().to_pylist()
        return list(dict.fromkeys(cell.strip(_BLANKS) for cell in found))

    def words(self, number: int) -> list[list[str]]:
        """The cells of a column by sentence, stripped.

        Raises:
            UserError: a line has no cell there.
        """
        codes, vocabulary = self._column(number)
        words = np.array([word.strip(_BLANKS) for word in vocabulary], dtype=object)
        self._check_filled(codes, words, "word")
        self._report_blanks(codes, words, vocabulary)
        flat = words[codes].tolist()
        return [flat[start:end] for start, end in pairwise(self.offsets.tolist())]

    def rows(
        self,
        tokens: list[list[str]],
        number: int,
        *,
        attribute: str | None = None,
        documents: int | None = None,
    ) -> Rows:
        """The sentences with the tags of one column, or of one attribute (`NER=B-PER|...`) in it.

        Args:
            tokens: the words of every sentence.
            number: the column of tags.
            attribute: its name in cells like CoNLL-U's MISC.
            documents: the column that names the document; None leaves it to the marks in the file.

        Raises:
            UserError: a line has no tag.
        """
        codes, values = self._column(number)
        if attribute is not None:
            codes, values = _attribute(codes, values, attribute)
        self._check_filled(codes, np.array([value.strip(_BLANKS) for value in values], dtype=object), "tag")
        codes, values = without_no_label(codes, values)
        return Rows(
            tokens=tokens,
            tags=codes,
            values=ids_from_text(values),
            offsets=self.offsets,
            file=str(self.path),
            line_numbers=self.at[self.starts] + 1,
            word_lines=self.at + 1,
            read=len(self.starts),
            documents=self._documents(documents),
        )

    def _documents(self, number: int | None) -> list[str] | None:
        """The document of every sentence; None if nothing says it."""
        first = self.at[self.starts]
        if number is not None:
            result: list[str] = self.cells.take(first, number).to_pylist()
            return result
        return None if self.marks is None else self.marks.of(first, self.path)

    def require(self, least: int, fix: str) -> None:
        """Refuse a file with fewer columns.

        Raises:
            UserError: names its first word's line.
        """
        if 0 < self.width < least:
            what = f"{self.width} column{'s' * (self.width > 1)} in {self.quote(0)}, not {least} or more"
            raise UserError(what, where=self.place(0), fix=fix)

    def place(self, word: int) -> str:
        return f"{self.path}:{self.at[word] + 1}"

    def quote(self, word: int) -> str:
        return _quoted(self.cells, int(self.at[word]))

    def _column(self, number: int) -> tuple[np.ndarray, tuple[str, ...]]:
        """One column, dictionary-encoded: an index for each cell, and the distinct cells."""
        encoded = self.cells.take(self.at, number).dictionary_encode()
        return encoded.indices.to_numpy().astype(np.int64), tuple(encoded.dictionary.to_pylist())

    def _report_blanks(self, codes: np.ndarray, words: np.ndarray, vocabulary: tuple[str, ...]) -> None:
        trimmed = np.array([word != cell for word, cell in zip(words, vocabulary, strict=True)], dtype=bool)
        if trimmed.any():
            stripped = counted(int(trimmed[codes].sum()), "word")
            log.info("%s: stripped the spaces around %s", self.path, stripped)
        several = np.array([" " in word for word in words], dtype=bool)
        if several.any() and 2 * several[codes].sum() > len(codes):
            log.warning(
                "%s: %d of %d words contain a space; if white space separates the columns, "
                "set data.separator=whitespace",
                self.path,
                several[codes].sum(),
                len(codes),
            )

    def _check_filled(self, codes: np.ndarray, cells: np.ndarray, what: str) -> None:
        blank = [code for code, cell in enumerate(cells) if not cell]
        if blank:
            word = int(np.argmax(np.isin(codes, blank)))
            key = "tokens_column" if what == "word" else "tags_column"
            fix = f"write the {what}, remove the line, or set data.{key}"
            raise UserError(f"no {what} in {self.quote(word)}", where=self.place(word), fix=fix)


def attribute_of(cells: pa.Array, attribute: str) -> pa.Array:
    """The value of one attribute in cells like CoNLL-U's MISC; O where it is absent."""
    import pyarrow.compute as pc

    found = pc.extract_regex(cells, rf"(?:^|\|)\s*{re.escape(attribute)}=(?P<value>[^|]*)")
    return pc.fill_null(pc.struct_field(found, "value"), "O")


def _attribute(
    codes: np.ndarray, values: tuple[str, ...], attribute: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    import pyarrow as pa

    encoded = attribute_of(pa.array(values, pa.large_string()), attribute).dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64)[codes], tuple(encoded.dictionary.to_pylist())


def _comments(cells: Cells, filled: np.ndarray, documents: np.ndarray, tags: int) -> np.ndarray:
    """Find comments, bool [lines]: lines that start with `#` and hold no word.

    A word may be `#` or start with it. A line holds a word if it looks like the lines without `#`: the same
    number of columns, and a tag in the tag column. Within a sentence, a tag at the end is enough, so that a
    line with an extra column is found.
    """
    import pyarrow.compute as pc

    hashes: np.ndarray = filled & pc.starts_with(cells.lines, "#").to_numpy(zero_copy_only=False)
    plain = filled & ~hashes & ~documents
    marked = np.flatnonzero(hashes)
    if not len(marked):
        return hashes
    usual = int(np.bincount(cells.widths[plain]).argmax()) if plain.any() else 2
    as_wide = cells.widths[marked] == max(usual, 2)
    tag_at, known = _telling_column(cells, np.flatnonzero(plain & (cells.widths == usual)), usual, tags)
    # A number is a tag where tags are numbers; else it counts sentences: `# 7`.
    numbered = not known or any(map(str.isdecimal, known))
    tagged = np.zeros(len(marked), dtype=bool)
    for here, number in ((as_wide, tag_at), (~as_wide, -1)):
        encoded = cells.take(marked[here], number).dictionary_encode()
        distinct = [tag.strip(_BLANKS) for tag in encoded.dictionary.to_pylist()]
        like_a_tag = [
            tag in known or (_is_tag(tag) and (numbered or not tag.isdecimal())) for tag in distinct
        ]
        tagged[here] = np.array(like_a_tag, dtype=bool)[encoded.indices.to_numpy()] if like_a_tag else False
    spaced = pc.match_substring_regex(cells.lines.take(marked), r"^#[ \t]").to_numpy(zero_copy_only=False)
    # The last line before each that has no `#`: nothing there, and the sentence has not begun.
    before = np.maximum.accumulate(np.where(hashes, -1, np.arange(len(hashes))))[marked]
    opening = (before < 0) | ~plain[np.maximum(before, 0)]
    stated = pc.match_substring_regex(cells.lines.take(marked), r"^#\s*[\w.:-]+\s*=").to_numpy(
        zero_copy_only=False
    )
    # `# sent_id = 7` is as wide as a word with its tag and two columns between them.
    surely = pc.match_substring_regex(cells.lines.take(marked), r"^# *[\w.:-]+ += ").to_numpy(
        zero_copy_only=False
    )
    word = tagged & ~surely & (as_wide | ~(stated | (spaced & opening)))
    hashes[marked[word]] = False
    return hashes


def _telling_column(cells: Cells, at: np.ndarray, width: int, tags: int) -> tuple[int, set[str]]:
    """The index of a column that holds tags in the given lines, all of one width, and its distinct cells.

    It is `tags`, unless only another column certainly holds tags. A column of chunks tells words from
    comments as well as a column of entities.
    """
    first = tags if -width <= tags < width else -1
    for number in (first, *range(width - 1, 0, -1)) if width > 1 else ():
        found = cells.take(at[:SAMPLE], number).unique().to_pylist()
        distinct = {cell.strip(_BLANKS) for cell in found}
        distinct = {cell for cell in distinct if cell.lower() not in TAG_NAMES}  # a header is there still
        if are_tags(distinct) or distinct == {"O"}:
            first = number
            break
    found = cells.take(at, first).unique().to_pylist() if width > 1 else []
    return first, {cell.strip(_BLANKS) for cell in found}


def _is_tag(text: str) -> bool:
    return is_outside(text) or is_prefixed(text) or text.isdecimal()


def _breaking(cells: Cells, comments: np.ndarray) -> np.ndarray:
    """Find comments that start a new sentence or document, bool [lines]."""
    import pyarrow.compute as pc

    marked = np.flatnonzero(comments)
    found = np.zeros(len(comments), dtype=bool)
    if len(marked):
        said = pc.match_substring_regex(cells.lines.take(marked), _NEW_SENTENCE)
        found[marked] = said.to_numpy(zero_copy_only=False)
    return found


def _header(cells: Cells, line: int) -> tuple[str, ...] | None:
    """The names of the columns, if the first line contains known names for words and for tags."""
    found = tuple(cells.line(line))
    lowered = [name.lower() for name in found]
    named = any(name in WORD_NAMES for name in lowered) and any(name in TAG_NAMES for name in lowered)
    return found if named and not any(map(_is_tag, found)) else None


def _check_widths(cells: Cells, at: np.ndarray, path: Path, *, named: int | None) -> None:
    """Refuse a line whose number of columns differs from `# global.columns`, or from most lines."""
    if not len(at):
        return
    widths = cells.widths[at]
    counts = np.bincount(widths)
    # Of two widths that are as frequent, that of the first line.
    usual = named or int(widths[0] if counts[widths[0]] == counts.max() else counts.argmax())
    differ = np.flatnonzero(widths != usual)
    if not len(differ):
        return
    word = int(differ[0])
    others = "named in global.columns" if named else f"in the {'lines before' if word else 'other lines'}"
    if cells.separator == "\t":
        fix = "fix the line: tabs separate the columns; if white space does, set data.separator=whitespace"
    elif cells.separator == WHITE_SPACE:
        fix = "fix the line; if a word contains a space, put tabs between the columns of all lines"
    else:
        fix = "fix the line, or set data.separator"
    columns = f"{widths[word]} column{'s' * int(widths[word] > 1)}"
    what = f"{columns} in {_quoted(cells, int(at[word]))}, {usual} {others}"
    raise UserError(what, where=f"{path}:{at[word] + 1}", fix=fix)


def _quoted(cells: Cells, line: int) -> str:
    return f"'{cells.lines[line].as_py():.60}'"
