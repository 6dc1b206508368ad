"""Recognise files of annotation tools and other libraries, and explain how to convert them.

None of these formats is supported. An error about a missing column would send people from key to key, so the
error names the format and the conversion instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ner_dist.errors import UserError

_LINES = '{"tokens": ["Ada", "slept"], "ner_tags": ["B-PER", "O"]}'
_SPANS = (
    f"cut each text into words, give every word its tag and write lines like {_LINES}; "
    '"Spans to tags" in docs/formats.md has the code'
)
# PyTorch's cross-entropy leaves it out.
_COLUMNS = "write a line of word, tab, tag for every word and an empty line after every sentence"


def check_text(path: Path, head: str) -> None:
    """Refuse a text file in a known, unsupported format.

    Args:
        path: the file.
        head: first lines of the file.

    Raises:
        UserError: says what it is and what to do.
    """
    start = head.lstrip("\ufeff").lstrip()
    if start.startswith("version https://git-lfs.github.com/spec"):
        _refuse(path, "a pointer of Git LFS, not the file itself", "fetch it with `git lfs pull`")
    if start[:200].lower().startswith(("<!doctype html", "<html")):
        _refuse(path, "a web page, not the file itself", "download the raw file")
    if start.startswith("<?xml"):
        _refuse(path, "an XML file", _COLUMNS)
    if start.startswith("#FORMAT=WebAnno TSV"):
        _refuse(path, "a WebAnno TSV file of INCEpTION", "export it as CoNLL 2002")
    if re.search(r"^#begin document\b", head, flags=re.MULTILINE) and not re.search(
        r"[ \t][BI]-\S+\s*?$", head, flags=re.MULTILINE
    ):
        what = "a CoNLL-2012 file (OntoNotes), whose entities are brackets such as `(ORG* *)`"
        _refuse(path, what, f"convert the brackets to BIO: {_COLUMNS}")
    if path.suffix == ".txt" and path.with_suffix(".ann").exists():
        _refuse(path, f"text annotated with brat (see {path.stem}.ann)", _SPANS)


def check_ending(path: Path, head: str) -> None:
    """Refuse a file whose ending belongs to an unsupported format."""
    ending = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if ending == ".spacy":
        fix = "load it with spacy.tokens.DocBin and write token.text, tab, token.ent_iob_ and token.ent_type_"
        _refuse(path, "a binary file of spaCy (DocBin)", f"{fix} joined by a hyphen, a line each")
    if ending in (".xlsx", ".xls"):
        _refuse(path, "an Excel file", _COLUMNS)
    if ending == ".arrow":
        _refuse(
            path,
            "one file of a data set saved with save_to_disk",
            "set data.path to the folder of the whole data set",
        )
    if ending == ".csv":
        if re.search(r"""["']?\[\s*['"]""", head):
            what = "a CSV table with Python lists as text"
            fix = (
                "read it with pandas, apply ast.literal_eval to both columns, "
                "and save it with to_json(orient='records', lines=True)"
            )
            _refuse(path, what, fix)
        _refuse(path, "a CSV table", f"{_COLUMNS}; or, with a row for each sentence, lines like {_LINES}")


def check_folder(folder: Path) -> None:
    """Refuse a folder in a known, unsupported format."""
    if not folder.is_dir():
        return
    if (folder / "state.json").exists() and (folder / "dataset_info.json").exists():
        what = "one split of a data set saved with save_to_disk"
        _refuse(folder, what, "put it into a datasets.DatasetDict with the others, and save that")
    annotated = next(
        (path for path in sorted(folder.glob("*.ann")) if path.with_suffix(".txt").exists()), None
    )
    if annotated is not None:
        _refuse(folder, f"a folder annotated with brat (such as {annotated.name})", _SPANS)


def check_object(row: Any, where: str) -> None:
    """Refuse a JSON row, or a whole document, in a known, unsupported format.

    Raises:
        UserError: says what it is and what to do.
    """
    for what, is_it, fix in _OBJECTS:
        if is_it(row):
            _refuse(where, what, fix)


def _refuse(where: Path | str, what: str, fix: str) -> None:
    raise UserError(f"this is {what}, which is not supported", where=str(where), fix=fix)


def _has(row: Any, *keys: str) -> bool:
    return isinstance(row, dict) and all(key in row for key in keys)


def _first(row: Any, *keys: str) -> Any:
    """The first item of the first of these lists that holds any."""
    for key in keys:
        items = row.get(key) if isinstance(row, dict) else None
        if isinstance(items, list) and items:
            return items[0]
    return None


def _is_span(item: Any) -> bool:
    """`[3, 9, "LOC"]`, or an object with a start and an end."""
    if isinstance(item, dict):
        return any(key in item for key in ("start", "start_offset")) and any(
            key in item for key in ("end", "end_offset")
        )
    return isinstance(item, list) and len(item) >= 3 and type(item[0]) is int and type(item[1]) is int


def _prodigy(row: Any) -> bool:
    return _has(row, "text", "spans") and (
        _has(row, "_input_hash") or _has(_first(row, "tokens"), "text", "start")
    )


def _label_studio(row: Any) -> bool:
    results = _first(row, "annotations", "completions")
    return _has(results, "result") or _has(_first(row, "label", "labels", "ner"), "start", "labels")


def _spacy_training(row: Any) -> bool:
    if _has(row, "annotations", "classes"):  # NER Annotator's
        return True
    return isinstance(row, list) and len(row) == 2 and isinstance(row[0], str) and _has(row[1], "entities")


def _pandas(row: Any) -> bool:
    cells = list(row.values()) if isinstance(row, dict) else []
    return bool(cells) and all(isinstance(cell, dict) and next(iter(cell), None) == "0" for cell in cells)


def _list_as_text(row: Any) -> bool:
    cells = row.values() if isinstance(row, dict) else ()
    return any(
        isinstance(cell, str) and re.match(r"\[\s*['\"\d].*\]\s*$", cell, flags=re.DOTALL) for cell in cells
    )


_SPAN_KEYS = ("label", "labels", "entities", "spans", "ner", "annotation", "annotations")
_OBJECTS: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("a Prodigy export (`spans` over `text`)", _prodigy, _SPANS),
    (
        "a Label Studio export (spans over a text)",
        _label_studio,
        f"export it as CONLL2003 if no word holds a blank; else {_SPANS}",
    ),
    (
        "a GLiNER file (`ner` holds first and last word of each entity)",
        lambda row: _has(row, "tokenized_text", "ner"),
        f"give every word its tag and write lines like {_LINES}",
    ),
    ("spaCy's training data (entities over a text)", _spacy_training, _SPANS),
    (
        "spaCy's JSON for training (`paragraphs`)",
        lambda row: _has(row, "paragraphs"),
        f"`python -m spacy convert` makes a .spacy file of it; from that, {_COLUMNS}",
    ),
    (
        "an Argilla export (spans over the text of a field)",
        lambda row: (
            (
                _has(row, "fields")
                and (_has(row, "responses") or _has(row, "suggestions") or _has(row, "annotations"))
            )
            or (_has(row, "text", "annotation") and _has(row, "annotation_agent"))
        ),
        _SPANS,
    ),
    (
        "a doccano export (spans over `text`)",
        lambda row: _has(row, "text") and _is_span(_first(row, *_SPAN_KEYS)),
        _SPANS,
    ),
    (
        "a file of spans over words",
        lambda row: (
            (_has(row, "tokens") or _has(row, "words") or _has(row, "sentences"))
            and not (_has(row, "ner_tags"))
            and _is_span(_flat(_first(row, *_SPAN_KEYS)))
        ),
        f"give every word its tag and write lines like {_LINES}",
    ),
    (
        "a table as pandas' to_json() writes it",
        _pandas,
        "save it with to_json(orient='records', lines=True) under a name that ends with .jsonl",
    ),
    (
        "a file with Python lists as text",
        _list_as_text,
        "apply ast.literal_eval to both columns and write them as lists",
    ),
)


def _flat(item: Any) -> Any:
    while isinstance(item, list) and item and isinstance(item[0], list):
        item = item[0]
    return item
