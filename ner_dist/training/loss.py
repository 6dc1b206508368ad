"""The loss of a training step: cross-entropy summed over labelled words, and the number to divide it by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ner_dist.errors import UserError
from ner_dist.labels import UNLABELLED
from ner_dist.model.partial_loss import summed_cross_entropy

if TYPE_CHECKING:
    from ner_dist.data.annotation import Annotation
    from ner_dist.labels import LabelSet
    from ner_dist.recipe import Train


class TaggingLoss(nn.Module):
    """Cross-entropy summed over labelled words, with optional class weights.

    The gradient of a step is that of (sum over all its words, on all ranks and in all micro-batches) divided
    by (the sum of the words' weights), so neither padding nor the split into micro-batches changes it.
    With class weights both sums are weighted, as in `torch.nn.CrossEntropyLoss(reduction="mean")`; likewise
    with weights of sources.
    """

    def __init__(
        self,
        weights: torch.Tensor | None = None,
        *,
        label_smoothing: float = 0.0,
        annotation: Annotation | None = None,
        outside: int = 0,
    ) -> None:
        """
        Args:
            weights: of each label id, fp32 [labels]; None if every word counts the same.
            label_smoothing: share of the target that is spread over all labels.
            annotation: what the sources of the words annotate, if that is not everything.
            outside: the id of `O`.
        """
        super().__init__()
        self.label_smoothing, self.outside = label_smoothing, outside
        self.weights: torch.Tensor | None
        self.annotated: torch.Tensor | None
        self.source_weights: torch.Tensor | None
        self.register_buffer("weights", weights)
        self.register_buffer("annotated", torch.from_numpy(annotation.annotated) if annotation else None)
        of_sources = torch.from_numpy(annotation.weights).float() if annotation else None
        self.register_buffer("source_weights", of_sources)

    def forward(
        self, logits: torch.Tensor, targets: torch.Tensor, sources: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The summed loss, a fp32 scalar. Targets that are `UNLABELLED` add nothing.

        Args:
            logits: [n, labels].
            targets: int64 [n].
            sources: int64 [n], the source of each word; None for data of one source.
        """
        if sources is not None and self.annotated is not None and self.source_weights is not None:
            return summed_cross_entropy(
                logits.float(),
                targets,
                self.annotated[sources],
                outside=self.outside,
                ignore_index=UNLABELLED,
                class_weights=self.weights,
                word_weights=self.source_weights[sources],
                label_smoothing=self.label_smoothing,
            )
        return nn.functional.cross_entropy(
            logits.float(),
            targets,
            self.weights,
            ignore_index=UNLABELLED,
            reduction="sum",
            label_smoothing=self.label_smoothing,
        )


def class_weights(settings: Train, labels: LabelSet, tags: Any) -> torch.Tensor | None:
    """Weight of each label id, fp32 [labels]; None if every word counts the same.

    `balanced` weighs each type (its B- and I- alike) and `O` by the inverse of its share of the words,
    scaled so that the mean weight of a training word is 1.

    Args:
        settings: the recipe's `train`.
        labels: the label set to learn.
        tags: label id of every training word, int [W].
    """
    if settings.class_weights is None:
        return None
    _, types = labels.coded()
    group = torch.as_tensor(types, dtype=torch.int64) + 1  # 0 is O, the rest types
    if settings.class_weights == "balanced":
        ids = torch.as_tensor(tags, dtype=torch.int64)
        counts = torch.bincount(group[ids[ids != UNLABELLED]], minlength=len(labels.types) + 1)
        weights = counts.sum() / (counts.clamp(min=1) * (counts > 0).sum())
        return weights.float()[group]
    unknown = settings.class_weights.keys() - {"O", *labels.types}
    if unknown:
        raise UserError(
            f"`{sorted(unknown)[0]}` is not an entity type of this training",
            where="train.class_weights",
            fix=f"the types are O, {', '.join(labels.types)}",
        )
    named = [settings.class_weights.get(name, 1.0) for name in ("O", *labels.types)]
    return torch.tensor(named, dtype=torch.float32)[group]
