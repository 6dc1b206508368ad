"""CoNLL-2012's brackets become spans."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_dist.data.formats.conll2012 import parse
from ner_dist.errors import UserError
from tests.cases.reading import CASES
from tests.data.formats.reading import content, documents, refused, sentences, spans, tagged, words

# In the shape of OntoNotes' files: two parts, nested entities, arguments of predicates, coreference.
TEXT = """#begin document (nw/made/00/made_0001); part 000
nw/made/00/made_0001 0 0      Ada   NNP  (TOP(S(NP*        -    -   -   Speaker#1  (PERSON*    (ARG0*   (12
nw/made/00/made_0001 0 1     Lund   NNP            *)      -    -   -   Speaker#1         *)        *)   12)
nw/made/00/made_0001 0 2     left   VBD         (VP*     leave  01   1  Speaker#1          *      (V*)     -
nw/made/00/made_0001 0 3      the    DT         (NP*       -    -   -   Speaker#1      (ORG*    (ARG1*     -
nw/made/00/made_0001 0 4     Bank    NN            *       -    -   -   Speaker#1          *         *     -
nw/made/00/made_0001 0 5       of    IN            *       -    -   -   Speaker#1          *         *     -
nw/made/00/made_0001 0 6   Quessa   NNP           *))      -    -   -   Speaker#1     (GPE))        *)    (3)
nw/made/00/made_0001 0 7       /.     .           *))      -    -   -   Speaker#1          *         *     -

nw/made/00/made_0001 0 0      Yes    UH  (TOP(INTJ*))     -    -   -   Speaker#2          *     -

#end document
#begin document (nw/made/00/made_0001); part 001
nw/made/00/made_0001 1 0        #    NN  (TOP(NP*         -    -   -   -          *     -
nw/made/00/made_0001 1 1        5    CD           *))     -    -   -   -   (CARDINAL)    -

#end document
"""


def by_hand(text: str, column: int = 10) -> list[tuple[list[list[str]], list[tuple[str, str]]]]:
    """An independent reading: sentences, and entities as type and words, of every document."""
    found = []
    for part in re.split(r"^#begin document.*$", text, flags=re.M)[1:]:
        lines = [
            [line.split() for line in block.splitlines() if " " in line and not line.startswith("#end")]
            for block in re.split(r"\n\s*\n", part)
        ]
        blocks = [block for block in lines if block]
        entities = []
        for block in blocks:
            opened: list[tuple[str, int]] = []
            for index, cells in enumerate(block):
                for mark in re.findall(r"\([^()*]+|\)", cells[column]):
                    if mark == ")":
                        name, first = opened.pop()
                        entities.append((name, " ".join(row[3] for row in block[first : index + 1])))
                    else:
                        opened.append((mark[1:], index))
        found.append(([[row[3] for row in block] for block in blocks], entities))
    return found


def test_words_sentences_and_entities(tmp_path):
    path = tmp_path / "train.gold_conll"
    path.write_text(TEXT)
    found = documents(path)
    assert [document.id for document in found] == [
        "nw/made/00/made_0001; part 000",
        "nw/made/00/made_0001; part 001",
    ]
    assert [document.line for document in found] == [1, 14]
    for document, (lines, entities) in zip(found, by_hand(TEXT), strict=True):
        assert sentences(document) == lines
        assert sorted((s.type, document.text[s.start : s.end]) for s in document.spans) == sorted(entities)
    assert ("ORG", "the Bank of Quessa") in by_hand(TEXT)[0][1]
    assert ("GPE", "Quessa") in by_hand(TEXT)[0][1]


def test_the_made_corpus():
    for split in ("train", "validation", "test"):
        path = CASES / f"formats/conll2012/{split}.gold_conll"
        (document,), ((lines, entities),) = documents(path), by_hand(path.read_text())
        assert sentences(document) == lines
        assert [(s.type, document.text[s.start : s.end]) for s in document.spans] == entities


def test_another_column(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text(TEXT)
    assert spans(documents(path)[0])[0] == (0, 8, "PERSON")
    # Without the columns of sense and speaker, the entities are found by their brackets.
    narrow = "#begin document (a); part 000\na 0 0 In IN (TOP(PP* - *\na 0 1 Bern NNP *)) - (GPE)\n"
    assert spans(parse(narrow, file="a")[0]) == [(3, 7, "GPE")]
    path.write_text(narrow)
    assert spans(documents(path, tags_column="7")[0]) == [(3, 7, "GPE")]
    assert "data.tags_column: '1' is no number of a column behind the words" in refused(path, tags_column=1)


def test_files_with_bio_tags_and_these_comments_are_columns(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("#begin document (a); part 000\nIn O\nBern B-LOC\n\n#end document\n")
    assert tagged(content(path)) == [[("In", "O"), ("Bern", "B-LOC")]]


HEAD = "#begin document (a); part 000\na 0 0 In IN (TOP* - - - - * -\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a 0 1 Bern NNP * - - - - (GPE* -", "a.conll:3: the entity '(GPE' is not closed in its sentence"),
        (
            "a 0 1 Bern NNP * - - - - *) -",
            "a.conll:3: '*)' closes an entity that is not open; write `(TYPE*`",
        ),
        ("a 0 1 Bern NNP * - - - - GPE -", "a.conll:3: 'GPE' in the column of entities is no bracket"),
        ("a 0 1 Bern", "a.conll:3: 4 columns in 'a 0 1 Bern', but entities are in column 10"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\n\n", "\n#end document\n", "\n#begin document (b); part 000\n"])
def test_errors_name_the_line(tmp_path, line, message, end):
    path = tmp_path / "a.conll"
    path.write_text(HEAD + line + end)
    assert refused(path).startswith(message)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="(GPE*)-", max_size=8), min_size=1, max_size=6))
def test_any_brackets_give_spans_or_an_error(cells):
    lines = [f"a 0 {n} w{n} NN (TOP* - - - - {cell or '*'} -" for n, cell in enumerate(cells)]
    try:
        (document,) = parse("#begin document (a); part 000\n" + "\n".join(lines), file="a")
    except UserError as error:
        assert error.where is not None and error.where.startswith("a:")
    else:
        assert words(document) == [f"w{n}" for n in range(len(cells))]
        assert len(document.spans) == sum(cell.count("(") for cell in cells)
