"""What the tests of formats share: documents as words and spans with their text, and errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from ner_dist.data.documents import Document
from ner_dist.data.formats.form import Documents
from ner_dist.data.readers import read_content
from ner_dist.errors import UserError
from ner_dist.recipe_data import Data


def content(path: Path, **settings):
    return read_content(path, Data(path="unused", **settings))


def documents(path: Path, **settings) -> list[Document]:
    found = content(path, **settings)
    assert isinstance(found, Documents)
    return found.documents


def words(document: Document) -> list[str]:
    assert document.words is not None
    return [document.text[start:end] for start, end in document.words]


def spans(document: Document) -> list[tuple[int, int, str]]:
    return sorted((span.start, span.end, span.type) for span in document.spans)


def sentences(document: Document) -> list[list[str]]:
    assert document.sentences is not None
    all_words, starts = words(document), document.sentences
    return [all_words[a:b] for a, b in zip(starts, [*starts[1:], len(all_words)], strict=True)]


def tagged(rows) -> list[list[tuple[str, str]]]:
    """Words with their tags as written, by sentence."""
    tags = [rows.values[code] for code in rows.tags]
    bounds = zip(rows.offsets[:-1], rows.offsets[1:], strict=True)
    return [list(zip(line, tags[a:b], strict=True)) for line, (a, b) in zip(rows.tokens, bounds, strict=True)]


def refused(path: Path, **settings) -> str:
    """The message that reading ends with, the folder left out."""
    with pytest.raises(UserError) as caught:
        content(path, **settings)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{path.parent}/", "")
