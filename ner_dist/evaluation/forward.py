"""Forward passes of a tagger that is not trained: the logits of words, their loss, and copies to the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ner_dist.data.collate import collate
from ner_dist.labels import OUTSIDE, UNLABELLED
from ner_dist.model.partial_loss import summed_cross_entropy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from ner_dist.data.annotation import Annotation
    from ner_dist.data.collate import Batch
    from ner_dist.data.encoding import Encoded
    from ner_dist.data.labelled import LabelledSplit


# Not inference_mode: what ZeRO-3 gathers in it, the next training step could not use.
@torch.no_grad()
def word_logits(
    model: torch.nn.Module,
    encoded: Encoded,
    tags: np.ndarray,
    micro_batches: Sequence[np.ndarray],
    *,
    pad_id: int,
    device: torch.device,
    annotation: Annotation | None = None,
) -> Iterator[tuple[Batch, torch.Tensor]]:
    """Run forward passes; yield each batch with the logits of its words, float32 [words, labels].

    Args:
        model: called as `model(input_ids=, attention_mask=).logits`.
        encoded: the examples.
        tags: as in `collate`.
        micro_batches: the examples of each forward pass.
        pad_id: as in `collate`.
        device: device of the model.
        annotation: as in `collate`.
    """
    pin = device.type == "cuda"
    for examples in micro_batches:
        batch = collate(encoded, examples, tags, pad_id=pad_id, annotation=annotation, pin=pin).to(device)
        yield batch, batch.of_targets(model(**batch.inputs()).logits).float()


class LossSum:
    """The sum of the words' cross-entropy, over what their sources annotate."""

    def __init__(self, split: LabelledSplit, device: torch.device) -> None:
        known = split.annotation
        self.annotated = None if known is None else torch.from_numpy(known.annotated).to(device)
        self.outside = split.labels.label2id[OUTSIDE]

    def __call__(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        if self.annotated is None or batch.sources is None:
            return torch.nn.functional.cross_entropy(
                logits, batch.targets, ignore_index=UNLABELLED, reduction="sum"
            )
        annotated = self.annotated[batch.sources]
        return summed_cross_entropy(
            logits, batch.targets, annotated, outside=self.outside, ignore_index=UNLABELLED
        )


class HostCopy:
    """An asynchronous copy of a tensor to host memory, queued after the kernels launched so far."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._copy = tensor.to("cpu", non_blocking=tensor.is_cuda)
        self._arrived = torch.cuda.Event() if tensor.is_cuda else None
        if self._arrived is not None:
            self._arrived.record(torch.cuda.current_stream(tensor.device))

    def wait(self) -> np.ndarray:
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._copy.numpy()
