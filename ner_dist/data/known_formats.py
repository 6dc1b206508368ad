"""Recognise files of annotation tools and other libraries, and explain how to convert them.

None of these formats is supported. An error about a missing column would send people from key to key, so the
error names the format and the conversion instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_dist.errors import UserError

if TYPE_CHECKING:
    from ner_dist.data.corpus import Rows

_LINES = '{"tokens": ["Ada", "slept"], "ner_tags": ["B-PER", "O"]}'
_SPANS = (
    f"cut each text into words, give every word its tag and write lines like {_LINES}; "
    '"Spans to tags" in docs/formats.md has the code'
)
# PyTorch's cross-entropy leaves it out.
_IGNORED = -100
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


def check_ids(rows: Rows) -> None:
    """Refuse ids that mean "no tag", as in data that was tokenised for training."""
    if _IGNORED in rows.values:
        code = list(rows.values).index(_IGNORED)
        count = int((rows.tags == code).sum())
        raise UserError(
            f"{count} words have the id {_IGNORED}, the mark of subwords to skip; every word needs a tag",
            where=rows.place_of_tag(code),
            fix="use the data from before tokenisation, or write the id of O there",
        )


def _refuse(where: Path | str, what: str, fix: str) -> None:
    raise UserError(f"this is {what}, which is not supported", where=str(where), fix=fix)


def _pandas(row: Any) -> bool:
    cells = list(row.values()) if isinstance(row, dict) else []
    return bool(cells) and all(isinstance(cell, dict) and next(iter(cell), None) == "0" for cell in cells)


def _list_as_text(row: Any) -> bool:
    cells = row.values() if isinstance(row, dict) else ()
    return any(
        isinstance(cell, str) and re.match(r"\[\s*['\"\d].*\]\s*$", cell, flags=re.DOTALL) for cell in cells
    )


_OBJECTS: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
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
