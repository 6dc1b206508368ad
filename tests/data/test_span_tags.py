"""Spans become tags, and tags the same spans; what tags cannot express follows a rule and is listed."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_dist.data.documents import Document, rows_from_documents
from ner_dist.data.notes import recorded
from ner_dist.data.span_tags import Span, spans_of_tags
from ner_dist.data.words import TextRule
from ner_dist.errors import UserError
from ner_dist.recipe_data import Data

TYPES = st.sampled_from(["PER", "LOC", "O", "B-X", "Name der Stadt", "人"])


def rows(text: str, *spans: tuple[int, int, str], line: int = 7, **settings):
    data = Data(path="unused", **settings)
    document = Document(text, tuple(Span(*span) for span in spans), line)
    return rows_from_documents([document], data, file="a.jsonl")


def entities(found) -> list[tuple[int, int, str]]:
    tags = [found.values[code] for code in found.tags]
    spans = spans_of_tags(tags, [tuple(each) for each in found.chars.tolist()])
    return [(span.start, span.end, span.type) for span in spans]


@st.composite
def aligned(draw):
    """A text of any characters with spans from word to word, none over another."""
    text = draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
    rule = draw(st.sampled_from(["unicode", "whitespace"]))
    words = TextRule(rule).word_ranges(text)
    cuts = sorted(draw(st.sets(st.integers(0, len(words)), max_size=12)))
    pairs = [(a, b) for a, b in pairwise(cuts) if draw(st.booleans())]
    spans = [(words[a][0], words[b - 1][1], draw(TYPES)) for a, b in pairs]
    return text, spans, rule, draw(st.sampled_from(["lines", "unicode", "none"]))


@given(aligned(), st.randoms(use_true_random=False))
def test_aligned_spans_come_back_as_they_were(drawn, random):
    text, spans, rule, sentences = drawn
    shuffled = random.sample(spans, len(spans))
    with recorded() as notes:
        found = rows(text, *shuffled, words=rule, sentences=sentences)
    assert entities(found) == spans
    assert not [says for level, says in notes if level == "warning"]


TEXT = "In Berlin-Mitte, Ann"


@pytest.mark.parametrize(
    ("rule", "spans", "expected", "says"),
    [
        ("expand", [(3, 8, "LOC")], [(3, 9, "LOC")], "`Berli` (LOC) becomes `Berlin`"),
        ("shrink", [(3, 12, "LOC")], [(3, 10, "LOC")], "`Berlin-Mi` (LOC) becomes `Berlin-`"),
        ("shrink", [(4, 8, "LOC")], [], "without_words: `erli` (LOC)"),
        ("expand", [(2, 10, "LOC")], [(3, 10, "LOC")], "blanks: `Berlin-` (LOC)"),
        ("expand", [(2, 3, "LOC")], [], "empty: 2 to 3 (LOC)"),
        ("expand", [(5, 5, "LOC")], [], "empty: 5 to 5 (LOC)"),
        ("expand", [(3, 9, "LOC"), (3, 9, "LOC")], [(3, 9, "LOC")], "repeated: `Berlin` (LOC)"),
    ],
)
def test_spans_off_the_words(log_lines, rule, spans, expected, says):
    with recorded() as notes:
        found = rows(TEXT, *spans, misaligned=rule)
    assert entities(found) == expected
    details = [text for level, text in notes if level == "debug"]
    assert len(details) == 1 and details[0].startswith("a.jsonl:7: ") and details[0].endswith(says)
    (line,) = log_lines
    assert line.startswith("a.jsonl: 1 span ") and ": at 7 " in line


@pytest.mark.parametrize(
    ("rule", "spans", "expected", "pair"),
    [
        ("longest", [(3, 9, "CITY"), (3, 15, "LOC")], [(3, 15, "LOC")], "CITY in LOC 1"),
        ("shortest", [(3, 9, "CITY"), (3, 15, "LOC")], [(3, 9, "CITY")], "LOC around CITY 1"),
        ("longest", [(0, 9, "A"), (3, 15, "B")], [(3, 15, "B")], "A across B 1"),
        ("longest", [(3, 9, "A"), (3, 9, "B")], [(3, 9, "A")], "B on the words of A 1"),
        ("longest", [(3, 9, "A"), (9, 10, "B"), (9, 16, "C")], [(3, 9, "A"), (9, 16, "C")], "B in C 1"),
        ("longest", [(3, 5, "A"), (6, 9, "B")], [(3, 9, "A")], "B on the words of A 1"),
    ],
)
def test_overlaps(log_lines, rule, spans, expected, pair):
    assert entities(rows(TEXT, *spans, overlapping=rule)) == expected
    line = next(each for each in log_lines if "overlap" in each)
    assert f"left out (data.overlapping): {pair}: at 7 " in line


def test_rules_that_stop():
    with pytest.raises(UserError, match=r"^a.jsonl:7: span `Berli` \(LOC\) begins or ends within a word; "):
        rows(TEXT, (3, 8, "LOC"), misaligned="error")
    with pytest.raises(UserError, match=r"^a.jsonl:7: overlapping spans: `Berlin` \(A\) in `Berlin-Mitte`"):
        rows(TEXT, (3, 15, "B"), (3, 9, "A"), overlapping="error")


@pytest.mark.parametrize("span", [(-1, 2, "A"), (3, 21, "A"), (5, 3, "A")])
def test_spans_outside_the_text_are_errors(span):
    with pytest.raises(UserError, match=r"^a.jsonl:7: span .* in a text of 20 characters; .*data.offsets"):
        rows(TEXT, span)


def test_a_sentence_does_not_end_within_an_entity(log_lines):
    found = rows("Ann from New\nYork\nleft", (9, 17, "LOC"))
    assert found.tokens == [["Ann", "from", "New", "York"], ["left"]]
    assert entities(found) == [(9, 17, "LOC")]
    assert "1 end of a sentence is within a span" in log_lines[0]
    assert found.documents == ["a.jsonl:7", "a.jsonl:7"] and found.origin() == ["a.jsonl:7", "a.jsonl:7"]


def test_the_log_shows_some_and_the_details_hold_all(log_lines):
    spans = [(4 * i, 4 * i + 2, "A") for i in range(50)]
    with recorded() as notes:
        rows("abc " * 50, *spans)
    assert len([level for level, _ in notes if level == "debug"]) == 50
    (line,) = log_lines
    assert "50 spans begin or end within a word" in line and line.endswith("and 47 more")
    assert not logging.getLogger("ner_dist.data.details").handlers


def test_words_and_sentences_of_the_tool_are_kept():
    document = Document("ab cd", (Span(1, 4, "A"),), 1, words=((0, 1), (1, 2), (3, 5)), sentences=(0, 1))
    found = rows_from_documents([document], Data(path="x"), file="f")
    assert found.tokens == [["a"], ["b", "cd"]] and entities(found) == [(1, 5, "A")]
