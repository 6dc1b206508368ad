"""Memory of a rank under every ZeRO stage, and the largest model that trains in a given memory.

    python benchmarks/memory.py [--precision bf16]              two CPU processes
    python benchmarks/memory.py --largest --limit 16GiB         on GPUs: search for the largest model

The first prints bytes per parameter of the tensors that the engine holds when it updates the weights: exact,
and the same in every run. Then the peak of the process: on a CPU, resident memory above what the process held
before the model was built; on a GPU, what PyTorch's allocator counted.

The second widens a RoBERTa of 24 layers until a step on this machine's GPUs no longer stays below the limit,
and prints the largest that did for every strategy.
"""

from __future__ import annotations

import argparse
from typing import Any

from measured_run import CONFIGS, MODELS, run, settings, shape_of_recipe

STEPS = 4


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="distil", choices=MODELS)
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--strategies", nargs="+", default=list(CONFIGS), choices=CONFIGS)
    parser.add_argument("--largest", action="store_true", help="search for the largest model; needs GPUs")
    parser.add_argument("--limit", default="16GiB", help="memory of each GPU in the search")
    options = parser.parse_args()
    (largest if options.largest else held)(options)


def held(options: argparse.Namespace) -> None:
    """The memory of every stage."""
    print(
        f"{options.model}, {options.precision}, {options.processes} processes; bytes per parameter of rank 0"
    )
    print("| | weights | gradients | optimiser | together | peak |")
    print("|---|---|---|---|---|---|")
    for name in options.strategies:
        ranks = run(
            recipe(options),
            strategy=name,
            processes=1 if name == "one" else options.processes,
            steps=STEPS,
            exact_memory=True,
        )
        found, parameters = ranks[0]["held"], ranks[0]["parameters"]
        cells = [found[part] / parameters for part in ("weights", "gradients", "optimiser")]
        cells += [sum(cells), ranks[0]["peak_bytes"] / parameters]
        print(f"| {name} | {' | '.join(f'{cell:.2f}' for cell in cells)} |", flush=True)


def recipe(options: argparse.Namespace) -> dict[str, Any]:
    """Two micro-batches for each of two ranks, small beside the weights."""
    return settings(options.model, precision=options.precision, batch_tokens=1024, micro_batch_tokens=256)


def largest(options: argparse.Namespace) -> None:
    """The largest model under every strategy, by halving the interval of widths."""
    import torch

    from ner_dist.sizing.plan import bytes_of

    if not torch.cuda.is_available():
        raise SystemExit("--largest needs GPUs, and there is none here")
    limit = bytes_of(options.limit, option="--limit")
    print(f"{options.precision}, {options.processes} GPUs of {options.limit}")
    print("| | largest model | peak |")
    print("|---|---|---|")
    for name in options.strategies:
        processes = 1 if name == "one" else options.processes
        fits, too_wide, best = 0, 256, (0, 0)
        while too_wide - fits > 1:
            # Widths in units of 64: one head of 64 each.
            width = (fits + too_wide) // 2
            peak, parameters = _try(options, name, processes, width=64 * width)
            if peak is not None and peak <= limit:
                fits, best = width, (parameters, peak)
            else:
                too_wide = width
        print(f"| {name} | {best[0] / 1e6:,.0f} M | {best[1] / 2**30:.2f} GiB |", flush=True)


def _try(options: argparse.Namespace, name: str, processes: int, *, width: int) -> tuple[int | None, int]:
    """Peak bytes of a training of a model of this width, or None where it ran out of memory; parameters."""
    shape = MODELS["base"] | {"hidden_size": width, "heads": width // 64, "layers": 24}
    wanted = recipe(options)
    wanted["model"]["scratch"] = shape
    try:
        ranks = run(wanted, strategy=name, processes=processes, steps=STEPS)
    except SystemExit as error:
        if "out of GPU memory" not in str(error) and "out of memory" not in str(error):
            raise
        return None, 0
    return max(rank["peak_bytes"] for rank in ranks), shape_of_recipe(wanted).parameters


if __name__ == "__main__":
    main()
