"""Checks of differences between splits that show in letters and words alone: casing, scripts, language.

No language model is needed for shifts that ruin a score. The share of words that begin with a capital letter
tells lower-cased text; the share of letters of each script tells Latin from Cyrillic; the share of running
words among train's most frequent ones tells English from German.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

from ner_dist import formatting
from ner_dist.doctor.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ner_dist.doctor.inspected import Inspected

_SHIFT = 0.1
"""Difference of shares, in points, that a random cut of one corpus does not show."""
_FREQUENT = 100
_LEAST_WORDS = 500
"""Words of a split below which its shares are chance."""


def check_shifts(splits: Mapping[str, Inspected]) -> list[Finding]:
    """Findings about casing, and about splits that differ from train."""
    findings = [found for split in splits.values() for found in _without_capitals(split)]
    train = splits.get("train")
    for name in ("validation", "test"):
        if train is not None and name in splits:
            findings += _compared(splits[name], train)
    return findings


def _without_capitals(split: Inspected) -> list[Finding]:
    capitals, cased = _capitals(split)
    if cased < _LEAST_WORDS or capitals / cased >= 0.001:
        return []
    lowered = [
        i for i, words in enumerate(split.split.tokens) if any(word.lower() != word.upper() for word in words)
    ]
    return [
        Finding(
            check="lower_cased",
            severity="warning",
            split=split.name,
            count=cased,
            what=f"{formatting.share(1 - capitals / cased)} of {cased:,} words with letters begin with a "
            "small letter: the text is lower-cased",
            effect="a cased encoder loses its best cue for names, and a model of this data does worse on "
            "text with capitals",
            remedy="model.name of an uncased encoder, such as bert-base-uncased; score on text of the same "
            "casing",
            examples=split.sentences(lowered),
        )
    ]


def _capitals(split: Inspected) -> tuple[int, int]:
    """Words that begin with a capital letter, and words whose first letter has a case."""
    words = Counter(word[:1] for sentence in split.split.tokens for word in sentence)
    cased = {char: number for char, number in words.items() if char.lower() != char.upper()}
    return sum(number for char, number in cased.items() if char != char.lower()), sum(cased.values())


def _compared(split: Inspected, train: Inspected) -> list[Finding]:
    if min(len(split.split.tags), len(train.split.tags)) < _LEAST_WORDS:
        return []
    findings = []
    own, of_train = (capitals / max(cased, 1) for capitals, cased in map(_capitals, (split, train)))
    if abs(own - of_train) > _SHIFT:
        findings.append(
            _shift(
                "casing_shift",
                split,
                f"{formatting.share(own)} of words begin with a capital letter, in train "
                f"{formatting.share(of_train)}",
                "the model relies on casing as train has it: names in other casing are missed",
                "bring both splits to one casing, or choose an uncased encoder with model.name",
            )
        )
    scripts, known = _scripts(split), _scripts(train)
    moved = sum(abs(scripts[name] - known[name]) for name in scripts | known) / 2
    if moved > _SHIFT:
        findings.append(
            _shift(
                "script_shift",
                split,
                f"{formatting.share(moved)} of letters are of other scripts than in train: "
                f"{_listed(scripts)}; train {_listed(known)}",
                "the score is that of a transfer to another script, not of the trained language",
                "data.language and data.language_column select a language, if the data names it",
            )
        )
        return findings
    own, of_train = (_covered(each, _frequent(train)) for each in (split, train))
    if own < 0.5 * of_train:
        findings.append(
            _shift(
                "language_shift",
                split,
                f"train's {_FREQUENT} most frequent words make up {formatting.share(own)} of the words, in "
                f"train {formatting.share(of_train)}: another language or another kind of text",
                "the score is that of a transfer, not of the trained language",
                "data.language and data.language_column select a language, if the data names it",
            )
        )
    return findings


def _shift(check: str, split: Inspected, what: str, effect: str, remedy: str) -> Finding:
    return Finding(
        check=check,
        severity="warning",
        split=f"{split.name} and train",
        count=len(split.split),
        what=what,
        effect=effect,
        remedy=remedy,
        examples=split.sentences(range(len(split.split))),
    )


def _scripts(split: Inspected) -> Counter[str]:
    """Share of letters of each script."""
    chars = Counter[str]()
    for sentence in split.split.tokens:
        chars.update("".join(sentence))
    scripts = Counter[str]()
    for char, number in chars.items():
        if name := _script(char):
            scripts[name] += number
    total = max(scripts.total(), 1)
    return Counter({name: number / total for name, number in scripts.items()})


@cache
def _script(char: str) -> str:
    """The first word of a letter's name in Unicode, such as LATIN; empty if it is no letter."""
    return unicodedata.name(char, "").split(" ")[0] if char.isalpha() else ""


def _listed(scripts: Counter[str]) -> str:
    return ", ".join(
        f"{name.capitalize()} {formatting.share(share)}" for name, share in scripts.most_common(3)
    )


def _frequent(train: Inspected) -> set[str]:
    words = Counter(word.casefold() for sentence in train.split.tokens for word in sentence if word.isalpha())
    return {word for word, _ in words.most_common(_FREQUENT)}


def _covered(split: Inspected, frequent: set[str]) -> float:
    words = Counter(word.casefold() for sentence in split.split.tokens for word in sentence if word.isalpha())
    return sum(number for word, number in words.items() if word in frequent) / max(words.total(), 1)
