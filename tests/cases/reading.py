"""Read the folders of cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from ner_dist.data.corpus import Corpus
from ner_dist.data.sources import load_corpus
from ner_dist.errors import UserError
from ner_dist.recipe_data import Data

CASES = Path(__file__).parent
# The first sentence of every folder that holds the made corpus.
FIRST = (
    ["In", "Quessa", ",", "Halden", "Works", "opened", "a", "shop", "."],
    ["O", "B-LOC", "O", "B-ORG", "I-ORG", "O", "O", "O", "O"],
)
WORDS = {"train": 535, "validation": 166, "test": 173}


def read(case: str, **settings) -> Corpus:
    return load_corpus(Data(path=str(CASES / case), **settings))


def refused(case: str, **settings) -> str:
    """The error message of reading, without the folder."""
    with pytest.raises(UserError) as caught:
        read(case, **settings)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{CASES / case}/", "")


def sentence(corpus: Corpus, split: str, index: int) -> tuple[list[str], list[str]]:
    part = corpus.splits[split]
    start, end = part.offsets[index : index + 2]
    return part.tokens[index], [corpus.labels.tags[tag] for tag in part.tags[start:end]]


def words_of(corpus: Corpus) -> dict[str, int]:
    return {name: len(split.tags) for name, split in corpus.splits.items()}


def check(corpus: Corpus) -> None:
    """Check that the data is the whole made corpus."""
    assert words_of(corpus) == WORDS
    assert sentence(corpus, "train", 0) == FIRST
    assert set(corpus.labels.types) == {"PER", "LOC", "ORG"}
