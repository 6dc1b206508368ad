"""Checks of characters that cannot be seen: controls, zero-width marks, blanks inside words, lost letters."""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

from ner_dist import formatting
from ner_dist.doctor.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ner_dist.doctor.inspected import Inspected

_LOST = "\ufffd"
_JOINERS = "\u200c\u200d"
"""Zero-width joiners, which belong to words of Indic and Persian script, and to emoji."""


def check_characters(splits: Mapping[str, Inspected]) -> list[Finding]:
    """Findings about characters."""
    return [found for split in splits.values() for found in _of_split(split)]


def _of_split(split: Inspected) -> list[Finding]:
    """Words with characters that cannot be seen, and sentences with letters that were lost."""
    strange = Counter[str]()
    sentences: dict[int, None] = {}
    lost: dict[int, None] = {}
    words = 0
    for index, sentence in enumerate(split.split.tokens):
        # One look at the whole sentence: nearly all hold nothing strange.
        if not any(map(_is_strange, set("".join(sentence)))):
            continue
        for word in sentence:
            own = {char for char in word if _is_strange(char) and not (char in _JOINERS and _joins(word))}
            if _LOST in own:
                lost[index] = None
            if own - {_LOST}:
                words += 1
                sentences[index] = None
                strange.update(own - {_LOST})
    findings = []
    if sentences:
        findings.append(_unseen(split, sentences, words, strange))
    if lost:
        findings.append(_lost(split, lost))
    return findings


def _unseen(split: Inspected, sentences: Iterable[int], words: int, strange: Counter[str]) -> Finding:
    named = [f"U+{ord(char):04X} ({number})" for char, number in strange.items()]
    return Finding(
        check="control_characters",
        severity="warning",
        split=split.name,
        count=words,
        what=f"{formatting.counted(words, 'word holds', 'words hold')} characters that cannot be seen, or "
        f"blanks: {formatting.joined(named, most=6)}",
        effect="such a word looks like another but has other subwords, or none: its tag is then not learnt, "
        "and the same name elsewhere is not recognised",
        remedy="remove them from the text, in the data and where the model is used",
        examples=split.sentences(sentences),
    )


def _lost(split: Inspected, sentences: dict[int, None]) -> Finding:
    number = formatting.counted(len(sentences), "sentence holds", "sentences hold")
    return Finding(
        check="lost_characters",
        severity="error",
        split=split.name,
        count=len(sentences),
        what=f"{number} U+FFFD, which stands for letters that were lost in a conversion",
        effect="names are damaged, so the model learns names that do not exist",
        remedy="convert the source to UTF-8 from its true encoding again",
        examples=split.sentences(sentences),
    )


@cache
def _is_strange(char: str) -> bool:
    return char == _LOST or unicodedata.category(char) in ("Cc", "Cf", "Co", "Cn", "Zs", "Zl", "Zp")


def _joins(word: str) -> bool:
    """Whether a joiner in this word belongs there: it has letters beyond Latin, or emoji."""
    return any(ord(char) > 0x5FF and char not in _JOINERS for char in word)
