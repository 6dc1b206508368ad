"""Which sentences of a CoNLL file belong to one document, by its marks.

The marks are lines `-DOCSTART-` (CoNLL-2003; AIDA adds a name: `-DOCSTART- (1 EU)`), and the comments
`# newdoc id = NAME` (CoNLL-U), `# hipe2022:document_id = NAME` (HIPE) and `#begin document (NAME); part 000`
(CoNLL-2012). A document without a name is called after its file and line. A document column is another way
to say the same, which the recipe names (`data.document_column`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

START = "-DOCSTART-"
_COMMENT = re.compile(
    r"#\s*(?:\S*:)?(?:newdoc(?:\s+id)?|document_id)\s*(?:=\s*(?P<id>.*?))?\s*"
    r"|#begin document\s*(?P<name>.*?)\s*"
)
_NAMED_START = re.compile(rf"{START}\s+\((?P<id>.+)\)\s*")


@dataclass(frozen=True)
class DocumentMarks:
    """The lines at which documents begin, and what the documents are called."""

    lines: np.ndarray
    """int64 [D]: rising, from 0."""
    ids: list[str]
    before: str | None = None
    """What the document before the first mark is called, if the file has said it."""

    @property
    def last(self) -> str | None:
        """What the last document is called."""
        return self.ids[-1] if self.ids else self.before

    def of(self, lines: np.ndarray, path: Path) -> list[str]:
        """The document of every line; one of its own for what stands before the first mark."""
        mark = np.searchsorted(self.lines, lines, side="right") - 1
        before = self.before or f"{path.name}:1"
        return [self.ids[at] if at >= 0 else before for at in mark.tolist()]


def document_marks(
    lines: pa.Array,
    starts: np.ndarray,
    comments: np.ndarray,
    path: Path,
    *,
    first_line: int = 0,
    before: str | None = None,
) -> DocumentMarks | None:
    """Find the marks of documents; None if there are none.

    Args:
        lines: the lines of the file.
        starts: bool [lines], those with `-DOCSTART-`.
        comments: bool [lines].
        path: the file. Only its name is used, so that ids are the same wherever the data lies.
        first_line: number of lines of the file before these.
        before: what the document of the lines before is called.
    """
    import pyarrow.compute as pc

    said = np.flatnonzero(comments)
    telling = pc.match_substring_regex(lines.take(said), r"newdoc|document").to_numpy(zero_copy_only=False)
    found: dict[int, str] = {}
    for line in said[telling.astype(bool)].tolist():
        if match := _COMMENT.fullmatch(lines[line].as_py()):
            found[line] = match["id"] or match["name"] or f"{path.name}:{first_line + line + 1}"
    for line in np.flatnonzero(starts).tolist():
        match = _NAMED_START.fullmatch(lines[line].as_py())
        found[line] = match["id"] if match else f"{path.name}:{first_line + line + 1}"
    marks = sorted(found)
    if not marks and before is None:
        return None
    return DocumentMarks(np.array(marks, dtype=np.int64), [found[line] for line in marks], before)
