"""Recognise the format of a file from its content.

A format is a module of this folder with a `JsonFormat` or `FileFormat`, entered here. The first that
recognises a file reads it, so special formats come before general ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ner_dist.data.formats.argilla import ARGILLA, RUBRIX
from ner_dist.data.formats.form import FileFormat, JsonFormat
from ner_dist.data.formats.label_studio import LABEL_STUDIO, LABEL_STUDIO_MIN
from ner_dist.data.formats.prodigy import PRODIGY
from ner_dist.data.formats.spacy_json import SPACY_DOCS, SPACY_EXAMPLES, SPACY_PARAGRAPHS
from ner_dist.data.formats.text_spans import TEXT_SPANS, WITHOUT_ENTITIES
from ner_dist.data.formats.word_spans import GLINER, WORD_SPANS

JSON_FORMATS: tuple[JsonFormat, ...] = (
    *(LABEL_STUDIO, LABEL_STUDIO_MIN, PRODIGY, ARGILLA, RUBRIX),
    *(SPACY_PARAGRAPHS, SPACY_EXAMPLES, SPACY_DOCS, GLINER, WORD_SPANS),
    *(TEXT_SPANS, WITHOUT_ENTITIES),
)
"""Formats of rows in .json and .jsonl files, tried in this order."""

FILE_FORMATS: tuple[FileFormat, ...] = ()
"""Formats of whole files, tried in this order."""


def json_format(rows: Sequence[Any]) -> JsonFormat | None:
    """The format of JSON rows: the first that recognises any of them."""
    return next((each for each in JSON_FORMATS if any(map(each.recognises, rows))), None)


def file_format(path: Path, head: str) -> FileFormat | None:
    """The format of a whole file, by its path and the beginning of its text."""
    return next((each for each in FILE_FORMATS if each.recognises(path, head)), None)
