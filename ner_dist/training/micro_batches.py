"""The micro-batches of a training: planned, and built as tensors; packed rows or padded rectangles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ner_dist.data.batch_plan import Plan, plan_epoch
from ner_dist.data.collate import Batch, collate
from ner_dist.data.packed_plan import PackedPlan, plan_packed_epoch
from ner_dist.data.packed_row import PackedRow, pack

if TYPE_CHECKING:
    import torch

    from ner_dist.data.labelled import LabelledSplit
    from ner_dist.recipe import FixedTrain


def plan_training(lengths: np.ndarray, settings: FixedTrain, *, epoch: int = 0) -> Plan:
    """The plan of an epoch, as `train.packing` says.

    Args:
        lengths: subwords of each example, int [E].
        settings: the recipe's `train`.
        epoch: from 0.

    Raises:
        UserError: there are no examples, or one does not fit into a micro-batch.
    """
    plan = plan_packed_epoch if settings.packing else plan_epoch
    return plan(
        lengths,
        batch_tokens=settings.batch_tokens,
        micro_batch_tokens=settings.micro_batch_tokens,
        seed=settings.seed,
        epoch=epoch,
    )


class MicroBatches:
    """Plans epochs and builds their micro-batches on a device."""

    def __init__(
        self,
        split: LabelledSplit,
        settings: FixedTrain,
        *,
        device: torch.device,
        first_position: int,
        grouped: bool = True,
    ) -> None:
        """
        Args:
            split: the training data.
            settings: the recipe's `train`.
            device: of the model.
            first_position: position id of an example's first subword.
            grouped: form the groups of sentences that attention needs where it has no kernel.
        """
        self.split, self.settings = split, settings
        self.device, self.first_position, self.grouped = device, first_position, grouped
        self._plan = (0, plan_training(split.encoded.lengths, settings))

    def plan(self, epoch: int) -> Plan:
        """The plan of an epoch; it is kept until another is asked for."""
        if self._plan[0] != epoch:
            self._plan = (epoch, plan_training(self.split.encoded.lengths, self.settings, epoch=epoch))
        return self._plan[1]

    def build(self, plan: Plan, examples: np.ndarray) -> Batch | PackedRow:
        """The tensors of one micro-batch of a plan; without examples, those of empty work."""
        split = self.split
        pin = self.device.type == "cuda"
        if isinstance(plan, PackedPlan) and len(examples):
            row = pack(
                split.encoded,
                examples,
                split.tags,
                plan=plan,
                pad_id=split.pad_id,
                first_position=self.first_position,
                grouped=self.grouped,
                annotation=split.annotation,
                pin=pin,
            )
            return row.to(self.device)
        batch = collate(
            split.encoded, examples, split.tags, pad_id=split.pad_id, annotation=split.annotation, pin=pin
        )
        return batch.to(self.device)
