"""Dropout's numbers drawn in bulk are what torch's own kernel would draw, but for the draw itself."""

import subprocess
import sys

import pytest
import torch

from ner_dist import cpu
from ner_dist.cpu import bernoulli_

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.bool, torch.int64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [0.0, 0.001, 0.1, 0.5, 0.9, 0.9999, 1.0])
def test_the_share_of_ones_is_p(dtype, p):
    n = 1_000_001
    drawn = bernoulli_(torch.full((n,), 7, dtype=dtype), p, generator=torch.Generator().manual_seed(0))
    assert set(drawn.unique().tolist()) <= {0, 1}
    # Four standard deviations; at the ends there is none.
    assert abs(drawn.double().mean().item() - p) <= 4 * (p * (1 - p) / n) ** 0.5


def test_neighbours_in_a_word_are_independent():
    drawn = bernoulli_(torch.empty(400_000), 0.3, generator=torch.Generator().manual_seed(1)).view(-1, 4)
    together = torch.corrcoef(drawn.T)
    assert (together - torch.eye(4)).abs().max() < 0.015


def test_any_shape_and_stride_is_filled():
    for shape in ((), (0,), (1,), (3, 5, 7)):
        assert bernoulli_(torch.full(shape, 2.0), 1.0).eq(1).all()
    transposed = torch.full((64, 100), 2.0).t()
    bernoulli_(transposed, 0.5, generator=torch.Generator().manual_seed(2))
    assert not transposed.is_contiguous()
    assert 0.45 < transposed.mean() < 0.55


def test_the_seed_decides_the_draw():
    def draw(seed):
        torch.manual_seed(seed)
        return bernoulli_(torch.empty(1000), 0.5)

    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))


def test_p_outside_0_and_1_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        bernoulli_(torch.empty(3), 1.5)


def test_processes_share_the_cores(monkeypatch):
    threads = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(cpu.os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for processes in ("1", "2", "3", "16"):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
        cpu._share_cores()
    assert threads == [8, 4, 2, 1]


# In a process of its own: what is set up there stays for the rest of the process.
PROCESS = """
import warnings
warnings.simplefilter("error")
import torch
from ner_dist.cpu import bernoulli_, speed_up
speed_up(); speed_up()
torch.manual_seed(5)
kept = torch.nn.functional.dropout(torch.ones(10_000, requires_grad=True), 0.25)
torch.manual_seed(5)
assert torch.equal(kept, bernoulli_(torch.empty(10_000), 0.75) / 0.75)

# Recomputed activations see the same dropout.
from torch.utils.checkpoint import checkpoint
x = torch.ones(10_000, requires_grad=True)
out = checkpoint(lambda x: torch.nn.functional.dropout(x * x, 0.5), x, use_reentrant=False)
out.sum().backward()
assert torch.equal(x.grad != 0, out != 0) and 0 < (out != 0).sum() < 10_000

# Scaled dot-product attention's dropout goes the same way.
q = torch.randn(2, 2, 8, 4)
torch.manual_seed(6)
a = torch.nn.functional.scaled_dot_product_attention(q, q, q, dropout_p=0.5)
torch.manual_seed(6)
assert torch.equal(a, torch.nn.functional.scaled_dot_product_attention(q, q, q, dropout_p=0.5))
"""


def test_all_dropout_of_the_process_is_replaced_without_a_warning():
    done = subprocess.run([sys.executable, "-c", PROCESS], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
