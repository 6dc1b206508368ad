"""Text from outside is shown, and neither a terminal, a page nor a shell obeys it."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_dist.outside import quoted, shown, shown_values

OBEYED = ["\x1b[31m", "\x1b]0;title\x07", "\x9b31m", "\r", "\b", "\0", "\x7f", "\u202e", "\u2066", "\u200f"]


@pytest.mark.parametrize("text", OBEYED)
def test_what_is_obeyed_is_shown(text):
    assert shown(f"a{text}b").isprintable()
    assert shown_values([{"a": (text, 1, None)}]) == [{"a": [shown(text), 1, None]}]


def test_half_of_a_character_can_be_written():
    assert shown("\ud800").encode() == b"\\ud800"


@pytest.mark.parametrize("text", ["two\nlines\tof words", "Łódź\u00a0東京", "می\u200cخواهم", "👩\u200d🚀"])
def test_words_of_any_language_stay(text):
    assert shown(text) == text


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)))
def test_a_shell_reads_the_words_that_were_quoted(words):
    line = " ".join(map(quoted, words))
    assert line.isprintable()
    read = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True).stdout
    assert read.decode().split("\0")[:-1] == words or not words
