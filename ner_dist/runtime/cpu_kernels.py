"""Speed up torch on CPUs, for the duration of a training or scoring.

Three things that a profile of a 22 M parameter BERT on two cores shows (benchmarks/RESULTS.md):

- memory: the gradient of the embeddings, 47 MB, was unmapped and faulted in again at every step;
- dropout: `bernoulli_` drew one number an element on one core;
- fp32 matrix products: MKL leaves half of an AMD processor unused, where oneDNN, which torch has as well and
  takes for bf16, does not.

The kernels are replaced in torch's dispatcher, so that they serve every model, and autograd, as they are.
"""

from __future__ import annotations

import ctypes
import os
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ner_dist.runtime.threads import choose_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Of glibc's malloc.h, and mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_MALLOC_VARIABLES = {"MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"}

# Multiplications and additions from which on a product is worth the call from Python.
_WORTHWHILE = 1 << 22

# The replaced kernels by part; they stay for as long as these live.
_replaced: dict[str, list[torch.library.Library]] = {}


def speed_up(*, fp32: bool) -> None:
    """Set the process up for its share of the CPU's cores; what is set up already stays.

    Args:
        fp32: the model computes in fp32. Products in 16 bits would only lose time on the way through Python.
    """
    choose_threads()
    keep_memory()
    install_kernel("dropout")
    if fp32 and _is_amd() and torch.backends.mkldnn.is_available():
        install_kernel("products")


@contextmanager
def kernels_restored() -> Iterator[None]:
    """Undo, when the block ends, what `speed_up` did in it: kernels, threads, and malloc's settings."""
    threads, before = torch.get_num_threads(), set(_replaced)
    try:
        yield
    finally:
        for part in set(_replaced) - before:
            use_torch_kernel(part)
        if not before:
            release_memory()
        torch.set_num_threads(threads)


def keep_memory() -> None:
    """Make malloc take large blocks from its heap and keep freed memory.

    Otherwise every large tensor is mapped and unmapped, and the kernel fills it with zeros page by page. The
    many sizes of a training share what is freed, so that its peak is what it was; one and the same size again
    and again is malloc's worst case, ten times that size. Who sets malloc's own variables in the environment
    has the last word.
    """
    if os.name != "posix" or _MALLOC_VARIABLES & os.environ.keys():
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def release_memory() -> None:
    """Restore malloc's defaults, and return free memory to the system."""
    if os.name != "posix" or _MALLOC_VARIABLES & os.environ.keys():
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_MAX, 65_536)
        libc.mallopt(_M_TRIM_THRESHOLD, 131_072)
        libc.malloc_trim(0)


def install_kernel(part: str) -> None:
    """Use the kernels below for `dropout` or `products`."""
    if part in _replaced:
        return
    _replaced[part] = []
    for operator, kernel, key in KERNELS[part]:
        library = torch.library.Library("aten", "IMPL")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"[\s\S]*Overriding a previously registered kernel")
            library.impl(operator, kernel, key)
        _replaced[part].append(library)


def use_torch_kernel(part: str) -> None:
    """Restore torch's own kernels."""
    for library in _replaced.pop(part, []):
        library._destroy()


def _is_amd() -> bool:
    description = Path("/proc/cpuinfo")
    return description.exists() and "AuthenticAMD" in description.read_text(encoding="utf-8")


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


def mm(self: torch.Tensor, mat2: torch.Tensor) -> torch.Tensor:
    """The product of two matrices, as `torch.mm`; a large one in fp32 by oneDNN."""
    if _for_onednn(self, mat2):
        result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(self, mat2.t(), None, "none", [], "")
        return result
    return torch.mm(self, mat2, out=self.new_empty(self.shape[0], mat2.shape[-1]))


def addmm(
    self: torch.Tensor, mat1: torch.Tensor, mat2: torch.Tensor, *, beta: float = 1, alpha: float = 1
) -> torch.Tensor:
    """`beta` times a matrix or a bias plus `alpha` times a product, as `torch.addmm`; likewise."""
    is_bias = self.ndim == 1 and self.dtype == torch.float32 and self.shape == mat2.shape[1:]
    if beta == alpha == 1 and is_bias and _for_onednn(mat1, mat2):
        # oneDNN takes the bias for dense, whatever its strides.
        result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            mat1, mat2.t(), self.contiguous(), "none", [], ""
        )
        return result
    out = mat1.new_empty(mat1.shape[0], mat2.shape[-1])
    return torch.addmm(self, mat1, mat2, beta=beta, alpha=alpha, out=out)


def _for_onednn(a: torch.Tensor, b: torch.Tensor) -> bool:
    return (
        a.dtype == b.dtype == torch.float32
        and a.ndim == b.ndim == 2
        and a.shape[1] == b.shape[0]
        and a.shape[0] * a.shape[1] * b.shape[1] >= _WORTHWHILE
    )


KERNELS: dict[str, list[tuple[str, Callable[..., torch.Tensor], str]]] = {
    "dropout": [("bernoulli_.float", bernoulli_, "CPU")],
    "products": [("mm", mm, "CPU"), ("addmm", addmm, "CPU")],
}
"""Operator of aten, what computes it, and the dispatch key it is registered for."""
