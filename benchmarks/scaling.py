"""Scaling over two CPU processes, and the bytes that every strategy sends.

    python benchmarks/scaling.py                  strong and weak scaling of DDP and ZeRO
    python benchmarks/scaling.py --bytes          bytes sent in a step, against theory

A RoBERTa of MiniLM's shape (22 M parameters) from random weights trains on the embedded corpus in fp32,
every process with one thread. Strong scaling: one process and two on the same steps; efficiency is
t1 / (2 t2). Weak: two processes on steps twice as large; t1 / t2. One process alone has the machine's caches
and memory to itself, so two that know nothing of each other, side by side, are measured too: what they lose,
no communication could win back. Runs alternate; each figure is the median over rounds of the median step.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from measured_run import CONFIGS, run, settings, shape_of_recipe, started

MANY = ["DDP", "ZeRO-1", "ZeRO-2", "ZeRO-3"]


def main() -> None:
    """Print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bytes", action="store_true", help="bytes instead of seconds")
    parser.add_argument("--model", default="minilm", help="a shape of measured_run.py")
    parser.add_argument("--batch-tokens", type=int, default=8192)
    parser.add_argument("--micro-batch-tokens", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6, help="of each run; the first two are not timed")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--strategies", nargs="+", default=MANY, choices=MANY)
    options = parser.parse_args()
    (sent if options.bytes else scaling)(options)


def recipe(options: argparse.Namespace, *, times: int = 1) -> dict[str, Any]:
    return settings(
        options.model,
        batch_tokens=times * options.batch_tokens,
        micro_batch_tokens=options.micro_batch_tokens,
        precision=options.precision,
    )


def scaling(options: argparse.Namespace) -> None:
    """Seconds of a step, and efficiency."""
    seconds: dict[str, list[float]] = {}

    def note(name: str, ranks: list[dict[str, Any]]) -> None:
        seconds.setdefault(name, []).append(statistics.median(step["seconds"] for step in ranks[0]["steps"]))

    for _ in range(options.rounds):
        note("one", run(recipe(options), strategy="one", processes=1, steps=options.steps, cores="0"))
        both = [
            started(recipe(options), strategy="one", processes=1, steps=options.steps, cores=core)
            for core in "01"
        ]
        with both[0] as first, both[1] as second:
            note("side by side", first())
            note("side by side", second())
        for name in options.strategies:
            note(name, run(recipe(options), strategy=name, processes=2, steps=options.steps))
        if "DDP" in options.strategies:
            note("DDP, weak", run(recipe(options, times=2), strategy="DDP", processes=2, steps=options.steps))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    one, pair = medians["one"], medians["side by side"]
    print("| | step | efficiency | against two independent processes | range over rounds |")
    print("|---|---|---|---|---|")
    for name, value in medians.items():
        spread = f"{min(seconds[name]):.2f} to {max(seconds[name]):.2f} s"
        ranks = 1 if name in ("one", "side by side", "DDP, weak") else 2
        print(
            f"| {name} | {value:.2f} s | {one / ranks / value:.3f} | {pair / ranks / value:.3f} | {spread} |"
        )


def sent(options: argparse.Namespace) -> None:
    """Bytes that rank 0 sends in a step, as its process wrote them, and as the planner has them."""
    from ner_dist.launch import shipped_config
    from ner_dist.sizing.communication import transfers
    from ner_dist.sizing.step_time import turns_of

    turns = turns_of(options.batch_tokens, options.micro_batch_tokens, 2)
    shape = shape_of_recipe(recipe(options))
    print(f"{shape.parameters:,} parameters (P), {turns} micro-batches a rank, 2 ranks; MB a step")
    print("| | written by the process | of it, P * | theory | with gloo's reduce-scatter | deviation |")
    print("|---|---|---|---|---|---|")
    for name in options.strategies:
        ranks = run(recipe(options), strategy=name, processes=2, steps=options.steps)
        wire = statistics.median(step["wire_bytes"] for step in ranks[0]["steps"])
        half = name != "DDP" and options.precision != "fp32"
        launch = shipped_config(CONFIGS[name][1])
        expected = transfers(launch, shape, half=half, turns=turns)
        theory = sum(transfer.sent(2) for transfer in expected)
        here = transfers(launch, shape, half=half, turns=turns, gloo=True)
        on_gloo = sum(transfer.sent(2) for transfer in here)
        print(
            f"| {name} | {wire / 1e6:.2f} | {wire / shape.parameters:.3f} | {theory / 1e6:.2f} "
            f"| {on_gloo / 1e6:.2f} | {wire / on_gloo - 1:+.2%} |"
        )


if __name__ == "__main__":
    main()
