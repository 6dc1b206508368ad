"""The columns of a CoNLL file: its words, without comments and header, cut into sentences.

The lines of all words need the same number of columns; another number is an error,
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

from ner_dist.data.cells import BLANKS, WHITE_SPACE, Cells, with_unix_ends
from ner_dist.data.comments import find_comments, is_tag, starting_sentences
from ner_dist.data.corpus import LONGEST_WORD, Rows, check_words, ids_from_text
from ner_dist.data.document_ids import START, DocumentMarks, document_marks
from ner_dist.data.tag_shapes import TAG_NAMES, WORD_NAMES
from ner_dist.data.unlabelled import without_no_label
from ner_dist.errors import UserError
from ner_dist.formatting import counted

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

# A file with so many words has more than one sentence.
_NO_SENTENCE = 500
# Each is looked at, to find that of the tags.
_MOST_COLUMNS = 1_000
_GLOBAL_COLUMNS = re.compile(r"^#\s*global\.columns\s*=\s*(.+)$", flags=re.MULTILINE)


@dataclass
class Remarks:
    """What the log says of a file once all its pieces are read."""

    comments: int = 0
    first_comment: int = 0
    """Its line, from 1."""
    ranges: int = 0
    """Ranges of CoNLL-U, whose words follow."""
    empty_nodes: int = 0
    trimmed: int = 0
    """Words without the spaces around them."""
    spaced: int = 0
    """Words with a space in them."""
    words: int = 0

    def log(self, path: Path) -> None:
        if self.comments:
            skipped = counted(self.comments, "comment line")
            log.info("%s: skipped %s, the first at line %d", path, skipped, self.first_comment)
        if self.ranges or self.empty_nodes:
            what = "%s: skipped ranges (3-4), keeping their words: %d; skipped empty nodes (3.1): %d"
            log.info(what, path, self.ranges, self.empty_nodes)
        if self.trimmed:
            log.info("%s: stripped the spaces around %s", path, counted(self.trimmed, "word"))
        if 2 * self.spaced > self.words:
            log.warning(
                "%s: %d of %d words contain a space; if white space separates the columns, "
                "set data.separator=whitespace",
                *(path, self.spaced, self.words),
            )


def cut(
    text: str,
    path: Path,
    *,
    separator: str | None = None,
    tags: int = -1,
    after: Columns | None = None,
    remarks: Remarks | None = None,
) -> Columns:
    """Cut a CoNLL file, or a piece of one, into columns.

    Args:
        text: contents of the file.
        path: the file, for messages.
        separator: text between columns, or `tab` or `whitespace`; None means tabs if the lines contain tabs,
            and otherwise white space.
        tags: index of a tag column, which tells a word `#` from a comment; -1 is the last.
        after: the piece before this one, which decides separator, number and names of the columns.
        remarks: is told what the log is to say of the file; None logs it at once.

    Raises:
        UserError: a line has a different number of columns.
    """
    import pyarrow.compute as pc

    text = with_unix_ends(text)
    stated = _GLOBAL_COLUMNS.search(text) if after is None and "global.columns" in text else None
    cells = Cells.cut(text, separator if after is None else after.cells.separator)
    first_line = 0 if after is None else after.next_line
    documents = pc.starts_with(cells.lines, START).to_numpy(zero_copy_only=False)
    comments = find_comments(cells, documents, tags)
    at = np.flatnonzero(cells.filled & ~documents & ~comments)
    own = Remarks() if remarks is None else remarks
    if comments.any():
        own.first_comment = own.first_comment or first_line + int(np.argmax(comments)) + 1
        own.comments += int(comments.sum())
    if remarks is None:
        own.log(path)
    names = tuple(stated[1].split()) if stated else None if after is None else after.names
    _check_widths(cells, at, path, first_line, named=len(names) if stated and names else None, after=after)
    if after is None and len(at) and cells.widths[at[0]] > _MOST_COLUMNS:
        what = f"{cells.widths[at[0]]:,} columns in {cells.quote(int(at[0]))}"
        fix = "write a line for every word, or set data.format if this is no CoNLL file"
        raise UserError(what, where=f"{path}:{at[0] + 1}", fix=fix)
    header = _header(cells, int(at[0])) if len(at) and after is None else None
    if header is not None:
        log.info("%s:%d: header: %s", path, at[0] + 1, ", ".join(header))
        names, at = names or header, at[1:]
    breaks = np.cumsum(~cells.filled | documents | starting_sentences(cells, comments))[at]
    if names is not None and names[-1] == "MISC" and (header or after) and len(at):
        # HIPE (https://hipe-eval.github.io) ends its sentences so, and has no empty lines.
        ends = pc.match_substring(cells.take(at, -1), "EndOfSentence").to_numpy(zero_copy_only=False)
        breaks[1:] += np.cumsum(ends)[:-1]
    if after is None and len(at) > _NO_SENTENCE and breaks[0] == breaks[-1]:
        what = "all %d words were read as one sentence; put an empty line after each sentence"
        log.warning(f"%s: {what}", path, len(at))
    marks = document_marks(
        *(cells.lines, documents, comments, path),
        first_line=first_line,
        before=None if after is None or after.marks is None else after.marks.last,
    )
    numbered = None if after is None else after.numbered
    return Columns(path, cells, at, breaks, names, marks, first_line, numbered, remarks)


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
    first_line: int = 0
    """Number of lines of the file before this piece of it."""
    numbered: int | None = None
    """The column with the ids of words, if ranges and empty nodes are left out by them."""
    remarks: Remarks | None = None
    """Is told what the log is to say of the file; None logs it at once."""

    @property
    def next_line(self) -> int:
        """Number of lines before the next piece, which begins behind a line end."""
        return self.first_line + len(self.cells.lines) - 1

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
        return list(dict.fromkeys(cell.strip(BLANKS) for cell in found))

    def words(self, number: int) -> list[list[str]]:
        """The cells of a column by sentence, stripped.

        Raises:
            UserError: a line has no cell there.
        """
        codes, vocabulary = self._column(number)
        words = np.array([word.strip(BLANKS) for word in vocabulary], dtype=object)
        self._check_filled(codes, words, "word")
        self._check_lengths(codes, words)
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
        self._check_filled(codes, np.array([value.strip(BLANKS) for value in values], dtype=object), "tag")
        codes, values = without_no_label(codes, values)
        return Rows(
            tokens=tokens,
            tags=codes,
            values=ids_from_text(values),
            offsets=self.offsets,
            file=str(self.path),
            line_numbers=self.at[self.starts] + self.first_line + 1,
            word_lines=self.at + self.first_line + 1,
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
        return f"{self.path}:{self.first_line + self.at[word] + 1}"

    def quote(self, word: int) -> str:
        return self.cells.quote(int(self.at[word]))

    def _column(self, number: int) -> tuple[np.ndarray, tuple[str, ...]]:
        """One column, dictionary-encoded: an index for each cell, and the distinct cells."""
        encoded = self.cells.take(self.at, number).dictionary_encode()
        return encoded.indices.to_numpy().astype(np.int64), tuple(encoded.dictionary.to_pylist())

    def _report_blanks(self, codes: np.ndarray, words: np.ndarray, vocabulary: tuple[str, ...]) -> None:
        remarks = Remarks() if self.remarks is None else self.remarks
        trimmed = np.array([word != cell for word, cell in zip(words, vocabulary, strict=True)], dtype=bool)
        several = np.array([" " in word for word in words], dtype=bool)
        remarks.trimmed += int(trimmed[codes].sum())
        remarks.spaced += int(several[codes].sum())
        remarks.words += len(codes)
        if self.remarks is None:
            remarks.log(self.path)

    def _check_lengths(self, codes: np.ndarray, words: np.ndarray) -> None:
        code = next((code for code, word in enumerate(words) if len(word) > LONGEST_WORD), None)
        if code is not None:
            check_words([[words[code]]], lambda _: self.place(int(np.argmax(codes == code))))

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


def _header(cells: Cells, line: int) -> tuple[str, ...] | None:
    """The names of the columns, if the first line contains known names for words and for tags."""
    found = tuple(cells.line(line))
    lowered = [name.lower() for name in found]
    named = any(name in WORD_NAMES for name in lowered) and any(name in TAG_NAMES for name in lowered)
    return found if named and not any(map(is_tag, found)) else None


def _check_widths(
    cells: Cells, at: np.ndarray, path: Path, first_line: int, *, named: int | None, after: Columns | None
) -> None:
    """Refuse a line whose number of columns differs from `# global.columns`, or from most lines."""
    if not len(at):
        return
    widths = cells.widths[at]
    counts = np.bincount(widths)
    # Of two widths that are as frequent, that of the first line.
    known = named or (after.width if after is not None else 0)
    usual = known or int(widths[0] if counts[widths[0]] == counts.max() else counts.argmax())
    differ = np.flatnonzero(widths != usual)
    if not len(differ):
        return
    word = int(differ[0])
    before = word > 0 or first_line > 0
    others = "named in global.columns" if named else f"in the {'lines before' if before else 'other lines'}"
    if cells.separator == "\t":
        fix = "fix the line: tabs separate the columns; if white space does, set data.separator=whitespace"
    elif cells.separator == WHITE_SPACE:
        fix = "fix the line; if a word contains a space, put tabs between the columns of all lines"
    else:
        fix = "fix the line, or set data.separator"
    columns = f"{widths[word]} column{'s' * int(widths[word] > 1)}"
    what = f"{columns} in {cells.quote(int(at[word]))}, {usual} {others}"
    raise UserError(what, where=f"{path}:{first_line + at[word] + 1}", fix=fix)
