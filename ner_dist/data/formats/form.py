"""The form of a format's reader: how it recognises its files, and what it returns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.data.corpus import Rows
from ner_dist.data.documents import Document, rows_from_documents
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.recipe_data import Data


@dataclass
class Documents:
    """The documents of one file, in its order, after the language filter."""

    documents: list[Document]
    file: str
    """Name in messages."""
    place_prefix: str = ""
    """Prefix of a document's line in messages: empty for lines, `row ` for rows."""
    languages: Counter[str] = field(default_factory=Counter)
    """Number of rows in each language, if a language is selected."""
    left_out: Counter[str] = field(default_factory=Counter)
    """As in `Rows`."""

    def rows(self, data: Data) -> Rows:
        """Cut them into sentences of words with a tag each.

        Raises:
            UserError: a span cannot be expressed by tags under the rules in `data`.
        """
        rows = rows_from_documents(self.documents, data, file=self.file, place_prefix=self.place_prefix)
        # `read` minus the sentences is what the language filter left out.
        rows.read += self.languages.total() - self.languages[str(data.language)]
        rows.languages, rows.left_out = self.languages, self.left_out
        return rows


Content = Documents | Rows
"""Documents with character spans; or, of a format with tags, rows of words and tags."""


@dataclass(frozen=True)
class JsonRows:
    """The rows of a JSON or JSONL file, or of a table whose cells are JSON values."""

    rows: Sequence[tuple[int, Any]]
    """Line or row in the file, from 1, and its value. A JSON document that is no list is one row."""
    file: str
    """Name in messages."""
    data: Data
    place_prefix: str = ""
    """Prefix of a row's number in messages: empty for lines, `row ` for rows."""

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        return iter(self.rows)

    def documents(self, documents: list[Document]) -> Documents:
        """The documents that a format has read from these rows."""
        return Documents(documents, self.file, self.place_prefix)

    def items(self, row: dict[str, Any], key: str, number: int) -> list[Any]:
        """The list under a key of a row; empty if the key is missing or null.

        Raises:
            UserError: it is no list.
        """
        value = row.get(key)
        if value is not None and not isinstance(value, list):
            raise UserError(f"'{key}' is {value!r:.60}, not a list", where=self.place(number))
        return value or []

    def place(self, number: int) -> str:
        """Location of a row, for messages."""
        return f"{self.file}:{self.place_prefix}{number}"


@dataclass(frozen=True)
class JsonFormat:
    """A format of JSON rows, recognised by one row."""

    name: str
    """With its article, for messages: `a doccano export`."""
    recognises: Callable[[Any], bool]
    """Whether a row, any JSON value, has this format. A row without entities may look like any format, so
    that the first rows are tried until one is recognised."""
    read: Callable[[JsonRows], Content]


@dataclass(frozen=True)
class FileFormat:
    """A format of whole files, recognised by the name or the first lines."""

    name: str
    """With its article, for messages."""
    recognises: Callable[[Path, str], bool]
    """Whether a file has this format, from its path and its first 65,536 bytes, decompressed and decoded as
    UTF-8 with U+FFFD for other bytes."""
    read: Callable[[Path, Data], Content]
    """Read the file; `file_text.read_text` and `read_bytes` decompress and check it."""
