"""`ner-dist convert`: data of any format, and predictions, in the formats of other tools."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ner_dist.data import writers
from ner_dist.data.corpus import Rows, label_ids
from ner_dist.data.documents import Document, over_words
from ner_dist.data.file_text import ending_of, head_of, read_text
from ner_dist.data.formats.form import Documents
from ner_dist.data.json_text import json_lines
from ner_dist.data.notes import recorded, without_details
from ner_dist.data.readers import read_content
from ner_dist.data.span_tags import Span, spans_of_tags
from ner_dist.errors import UserError, writing
from ner_dist.formatting import counted

if TYPE_CHECKING:
    from ner_dist.recipe import Data

log = logging.getLogger(__name__)

Format = Literal["jsonl", "conll", "doccano", "label-studio", "spacy"]
_ENDINGS: dict[str, Format] = {
    ".jsonl": "jsonl",
    **dict.fromkeys((".conll", ".tsv", ".txt", ".iob2", ".bio"), "conll"),
    ".spacy": "spacy",
}


def convert(source: Path, target: Path, data: Data, to: str | None = None) -> str:
    """Convert a file.

    Args:
        source: data in any format that is read here, or predictions of `ner-dist`.
        target: the file to write; it must not exist.
        data: how to read and cut the source.
        to: format to write; None: by the ending of `target`.

    Returns:
        what was written, in words.

    Raises:
        UserError: the source cannot be read, or the target not written.
    """
    kind = _format_of(target, to)
    if target.exists():
        raise UserError("exists already", where=str(target), fix="name another file, or delete it")
    with recorded() as notes:
        documents, predicted = _documents(source, data)
        text = _write(kind, documents, predicted, target, source, data)
    details = without_details(notes)[1]
    if details:
        beside = target.with_name(f"{target.name}.notes.txt")
        with writing(beside):
            writers.write_lines(beside, details)
        text += f"; every change to a span is in {beside}"
    return text


def _format_of(target: Path, to: str | None) -> Format:
    formats: tuple[Format, ...] = get_args(Format)
    known: dict[str, Format] = {name: name for name in formats}
    kind = _ENDINGS.get(ending_of(target)) if to is None else known.get(to)
    if kind is None:
        what = f"unknown format `{to}`" if to else f"`{target.name}` does not say which format to write"
        raise UserError(what, where="--to", fix=f"give one of {', '.join(formats)}")
    return kind


def _documents(source: Path, data: Data) -> tuple[Documents, list[writers.Predicted] | None]:
    """What a file holds as documents; and with scores, if it holds predictions."""
    if _holds_predictions(source):
        lines = json_lines(read_text(source, data), source)
        predicted = [_predicted(line, f"{source}:{number}", number) for number, line in lines]
        return Documents([each.document for each in predicted], str(source)), predicted
    content = read_content(source, data)
    return (content if isinstance(content, Documents) else _joined(content, data)), None


def _joined(rows: Rows, data: Data) -> Documents:
    """Sentences of words and tags as documents: words joined by blanks, tags of any scheme as spans."""
    labels, tags = label_ids([rows], data)
    names = [labels.tags[code] for code in tags[0].ids(labels)]
    bounds = rows.offsets.tolist()
    documents = [
        _from_tags(words, names[start:end], line)
        for words, start, end, line in zip(
            rows.tokens, bounds[:-1], bounds[1:], rows.line_numbers.tolist(), strict=True
        )
    ]
    return Documents(documents, rows.file, rows.place_prefix)


def _from_tags(words: Sequence[str], tags: Sequence[str], line: int) -> Document:
    ranges, at = [], 0
    for word in words:
        ranges.append((at, at + len(word)))
        at += len(word) + 1
    firsts = (0,) if ranges else ()
    return Document(" ".join(words), tuple(spans_of_tags(tags, ranges)), line, tuple(ranges), firsts)


def _holds_predictions(source: Path) -> bool:
    """Whether the first line is one of `predictions/*.jsonl`."""
    first = head_of(source).lstrip().partition("\n")[0]
    return first.startswith("{") and '"tokens"' in first and '"predicted"' in first


def _predicted(line: Any, where: str, number: int) -> writers.Predicted:
    """A line of predictions; the confidence of an entity is the product of those of its words."""
    words = line.get("tokens") if isinstance(line, dict) else None
    tags = line.get("predicted") if isinstance(line, dict) else None
    if not isinstance(words, list) or not isinstance(tags, list) or len(words) != len(tags):
        raise UserError("needs `tokens` and as many tags in `predicted`", where=where)
    document = _from_tags(words, tags, number)
    confidence = line.get("confidence")
    assert document.words is not None
    scores = [_score(span, document.words, confidence) for span in document.spans]
    return writers.Predicted(document, tuple(scores))


def _score(span: Span, words: Sequence[tuple[int, int]], confidence: Any) -> float | None:
    if not isinstance(confidence, list):
        return None
    product = 1.0
    for (start, end), probability in zip(words, confidence, strict=True):
        if span.start <= start and end <= span.end:
            product *= probability
    return product


def _write(
    kind: Format,
    documents: Documents,
    predicted: list[writers.Predicted] | None,
    target: Path,
    source: Path,
    data: Data,
) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    spans = sum(len(document.spans) for document in documents.documents)
    says = f"{target}: {counted(len(documents.documents), 'document')}, {counted(spans, 'span')}"
    with writing(target):
        if kind in ("jsonl", "conll"):
            rows = documents.rows(data)
            lines = writers.jsonl if kind == "jsonl" else writers.conll
            writers.write_lines(target, lines(writers.sentences_of(rows)))
            says = f"{target}: {counted(len(rows.tokens), 'sentence')} of {counted(len(rows.tags), 'word')}"
        elif kind == "doccano":
            writers.write_lines(target, writers.doccano(documents.documents))
        elif kind == "label-studio":
            writers.write_lines(target, writers.label_studio(predicted or documents.documents))
        else:
            cut = over_words(documents.documents, data, file=str(source), place_prefix=documents.place_prefix)
            target.write_bytes(writers.spacy_docs(cut))
    return says
