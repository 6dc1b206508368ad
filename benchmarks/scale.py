"""Simulate training on 8 to 4,096 GPUs: up to where each strategy scales, and what stops it.

    python benchmarks/scale.py            tables: strategies, corpora, checkpoints
    python benchmarks/scale.py --check    the same formulas against measurements of one and two processes

Nothing is trained. Steps are timed by the planner (`ner_dist/sizing`): kernels and FLOPs of the model as
counted, collectives by the alpha-beta model, micro-batches by the plan's arithmetic. Planning an epoch is
measured here on a million sentences, and taken to be linear. H200, 8 to a machine, each with 400 Gbit/s
between machines; `--inter-node 50` has one such adapter for all eight.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass

import numpy as np

from ner_dist.data.batch_plan import plan_epoch
from ner_dist.formatting import duration
from ner_dist.launch import shipped_config
from ner_dist.recipe import Recipe
from ner_dist.sizing.advise import Hardware, Sized, size
from ner_dist.sizing.communication import Network, transfers
from ner_dist.sizing.devices import LINK_SHARE, find_gpu
from ner_dist.sizing.model_shape import ModelShape, model_shape
from ner_dist.sizing.step_time import HOOK_SECONDS, Rates, step_time
from ner_dist.sizing.workload import Workload
from ner_dist.training.auto import settle

MODELS = ("roberta-base", "xlm-roberta-large", "facebook/xlm-roberta-xxl")
STEPS = (8192, 131_072, 2_097_152)
STRATEGIES = ("ddp_bf16", "zero1_bf16", "zero2_bf16", "zero3_bf16")
WORLDS = tuple(8 * 2**n for n in range(10))
CORPORA = (10**8, 10**9, 10**10)
WORDS_A_SENTENCE, SUBWORDS_A_WORD = 22, 1.4
WORTHWHILE = 0.5
"""A world scales as long as each of its GPUs does this share of what one of the fewest does."""
DISK, TO_HOST = 2e9, 20e9
"""Bytes per second of a shared file system for one writer, and of copies from a GPU."""


@dataclass(frozen=True)
class Limit:
    """Up to how many GPUs a strategy scales with a step, and what stops it."""

    fewest: int
    most: int
    words_per_second: float
    """On `most` GPUs."""
    reason: str


def main() -> None:
    """Print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with measurements of 1 and 2 processes")
    parser.add_argument("--inter-node", type=float, default=400.0, help="GB/s from a machine to the network")
    options = parser.parse_args()
    if options.check:
        check()
        return
    inter_node = options.inter_node
    shapes = {name: _shape(name) for name in MODELS}
    heads = " | ".join(name.removesuffix("_bf16") for name in STRATEGIES)
    print(f"| encoder | subwords a step | {heads} |")
    print("|---|---|" + "---|" * len(STRATEGIES))
    for name, shape in shapes.items():
        for step in STEPS:
            cells = [_cell(limit_of(strategy, shape, step, inter_node=inter_node)) for strategy in STRATEGIES]
            print(f"| {name} | {step:,} | {' | '.join(cells)} |", flush=True)
    corpora(shapes, inter_node=inter_node)


def _cell(limit: Limit | None) -> str:
    if limit is None:
        return "never fits"
    first = f"from {limit.fewest} " if limit.fewest > WORLDS[0] else ""
    return f"{first}to {limit.most:,}: {limit.words_per_second / 1e6:.3g} M words/s; {limit.reason}"


def limit_of(strategy: str, shape: ModelShape, step: int, *, inter_node: float) -> Limit | None:
    """Double the GPUs until each does less than `WORTHWHILE` of what it did; None if nothing fits."""
    best: tuple[int, Sized] | None = None
    fewest, alone = 0, 0.0
    for world in WORLDS:
        sized = simulate(strategy, shape, step, world, inter_node=inter_node)
        if not sized.fits or sized.time is None:
            continue
        each = sized.words_per_second / world
        if best is None:
            fewest, alone = world, each
        elif each < WORTHWHILE * alone:
            return Limit(fewest, best[0], best[1].words_per_second, _reason(sized))
        best = world, sized
    return best and Limit(fewest, best[0], best[1].words_per_second, "no end seen")


def _reason(sized: Sized) -> str:
    """What stops a world that is too large."""
    assert sized.time is not None
    if sized.idle_turns * 2 >= sized.turns * sized.world:
        return "the step has too few micro-batches"
    if sized.time.limit == "network":
        return "network"
    return "too few subwords a GPU" if sized.time.limit == "host" else "every rank updates all"


def simulate(
    strategy: str, shape: ModelShape, step: int, world: int, *, inter_node: float, words: int = 10**9
) -> Sized:
    """One strategy on a number of H200, whose micro-batches are as large as gives work to all."""
    gpu = find_gpu("h200")
    link = 1e9 * gpu.link_gbps * LINK_SHARE
    network = Network(intra=link, inter=1e9 * inter_node * LINK_SHARE, alpha=1e-5, per_machine=8)
    sentences = words // WORDS_A_SENTENCE
    subwords = round(SUBWORDS_A_WORD * words)
    workload = Workload(sentences, words, subwords, longest=128, labels=31, source="simulated")
    made = Recipe.model_validate(
        {
            "name": "scale",
            "output_dir": "scale",
            "model": {"name": shape.name},
            "data": {"path": "simulated", "max_length": 128},
            "train": {
                "epochs": 1,
                "batch_tokens": step,
                "micro_batch_tokens": min(step, max(128, math.ceil(step / world)), 32_768),
                "learning_rate": 5e-5,
            },
        }
    )
    recipe = settle(made, subwords=subwords, width=shape.hidden)
    return size(shipped_config(strategy), recipe, shape, workload, Hardware(world, 141e9, gpu, network))


def corpora(shapes: dict[str, ModelShape], *, inter_node: float) -> None:
    """Print hours of an epoch, the plan's own cost, and checkpoints."""
    seconds, bytes_each = _planning()
    print("\n| words | planning an epoch, on every rank | " + " | ".join(shapes) + " |")
    print("|---|---|" + "---|" * len(shapes))
    for words in CORPORA:
        sentences = words / WORDS_A_SENTENCE
        cells = []
        for shape in shapes.values():
            found = [
                simulate(strategy, shape, STEPS[-1], world, words=words, inter_node=inter_node)
                for strategy in STRATEGIES
                for world in (64, 512)
            ]
            best = {
                world: min((one.hours for one in found if one.world == world and one.fits), default=math.inf)
                for world in (64, 512)
            }
            cells.append(", ".join(f"{duration(3600 * hours)} on {world}" for world, hours in best.items()))
        plan = f"{duration(seconds * sentences)}, {bytes_each * sentences / 1e9:.2g} GB"
        print(f"| {words:,} | {plan} | {' | '.join(cells)} |", flush=True)
    print("\n| encoder | checkpoint | written in | training waits | at most 1 % of the time if saved every |")
    print("|---|---|---|---|---|")
    for name, shape in shapes.items():
        size_bytes = 12 * shape.parameters
        write, copies = size_bytes / DISK, size_bytes / TO_HOST
        # One shard of 2 GiB is written while training goes on; the others hold it up.
        waits = copies + max(0.0, size_bytes - 2 * 2**30) / DISK
        print(
            f"| {name} | {size_bytes / 1e9:.3g} GB | {duration(write)} | {waits:.2g} s "
            f"| {duration(max(write, 100 * waits))} |"
        )


def _planning() -> tuple[float, float]:
    """Seconds and bytes of planning, for each sentence."""
    random = np.random.default_rng(0)
    lengths = np.exp(random.normal(np.log(30), 0.5, 1_000_000)).clip(3, 128).astype(np.int32)
    began = time.perf_counter()
    plan = plan_epoch(lengths, batch_tokens=8192, micro_batch_tokens=2048, seed=13, epoch=0)
    seconds = time.perf_counter() - began
    held = sum(value.nbytes for value in vars(plan).values() if isinstance(value, np.ndarray))
    return seconds / len(lengths), (held + lengths.nbytes) / len(lengths)


def _shape(name: str) -> ModelShape:
    made = {"name": "s", "output_dir": "s", "model": {"name": name}, "data": {"path": "simulated"}}
    return model_shape(Recipe.model_validate(made).model, labels=31)


# Of benchmarks/RESULTS.md, "Scaling, communication, memory": seconds of a step of one process, of two side by
# side that share nothing but the machine, and of a strategy on two. 22.43 M parameters in 103 tensors, fp32.
MEASURED = (
    ("ddp_bf16", "DDP, strong", 3.16, 3.39, 1.87),
    ("zero2_bf16", "ZeRO-2, strong, torch's kernels", 6.14, 6.18, 3.97),
)
SENT = (("ddp_bf16", 89.74), ("zero1_bf16", 134.59), ("zero2_bf16", 224.33), ("zero3_bf16", 269.02))
"""Megabytes that a rank of two was measured to send in a step of two micro-batches."""
_CPU = Rates(flops=math.inf, memory=10e9 * 0.75, fresh=3e9, overlap=False)


def check() -> None:
    """Print the formulas' figures beside those that were measured on one and two CPU processes."""
    shape = _minilm()
    network = Network(intra=1.5e9 * LINK_SHARE, inter=1.5e9, alpha=1e-5, per_machine=2)
    print("| two CPU processes | foretold | measured | deviation |")
    print("|---|---|---|---|")
    for config, name, _, pair, measured in MEASURED:
        launch, turns = shipped_config(config), 2
        alone = step_time(
            shipped_config("single_gpu"), shape, micro_batch=0.0, host=0.0, turns=4, world=1, half=False,
            rates=_CPU, network=network,
        )  # fmt: skip
        foretold = step_time(
            launch, shape, micro_batch=(pair - alone.update) / 4, host=HOOK_SECONDS[launch.stage] * 103,
            turns=turns, world=2, half=False, rates=_CPU, network=network,
        ).total  # fmt: skip
        print(f"| {name}, s | {foretold:.2f} | {measured} | {foretold / measured - 1:+.0%} |")
    for config, measured in SENT:
        sent = transfers(shipped_config(config), shape, half=False, turns=2, gloo=True)
        foretold = sum(one.sent(2) for one in sent) / 1e6
        name, apart = config.removesuffix("_bf16"), foretold / measured - 1
        print(f"| {name}, MB sent | {foretold:.2f} | {measured} | {apart:+.2%} |")


def _minilm() -> ModelShape:
    """The shape that benchmarks/scaling.py trains."""
    from measured_run import settings, shape_of_recipe

    return shape_of_recipe(settings("minilm", batch_tokens=8192, micro_batch_tokens=2048))


if __name__ == "__main__":
    main()
