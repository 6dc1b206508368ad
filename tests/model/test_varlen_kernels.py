"""A kernel is used only if it computes a small row as the groups do; the choice is one line in the log."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from ner_dist.model.packed_attention import grouped_attention
from ner_dist.model.varlen_kernels import KERNELS, choose_kernel

CPU = torch.device("cpu")
CONFIG = SimpleNamespace(num_attention_heads=2, hidden_size=8)


def right(*inputs, **settings):
    return grouped_attention(*inputs, **settings)


def missing(*_, **__):
    raise NotImplementedError("Could not run 'aten::_flash_attention_forward'\nwith many lines")


def wrong_values(*inputs, **settings):
    return grouped_attention(*inputs, **settings) * 1.01


def wrong_gradient(query, key, value, segments, **settings):
    return grouped_attention(query, key.detach() + 0 * key, value, segments, **settings)


def nan_with_dropout(*inputs, dropout, **settings):
    return grouped_attention(*inputs, dropout=dropout, **settings) * (float("nan") if dropout else 1.0)


def without_dropout(*inputs, dropout, **settings):
    return grouped_attention(*inputs, **settings)


def without_window(*inputs, window, **settings):
    return grouped_attention(*inputs, **settings)


def choose(config=CONFIG, **kernels):
    return choose_kernel(config, device=CPU, dtype=torch.float32, kernels=kernels)


def test_the_first_kernel_that_passes_is_taken(log_lines):
    assert choose(first=missing, second=right, third=wrong_values) is right
    assert log_lines == ["attention of packed rows: the second kernel"]


@pytest.mark.parametrize(
    ("kernel", "reason"),
    [
        (missing, "Could not run 'aten::_flash_attention_forward'"),
        (wrong_values, "other values than in groups"),
        (wrong_gradient, "other values than in groups"),
        (nan_with_dropout, "not finite with dropout"),
        (without_dropout, "no dropout"),
    ],
)
def test_a_kernel_that_fails_gives_way_to_groups_with_one_line(log_lines, kernel, reason):
    assert choose(fast=kernel) is grouped_attention
    assert log_lines == [
        f"attention of packed rows in groups, since no kernel passed the check (fast: {reason})"
    ]


def test_an_encoder_with_windows_needs_them(log_lines):
    windowed = SimpleNamespace(num_attention_heads=2, hidden_size=8, sliding_window=8)
    assert choose(windowed, fast=without_window) is grouped_attention
    assert choose(windowed, fast=right) is right
    assert choose(fast=without_window) is without_window


def test_the_check_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    choose(fast=right)
    assert torch.equal(torch.get_rng_state(), before)


def test_cpus_have_none_of_the_kernels_and_the_check_finds_out(log_lines):
    assert choose_kernel(CONFIG, device=CPU, dtype=torch.float32) is grouped_attention
    assert log_lines == []
    assert choose(**KERNELS) is grouped_attention
    assert log_lines[0].count("Could not run") == 2


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("kernel", "dtype"), [("flash", torch.bfloat16), ("flash", torch.float16), ("efficient", torch.float32)]
)
def test_the_kernels_pass_on_a_gpu(kernel, dtype):
    config = SimpleNamespace(num_attention_heads=4, hidden_size=128)
    device = torch.device("cuda")
    one = {kernel: KERNELS[kernel]}
    assert choose_kernel(config, device=device, dtype=dtype, kernels=one) is KERNELS[kernel]
