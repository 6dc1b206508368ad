"""Cut a text into words and sentences by a named rule, the same in training and in prediction.

The rule `unicode` follows Unicode's word boundaries (UAX 29), through ICU, and cuts finer in two places, so
that entities begin and end at words. Marks between letters are words of their own: `Smith's` is `Smith`, `'`,
`s`. Han and Hiragana are cut into characters, as the annex does without a dictionary: a dictionary's words
often begin or end inside a name. Thai, Lao, Khmer and Burmese are cut by ICU's dictionaries.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

from ner_dist.errors import UserError

Range = tuple[int, int]
"""Start and end in code points, the end exclusive."""

# Unicode's MidLetter and MidNumLet: marks that join two letters to one word.
_JOINING = "'.\u00b7\u0387\u055f\u05f4\u2018\u2019\u2024\u2027:\ufe13\ufe52\ufe55\uff07\uff0e\uff1a"
_HIRAGANA = "\u3041-\u3096\u309d-\u309f"
_HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_DIVIDES = re.compile(f"[{_JOINING}{_HIRAGANA}{_HAN}]")
_SURROGATE = re.compile("[\ud800-\udfff]")
# What splits a text into lines, as in Unicode's rules for paragraphs.
_LINE = re.compile("[^\n\r\x85\u2028\u2029]+")


@dataclass(frozen=True)
class TextRule:
    """The rules by which a text is cut; travels with a model as `as_dict()`."""

    words: str = "unicode"
    """`unicode`, `whitespace`, or `spacy:` with the language of one of spaCy's tokenizers."""
    sentences: str = "lines"
    """`lines`, `unicode`, or `none` for the whole text."""

    def as_dict(self) -> dict[str, str]:
        """The rules, and the version of the library that applies them, as JSON."""
        return {"words": self.words, "sentences": self.sentences, **self._library}

    @classmethod
    def from_dict(cls, written: dict[str, Any]) -> TextRule:
        """The rules that `as_dict` has written, for the library that is installed now."""
        return cls(words=written["words"], sentences=written["sentences"])

    @cached_property
    def _library(self) -> dict[str, str]:
        if self.words.startswith("spacy:"):
            return {"spacy": version("spacy")}
        if "unicode" in (self.words, self.sentences):
            from icu4py._version import icu_version

            return {"icu": icu_version}
        return {}

    def word_ranges(self, text: str) -> list[Range]:
        """Start and end of every word of a text. Words hold no blanks and everything else.

        Raises:
            UserError: spaCy is needed and not installed, or lacks the language.
        """
        if self.words == "whitespace":
            return [match.span() for match in re.finditer(r"\S+", text)]
        if self.words == "unicode":
            return _unicode_words(text)
        return list(_spacy_words(text, self._spacy))

    def sentence_ranges(self, text: str) -> list[Range]:
        """Start and end of every sentence of a text, in order, without overlap."""
        if self.sentences == "none":
            return [(0, len(text))]
        if self.sentences == "lines":
            return [match.span() for match in _LINE.finditer(text)]
        return _segments(text, "SentenceBreaker")

    def first_words(self, text: str, words: list[Range]) -> list[int]:
        """Index of the first word of every sentence that holds any."""
        result, at = [], 0
        for _, end in self.sentence_ranges(text):
            first = at
            while at < len(words) and words[at][0] < end:
                at += 1
            if at > first:
                result.append(first)
        return result

    @cached_property
    def _spacy(self) -> Any:
        where, language = f"data.words={self.words}", self.words.removeprefix("spacy:")
        try:
            import spacy
        except ImportError:
            raise UserError(
                "spaCy is not installed", where=where, fix="pip install 'ner_dist[spacy]'"
            ) from None
        try:
            return spacy.blank(language).tokenizer
        except ImportError as error:  # an unknown language, or a package that its tokenizer needs
            raise UserError(f"spaCy has no tokenizer for it ({error})", where=where) from None


def _segments(text: str, breaker: str) -> list[Range]:
    """The segments between ICU's boundaries, in code points. ICU counts in UTF-16."""
    from icu4py import breakers

    if not text:
        return []
    # A lone surrogate, which UTF-8 lacks, is cut like any character that Unicode has not assigned.
    whole = _SURROGATE.sub("\ufffd", text)
    found: list[Range] = list(getattr(breakers, breaker)(whole, "root").segments())
    if whole.isascii() or max(whole) < "\U00010000":
        return found
    point_of = {}
    unit = 0
    for point, character in enumerate(whole):
        point_of[unit] = point
        unit += 2 if character >= "\U00010000" else 1
    point_of[unit] = len(whole)
    return [(point_of[start], point_of[end]) for start, end in found]


def _unicode_words(text: str) -> list[Range]:
    words: list[Range] = []
    divisible = _DIVIDES.search(text) is not None
    for start, end in _segments(text, "WordBreaker"):
        if end == start + 1:
            if not text[start].isspace():
                words.append((start, end))
            continue
        # A mark that follows a blank is in one segment with it.
        for match in re.finditer(r"\S+", text[start:end]):
            word = start + match.start(), start + match.end()
            if divisible and _DIVIDES.search(text, *word):
                words.extend(_finer(text, *word))
            else:
                words.append(word)
    return words


def _finer(text: str, start: int, end: int) -> Iterator[Range]:
    """Cut a word around joining marks and single characters. `3.50` stays whole, as Unicode has it."""
    begun = start
    for match in _DIVIDES.finditer(text, start, end):
        at = match.start()
        if at < begun or (text[at] in _JOINING and _between_digits(text, at, start, end)):
            continue
        if at > begun:
            yield begun, at
        begun = at + 1
        while begun < end and unicodedata.category(text[begun]) in ("Mn", "Mc", "Me", "Cf"):
            begun += 1  # what is written upon a character belongs to it
        yield at, begun
    if begun < end:
        yield begun, end


def _between_digits(text: str, at: int, start: int, end: int) -> bool:
    return start < at < end - 1 and text[at - 1].isdigit() and text[at + 1].isdigit()


def _spacy_words(text: str, tokenizer: Any) -> Iterator[Range]:
    for token in tokenizer(text):
        # spaCy makes words of runs of blanks.
        for match in re.finditer(r"\S+", token.text):
            yield token.idx + match.start(), token.idx + match.end()
