"""Cut the lines of a CoNLL file into cells.

Columns are separated by tabs if the lines of a file contain tabs, so that a word may contain a space, and
otherwise by white space.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

WHITE_SPACE = "whitespace"
SAMPLE = 20_000
"""Number of words from which the role of a column is decided."""
BLANKS = " \t\r\f\v"
"""White space within a line; a no-break space is text."""
_SPELLED = {"\\t": "\t", "tab": "\t"}


@dataclass(frozen=True)
class Cells:
    """The lines of a file, cut into columns."""

    lines: pa.Array
    flat: pa.Array
    """Every cell of every line."""
    widths: np.ndarray
    """int64 [lines]: columns of each line."""
    filled: np.ndarray
    """bool [lines]: whether a line holds more than white space."""
    separator: str

    @classmethod
    def cut(cls, text: str, separator: str | None = None) -> Cells:
        """Cut a text of Unix line ends; `separator` is as in `columns.cut`."""
        import pyarrow as pa
        import pyarrow.compute as pc

        # Arrow's kernels, unlike Python's, take neither no-break spaces nor U+2028 for white space.
        lines = pc.split_pattern(pa.array([text], pa.large_string()), "\n").flatten()
        # White space at the end of a line holds no cell: a tag that is missing there shows in the widths.
        trimmed = pc.ascii_rtrim_whitespace(lines)
        separator = _separator(trimmed, text) if separator is None else _SPELLED.get(separator, separator)
        if separator == WHITE_SPACE:
            split = pc.ascii_split_whitespace(pc.ascii_ltrim_whitespace(trimmed))
        else:
            split = pc.split_pattern(trimmed, separator)
        widths = pc.list_value_length(split).to_numpy().astype(np.int64)
        filled = pc.binary_length(trimmed).to_numpy() > 0
        return cls(lines, split.flatten(), widths, filled, separator)

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

    def quote(self, line: int) -> str:
        """The beginning of a line, for messages."""
        return f"'{self.lines[line].as_py():.60}'"


def with_unix_ends(text: str) -> str:
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
