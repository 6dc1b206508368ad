"""WebAnno TSV 3 of INCEpTION is read with its layers, stacked annotations and escapes."""

from __future__ import annotations

import logging
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_dist.data.formats.webanno import parse
from ner_dist.errors import UserError
from tests.data.formats.reading import documents, refused, sentences, spans, words

POS = "de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS"
NE = "de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity"
DEPENDENCY = "de.tudarmstadt.ukp.dkpro.core.api.syntax.type.dependency.Dependency"
# In the shape of INCEpTION's user guide: escapes, stacked and long annotations, parts of words, two lines of
# text in a sentence, an emoji (two UTF-16 units), a slot, a chain, a relation.
TEXT = f"""#FORMAT=WebAnno TSV 3.3
#T_SP={POS}|PosValue
#T_SP=webanno.custom.Frame|FE|ROLE_webanno.custom.Frame:Roles_webanno.custom.FrameRolesLink|webanno.custom.Lu
#T_SP={NE}|identifier|value
#T_CH=de.tudarmstadt.ukp.dkpro.core.api.coref.type.CoreferenceLink|referenceType|referenceRelation
#T_RL={DEPENDENCY}|DependencyType|BT_{POS}


#Text=Ms. Lund 😊 sold Lund\\\\Co [old] .
1-1\t0-3\tMs.\tNNP\t_\t_\t_\t*[1]|*[2]\tPER[1]|PERpart[2]\tpr[1]\tcoref->1-1\tSUBJ\t1-4\t
1-2\t4-8\tLund\tNNP\t_\t_\t_\thttp://x/Q\\_1[1]\tPER[1]\t_\t_\tSBJ\t1-4\t
1-3\t9-11\t😊\tUH\t_\t_\t_\t_\t_\t_\t_\t_\t_\t
1-4\t12-16\tsold\tVBD\tsale\tgoods;buyer\t1-5[4];1-1\t_\t_\t_\t_\tROOT\t1-4\t
1-5\t17-24\tLund\\\\Co\tNNP\t_\t_\t_\t*\tORG\\_NEW\t_\t_\tOBJ\t1-4\t
1-5.1\t17-21\tLund\t_\t_\t_\t_\t*\tPER\t_\t_\t_\t_\t
1-6\t25-30\t\\[old\\]\tJJ\t_\t_\t_\t_\t_\t_\t_\t_\t_\t
1-7\t31-32\t.\t.\t_\t_\t_\t_\t_\t_\t_\t_\t_\t

#Sentence.id=s2
#Text=Then on to
#Text=Port Elan
2-1\t34-38\tThen\tRB\t_\t_\t_\t_\t_\t_\t_\t_\t_\t
2-2\t39-41\ton\tIN\t_\t_\t_\t_\t_\t_\t_\t_\t_\t
2-3\t42-44\tto\tIN\t_\t_\t_\t*\t*\t_\t_\t_\t_\t
2-4\t45-49\tPort\tNNP\t_\t_\t_\t*[5]\tLOC[5]|ORG[6]\t_\t_\t_\t_\t
2-5\t50-54\tElan\tNNP\t_\t_\t_\t*[5]|*[7]\tLOC[5]|LOC[7]\t_\t_\t_\t_\t
"""
# The document, without the second sentence's line end being known.
PLAIN = "Ms. Lund 😊 sold Lund\\Co [old] .\n Then on to\nPort Elan"


def by_hand(text: str, column: int) -> list[tuple[str, str]]:
    """An independent reading: type and text of every annotation that has a type, words joined by spaces."""
    found: dict[tuple, list[str]] = {}
    for number, line in enumerate(text.splitlines()):
        cells = line.split("\t")
        if not re.match(r"\d+-\d", line) or cells[column] in ("_", "*"):
            continue
        for value in cells[column].split("|"):
            name, _, rest = value.partition("[")
            key = (name, rest) if rest else (name, number)
            unescaped = re.sub(r"\\(.)", r"\1", cells[2])
            found.setdefault(key, []).append(unescaped)
    return sorted((name.replace("\\_", "_"), " ".join(parts)) for (name, _), parts in found.items())


@pytest.fixture
def write(tmp_path):
    def write(text: str):
        path = tmp_path / "train.tsv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_words_sentences_and_spans(write, caplog):
    with caplog.at_level(logging.INFO):
        (document,) = documents(write(TEXT))
    assert document.text == PLAIN
    assert sentences(document) == [
        ["Ms.", "Lund", "😊", "sold", "Lund\\Co", "[old]", "."],
        ["Then", "on", "to", "Port", "Elan"],
    ]
    found = sorted((s.type, document.text[s.start : s.end]) for s in document.spans)
    assert found == by_hand(TEXT, 8)
    assert len(found) == 7
    assert "entities are read from NamedEntity.value, not from the layers POS, Frame, CoreferenceLink, " in (
        caplog.text
    )
    assert "1 annotation without a value is left out" in caplog.text


def test_another_layer(write):
    path = write(TEXT)
    for name in ("POS", "PosValue", "POS.PosValue", POS):
        found = documents(path, tags_column=name)[0]
        assert sorted((s.type, found.text[s.start : s.end]) for s in found.spans) == by_hand(TEXT, 3)
    assert refused(path, tags_column="Nothing") == (
        "train.tsv: no feature is Nothing; there are POS.PosValue, Frame.FE, "
        "Frame.ROLE_webanno.custom.Frame:Roles_webanno.custom.FrameRolesLink, Frame.webanno.custom.Lu, "
        "NamedEntity.identifier, NamedEntity.value; set data.tags_column to LAYER.FEATURE"
    )


CUSTOM = "#FORMAT=WebAnno TSV 3.2\n#T_SP={}\n\n\n#Text=In Bern\n1-1\t0-2\tIn\t{}\n1-2\t3-7\tBern\t{}\n"


def test_a_custom_layer_is_found(write):
    path = write(CUSTOM.format("webanno.custom.Place|kind", "_", "town"))
    assert spans(documents(path)[0]) == [(3, 7, "town")]
    path = write(CUSTOM.format("webanno.custom.Place|kind|size", "_\t_", "town\tbig"))
    assert refused(path) == (
        "train.tsv: several features may be the types of entities: Place.kind, Place.size; "
        "set data.tags_column to LAYER.FEATURE"
    )
    assert spans(documents(path, tags_column="size")[0]) == [(3, 7, "big")]
    path = write(CUSTOM.format("webanno.custom.Place|", "_", "*"))
    assert documents(path)[0].spans == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("4-8\tLund", "5-9\tLund", "11: the word is 'Lund', but characters 5 to 9 are 'und '; count UTF-16"),
        ("1-2\t4-8", "1-2 4-8", "11: '1-2 4-8 Lund"),
        ("\tPER[1]\t_", "\tPER]1[\t_", "11: 'PER]1[' is no annotation; escape brackets"),
        ("50-54", "500-504", "26: character 500 is outside the sentence"),
        ("2-1\t34-38", "2-1\t30-34", "22: the sentence starts before the last ends"),
        ("#Text=Ms.", "#Txt=Ms.", "10: the sentence has no #Text= line"),
    ],
)
def test_errors_name_the_line(write, old, new, message):
    assert old in TEXT
    assert refused(write(TEXT.replace(old, new, 1))).startswith(f"train.tsv:{message}")


def test_a_line_without_the_column(write):
    cut = TEXT.replace("\t_\t_\t_\t_\t_\t_\t_\t_\t_\t\n", "\t_\n", 1)
    assert refused(write(cut)) == (
        "train.tsv:12: no column 8 in '1-3 9-11 😊 UH _'; write _ where there is no annotation"
    )


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="12-.\t_*[]|\\PER#Text=\n 😊"))
def test_any_body_gives_a_document_or_an_error(body):
    head = TEXT.partition("\n\n\n")[0]
    try:
        found = parse(
            f"{head}\n\n\n#Text=Ms. 😊\n1-1\t0-3\tMs.\t_\t_\t_\t_\t_\tPER\t_\t_\t_\t_\t\n{body}", file="a"
        )
    except UserError as error:
        assert error.where is not None and error.where.startswith("a:")
    else:
        assert found.document is not None
        assert words(found.document)[0] == "Ms."
