"""spaCy's JSON: training examples `[text, {"entities": …}]`, the documents of version 2 (`paragraphs`), and
`Doc.to_json()` of version 3 (`ents`); also NER Annotator's file, which holds such examples.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from ner_dist.data.documents import Document, check_words, first_words
from ner_dist.data.formats.form import Content, JsonFormat, JsonRows
from ner_dist.data.formats.span_items import spans_of
from ner_dist.data.formats.text_spans import id_of
from ner_dist.data.span_tags import spans_of_tags
from ner_dist.errors import UserError

_BILUO = re.compile(r"([BILUSE])-(.+)|O")
_OUT = {"L": "I", "U": "B", "E": "I", "S": "B"}


def _is_example(row: Any) -> bool:
    return _is_annotator_file(row) or _is_pair(row)


def _is_annotator_file(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("annotations"), list) and "classes" in row


def _is_pair(row: Any) -> bool:
    return (
        isinstance(row, list)
        and len(row) == 2
        and isinstance(row[0], str)
        and isinstance(row[1], dict)
        and "entities" in row[1]
    )


def _examples(rows: JsonRows) -> Iterator[tuple[int, Any]]:
    """The examples of all rows; those of NER Annotator are one row, with null for what was not annotated."""
    for number, row in rows:
        if isinstance(row, dict) and isinstance(row.get("annotations"), list):
            yield from ((number, example) for example in row["annotations"] if example is not None)
        else:
            yield number, row


def _read_examples(rows: JsonRows) -> Content:
    documents = []
    for number, row in _examples(rows):
        if not _is_pair(row):
            fix = 'write [text, {"entities": [[3, 7, "LOC"]]}]'
            raise UserError(f"{row!r:.60} is not an example of spaCy", where=rows.place(number), fix=fix)
        text, entities = row[0], rows.items(row[1], "entities", number)
        documents.append(Document(text, spans_of(entities, text, rows, number), number))
    return rows.documents(documents)


def _is_doc(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("text"), str) and isinstance(row.get("ents"), list)


def _read_docs(rows: JsonRows) -> Content:
    documents = []
    for number, row in rows:
        if not _is_doc(row):
            raise UserError(f"{row!r:.60} is not a document of spaCy", where=rows.place(number))
        text, words, sentences = row["text"], None, None
        if row.get("tokens"):
            ranges = _ranges(rows.items(row, "tokens", number), text, rows, number)
            words = tuple((start, end) for start, end in ranges if text[start:end].strip())
            sents = _ranges(rows.items(row, "sents", number), text, rows, number)
            sentences = _first_words(words, [start for start, _ in sents]) if sents else None
        spans = spans_of(row["ents"], text, rows, number)
        document = Document(text, spans, number, words, sentences, id=id_of(row))
        check_words(document, place=rows.place(number))
        documents.append(document)
    return rows.documents(documents)


def _ranges(items: list[Any], text: str, rows: JsonRows, number: int) -> list[tuple[int, int]]:
    """Start and end of tokens or sentences, which are spans of a kind."""
    if not all(isinstance(item, dict) for item in items):
        raise UserError("a token or sentence without start and end", where=rows.place(number))
    spans = spans_of([{**item, "label": "-"} for item in items], text, rows, number, quotes=False)
    return [(span.start, span.end) for span in spans]


def _first_words(words: tuple[tuple[int, int], ...], starts: list[int]) -> tuple[int, ...]:
    """Index of the first word at or after each start of a sentence, without sentences that hold none."""
    firsts = {bisect_left(words, start, key=itemgetter(0)) for start in starts}
    return tuple(sorted((firsts | {0}) - {len(words)}))


def _is_paragraphs(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("paragraphs"), list)


def _read_paragraphs(rows: JsonRows) -> Content:
    """Documents of version 2: paragraphs with a `raw` text, sentences of tokens (`orth`, `ner` in BILUO)."""
    documents = []
    for number, row in rows:
        where = rows.place(number)
        if not _is_paragraphs(row):
            raise UserError(f"{row!r:.60} is not a document of spaCy 2", where=where)
        for index, paragraph in enumerate(row["paragraphs"]):
            name = f"{row.get('id', number)}:{index}"
            documents.append(_paragraph(paragraph, rows, number, name))
    return rows.documents(documents)


def _paragraph(paragraph: dict[str, Any], rows: JsonRows, number: int, name: str) -> Document:
    where = rows.place(number)
    try:
        sentences = [sentence["tokens"] for sentence in paragraph.get("sentences") or ()]
        orths = [[str(token["orth"]) for token in tokens] for tokens in sentences]
        tags = [_tag(token.get("ner") or "O", where) for tokens in sentences for token in tokens]
    except (TypeError, KeyError, AttributeError) as error:
        raise UserError(f"a paragraph without sentences of tokens ({error})", where=where) from None
    flat = [orth for words in orths for orth in words]
    text = paragraph.get("raw")
    if not isinstance(text, str):
        text = " ".join(flat)
    words = _find_words(flat, text, where)
    if not flat:
        return Document(
            text, spans_of(rows.items(paragraph, "entities", number), text, rows, number), number, id=name
        )
    return Document(
        text,
        tuple(spans_of_tags(tags, words)),
        number,
        words,
        first_words(orths),
        name,
        unlabelled=frozenset(word for word, tag in enumerate(tags) if tag is None),
    )


def _tag(written: str, where: str) -> str | None:
    """A BILUO tag as IOB2; None for `-`, which spaCy writes for a word that nobody has annotated."""
    if written == "-":
        return None
    match = _BILUO.fullmatch(written)
    if match is None:
        raise UserError(f"tag `{written:.60}` is not BILUO", where=where)
    return f"{_OUT.get(match[1], match[1])}-{match[2]}" if match[1] else "O"


def _find_words(words: list[str], text: str, where: str) -> tuple[tuple[int, int], ...]:
    """Start and end of words that occur one after the other in a text.

    Raises:
        UserError: a word does not occur after the one before it.
    """
    found, at = [], 0
    for word in words:
        start = text.find(word, at)
        if start < 0 or not word.strip():
            raise UserError(f"word `{word:.40}` is not in the text after the word before it", where=where)
        at = start + len(word)
        found.append((start, at))
    return tuple(found)


SPACY_EXAMPLES = JsonFormat("spaCy's training examples", _is_example, _read_examples)
SPACY_DOCS = JsonFormat("spaCy's documents as JSON", _is_doc, _read_docs)
SPACY_PARAGRAPHS = JsonFormat("spaCy's JSON for training (`paragraphs`)", _is_paragraphs, _read_paragraphs)
