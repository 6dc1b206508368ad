"""Entities written in every scheme, word by word."""

from __future__ import annotations

from hypothesis import strategies as st

TYPES = ("PER", "B", "GPE-LOC", "I-S")

Sentence = tuple[int, list[tuple[str, int, int]]]
"""How many words, and the entities: type, first word, the word behind the last."""


@st.composite
def some_sentences(draw, *, types=TYPES, least=0) -> list[Sentence]:
    """Sentences with entities that do not overlap, some of which stand side by side."""
    sentences = []
    for _ in range(draw(st.integers(0, 6))):
        sentences.append(draw(one_sentence(types)))
    while sum(len(entities) for _, entities in sentences) < least:
        sentences.append((2, [(types[0], 0, 1)]))
    return sentences


@st.composite
def one_sentence(draw, types=TYPES) -> Sentence:
    entities, at = [], 0
    for _ in range(draw(st.integers(0, 4))):
        start = at + draw(st.integers(0, 2))
        at = start + draw(st.integers(1, 3))
        entities.append((draw(st.sampled_from(types)), start, at))
    return at + draw(st.integers(0, 2)), entities


def written(sentences: list[Sentence], scheme: str) -> list[list[str]]:
    """The tags of every sentence."""
    return [_sentence(length, entities, scheme) for length, entities in sentences]


def _sentence(length: int, entities: list[tuple[str, int, int]], scheme: str) -> list[str]:
    tags = ["O"] * length
    first, last, only = {
        "IOB2": "BIB",
        "IOB1": "IIB",
        "IO": "III",
        "bare": "III",
        "IOBES": "BES",
        "BILOU": "BLU",
        "BMES": "BES",
        "BMEWO": "BEW",
        "IOE2": "IEE",
    }[scheme]
    inside = "M" if scheme.startswith("BM") else "I"
    behind = {end: name for name, _, end in entities}
    for name, start, end in entities:
        parts = [inside] * (end - start)
        if scheme == "IOB1":
            parts[0] = "B" if behind.get(start) == name else "I"
        elif end - start == 1:
            parts[0] = only
        else:
            parts[0], parts[-1] = first, last if scheme != "IOB2" else "I"
        for word, part in zip(range(start, end), parts, strict=True):
            tags[word] = name if scheme == "bare" else f"{part}-{name}"
    return tags


def merged(sentences: list[Sentence]) -> list[Sentence]:
    """The sentences as IO expresses them: adjacent entities of one type are merged."""
    kept = []
    for length, entities in sentences:
        joined: list[tuple[str, int, int]] = []
        for name, start, end in entities:
            if joined and joined[-1][0] == name and joined[-1][2] == start:
                joined[-1] = (name, joined[-1][1], end)
            else:
                joined.append((name, start, end))
        kept.append((length, joined))
    return kept


def read_plainly(tags: list[str], *, begins_with_inside: bool) -> list[str]:
    """IOB2 of one sentence, by a walk from word to word."""
    iob2: list[str] = []
    before, is_open, dropping = None, False, False
    for tag in tags:
        part, _, name = tag.partition("-")
        if tag == "O":
            iob2.append("O")
            before, is_open = None, False
            continue
        if part in "BSUW":
            iob2.append(f"B-{name}")
            dropping = False
        elif before == name and is_open:
            iob2.append("O" if dropping else f"I-{name}")
        else:
            # Behind an entity of its type that has ended, an I- would be read as the rest of it.
            dropping = not begins_with_inside and before == name
            iob2.append("O" if dropping else f"{'B' if begins_with_inside else 'I'}-{name}")
        before, is_open = name, part in "BIM"
    return iob2
