"""Texts annotated with brat are read from their pairs of files."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_dist.data.formats.brat import parse
from ner_dist.data.notes import recorded
from ner_dist.data.sources import load_corpus, source_stamp
from ner_dist.errors import UserError
from ner_dist.recipe_data import Data
from tests.cases.reading import CASES
from tests.data.formats.reading import documents, refused, spans

# In the shape of https://brat.nlplab.org/standoff.html: every kind of annotation, and a span in two pieces.
TEXT = """Norvik Motors founded a firm with Brint 😊, a maker of telephones in Quessa.
Norvik Motors bought plants in North and South Marn today.
"""
ANN = """T1\tOrganization 0 13\tNorvik Motors
T2\tMERGE-ORG 14 21\tfounded
T3\tOrganization 34 39\tBrint
E1\tMERGE-ORG:T2 Org1:T1 Org2:T3
T4\tCountry 68 74\tQuessa
R1\tOrigin Arg1:T3 Arg2:T4
A1\tNegation E1
M1\tConfidence E1 L1
N1\tReference T4 Wikipedia:534366\tQuessa
*\tEquiv T1 T5
T5\tOrganization 76 89\tNorvik Motors
T6\tRegion 107 112;123 127\tNorth Marn
#1\tAnnotatorNotes T1\ta note with T7\tLOC 0 3
"""


ONE = {"train": "train", "validation": None, "test": None}


def by_hand(text: str, ann: str) -> list[tuple[int, int, str]]:
    """An independent reading: from the first number to the last."""
    found = []
    for line in ann.splitlines():
        if line.startswith("T"):
            name, *numbers = line.split("\t")[1].replace(";", " ").split(" ")
            found.append((int(numbers[0]), int(numbers[-1]), name))
    return sorted(found)


@pytest.fixture
def pair(tmp_path):
    def write(text: str = TEXT, ann: str | None = ANN, name: str = "doc-1"):
        path = tmp_path / f"{name}.txt"
        path.write_bytes(text.encode())
        if ann is not None:
            path.with_suffix(".ann").write_bytes(ann.encode())
        return path

    return write


def test_every_span_is_read(pair):
    with recorded() as notes:
        (document,) = documents(pair())
    assert document.text == TEXT
    assert document.id == "doc-1"
    assert spans(document) == by_hand(TEXT, ANN)
    assert "North and South Marn" in [TEXT[start:end] for start, end, _ in spans(document)]
    assert [text.rpartition("/")[2] for _, text in notes] == [
        "doc-1.ann:12 'North and South Marn': read from the first of its pieces to the last"
    ]


def test_what_is_not_read_is_counted_over_the_split(pair, caplog):
    path = pair()
    pair(name="doc-2")
    with caplog.at_level(logging.INFO):
        load_corpus(Data(path=str(path.parent), splits=ONE))
    assert (
        "train: not read, as words have one tag each: attributes 4, events 2, "
        "gaps in entities of several pieces 2, links to a database 2, notes 2, relations 4" in caplog.text
    )


def test_a_span_over_the_end_of_a_line_and_text_with_crlf(pair):
    text = "Upper\r\nTarn is a town.\r\n"
    (document,) = documents(pair(text, "T1\tLOC 0 5;7 11\tUpper Tarn\r\nT2\tX 12 14\tis\r\n"))
    assert spans(document) == [(0, 11, "LOC"), (12, 14, "X")]


def test_offsets_in_utf16_units(pair):
    path = pair("😊 In Bern", "T1\tLOC 6 10\tBern\n")
    assert refused(path).startswith("doc-1.ann:1: characters 6 to 10 of a text with 9")
    assert spans(documents(path, offsets="utf16")[0]) == [(5, 9, "LOC")]


def test_a_text_without_entities(pair):
    assert documents(pair("Nothing here.\n", ""))[0].spans == ()
    assert documents(pair("\n", "", name="b")) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("T1\tORG 0 999\tNorvik", "characters 0 to 999 of a text with 135; give every entity a start"),
        ("T1\tORG 3 3\t", "characters 3 to 3 of a text with 135"),
        ("T1\tORG 0 6\tBrint", "the entity is 'Brint', but the text there is 'Norvik'; count characters"),
        ("T1 ORG 0 6 Norvik", "'T1 ORG 0 6 Norvik' is no annotation of brat; write entities as ID, tab"),
        ("what\tORG 0 6\tNorvik", "'what ORG 0 6 Norvik' is no annotation of brat"),
    ],
)
def test_errors_name_the_line(pair, line, message):
    assert refused(pair(ann=f"T0\tORG 0 6\tNorvik\n\n{line}\n")).startswith(f"doc-1.ann:3: {message}")


def test_offsets_in_a_text_with_crlf_are_explained(pair):
    assert "its lines end with CR LF, which are two" in refused(pair("a\r\nBern\r\n", "T1\tLOC 2 6\tBern\n"))


def test_a_text_without_its_annotations(pair):
    pair()
    assert refused(pair(ann=None, name="doc-2")).startswith(
        "doc-2.txt: no doc-2.ann beside this text, in a folder of brat; create it"
    )


def test_folders_of_pairs_are_splits():
    corpus = load_corpus(Data(path=str(CASES / "formats/brat")))
    for split in ("train", "validation", "test"):
        found = []
        part = corpus.splits[split]
        for words, start, end in zip(part.tokens, part.offsets[:-1], part.offsets[1:], strict=True):
            entity: list[str] = []
            for word, tag in zip(words, [corpus.labels.tags[t] for t in part.tags[start:end]], strict=True):
                if not tag.startswith("I-") and entity:
                    found.append((entity[0], " ".join(entity[1:])))
                    entity = []
                if tag != "O":
                    entity += [word] if entity else [tag[2:], word]
            found += [(entity[0], " ".join(entity[1:]))] if entity else []
        wanted = []
        for ann in sorted((CASES / "formats/brat" / split).glob("*.ann")):
            lines = [line.split("\t") for line in ann.read_text().splitlines()]
            in_order = sorted(lines, key=lambda cells: int(cells[1].split()[1]))
            wanted += [(cells[1].split()[0], cells[2]) for cells in in_order]
        assert found == wanted


def test_a_flat_folder_is_one_split_and_its_annotations_are_part_of_the_data(pair):
    path = pair()
    pair("In Bern .", "T1\tLOC 3 7\tBern\n", name="other")
    data = Data(path=str(path.parent), splits=ONE)
    corpus = load_corpus(data)
    assert {origin.rpartition("/")[2].split(":")[0] for origin in corpus.splits["train"].origin} == {
        "doc-1.txt",
        "other.txt",
    }
    before = source_stamp(data)
    path.with_suffix(".ann").write_text(ANN.replace("Country", "Planet"))
    assert source_stamp(data) != before


def test_texts_named_after_splits_are_splits(pair, tmp_path):
    for name in ("train", "dev", "test"):
        pair(f"In {name} .", f"T1\tLOC 3 {3 + len(name)}\t{name}\n", name=name)
    corpus = load_corpus(Data(path=str(tmp_path)))
    assert [split.tokens[0][1] for split in corpus.splits.values()] == ["train", "dev", "test"]


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="T1 \tORG;059AEXR*#\n\r\u2028é"))
def test_any_annotations_give_spans_or_an_error(text):
    try:
        found = parse(text, TEXT, file="a.ann")
    except UserError as error:
        assert error.where is not None and error.where.startswith("a.ann:")
    else:
        assert all(0 <= span.start < span.end <= len(TEXT) for span in found.spans)
