"""What the ranks of an evaluation exchange: sums, and predictions word by word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ner_dist.data.labelled import LabelledSplit

CHUNK = 1_000_000
"""Words that are counted, or whose predictions are exchanged, at a time."""


def sum_over_ranks(values: np.ndarray, accelerator: Accelerator) -> np.ndarray:
    """The sum of each rank's array, on every rank."""
    if accelerator.num_processes == 1:
        return values
    shared = torch.from_numpy(values).to(accelerator.device)
    torch.distributed.all_reduce(shared)
    return shared.cpu().numpy()


def exchange_words(
    own: np.ndarray, scored: np.ndarray, split: LabelledSplit, *, accelerator: Accelerator
) -> np.ndarray:
    """The answers of every word from the one rank that gave them, int16 [kinds, W].

    Args:
        own: this rank's answers, int16 [kinds, W]; those of words without subwords are kept.
        scored: how often this rank has answered each word, int8 [W].
        split: the sentences.
        accelerator: the ranks.
    """
    whole = np.empty_like(own)
    expected = np.zeros(own.shape[1], dtype=bool)
    owned = split.encoded.word_index
    expected[owned[owned >= 0]] = True
    for start in range(0, own.shape[1], CHUNK):
        part = slice(start, start + CHUNK)
        answers = np.vstack([np.where(scored[part] > 0, own[:, part], 0), scored[part]]).astype(np.int32)
        *values, times = sum_over_ranks(answers, accelerator)
        if not np.array_equal(times, expected[part]):
            raise AssertionError("a word was predicted twice, or not at all")
        whole[:, part] = np.where(expected[part], values, own[:, part])
    return whole
