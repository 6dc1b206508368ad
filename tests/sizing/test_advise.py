"""Memory, time and choice: properties that hold for any model on any hardware."""

from __future__ import annotations

import dataclasses
import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_dist.launch import launch_command, shipped_configs
from ner_dist.recipe import FixedRecipe, Recipe
from ner_dist.sizing.advise import Hardware, choose, remarks, size, size_all, suitable_micro_batch
from ner_dist.sizing.communication import Network, Transfer, transfers
from ner_dist.sizing.devices import GPUS
from ner_dist.sizing.memory import dtypes_of, largest_micro_batch, memory_of
from ner_dist.sizing.model_shape import model_shape
from ner_dist.sizing.workload import Workload
from ner_dist.training.auto import settle

LAUNCH = {launch.name: launch for launch in shipped_configs()}
ZERO = ["zero1", "zero2", "zero3"]
WORKLOAD = Workload(100_000, 2_200_000, 3_000_000, longest=None, labels=31, source="test")
LARGE = dataclasses.replace(WORKLOAD, sentences=10_000_000, words=220_000_000, subwords=300_000_000)


def recipe(**changes) -> FixedRecipe:
    """DistilRoBERTa on steps of 8,192 subwords; dotted keys are changed."""
    values = {
        "name": "r",
        "output_dir": "r",
        "model": {"name": "distilroberta-base"},
        "data": {"path": "synthetic"},
        "train": {"epochs": 2, "batch_tokens": 8192, "learning_rate": 5e-5},
    }
    for key, value in changes.items():
        section, _, name = key.partition("__")
        values.setdefault(section, {})
        values[section] = values[section] | {name: value} if name else value
    return settle(Recipe.model_validate(values), subwords=WORKLOAD.subwords, width=768)


def hardware(gpus: int = 8, memory: float = 40e9, gpu: str = "a100", **changes) -> Hardware:
    network = Network(intra=200e9, inter=17e9, alpha=1e-5, per_machine=8)
    return dataclasses.replace(Hardware(gpus, memory, GPUS[gpu], network), **changes)


@functools.cache
def shape(name: str = "distilroberta-base"):
    return model_shape(recipe(model__name=name).model, labels=31)


def memory(name: str, *, world: int, tokens: int = 512, **options):
    launch, precision = LAUNCH[name], name.rsplit("_", 1)[-1]
    cost = shape().cost(dtypes_of(launch, precision), length=128, fused_attention=True)
    return memory_of(launch, shape(), cost, precision=precision, world=world, tokens=tokens, **options)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@given(world=st.integers(2, 4096))
@settings(max_examples=15)
def test_what_is_held_falls_with_the_stage_and_with_the_ranks(precision, world):
    def held(name: str, world: int) -> float:
        found = memory(f"{name}_{precision}", world=world)
        return found.weights + found.gradients + found.optimiser

    assert held("ddp", world) > held("zero1", world) > held("zero2", world) > held("zero3", world)
    assert held("zero3", world) > held("zero3_offload", world)
    assert held("ddp", world) == held("ddp", 2 * world)
    for name in ZERO:
        assert held(name, 2 * world) < held(name, world)


@given(tokens=st.integers(1, 100_000), more=st.integers(1, 100_000))
@settings(max_examples=15)
def test_memory_rises_with_the_micro_batch_and_its_parts_add_up(tokens, more):
    for name in ("ddp_bf16", "zero1_fp16", "zero2_bf16", "zero3_bf16"):
        small, large = memory(name, world=4, tokens=tokens), memory(name, world=4, tokens=tokens + more)
        assert small.total <= large.total
        parts = (small.weights, small.gradients, small.optimiser, small.activations, small.buffers)
        assert sum(parts) == pytest.approx(small.total) and min(parts) >= 0


@given(limit=st.floats(1e9, 80e9), more=st.floats(0, 80e9))
@settings(max_examples=10)
def test_more_memory_never_shrinks_the_largest_micro_batch(limit, more):
    for name in ("ddp_bf16", "zero3_bf16"):
        fits, fits_more = (
            largest_micro_batch(size, lambda tokens, name=name: memory(name, world=4, tokens=tokens))
            for size in (limit, limit + more)
        )
        assert fits <= fits_more
        assert not fits or memory(name, world=4, tokens=fits).total <= limit
        assert memory(name, world=4, tokens=fits + 1).total > limit


def test_checkpointing_saves_activations_and_costs_a_third_more_computation():
    plain, saving = (recipe(model__gradient_checkpointing=value) for value in (False, True))
    slow = hardware(flops=1e12)
    one, other = (size(LAUNCH["ddp_bf16"], each, shape(), WORKLOAD, slow) for each in (plain, saving))
    assert other.memory.activations < one.memory.activations
    both = [each.time.compute - 2e-3 for each in (one, other)]  # the host's part of every step
    assert both[1] == pytest.approx(both[0] * 4 / 3)
    assert other.largest > 2 * one.largest


def test_a_fourth_of_the_parameters_of_stage_three_on_four_ranks():
    """The figures of arXiv:1910.02054: 16 P bytes of state in mixed precision, shared out by the stages."""
    parameters = shape().parameters
    found = memory("zero3_bf16", world=4)
    assert found.optimiser == pytest.approx(12 * parameters / 4)
    assert found.weights == pytest.approx(2 * parameters / 4, rel=0.05)  # small tensors stay whole
    assert memory("zero2_bf16", world=4).weights == 2 * parameters
    assert memory("ddp_bf16", world=4).optimiser == 8 * parameters


@given(world=st.integers(2, 5000), size=st.floats(1e3, 1e11), calls=st.integers(1, 500))
def test_collectives_cost_what_theory_says(world, size, calls):
    fast = Network(intra=1e11, inter=1e10, alpha=0.0, per_machine=8)
    gather, reduce = Transfer("all_gather", size, calls), Transfer("all_reduce", size, calls)
    assert reduce.sent(world) == 2 * gather.sent(world) == pytest.approx(2 * size * (world - 1) / world)
    bandwidth = 1e11 if world <= 8 else 1e10
    assert gather.seconds(world, fast) == pytest.approx(gather.sent(world) / bandwidth)
    slow = dataclasses.replace(fast, alpha=1e-4)
    assert gather.seconds(world, slow) > gather.seconds(world, fast)
    assert (
        reduce.seconds(world, slow) <= reduce.sent(world) / bandwidth + calls * 2 * (world - 1) * 1e-4 * 1.001
    )
    assert gather.seconds(1, slow) == 0


def test_bytes_of_each_strategy_in_units_of_the_parameters():
    sent = {
        name: sum(each.sent(2) for each in transfers(LAUNCH[f"{name}_bf16"], shape(), half=half, turns=3))
        for name, half in (("ddp", False), ("zero1", True), ("zero2", True), ("zero3", True))
    }
    units = {name: value / (shape().parameters / 2) for name, value in sent.items()}
    # Gradients in fp32 and all-reduced, weights in 16 bits: 8 + 2, 3 * 8 + 2, 3 * (4 + 2).
    assert units["ddp"] == 8 and units["zero1"] == 10 and units["zero2"] == 26
    assert units["zero3"] == pytest.approx(3 * 6, rel=0.02)


@given(
    world=st.integers(1, 64),
    largest=st.integers(0, 50_000),
    batch=st.integers(600, 40_000),
    own=st.integers(100, 40_000),
)
def test_the_micro_batch_taken_holds_the_longest_example_and_fills_the_ranks(world, largest, batch, own):
    made = recipe(train={"batch_tokens": batch, "micro_batch_tokens": min(own, batch)})
    tokens = suitable_micro_batch(made, world=world, longest=512, largest=largest)
    assert tokens == made.train.micro_batch_tokens or min(512, batch) <= tokens <= batch
    micro_batches = -(-batch // tokens)
    if tokens <= largest and batch >= 2 * 512 * world:
        assert micro_batches % world == 0


def test_idle_ranks_are_said_with_what_to_take_instead():
    wide = hardware(gpus=64)
    sized = size(LAUNCH["ddp_bf16"], recipe(), shape(), WORKLOAD, wide)
    assert sized.idle_turns == 64 - 16
    notes = remarks(sized, recipe(), shape(), WORKLOAD, wide)
    assert any("48 of 64 forward passes are empty" in note and "32768" in note for note in notes)
    busy = size(LAUNCH["ddp_bf16"], recipe(), shape(), WORKLOAD, hardware())
    assert (busy.micro_batch_tokens, busy.turns, busy.idle_turns) == (1024, 1, 0)
    assert "leaves 4 of 8" in remarks(busy, recipe(), shape(), WORKLOAD, hardware())[0]


def test_a_v100_takes_fp16_and_an_a100_bf16():
    for gpu, precision in (("v100", "fp16"), ("a100", "bf16")):
        sized = size_all(recipe(train__batch_tokens=65536), shape(), LARGE, hardware(gpu=gpu))
        chosen = choose(sized)
        assert chosen.launch.name == f"ddp_{precision}"
        refused = [one.launch.name for one in sized if one.refused]
        assert refused == ([name for name in refused if name.endswith("bf16")] if gpu == "v100" else [])
    deberta = shape("microsoft/deberta-v3-base")
    assert "fp16" in size(LAUNCH["ddp_fp16"], recipe(), deberta, WORKLOAD, hardware(gpu="v100")).refused


def test_sharding_is_chosen_where_nothing_else_fits():
    chosen = choose(size_all(recipe(), shape(), WORKLOAD, hardware(memory=2.4e9)))
    assert chosen.launch.strategy == "zero"
    assert choose(size_all(recipe(), shape(), WORKLOAD, hardware(memory=1.5e9))) is None
    notes = remarks(None, recipe(), shape(), WORKLOAD, hardware(memory=1.5e9))
    assert "gradient_checkpointing" in notes[0]


def test_commands():
    command = functools.partial(launch_command, recipe="r.yaml", overrides=["train.epochs=1"])
    assert command(LAUNCH["single_gpu"], world=1, machines=1) == (
        "accelerate launch --config_file launch/single_gpu.yaml -m ner_dist.train r.yaml train.epochs=1"
    )
    assert "--num_processes" not in command(LAUNCH["zero2_bf16"], world=8, machines=1)
    assert "--num_processes 4 -m" in command(LAUNCH["zero2_bf16"], world=4, machines=1)
    several = command(LAUNCH["multi_node_zero2_bf16"], world=32, machines=4)
    assert "--num_machines 4 --machine_rank R --main_process_ip HOST_OF_RANK_0 --num_processes 32" in several


def test_one_gpu_is_enough_where_eight_save_less_than_a_minute():
    fast = hardware(gpu="h200", memory=141e9)
    small = choose(size_all(recipe(train__micro_batch_tokens=8192), shape(), WORKLOAD, fast))
    assert small.launch.name == "single_gpu"
    large = choose(size_all(recipe(train__batch_tokens=262_144), shape(), LARGE, fast))
    assert large.world == 8 and large.hours < 10


def test_host_that_is_slower_than_its_gpu_is_said_to_be():
    """The arithmetic of docs/gpu.md for RoBERTa-base on an H200: passes of 2,048 subwords are host-bound."""
    roberta = shape("roberta-base")
    words = {}
    for tokens in (2048, 8192):
        made = recipe(model__name="roberta-base", train__micro_batch_tokens=tokens)
        sized = size(LAUNCH["single_gpu"], made, roberta, WORKLOAD, hardware(gpu="h200", memory=141e9))
        notes = " ".join(remarks(sized, made, roberta, WORKLOAD, hardware(1, gpu="h200", memory=141e9)))
        assert (sized.time.limit == "host") == ("host-bound" in notes) == (tokens == 2048)
        words[tokens] = sized.words_per_second
    assert words[2048] == pytest.approx(139_000, rel=0.1) and words[8192] == pytest.approx(355_000, rel=0.1)


def test_kernels_are_counted_layer_by_layer():
    base, distilled = (shape(name).cost("autocast", length=30, fused_attention=True) for name in (
        "roberta-base", "distilroberta-base",
    ))  # fmt: skip
    a_layer = (base.kernels - distilled.kernels) / 6
    assert 25 < a_layer < 40  # counted by a trace of the forward pass: 30
    assert base.moved_per_token == pytest.approx(12 * 226_000 / 3, rel=0.2)


def test_final_scoring_holds_the_whole_model_in_fp32_on_every_rank():
    parameters = shape().parameters
    offloaded = memory("zero3_offload_bf16", world=8, scored_tokens=8192)
    assert offloaded.scoring > 4 * parameters + 2**30 > offloaded.weights
    kept = memory("zero3_offload_bf16", world=8, scored_tokens=8192, freed=False)
    assert kept.scoring > offloaded.scoring
    # What trains need not fit when it is scored.
    tight = hardware(memory=0.99 * offloaded.scoring)
    sized = size(LAUNCH["zero3_offload_bf16"], recipe(data__max_length=64), shape(), WORKLOAD, tight)
    assert sized.memory.scoring > tight.memory and not sized.fits
