"""Write documents in the formats of other tools."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.data.documents import CutDocument, Document, Span
from ner_dist.data.unlabelled import NO_CODE, NO_LABEL
from ner_dist.errors import UserError
from ner_dist.files import atomic_file, write_bytes

if TYPE_CHECKING:
    from ner_dist.data.corpus import Rows
    from ner_dist.data.words import Range

Sentence = tuple[list[str], list[str | None]]
"""Words, and the tag of each; None for a word without a label."""
_NAME = "label"
"""Name of the labels in Label Studio's labelling configuration, as in its template for named entities."""


@dataclass(frozen=True)
class Predicted:
    """A document as a model has labelled it."""

    document: Document
    scores: tuple[float | None, ...]
    """Confidence of each span, if the file states it."""


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a text file in one piece; gzipped if its name ends with `.gz`."""
    if path.suffix != ".gz":
        with atomic_file(path) as file:
            file.writelines(f"{line}\n" for line in lines)
        return
    write_bytes(path, "".join(f"{line}\n" for line in lines).encode())


def jsonl(sentences: Iterable[Sentence]) -> Iterator[str]:
    """Lines with the words and tags of a sentence each; null for a word without a label."""
    for words, tags in sentences:
        yield json_text({"tokens": words, "ner_tags": tags})


def conll(sentences: Iterable[Sentence]) -> Iterator[str]:
    """A line of word, tab, tag for each word, and an empty line after each sentence.

    A word without a label has `?` in the place of its tag.

    Raises:
        UserError: a word or a type holds a tab or the end of a line.
    """
    for words, tags in sentences:
        for word, given in zip(words, tags, strict=True):
            tag = NO_LABEL if given is None else given
            if re.search(r"[\t\n\r]", word + tag) or not word.strip():
                raise UserError(f"{word!r} cannot be a line of CoNLL", fix="write JSONL instead")
            yield f"{word}\t{tag}"
        yield ""


def json_text(value: Any) -> str:
    """JSON that can be written as UTF-8, whatever text it holds."""
    text = json.dumps(value, ensure_ascii=False)
    # Half of a surrogate pair cannot be written as UTF-8.
    return text if not re.search("[\ud800-\udfff]", text) else json.dumps(value)


def sentences_of(rows: Rows) -> Iterator[Sentence]:
    """The words and tags of every sentence."""
    bounds = rows.offsets.tolist()
    for words, start, end in zip(rows.tokens, bounds[:-1], bounds[1:], strict=True):
        yield words, [str(rows.values[code]) if code != NO_CODE else None for code in rows.tags[start:end]]


def doccano(documents: Iterable[Document]) -> Iterator[str]:
    """doccano's JSONL, as it imports and exports it."""
    yield from map(doccano_line, documents)


def doccano_line(document: Document) -> str:
    """One document as doccano's JSON."""
    spans = [[span.start, span.end, span.type] for span in document.spans]
    return json_text({"text": document.text, "label": spans})


def label_studio(documents: Sequence[Document | Predicted]) -> Iterator[str]:
    """Label Studio's tasks: what people have annotated as annotations, what a model says as predictions."""
    yield "["
    for number, each in enumerate(documents):
        comma = "," if number < len(documents) - 1 else ""
        yield json_text(label_studio_task(each)) + comma
    yield "]"


def label_studio_task(each: Document | Predicted) -> dict[str, Any]:
    """One task of Label Studio."""
    if isinstance(each, Document):
        results = [_region(each, number, span, None) for number, span in enumerate(each.spans)]
        return {"data": {"text": each.text}, "annotations": [{"result": results}]}
    document = each.document
    numbered = enumerate(zip(document.spans, each.scores, strict=True))
    results = [_region(document, number, span, score) for number, (span, score) in numbered]
    known = [score for score in each.scores if score is not None]
    score = {"score": sum(known) / len(known)} if known else {}
    return {
        "data": {"text": document.text},
        "predictions": [{"model_version": "ner_dist", **score, "result": results}],
    }


def _region(document: Document, number: int, span: Span, score: float | None) -> dict[str, Any]:
    value = {"start": span.start, "end": span.end, "text": document.text[span.start : span.end]}
    result = {"id": str(number), "from_name": _NAME, "to_name": "text", "type": "labels"}
    return {
        **result,
        "value": {**value, "labels": [span.type]},
        **({} if score is None else {"score": score}),
    }


def spacy_docs(documents: Iterable[CutDocument]) -> bytes:
    """spaCy's DocBin, for `spacy train`.

    Raises:
        UserError: spaCy is not installed.
    """
    try:
        import spacy.tokens
        from spacy.vocab import Vocab
    except ImportError:
        fix = "pip install 'ner_dist[spacy]'"
        raise UserError("spaCy is not installed", where="--to spacy", fix=fix) from None
    vocab, bin_ = Vocab(), spacy.tokens.DocBin()
    for cut in documents:
        pieces, spaces, at = _spacy_words(cut.document.text, cut.words)
        doc = spacy.tokens.Doc(vocab, words=pieces, spaces=spaces)
        entities = [
            spacy.tokens.Span(doc, at[span.first], at[span.end - 1] + 1, label=span.span.type)
            for span in cut.spans
        ]
        silent = [at[word] for word, tag in enumerate(cut.tags()) if tag is None]
        doc.set_ents(entities, missing=[doc[word : word + 1] for word in silent], default="outside")
        bin_.add(doc)
    content: bytes = bin_.to_bytes()
    return content


def _spacy_words(text: str, ranges: Sequence[Range]) -> tuple[list[str], list[bool], list[int]]:
    """A text as spaCy stores it: words, whether a blank follows each, and the place of each of our words.

    Further blanks are words of their own.
    """
    pieces: list[str] = []
    spaces: list[bool] = []
    places: list[int] = []
    at = 0
    for start, end in [*ranges, (len(text), len(text))]:
        gap = text[at:start]
        if gap and gap[0] == " " and pieces:
            spaces[-1], gap = True, gap[1:]
        if gap:
            pieces.append(gap)
            spaces.append(False)
        if end > start:
            places.append(len(pieces))
            pieces.append(text[start:end])
            spaces.append(False)
        at = end
    return pieces, spaces, places
