"""Texts in any language are cut into words and sentences by the rule that is asked for."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_dist.data.words import TextRule
from ner_dist.errors import UserError
from ner_dist.recipe_file import data_section

ANY = st.text(st.characters(exclude_categories=()), max_size=60)


def words(text: str, rule: str = "unicode") -> list[str]:
    return [text[start:end] for start, end in TextRule(rule).word_ranges(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ann Lee's, U.S.A.", ["Ann", "Lee", "'", "s", ",", "U", ".", "S", ".", "A", "."]),
        ("(Bern),Bern.Zürich 3,000.50", ["(", "Bern", ")", ",", "Bern", ".", "Zürich", "3,000.50"]),
        ("l’Oréal in Berlin-Mitte", ["l", "’", "Oréal", "in", "Berlin", "-", "Mitte"]),
        ("小明在北京。", ["小", "明", "在", "北", "京", "。"]),
        ("トヨタは東京です", ["トヨタ", "は", "東", "京", "で", "す"]),
        ("นายสมชายไปกรุงเทพมหานคร", ["นาย", "สมชาย", "ไป", "กรุงเทพมหานคร"]),
        ("서울에서 만난", ["서울에서", "만난"]),
        ("👨‍👩‍👧 💩This🇩🇪🇫🇷", ["👨‍👩‍👧", "💩", "This", "🇩🇪", "🇫🇷"]),
        ("cafe\u0301 か\u3099 葛\U000e0100", ["cafe\u0301", "か\u3099", "葛\U000e0100"]),
        (" \t\n\u00a0\u3000", []),
        ("", []),
    ],
)  # fmt: skip
def test_unicode_words(text, expected):
    assert words(text) == expected


def test_other_rules():
    assert words("Ann Lee's,\nU.S.A.", "whitespace") == ["Ann", "Lee's,", "U.S.A."]


def test_spacy_cuts_as_its_tokenizer_does():
    spacy = pytest.importorskip("spacy")
    text = "Ann Lee's  dog\ndoesn't"
    expected = [str(token) for token in spacy.blank("en")(text) if not token.is_space]
    assert words(text, "spacy:en") == expected
    with pytest.raises(UserError, match=r"data.words=spacy:qq: spaCy has no tokenizer for it"):
        words(text, "spacy:qq")


@given(ANY, st.sampled_from(["unicode", "whitespace"]))
def test_words_hold_everything_but_blanks(text, rule):
    ranges = TextRule(rule).word_ranges(text)
    assert all(a < b for a, b in ranges)
    assert all(before[1] <= after[0] for before, after in pairwise(ranges))
    assert "".join(text[a:b] for a, b in ranges) == re.sub(r"\s", "", text)
    assert not any(character.isspace() for a, b in ranges for character in text[a:b])


@given(ANY, st.sampled_from(["lines", "unicode", "none"]))
def test_sentences_hold_every_word_once(text, rule):
    rules = TextRule(sentences=rule)
    found = rules.word_ranges(text)
    firsts = rules.first_words(text, found)
    assert firsts == sorted(set(firsts)) and firsts[:1] == ([0] if found else [])
    assert all(first < len(found) for first in firsts)


def test_sentences():
    text = "Ann is here. Ben too.\n\nDr. Lee\u2028left"
    rules = {rule: TextRule(sentences=rule) for rule in ("lines", "unicode", "none")}
    found = {
        rule: [text[start:end].strip() for start, end in each.sentence_ranges(text)]
        for rule, each in rules.items()
    }
    assert found["none"] == [text]
    assert found["lines"] == ["Ann is here. Ben too.", "Dr. Lee", "left"]
    assert [each for each in found["unicode"] if each] == ["Ann is here.", "Ben too.", "Dr.", "Lee", "left"]


def test_a_rule_travels_as_json():
    rule = TextRule("whitespace", "none")
    assert rule.as_dict() == {"words": "whitespace", "sentences": "none"}
    written = TextRule().as_dict()
    assert TextRule.from_dict(written) == TextRule() and re.fullmatch(r"\d+(\.\d+)+", written["icu"])


def test_unknown_rules_are_refused():
    with pytest.raises(UserError, match=r"data.words"):
        data_section(["data.words=thai"], path="x")
