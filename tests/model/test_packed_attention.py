"""Sentences in a packed row get the logits and gradients that they have in a padded batch."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ner_dist.data.collate import collate
from ner_dist.data.packed_plan import FAMILIES, plan_packed_epoch
from ner_dist.data.packed_row import pack
from ner_dist.labels import UNLABELLED
from ner_dist.model.encoder import first_position
from ner_dist.model.packed_attention import Segments, grouped_attention, use_packed_attention
from tests.encoders import ENCODERS, make_encoder

# Some equal, some nearly so, one that fills all positions of the encoders, and more than those in all.
LENGTHS = np.array([64, 40, 39, 33, 20, 20, 9, 7, 7, 5, 3, 2])
# One encoder of each family; the others differ in their tokenizers.
NAMES = {ENCODERS[name][0]: name for name in reversed(ENCODERS) if ENCODERS[name][0] in FAMILIES}


def test_every_family_is_tested():
    assert NAMES.keys() == FAMILIES


@pytest.fixture(params=sorted(NAMES))
def encoder(request, tmp_path):
    """A tiny tagging model without dropout."""
    from transformers import AutoConfig, AutoModelForTokenClassification

    folder = make_encoder(NAMES[request.param], tmp_path)
    config = AutoConfig.from_pretrained(folder, num_labels=5)
    if request.param == "modernbert":
        config.sliding_window = 6
    torch.manual_seed(0)
    return AutoModelForTokenClassification.from_config(config).eval()


def encoded(vocabulary, *, seed=0):
    """Sentences of LENGTHS with a word at every other subword, in another order."""
    random = np.random.default_rng(seed)
    total = int(LENGTHS.sum())
    words = np.full(total, -1)
    words[::2] = np.arange(len(words[::2]))
    lengths = random.permutation(LENGTHS)
    return SimpleNamespace(
        input_ids=random.integers(5, vocabulary, total),
        word_index=words,
        example_offsets=np.concatenate([[0], np.cumsum(lengths)]),
        lengths=lengths,
    ), random.integers(0, 5, total)


def losses_and_gradients(model, batch):
    """The loss of each labelled word, sorted, and the gradient of a loss that weighs them by their size."""
    logits = batch.of_targets(model(**batch.inputs()).logits)
    losses = torch.nn.functional.cross_entropy(logits, batch.targets, reduction="none")
    gradients = torch.autograd.grad(losses.square().mean(), model.parameters(), allow_unused=True)
    labelled = losses[batch.targets != UNLABELLED]
    return labelled.detach().sort().values, [each for each in gradients if each is not None]


def test_a_packed_row_is_a_padded_batch(encoder):
    use_packed_attention(encoder)
    pad_id = encoder.config.pad_token_id
    split, tags = encoded(encoder.config.vocab_size)
    limit = int(LENGTHS.sum()) + 3
    plan = plan_packed_epoch(split.lengths, batch_tokens=limit, micro_batch_tokens=limit, seed=0, epoch=0)
    padded = collate(split, plan.micro_batch(0, 0), tags, pad_id=pad_id)
    # A tail of padding, as rows that are not quite full have.
    plan = plan.__class__(**vars(plan) | {"row_length": limit})
    row = pack(
        split,
        plan.micro_batch(0, 0),
        tags,
        plan=plan,
        pad_id=pad_id,
        first_position=first_position(encoder.config),
    )
    expected, of_padded = losses_and_gradients(encoder, padded)
    got, of_row = losses_and_gradients(encoder, row)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)
    scale = len(row.targets) / len(padded.targets)  # of the means
    assert len(of_row) == len(of_padded)
    for one, other in zip(of_row, of_padded, strict=True):
        torch.testing.assert_close(one * scale, other, rtol=1e-5, atol=1e-6)


def reference_attention(query, key, value, lengths, *, scale, window=None):
    """One sentence after the other."""
    outs = []
    for q, k, v in zip(*(each.split(list(lengths)) for each in (query, key, value)), strict=True):
        scores = torch.einsum("qhd,khd->hqk", q, k) * scale
        if window is not None:
            far = (torch.arange(len(q))[:, None] - torch.arange(len(q))).abs() >= window
            scores = scores.masked_fill(far, float("-inf"))
        outs.append(torch.einsum("hqk,khd->qhd", scores.softmax(-1), v))
    return torch.cat(outs)


def qkv(length):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(length, 2, 4, generator=generator).requires_grad_() for _ in range(3)]


@pytest.mark.parametrize("window", [None, 4])
@pytest.mark.parametrize("tail", [0, 5])
def test_groups_attend_within_their_sentences(window, tail):
    length = int(LENGTHS.sum())
    segments = Segments.of(LENGTHS, row_length=length + tail, longest=64, most=14)
    inputs = qkv(length + tail)
    out = grouped_attention(*inputs, segments, scale=0.5, window=window)
    expected = reference_attention(*(each[:length] for each in inputs), LENGTHS, scale=0.5, window=window)
    torch.testing.assert_close(out[:length], expected, rtol=1e-5, atol=1e-6)
    assert not out[length:].any()
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(2))
    got = torch.autograd.grad((out * weight).sum(), inputs)
    wanted = torch.autograd.grad((expected * weight[:length]).sum(), inputs)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_dropout_drops_weights_and_its_gradient_is_that_of_those_left():
    segments = Segments.of(np.array([30, 28, 5]), row_length=63, longest=30, most=3)
    inputs = qkv(63)

    def forward(*given):
        torch.manual_seed(7)
        return grouped_attention(*given, segments, scale=0.5, dropout=0.3)

    one, again = forward(*inputs), forward(*inputs)
    assert torch.equal(one, again)
    assert not torch.allclose(one, grouped_attention(*inputs, segments, scale=0.5))
    many = torch.stack(
        [grouped_attention(*inputs, segments, scale=0.5, dropout=0.3).detach() for _ in range(400)]
    )
    exact = grouped_attention(*inputs, segments, scale=0.5).detach()
    torch.testing.assert_close(many.mean(0), exact, rtol=0, atol=0.15)
    weight = torch.randn(one.shape, generator=torch.Generator().manual_seed(2))
    step = [torch.randn_like(each) for each in inputs]
    slope = sum(
        (gradient * along).sum()
        for gradient, along in zip(torch.autograd.grad((one * weight).sum(), inputs), step, strict=True)
    )
    ahead, behind = (
        (forward(*(each + by * along for each, along in zip(inputs, step, strict=True))) * weight).sum()
        for by in (1e-3, -1e-3)
    )
    assert slope.item() == pytest.approx((ahead - behind).item() / 2e-3, rel=2e-2)


def test_bounds_have_one_size_whatever_the_row_holds():
    one = Segments.of(np.array([5, 3]), row_length=12, longest=6, most=4)
    other = Segments.of(np.array([6, 3, 2, 1]), row_length=12, longest=6, most=4)
    assert one.bounds.tolist() == [0, 5, 8, 12, 12, 12]
    assert other.bounds.tolist() == [0, 6, 9, 11, 12, 12]
    assert one.bounds.dtype == torch.int32
    assert one.longest == other.longest == 6
    assert Segments.of(np.array([2]), row_length=12, longest=6, most=4).longest == 10
