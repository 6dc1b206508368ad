"""Write tagged items as JSON lines, CoNLL, or for annotation tools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from ner_dist.data.documents import Document, Span
from ner_dist.data.writers import Predicted, doccano_line, json_text, label_studio_task
from ner_dist.errors import UserError
from ner_dist.prediction.entities import Entity, TaggedItem


@dataclass(frozen=True)
class OutputFormat:
    """How items are written, one after the other."""

    item: Callable[[TaggedItem], str]
    head: str = ""
    between: str = ""
    tail: str = ""


def jsonl(tagged: TaggedItem) -> str:
    """The text; or the words, with their tags; the entities; and the other fields of the input."""
    row: dict[str, Any] = {}
    if tagged.item.text is not None:
        row["text"] = tagged.item.text
    else:
        row |= {"tokens": tagged.words, "tags": tagged.tags}
    row["entities"] = [entity_fields(entity) for entity in tagged.entities]
    for name, value in tagged.item.fields.items():
        row[f"given_{name}" if name in row else name] = value
    return json_text(row) + "\n"


def entity_fields(entity: Entity) -> dict[str, Any]:
    """An entity as JSON, without what a list of words lacks."""
    return {name: value for name, value in asdict(entity).items() if value is not None}


def conll(tagged: TaggedItem) -> str:
    """A word, a tab and its tag on each line, and an empty line after each sentence."""
    lines = []
    for start, end in pairwise(tagged.sentences):
        for word, tag in zip(tagged.words[start:end], tagged.tags[start:end], strict=True):
            if "\t" in word or "\n" in word or "\r" in word or not word:
                fix = "write JSON lines, with a name that ends with .jsonl"
                raise UserError(f"the word {word!r} cannot be written as CoNLL", fix=fix)
            lines.append(f"{word}\t{tag}\n")
        lines.append("\n")
    return "".join(lines)


def doccano(tagged: TaggedItem) -> str:
    """A line of doccano's JSONL."""
    return doccano_line(_document(tagged).document) + "\n"


def label_studio(tagged: TaggedItem) -> str:
    """A task of Label Studio, with the entities as predictions to correct."""
    return json_text(label_studio_task(_document(tagged)))


def _document(tagged: TaggedItem) -> Predicted:
    """An item as a text with spans; words without a text are joined by spaces."""
    text, chars = tagged.item.text, tagged.chars
    scores = tuple(each.probability for each in tagged.entities)
    if text is None or chars is None:
        over_words = [Span(each.first_word, each.last_word + 1, each.type) for each in tagged.entities]
        return Predicted(Document.from_words([tagged.words], over_words, line=0), scores)
    spans = tuple(
        Span(chars[each.first_word][0], chars[each.last_word][1], each.type) for each in tagged.entities
    )
    return Predicted(Document(text, spans, line=0), scores)


OUTPUT_FORMATS = {
    "jsonl": OutputFormat(jsonl),
    "conll": OutputFormat(conll),
    "doccano": OutputFormat(doccano),
    "label-studio": OutputFormat(label_studio, head="[\n", between=",\n", tail="\n]\n"),
}
