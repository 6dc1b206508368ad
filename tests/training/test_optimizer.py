"""Weight decay and learning rate of each parameter, and the schedule over the steps."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForTokenClassification

from ner_dist.labels import LabelSet
from ner_dist.model.encoder import load_config, load_model
from ner_dist.recipe import Model, ScratchModel
from ner_dist.training.optimizer import build_optimizer, learning_rate, set_learning_rate
from tests.small import fixed_train

LAYERS = 3


@pytest.fixture(scope="module")
def model():
    shape = ScratchModel(vocab_size=300, hidden_size=8, layers=LAYERS, heads=2, max_length=16)
    labels = LabelSet.from_types(["PER"])
    model = Model(name="scratch", scratch=shape)
    return load_model(model, load_config(model), labels, seed=1, vocab_size=40)


def groups_of(model, **settings):
    """Parameter name -> its group in the optimiser."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    optimizer = build_optimizer(model, fixed_train(**settings))
    found = [(names[id(one)], group) for group in optimizer.param_groups for one in group["params"]]
    assert len(found) == len({name for name, _ in found})
    return dict(found)


def test_biases_and_norms_do_not_decay_and_all_else_does(model):
    groups = groups_of(model, weight_decay=0.03)
    assert groups.keys() == {name for name, _ in model.named_parameters()}
    exempt = {name for name in groups if name.endswith(".bias") or "LayerNorm" in name}
    assert len(exempt) > 10 * LAYERS
    for name, group in groups.items():
        assert group["weight_decay"] == (0.0 if name in exempt else 0.03), name


def test_a_norm_with_a_matrix_for_a_weight_does_not_decay_either():
    model = torch.nn.ModuleDict({"a": torch.nn.Linear(3, 3), "b": torch.nn.LayerNorm([3, 3])})
    decays = {name: group["weight_decay"] for name, group in groups_of(model).items()}
    assert decays == {"a.weight": 0.01, "a.bias": 0.0, "b.weight": 0.0, "b.bias": 0.0}


def test_without_layer_decay_every_parameter_has_the_whole_rate(model):
    assert {group["lr_scale"] for group in groups_of(model).values()} == {1.0}


def expected_scale(name, decay):
    if name.startswith("classifier"):
        return 1.0
    if ".embeddings." in name:
        return decay ** (LAYERS + 1)
    return decay ** (LAYERS - int(name.split(".layer.")[1].split(".")[0]))


def test_layer_decay_halves_from_the_head_down_to_the_embeddings(model):
    for name, group in groups_of(model, layer_decay=0.5).items():
        assert group["lr_scale"] == expected_scale(name, 0.5), name


@pytest.mark.parametrize(
    ("family", "lowest", "highest"),
    [
        ("distilbert", "distilbert.embeddings.word_embeddings.weight", "distilbert.transformer.layer.1.ffn"),
        ("modernbert", "model.embeddings.tok_embeddings.weight", "model.layers.1.mlp"),
    ],
)
def test_layers_are_found_whatever_the_family_calls_them(family, lowest, highest):
    settings = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 40}
    special = dict.fromkeys(("pad_token_id", "bos_token_id", "cls_token_id"), 0)
    special |= dict.fromkeys(("eos_token_id", "sep_token_id"), 1)
    model = AutoModelForTokenClassification.from_config(AutoConfig.for_model(family, **settings, **special))
    scales = {name: group["lr_scale"] for name, group in groups_of(model, layer_decay=0.5).items()}
    assert scales[lowest] == 0.5**3
    assert {scale for name, scale in scales.items() if name.startswith(highest)} == {0.5}
    assert scales["classifier.weight"] == 1.0


def test_frozen_parameters_are_left_out(model):
    frozen = model.roberta.embeddings.word_embeddings.weight
    frozen.requires_grad_(False)
    try:
        assert "roberta.embeddings.word_embeddings.weight" not in groups_of(model)
    finally:
        frozen.requires_grad_(True)


def test_settings_of_adam_arrive(model):
    optimizer = build_optimizer(
        model, fixed_train(adam_betas=(0.8, 0.95), adam_epsilon=1e-6, learning_rate=3e-4)
    )
    for group in optimizer.param_groups:
        assert (group["betas"], group["eps"], group["lr"]) == ((0.8, 0.95), 1e-6, 3e-4)


def test_a_rate_is_set_times_each_groups_scale(model):
    optimizer = build_optimizer(model, fixed_train(layer_decay=0.5))
    for rate in (2e-3, 1e-3):  # of the schedule each time, not of the rate before
        set_learning_rate(optimizer, rate)
        for group in optimizer.param_groups:
            assert group["lr"] == rate * group["lr_scale"]


def test_a_smaller_rate_below_moves_the_lower_weights_less(model):
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = build_optimizer(model, fixed_train(layer_decay=0.1, weight_decay=0.0))
    set_learning_rate(optimizer, 1e-2)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    # Adam's first step is the rate itself, whatever the gradient.
    for name, parameter in model.named_parameters():
        moved = (parameter.detach() - before[name]).abs().mean().item()
        assert moved == pytest.approx(1e-2 * expected_scale(name, 0.1), rel=0.05), name


peaks = st.floats(1e-7, 1.0)
schedules = st.builds(
    fixed_train,
    learning_rate=peaks,
    warmup_ratio=st.floats(0, 0.99),
    schedule=st.sampled_from(["linear", "cosine", "constant"]),
)


def rates(settings, total):
    return [learning_rate(step, total=total, settings=settings) for step in range(1, total + 1)]


@given(schedules, st.integers(1, 300))
def test_the_rate_rises_to_the_peak_and_never_above_it_and_then_falls(settings, total):
    got, peak = rates(settings, total), settings.learning_rate
    warmup = math.ceil(total * settings.warmup_ratio)
    assert all(0 < rate <= peak * (1 + 1e-12) for rate in got)
    assert all(a < b for a, b in pairwise(got[:warmup]))
    if warmup:
        assert got[warmup - 1] == pytest.approx(peak)
    behind = got[max(warmup - 1, 0) :]
    assert all(a >= b * (1 - 1e-12) for a, b in pairwise(behind))
    if settings.schedule != "constant":
        assert all(a > b for a, b in pairwise(behind))


@given(schedules, st.integers(2, 300))
def test_warm_up_is_linear_from_nothing(settings, total):
    got = rates(settings, total)
    warmup = math.ceil(total * settings.warmup_ratio)
    for step in range(1, warmup + 1):
        assert got[step - 1] == pytest.approx(settings.learning_rate * step / warmup)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@given(total=st.integers(1, 300), ratio=st.floats(0, 0.99), peak=peaks)
def test_the_rate_reaches_zero_just_after_the_last_step(schedule, total, ratio, peak):
    settings = fixed_train(learning_rate=peak, warmup_ratio=ratio, schedule=schedule)
    behind = learning_rate(total + 1, total=total, settings=settings)
    assert behind == pytest.approx(0, abs=1e-9 * peak)
    assert learning_rate(total, total=total, settings=settings) > behind


def test_schedules_by_hand():
    def at(schedule):
        settings = fixed_train(learning_rate=1.0, warmup_ratio=0.2, schedule=schedule)
        return rates(settings, 10)

    falling = [left / 9 for left in range(8, 0, -1)]
    assert at("linear") == pytest.approx([0.5, 1.0, *falling])
    assert at("constant") == pytest.approx([0.5] + [1.0] * 9)
    cosine = at("cosine")
    # Half a cosine is symmetric about its middle, and flat at both ends.
    assert cosine[2:] == pytest.approx([1 - rate for rate in reversed(cosine[2:])])
    assert cosine[2] > falling[0] and cosine[-1] < falling[-1]


def test_without_warm_up_a_constant_rate_starts_at_once():
    assert rates(fixed_train(learning_rate=1.0, warmup_ratio=0.0, schedule="constant"), 3) == [1.0] * 3
