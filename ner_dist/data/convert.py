"""`ner-dist convert`: data of any format, and predictions, in the formats of other tools."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ner_dist.data import writers
from ner_dist.data.corpus import Rows
from ner_dist.data.documents import Document, over_words
from ner_dist.data.file_text import HEAD, ending_of, head_of, read_text
from ner_dist.data.formats.form import Documents, JsonRows
from ner_dist.data.json_text import json_lines
from ner_dist.data.labelling import label_ids
from ner_dist.data.notes import recorded, without_details
from ner_dist.data.prediction_lines import is_predicted, is_tagged, predicted_document, tagged_document
from ner_dist.data.readers import read_content
from ner_dist.data.words import Range, TextRule
from ner_dist.errors import UserError, writing
from ner_dist.files import write_bytes
from ner_dist.formatting import counted
from ner_dist.labels import UNLABELLED

if TYPE_CHECKING:
    from ner_dist.recipe_data import Data

log = logging.getLogger(__name__)

Format = Literal["jsonl", "conll", "doccano", "label-studio", "spacy"]
_ENDINGS: dict[str, Format] = {
    ".jsonl": "jsonl",
    **dict.fromkeys((".conll", ".tsv", ".txt", ".iob2", ".bio"), "conll"),
    ".spacy": "spacy",
}
_SPANS_ONLY = ("doccano", "label-studio")


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
    predicted = _predictions(source, data)
    if predicted is not None:
        return Documents([each.document for each in predicted], str(source)), predicted
    content = read_content(source, data)
    return (content if isinstance(content, Documents) else _joined(content, data)), None


def _predictions(source: Path, data: Data) -> list[writers.Predicted] | None:
    """The lines of `predictions/*.jsonl`, or those that `ner-dist predict` writes; None if it is neither."""
    first = head_of(source).lstrip().partition("\n")[0]
    if not first.startswith("{") or not ('"predicted"' in first or '"entities"' in first):
        return None
    lines = list(json_lines(read_text(source), source)) if _is_json(first) else []
    if lines and is_predicted(lines[0][1]):
        return [predicted_document(line, f"{source}:{number}", number) for number, line in lines]
    # A line without entities does not tell; all lines do.
    if not lines or not is_tagged(next((line for _, line in lines if _has_entities(line)), lines[0][1])):
        return None
    rows = JsonRows(lines, str(source), data)
    return [tagged_document(line, rows, number) for number, line in lines]


def _is_json(line: str) -> bool:
    """Whether a line is whole JSON; it need not be, of a file that is one JSON document."""
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return len(line) >= HEAD
    return True


def _has_entities(line: Any) -> bool:
    return isinstance(line, dict) and bool(line.get("entities"))


def _joined(rows: Rows, data: Data) -> Documents:
    """Sentences of words and tags as documents: words joined by blanks, tags of any scheme as spans."""
    labels, tags = label_ids([rows], data)
    codes = tags[0].ids(labels).tolist()
    names = [labels.tags[code] if code != UNLABELLED else None for code in codes]
    bounds = rows.offsets.tolist()
    documents = [
        Document.from_tags(words, names[start:end], line=line)
        for words, start, end, line in zip(
            rows.tokens, bounds[:-1], bounds[1:], rows.line_numbers.tolist(), strict=True
        )
    ]
    return Documents(documents, rows.file, rows.place_prefix)


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
    if kind in _SPANS_ONLY:
        _count_unlabelled(documents)
        _count_other_words(documents)
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
            write_bytes(target, writers.spacy_docs(cut))
    return says


def _count_unlabelled(documents: Documents) -> None:
    """Warn about words without a label, which spans over a text cannot tell from `O`."""
    count = sum(len(document.unlabelled) for document in documents.documents)
    if count:
        says = "%s: %s without a label cannot be told from O in this format; jsonl, conll and spacy can"
        log.warning(says, documents.file, counted(count, "word"))


def _count_other_words(documents: Documents) -> None:
    """Warn about texts that will be cut into other words than those of the source."""
    given = [
        (document.text, document.words) for document in documents.documents if document.words is not None
    ]
    others = sum(not _is_cut_so(TextRule(), text, words) for text, words in given)
    if others:
        blanks = all(_is_cut_so(TextRule(words="whitespace"), text, words) for text, words in given)
        fix = "read it with data.words=whitespace" if blanks else "jsonl, conll and spacy keep the words"
        says = "%s: the words are not written in this format, and %s would be cut otherwise; %s"
        log.warning(says, documents.file, counted(others, "text"), fix)


def _is_cut_so(rule: TextRule, text: str, words: Iterable[Range]) -> bool:
    return rule.word_ranges(text) == list(words)
