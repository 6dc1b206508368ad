"""Compare the predictions of `ner-dist plan` with measurements: peak memory, and seconds of a step.

    python benchmarks/plan_check.py --memory [--precision bf16]
    python benchmarks/plan_check.py --time [--precision bf16]
    python benchmarks/plan_check.py --hooks        what DeepSpeed's Python costs for each parameter tensor

Memory is the peak of resident memory above what the process held before the model was built, the C library
being told to give back what is freed. Time is foretold with the rates that device_rates.py finds on this
machine: of a layer's forward and backward pass, AdamW and an all-reduce, none of which is a training.
"""

from __future__ import annotations

import argparse
import statistics

from device_rates import measured_hardware
from measured_run import CONFIGS, MODELS, run, settings, shape_of_recipe

HOOK_LAYERS = (2, 8)


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    for name in ("memory", "time", "hooks"):
        what.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--model", choices=MODELS, help="distil for memory, minilm for time if not given")
    parser.add_argument("--batch-tokens", type=int, help="1024 for memory, 4096 for time if not given")
    parser.add_argument("--micro-batch-tokens", type=int, help="256 and 1024")
    parser.add_argument("--strategies", nargs="+", default=list(CONFIGS), choices=CONFIGS)
    options = parser.parse_args()
    if options.hooks:
        hooks()
        return
    defaults = ("distil", 1024, 256) if options.memory else ("minilm", 4096, 1024)
    check(
        options.model or defaults[0],
        options.batch_tokens or defaults[1],
        options.micro_batch_tokens or defaults[2],
        precision=options.precision,
        strategies=options.strategies,
        of_memory=options.memory,
    )


def check(
    model: str, batch: int, micro_batch: int, *, precision: str, strategies: list[str], of_memory: bool
) -> None:
    """Predict and measure each strategy."""
    recipe = settings(model, batch_tokens=batch, micro_batch_tokens=micro_batch, precision=precision)
    print(f"{model}, {precision}, steps of {batch} subwords in micro-batches of {micro_batch}")
    unit = "peak memory, MB" if of_memory else "seconds of a step"
    print(f"| {unit} | foretold | measured | deviation |")
    print("|---|---|---|---|")
    for name in strategies:
        processes = 1 if name == "one" else 2
        foretold = _foretold(recipe, name, processes, of_memory=of_memory)
        ranks = run(
            recipe,
            strategy=name,
            processes=processes,
            steps=4 if of_memory else 7,
            cores="0" if processes == 1 else None,
            exact_memory=of_memory,
        )
        if of_memory:
            measured = max(rank["peak_bytes"] for rank in ranks) / 1e6
            foretold /= 1e6
        else:
            measured = statistics.median(step["seconds"] for step in ranks[0]["steps"])
        print(
            f"| {name}, {processes} | {foretold:.4g} | {measured:.4g} | {foretold / measured - 1:+.1%} |",
            flush=True,
        )


def _foretold(recipe: dict, name: str, processes: int, *, of_memory: bool) -> float:
    """The planner's figure for one strategy on this machine's CPU."""
    from ner_dist.launch import shipped_config
    from ner_dist.recipe import Recipe
    from ner_dist.sizing.advise import Hardware, size
    from ner_dist.sizing.communication import Network
    from ner_dist.sizing.devices import find_gpu
    from ner_dist.sizing.workload import workload_of
    from ner_dist.training.auto import settle

    made = Recipe.model_validate(recipe)
    workload = workload_of(made)
    shape = shape_of_recipe(recipe)
    settings = settle(made, subwords=workload.subwords, width=shape.hidden, family=shape.model_type)
    network = Network(intra=1e9, inter=1e9, alpha=1e-5, per_machine=8)
    hardware = Hardware(processes, 1e12, find_gpu("cpu"), network)
    launch = shipped_config(CONFIGS[name][settings.precision != "fp32"])
    if not of_memory:
        hardware = measured_hardware(launch, settings, shape, workload, hardware, threads=1)
    sized = size(launch, settings, shape, workload, hardware)
    assert sized.memory is not None and sized.time is not None, sized.refused
    return sized.memory.total if of_memory else sized.time.total


def hooks() -> None:
    """Steps whose computation is negligible: what a stage adds to DDP's, for each tensor and micro-batch."""
    print("| parameter tensors | " + " | ".join(name for name in CONFIGS if name != "one") + " |")
    print("|---|---|---|---|---|")
    for layers in HOOK_LAYERS:
        recipe = settings("tiny", batch_tokens=1024, micro_batch_tokens=256)
        recipe["model"]["scratch"] = MODELS["tiny"] | {"layers": layers}
        tensors = len(shape_of_recipe(recipe).sizes)
        padded_tokens, base = [], 0.0
        for name in [name for name in CONFIGS if name != "one"]:
            ranks = run(recipe, strategy=name, processes=2, steps=40)
            step = statistics.median(step["seconds"] for step in ranks[0]["steps"])
            base = base or step
            padded_tokens.append(f"{1e3 * step:.1f} ms, {1e3 * (step - base) / tensors / 2:+.3f} ms each")
        print(f"| {tensors} | {' | '.join(padded_tokens)} |", flush=True)


if __name__ == "__main__":
    main()
