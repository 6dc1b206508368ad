"""Read a file as training would, to data or one error."""

from __future__ import annotations

from pathlib import Path

from ner_dist.data.corpus import Corpus
from ner_dist.data.sources import load_corpus
from ner_dist.errors import UserError
from ner_dist.recipe_data import Data, SplitNames


def read(path: Path, **settings) -> Corpus | UserError:
    """The data of a file, or the error that a user sees; whatever else is raised is a bug."""
    splits = SplitNames(validation=None, test=None)
    try:
        return load_corpus(Data(path=str(path), splits=splits, **settings))
    except UserError as error:
        return error


def check(outcome: Corpus | UserError, folder: Path) -> None:
    """Check that an outcome is data that hangs together, or one printable line that names its place."""
    if isinstance(outcome, UserError):
        message = str(outcome)
        assert message.isprintable(), ascii(message)
        assert message.startswith((f"{folder}/", "data.")), message
        assert len(message) < 2000, message[:200]
        return
    split = outcome.splits["train"]
    assert split.offsets[-1] == len(split.tags) == sum(map(len, split.tokens))
    "".join(word for words in split.tokens for word in words).encode()
    "".join(outcome.labels.tags).encode()


def read_annotated(folder: Path, text: bytes, annotations: bytes) -> Corpus | UserError:
    """The data of a text with brat's annotations."""
    (folder / "a.txt").write_bytes(text)
    (folder / "a.ann").write_bytes(annotations)
    return read(folder / "a.txt")
