"""A split with its gold labels, as training, evaluation and prediction files use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ner_dist.data.annotation import Annotation, annotation_of
from ner_dist.labels import UNLABELLED, look_up

if TYPE_CHECKING:
    from ner_dist.data.encoding import Encoded
    from ner_dist.data.prepared import Prepared, PreparedSplit
    from ner_dist.labels import LabelSet


@dataclass(frozen=True)
class LabelledSplit:
    """A prepared split with gold tags in the label set that is learned or scored."""

    prepared: PreparedSplit
    tags: np.ndarray
    """int16 [W]: id in `labels` of every word, sentence after sentence; `UNLABELLED` where there is none."""
    labels: LabelSet
    pad_id: int
    """Subword id of padding."""
    annotation: Annotation | None = None
    """What the words' sources annotate, if that is not everything."""

    @property
    def encoded(self) -> Encoded:
        return self.prepared.encoded

    @property
    def offsets(self) -> np.ndarray:
        """int64 [N+1]: sentence i holds the words offsets[i]:offsets[i + 1]."""
        return self.prepared.offsets

    @property
    def n_sentences(self) -> int:
        return self.prepared.n_sentences

    def labelled_words(self) -> tuple[np.ndarray, np.ndarray]:
        """The words that carry a loss, and the example that owns each: two int [n] of equal length."""
        encoded = self.encoded
        owned = encoded.word_index >= 0
        words = encoded.word_index[owned]
        example = np.repeat(np.arange(len(encoded.example_offsets) - 1), encoded.lengths)[owned]
        labelled = self.tags[words] != UNLABELLED
        return words[labelled], example[labelled]

    def without_subwords(self) -> np.ndarray:
        """Words without subwords, ascending, int [n]."""
        return self.encoded.without_subwords(len(self.tags))


def label_splits(data: Prepared, labels: LabelSet) -> dict[str, LabelledSplit]:
    """Project the tags of every split onto a label set; other types become O."""
    projection = data.labels.projection(labels)
    return {
        name: LabelledSplit(
            split,
            tags=look_up(projection, split.tags),
            labels=labels,
            pad_id=data.pad_id,
            annotation=annotation_of(data.sources, split.source, split.offsets, labels),
        )
        for name, split in data.splits.items()
    }
