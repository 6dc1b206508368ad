"""Time and memory of planning one epoch, and how much padding and mixing the plan leaves.

    python benchmarks/plan.py [--examples 10000000] [--batch-tokens 8192] [--micro-batch-tokens 2048]

Lengths are drawn as Wikipedia's sentences have them: log-normal, median 30 subwords, at most 512.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from ner_dist.data.packed_plan import plan_packed_epoch as plan_epoch


def main() -> None:
    """Plan one epoch and print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--examples", type=int, default=10_000_000)
    parser.add_argument("--batch-tokens", type=int, default=8192)
    parser.add_argument("--micro-batch-tokens", type=int, default=2048)
    settings = parser.parse_args()

    random = np.random.default_rng(0)
    lengths = np.empty(settings.examples, dtype=np.int32)
    for start in range(0, len(lengths), 100_000):  # in pieces, so that the peak is the plan's
        part = lengths[start : start + 100_000]
        part[:] = np.exp(random.normal(np.log(30), 0.5, len(part))).clip(3, 512)
    before = peak_bytes()
    began = time.perf_counter()
    plan = plan_epoch(
        lengths,
        batch_tokens=settings.batch_tokens,
        micro_batch_tokens=settings.micro_batch_tokens,
        seed=13,
        epoch=0,
    )
    seconds = time.perf_counter() - began
    cells = sum(plan.step_padded_tokens(step, lengths) for step in range(plan.n_steps))
    print(
        f"{settings.examples:,} examples, {plan.n_steps:,} steps of {plan.micro_batches} micro-batches: "
        f"{seconds:.1f} s, peak memory +{(peak_bytes() - before) / 1e6:.0f} MB, "
        f"padding {100 * (1 - lengths.sum(dtype=np.int64) / cells):.2f} %"
    )


def peak_bytes() -> int:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
