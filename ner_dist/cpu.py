"""What makes training on a CPU fast, for the whole process: memory is kept, and dropout drawn in bulk.

In a step of a 22 M parameter BERT in bf16 on two cores a third of the time went into neither arithmetic nor
the optimiser (benchmarks/RESULTS.md): the gradient of the embeddings, 47 MB, was unmapped and faulted in
again at every step, and dropout's `bernoulli_` drew one number an element on one core.
"""

from __future__ import annotations

import ctypes
import os
import warnings

import torch

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4

# Keeps the replaced kernel registered.
_kernels: list[torch.library.Library] = []


def speed_up() -> None:
    """Set the process up for training on its CPU cores; the second call changes nothing."""
    if _kernels:
        return
    _share_cores()
    _keep_memory()
    _replace_bernoulli()


def _share_cores() -> None:
    """Share the cores among this machine's processes; more threads than cores slow each other down."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    torch.set_num_threads(max(1, cores // processes))


def _keep_memory() -> None:
    """Have malloc take large blocks from its heap and never give back what is freed.

    Otherwise every large tensor is mapped and unmapped, and the kernel fills it with zeros page by page.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)


def _replace_bernoulli() -> None:
    """Have `aten::bernoulli_`, which all dropout on a CPU is made of, cut its numbers from 64-bit words."""
    library = torch.library.Library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"[\s\S]*Overriding a previously registered kernel")
        library.impl("bernoulli_.float", bernoulli_, "CPU")
    _kernels.append(library)


def bernoulli_(
    self: torch.Tensor, p: float = 0.5, *, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Fill a tensor with 1 at probability `p` and 0 otherwise, as `torch.Tensor.bernoulli_`.

    Four draws share a 64-bit word of the generator, so that `p` is rounded to 1/65,536; near 0 and 1, where
    that would tell, two do.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p must lie between 0 and 1, not {p}")
    lane = torch.int16 if 0.01 <= p <= 0.99 else torch.int32
    lanes, values = 8 // lane.itemsize, 1 << (8 * lane.itemsize)
    words = torch.empty(-(-self.numel() // lanes), dtype=torch.int64)
    drawn = words.random_(-(2**63), None, generator=generator).view(lane)[: self.numel()].view(self.shape)
    below = round(values * p) - values // 2
    if below >= values // 2:  # no lane can hold it
        return self.fill_(1)
    return torch.lt(drawn, below, out=self)
