"""Host memory that all saves share, for copies from a GPU that nobody waits for."""

from __future__ import annotations

from typing import Any

import torch


class HostBuffer:
    """One buffer, in page-locked memory if the copies come from a GPU.

    A copy into ordinary memory would stop training until everything before it is computed and all of it has
    arrived. Copies into page-locked memory are queued between two steps; whoever reads them waits. The buffer
    is allocated once, which takes longer than to fill it.
    """

    def __init__(self, *, pinned: bool) -> None:
        self.pinned = pinned
        self._memory = torch.empty(0)
        self._used = 0
        self._queued: Any = None

    def reserve(self, numel: int) -> None:
        """Make room for so many fp32 numbers in all. What was copied before must have been read."""
        if numel > self._memory.numel():
            self._memory = torch.empty(0)  # freed before the larger one is allocated
            self._memory = torch.empty(numel, dtype=torch.float32, pin_memory=self.pinned)
        self.clear()

    def copy(self, tensor: torch.Tensor) -> torch.Tensor:
        """Queue a copy in fp32, to be read after `wait`. One that does not fit is made at once elsewhere."""
        end = self._used + tensor.numel()
        if end > self._memory.numel():
            return tensor.to("cpu", torch.float32, copy=True).contiguous()
        place = self._memory[self._used : end].view(tensor.shape)
        self._used = end
        place.copy_(tensor, non_blocking=True)
        return place

    def queued(self) -> None:
        """Note that all copies are queued; called by the thread that queues them."""
        if self.pinned:
            self._queued = torch.cuda.Event()
            self._queued.record()

    def wait(self) -> None:
        """Wait until the copies have arrived; any thread may."""
        if self._queued is not None:
            self._queued.synchronize()

    def clear(self) -> None:
        """Make the whole buffer free for other copies."""
        self._used = 0
