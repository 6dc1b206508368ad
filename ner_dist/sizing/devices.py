"""GPUs by name: what their data sheets promise, and how much of it training is taken to reach."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from ner_dist.errors import UserError


@dataclass(frozen=True)
class Gpu:
    """Figures of the data sheet, dense (not sparse) ones; links count one direction."""

    name: str
    half_tflops: float
    """bf16 or fp16 matrix products with fp32 accumulation."""
    fp32_tflops: float
    memory_gbps: float
    link_gbps: float
    """To the other GPUs of a machine: NVLink where there is, else PCIe."""
    native_bf16: bool = True
    is_gpu: bool = True


GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu("t4", 65, 8.1, 320, 16, native_bf16=False),
        Gpu("v100", 125, 15.7, 900, 150, native_bf16=False),
        Gpu("a10", 125, 31.2, 600, 32),
        Gpu("a100", 312, 19.5, 1555, 300),
        Gpu("l4", 121, 30.3, 300, 32),
        Gpu("l40s", 362, 91.6, 864, 32),
        Gpu("rtx3090", 71, 35.6, 936, 32),
        Gpu("rtx4090", 165, 82.6, 1008, 32),
        Gpu("h100", 989, 67, 3350, 450),
        Gpu("h200", 989, 67, 4800, 450),
        Gpu("b200", 2250, 75, 8000, 900),
        # A process on one core of a recent server: an order of magnitude, measured by
        # benchmarks/device_rates.py.
        Gpu("cpu", 0.2, 0.1, 10, 1.5, native_bf16=True, is_gpu=False),
    )
}

MATRIX_SHARE = 0.55
"""Share of the peak that a GPU's matrix products of an encoder's size are taken to reach."""
CPU_SHARE = 0.4
"""The same of a CPU, everything else included."""
MEMORY_SHARE = 0.75
"""Share of the memory bandwidth that element-wise work, such as Adam's, is taken to reach."""
LINK_SHARE = 0.7
"""Share of a link's bandwidth that collectives are taken to reach."""
INTER_NODE_GBPS = 25.0
"""One machine to the network, all adapters together: 200 Gbit/s."""
KERNEL_SECONDS = 8e-6
"""Time of the host to start one operator of an encoder from Python: a micro-batch's passes took 10 ms without
anything to compute, for about 1,200 of them."""
STEP_SECONDS = 2e-3
"""Time of the host for everything else in a step: clipping, AdamW, the next batch."""
START_SECONDS = 25.0
"""From the command to the first step, without the data's preparation: imports, the device, the weights."""
DEEPSPEED_START_SECONDS = 15.0
"""What DeepSpeed adds to that."""
TIME_RANGE = {True: (0.7, 1.6), False: (0.9, 1.35)}
"""What a training takes, as a multiple of what is foretold: on GPUs a guess, for nothing is measured there;
on CPUs as in benchmarks/RESULTS.md."""


def find_gpu(name: str) -> Gpu:
    """The GPU of a name, however it is written: `A100`, `V-100`, `RTX 4090`.

    Raises:
        UserError: it is not known.
    """
    key = "".join(letter for letter in name.lower() if letter.isalnum())
    if key in GPUS:
        return GPUS[key]
    close = difflib.get_close_matches(key, GPUS, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise UserError(
        f"`{name}` is not a GPU that ner_dist knows",
        where="--gpu",
        fix=f"{hint}It knows {', '.join(GPUS)}; for another take the most similar and add --flops, "
        "the TFLOP/s that it reaches",
    )
