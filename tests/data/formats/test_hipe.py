"""HIPE's ten columns: the coarse types are read, unless the recipe says otherwise."""

from __future__ import annotations

import logging

import pytest

from tests.data.formats.reading import content, tagged

COLUMNS = (
    "TOKEN NE-COARSE-LIT NE-COARSE-METO NE-FINE-LIT NE-FINE-METO NE-FINE-COMP NE-NESTED NEL-LIT NEL-METO MISC"
)
# In the shape of the README of HIPE-2022-data: metadata, flags, an empty line between documents.
ROWS = """# hipe2022:document_id = a-1
# hipe2022:date = 1900-01-01
# hipe2022:applicable_columns = TOKEN NE-COARSE-LIT NE-FINE-LIT MISC
Ada B-pers O B-pers.ind O B-comp.name O Q1 _ NoSpaceAfter
, O O O O O O _ _ EndOfLine
# O O O O O O _ _ EndOfSentence|EndOfLine
Upper B-loc B-org B-loc.adm.town B-org.ent O O Q2 NIL _
Tarn I-loc I-org I-loc.adm.town I-org.ent O O Q2 NIL EndOfSentence

# hipe2022:document_id = a-2
Rome B-loc O B-loc.adm O O O _ _ Partial-0:2
"""
TEXT = COLUMNS.replace(" ", "\t") + "\n" + "\n".join(
    line if line.startswith("# h") else line.replace(" ", "\t") for line in ROWS.split("\n")
)  # fmt: skip


def by_hand(column: int) -> list[list[tuple[str, str]]]:
    """An independent reading: sentences end at a flag or an empty line."""
    found: list[list[tuple[str, str]]] = [[]]
    for line in TEXT.split("\n")[1:]:
        cells = line.split("\t")
        if len(cells) == 10:
            found[-1].append((cells[0], cells[column]))
        if not line or "EndOfSentence" in cells[-1]:
            found.append([])
    return [sentence for sentence in found if sentence]


@pytest.mark.parametrize(("settings", "column"), [({}, 1), ({"tags_column": "NE-FINE-LIT"}, 3)])
def test_words_and_tags(tmp_path, caplog, settings, column):
    path = tmp_path / "HIPE-2022-v2.1-made-train-en.tsv"
    path.write_text(TEXT)
    with caplog.at_level(logging.INFO):
        assert tagged(content(path, **settings)) == by_hand(column)
    says = "tags are read from column NE-COARSE-LIT, not from NE-COARSE-METO, NE-FINE-LIT, NE-FINE-METO, "
    assert (says in caplog.text) == (not settings)
