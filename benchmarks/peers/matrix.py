"""Worker of `throughput.py`: how fast this machine multiplies matrices, the yardstick of its utilisation."""

from __future__ import annotations

import statistics
from types import SimpleNamespace
from typing import Any

import torch
from worker import now, run

from ner_dist.runtime.cpu_kernels import speed_up


def measure(settings: SimpleNamespace) -> dict[str, Any]:
    """FLOP/s of a square matrix product in the given precision, the median of several."""
    device, size = ("cuda", 8192) if torch.cuda.is_available() else ("cpu", 2048)
    if device == "cpu":
        # The best that torch can do here: its own choice of kernel is half as fast on some processors.
        speed_up(fp32=settings.precision == "fp32")
    kind = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[settings.precision]
    one, other = (torch.randn(size, size, device=device).to(kind) for _ in range(2))
    seconds = []
    for _ in range(3 + 15):
        began = now()
        one @ other
        seconds.append(now() - began)
    return {"flops_per_second": 2 * size**3 / statistics.median(seconds[3:])}


if __name__ == "__main__":
    run(measure, packages=())
