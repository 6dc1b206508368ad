"""Amount of text in an epoch: from prepared data, from the user, or a named assumption."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.data.checksums import fault_in
from ner_dist.data.prepare import prepared_folder
from ner_dist.errors import UserError
from ner_dist.model.encoder import load_config

if TYPE_CHECKING:
    from ner_dist.recipe import Recipe

# MultiNERD's training split without repeats, and Wikipedia's sentences as RoBERTa's and XLM-R's tokenizers
# cut them: English alone, and all ten languages.
_MULTINERD = "Babelscape/multinerd"
_SENTENCES = {True: 131_280, False: 1_339_200}
_WORDS_PER_SENTENCE = 22.0
_SUBWORDS_PER_WORD = {True: 1.25, False: 1.45}
_SPECIAL = 2
_LABELS = 31


@dataclass(frozen=True)
class Workload:
    """The training split of a recipe."""

    sentences: int
    words: int
    subwords: int
    """Special tokens included."""
    longest: int | None
    """Subwords of the longest example; None where only the encoder's limit is known."""
    labels: int
    source: str
    """Source of the figures, in words."""

    @property
    def mean_length(self) -> float:
        return self.subwords / self.sentences


def workload_of(recipe: Recipe, *, sentences: int | None = None, words: int | None = None) -> Workload:
    """The recipe's training split, without a network.

    Args:
        recipe: its data is looked for among what was prepared.
        sentences: as the user says.
        words: as the user says.

    Raises:
        UserError: the data is not prepared, is none that ner_dist knows, and the user has not said.
    """
    learnt = None if recipe.labels == "all" else 2 * len(recipe.labels) + 1
    if sentences is None and words is None and (workload := _prepared(recipe, learnt)):
        return workload
    english = recipe.data.language is not None
    if sentences is None and words is None:
        if recipe.data.path == "synthetic":
            sentences, source = recipe.data.synthetic.train, "the embedded corpus's size, not prepared yet"
        elif recipe.data.path == _MULTINERD:
            sentences, source = _SENTENCES[english], "assumed: MultiNERD without repeats, 22 words a sentence"
        else:
            raise UserError(
                f"the size of {recipe.data.path} is not known before it is prepared",
                where="data.path",
                fix="run ner-dist prepare first, or say --sentences N",
            )
    else:
        source = "as given on the command line"
    n_words = words or round((sentences or 0) * _WORDS_PER_SENTENCE)
    n_sentences = sentences or max(1, round(n_words / _WORDS_PER_SENTENCE))
    subwords = round(n_words * _SUBWORDS_PER_WORD[english]) + _SPECIAL * n_sentences
    return Workload(n_sentences, n_words, subwords, longest=None, labels=learnt or _LABELS, source=source)


def _prepared(recipe: Recipe, learnt: int | None) -> Workload | None:
    """The figures of prepared data, without reading the data itself."""
    try:
        folder = prepared_folder(recipe, load_config(recipe.model))
    except UserError:
        # The model or the data is not within reach: then nothing can have been prepared from it here.
        return None
    if not (folder / "train").exists() or fault_in(folder) is not None:
        return None
    lengths = np.diff(np.load(folder / "train" / "example_offsets.npy", mmap_mode="r"))
    sentences = np.load(folder / "train" / "offsets.npy", mmap_mode="r")
    tags = json.loads((folder / "meta.json").read_text(encoding="utf-8"))["tags"]
    return Workload(
        sentences=len(sentences) - 1,
        words=int(sentences[-1]),
        subwords=int(lengths.sum()),
        longest=int(lengths.max()),
        labels=learnt or len(tags),
        source="counted in the prepared data",
    )
