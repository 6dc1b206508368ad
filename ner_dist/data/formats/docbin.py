"""Binary files of spaCy (`.spacy`, class DocBin), read by spaCy itself.

Words are spaCy's tokens without those of white space; sentences are spaCy's where the file has them.
"""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.data.documents import Document, Span
from ner_dist.data.file_text import check_unpacked, ending_of, read_bytes
from ner_dist.data.formats.form import Documents, FileFormat
from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.recipe_data import Data

log = logging.getLogger(__name__)


def parse(raw: bytes, *, path: Path, group: str | None = None) -> tuple[list[Document], Counter[str]]:
    """Read the documents of a file.

    Args:
        raw: its contents.
        path: the file, for messages.
        group: name in `doc.spans` of the spans to read; None for `doc.ents`.

    Returns:
        The documents, and the number of spans in each group of `doc.spans`.

    Raises:
        UserError: spaCy is not installed, or cannot read the file.
    """
    try:
        from spacy.tokens import DocBin
        from spacy.vocab import Vocab
    except ImportError:
        raise UserError(
            "this is a binary file of spaCy (DocBin), which spaCy has to read",
            where=str(path),
            fix="pip install 'ner_dist[spacy]'",
        ) from None
    documents, groups = [], Counter[str]()
    try:
        for number, doc in enumerate(DocBin().from_bytes(raw).get_docs(Vocab()), start=1):
            for name, spans in doc.spans.items():
                groups[name] += len(spans)
            documents.append(
                _document(doc, number, doc.ents if group is None else doc.spans.get(group) or ())
            )
    except Exception as error:  # zlib, msgpack and spaCy each raise their own
        what = f"not a readable file of spaCy ({type(error).__name__}: {error!s:.80})"
        raise UserError(what, where=str(path), fix="write it again with DocBin.to_disk") from None
    return documents, groups


def _document(doc: Any, number: int, spans: Any) -> Document:
    tokens = [token for token in doc if not token.text.isspace()]
    sentences = None
    if doc.has_annotation("SENT_START"):
        # A token of white space may begin a sentence, which the next word then begins.
        found, begins = [], True
        index = 0
        for token in doc:
            begins = begins or bool(token.is_sent_start)
            if not token.text.isspace():
                if begins:
                    found.append(index)
                begins, index = False, index + 1
        sentences = tuple(found)
    return Document(
        text=doc.text,
        spans=tuple(Span(entity.start_char, entity.end_char, entity.label_) for entity in spans),
        line=number,
        words=tuple((token.idx, token.idx + len(token)) for token in tokens),
        sentences=sentences,
    )


def _packed(path: Path, data: Data) -> bytes:
    """The contents of a file, which spaCy decompresses at once, however much that gives."""
    raw = bytes(read_bytes(path, data))
    check_unpacked(raw, path, data)
    return raw


def _recognises(path: Path, head: str) -> bool:
    return ending_of(path) == ".spacy"


def _read(path: Path, data: Data) -> Documents:
    set_to = str(data.tags_column)
    group = None if set_to == type(data).model_fields["tags_column"].default else set_to
    documents, groups = parse(_packed(path, data), path=path, group=group)
    if group is not None and group not in groups:
        what = f"no document has spans called '{group}'; there are {', '.join(groups) or 'none'}"
        raise UserError(what, where=str(path), fix="set data.tags_column, or leave it out for doc.ents")
    if left := [f"{name} ({count})" for name, count in groups.items() if name != group]:
        log.info("%s: spans not read: %s; set data.tags_column to read one of them", path, ", ".join(left))
    return Documents(documents, str(path), place_prefix="document ")


FORMAT = FileFormat("a binary file of spaCy (DocBin)", _recognises, _read)
