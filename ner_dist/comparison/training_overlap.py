"""What a model has seen: the sentences of its training split, and the words that are entities in it.

The text is read again by the run's own recipe: from the data prepared for the training if it is still there,
else from the source. Nothing is downloaded, and neither tokenizer nor encoder is needed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from ner_dist.errors import UserError
from ner_dist.labels import extract_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

    from ner_dist.labels import LabelSet
    from ner_dist.run.directory import Run

log = logging.getLogger(__name__)

NO_WORDS = "the predictions hold no words"
NO_TRAINING = "the training text could not be read"
NO_RUN = "a file of predictions does not say what was trained on"
"""Why what depends on the training text may not be known."""


@dataclass(frozen=True)
class TrainingText:
    """The training split, looked up by words."""

    forms: dict[str, frozenset[str]]
    """The types that each surface form has as an entity: its words joined by a space, cased as they are."""
    sentences: frozenset[str]
    """The distinct sentences, as `_key` makes them of their words."""

    @classmethod
    def from_split(
        cls, tokens: Iterable[Sequence[str]], tags: np.ndarray, offsets: np.ndarray, labels: LabelSet
    ) -> TrainingText:
        """Of all types of the data, whatever of them is learnt.

        Args:
            tokens: the words of every sentence.
            tags: label id of every word, int [W]; entities are read in strict IOB2, as gold is in scoring.
            offsets: int64 [N+1].
            labels: what the ids mean.
        """
        spans = extract_spans(tags, offsets, labels, strict=True)
        words = [word for sentence in tokens for word in sentence]
        forms: dict[str, set[str]] = {}
        for index, start, end in zip(
            spans.type.tolist(), spans.start.tolist(), spans.end.tolist(), strict=True
        ):
            forms.setdefault(" ".join(words[start:end]), set()).add(labels.types[index])
        bounds = offsets.tolist()
        sentences = frozenset(_key(words[start:end]) for start, end in pairwise(bounds))
        return cls({form: frozenset(types) for form, types in forms.items()}, sentences)

    def types_of(self, words: Sequence[str]) -> frozenset[str]:
        """The types that these words have as an entity; empty if they never are one."""
        return self.forms.get(" ".join(words), frozenset())

    def holds(self, words: Sequence[str]) -> bool:
        """Whether a sentence of exactly these words stands in it."""
        return _key(words) in self.sentences


def of_run(run: Run) -> TrainingText | str:
    """The training split of a run; or that it cannot be read, with a line in the log that says why.

    Text that has changed since the run was trained is not what the model has seen, and is refused.
    """
    try:
        return _read(run)
    except (UserError, OSError, ValueError, KeyError) as error:
        log.warning("%s: the training text cannot be read: %s", run.folder, error)
        return NO_TRAINING


def _read(run: Run) -> TrainingText:
    # Here, for what they import: a comparison of plain files reads no data.
    from ner_dist.data.prepare import find_prepared
    from ner_dist.data.sources import SYNTHETIC, load_corpus
    from ner_dist.recipe_file import load_recipe
    from ner_dist.run.provenance import provenance_of

    if not run.recipe.exists():
        raise UserError("there is no recipe", where=str(run.recipe))
    data = load_recipe(run.recipe).data
    fingerprint = provenance_of(run).get("data_fingerprint")
    prepared = find_prepared(data, fingerprint=fingerprint) if fingerprint else None
    if prepared is not None:
        split = prepared.splits["train"]
        return TrainingText.from_split(split.tokens(), split.tags, split.offsets, prepared.labels)
    if data.path != SYNTHETIC and not Path(data.path).expanduser().exists():
        raise UserError("neither prepared on this machine nor a file or folder", where=data.path)
    corpus = load_corpus(data)
    if fingerprint and corpus.fingerprint != fingerprint:
        raise UserError("has changed since the run was trained", where=data.path)
    found = corpus.splits["train"]
    return TrainingText.from_split(found.tokens, found.tags, found.offsets, corpus.labels)


def _key(words: Sequence[str]) -> str:
    # The control character made for it, so that words which hold a space stay apart from two words.
    return "\x1f".join(words)
