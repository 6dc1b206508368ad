"""The CPU kernels compute the same as torch's, apart from the random draws of dropout."""

import os
import platform
import subprocess
import sys

import pytest
import torch

from ner_dist.runtime import cpu_kernels
from ner_dist.runtime.cpu_kernels import bernoulli_

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


def relative(ours, exact):
    return ((ours.double() - exact).abs().max() / exact.abs().max().clamp(min=1e-30)).item()


needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")


@needs_onednn
@pytest.mark.parametrize("transposed", [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize("sizes", [(160, 200, 170), (3, 5, 7), (1, 2048, 2049), (257, 129, 131), (0, 4, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_matrix_products_are_those_of_torch(dtype, sizes, transposed):
    generator = torch.Generator().manual_seed(0)
    n, k, m = sizes

    def matrix(rows, columns, turned):
        made = torch.randn(*((columns, rows) if turned else (rows, columns)), generator=generator).to(dtype)
        return made.t() if turned else made

    a, b = matrix(n, k, transposed[0]), matrix(k, m, transposed[1])
    bias, spread, whole = matrix(1, m, False)[0], matrix(1, 2 * m, False)[0, ::2], matrix(n, m, False)
    tolerance = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float64: 1e-14}[dtype]
    exact = a.double() @ b.double()
    cases = [
        (cpu_kernels.mm(a, b), exact),
        (cpu_kernels.addmm(bias, a, b), exact + bias.double()),
        (cpu_kernels.addmm(spread, a, b), exact + spread.double()),
        (cpu_kernels.addmm(bias[:1].expand(m), a, b), exact + bias[:1].double()),
        (cpu_kernels.addmm(whole, a, b), exact + whole.double()),
        (cpu_kernels.addmm(bias, a, b, beta=0.5, alpha=2), 2 * exact + 0.5 * bias.double()),
    ]
    for ours, theirs in cases:
        assert (ours.dtype, ours.shape) == (dtype, theirs.shape)
        assert not n or relative(ours, theirs) < tolerance


@needs_onednn
def test_a_large_product_in_fp32_goes_to_onednn(monkeypatch):
    asked = []
    product = torch.ops.mkldnn._linear_pointwise
    monkeypatch.setattr(
        torch.ops.mkldnn, "_linear_pointwise", lambda *all: asked.append(all[0].shape) or product(*all)
    )
    for rows in (256, 16):
        cpu_kernels.mm(torch.randn(rows, 256), torch.randn(256, 256))
        cpu_kernels.addmm(torch.randn(256), torch.randn(rows, 256), torch.randn(256, 256))
    assert asked == [(256, 256)] * 2


FAULTS = """
import random, resource, torch
from ner_dist.runtime.cpu_kernels import speed_up
speed_up(fp32=True)
draw = random.Random(0)
held = []
for turn in range(60):
    if turn == 20:
        before = resource.getrusage(0).ru_minflt
    held.append(torch.empty(draw.randrange(1, 12) * 1_000_000).fill_(1))
    del held[:-3]
print(resource.getrusage(0).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc of the GNU C library")
def test_freed_memory_is_kept_unless_the_environment_says_otherwise():
    def faults(**variables):
        clean = {
            name: value for name, value in os.environ.items() if name not in cpu_kernels._MALLOC_VARIABLES
        }
        done = subprocess.run(
            [sys.executable, "-c", FAULTS], capture_output=True, text=True, timeout=120, env=clean | variables
        )
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    assert faults() < faults(MALLOC_TRIM_THRESHOLD_="131072") / 2


# In a process of its own: what is set up there stays for the rest of the process.
PROCESS = """
import warnings
warnings.simplefilter("error")
import torch
from ner_dist.runtime.cpu_kernels import bernoulli_, speed_up
speed_up(fp32=True); speed_up(fp32=True)
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
"""


def test_all_dropout_of_the_process_is_replaced_without_a_warning():
    done = subprocess.run([sys.executable, "-c", PROCESS], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
