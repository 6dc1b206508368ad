"""Training on 16-bit copies: weights and gradients stay fp32, and nothing is left behind."""

from __future__ import annotations

import pytest
import torch

from ner_dist.training import trainer as trainers
from ner_dist.training.weight_copies import WeightCopies, copies_suit
from tests import small


@pytest.fixture
def start(tmp_path):
    """Start a bf16 training of the tiny recipe."""

    def start(*overrides: str, precision: str = "bf16"):
        recipe = small.recipe(tmp_path, f"precision={precision}", "train.max_steps=4", *overrides)
        return small.trainer(recipe, accelerator=small.one_process(precision=precision))

    yield start
    small.one_process()


def losses(loop):
    return [step.loss.item() for step in loop.steps()]


def test_losses_are_about_those_of_autocast_and_weights_and_moments_stay_fp32(start, monkeypatch):
    trainer = start()
    assert trainer.loop.copies is not None
    with_copies = losses(trainer.loop)
    state = trainer.loop.optimizer.optimizer.state
    for parameter in trainer.loop.model.parameters():
        assert parameter.dtype == state[parameter]["exp_avg"].dtype == torch.float32
        assert parameter.is_leaf
    monkeypatch.setattr(trainers, "copies_suit", lambda *_, **__: False)
    autocast = start()
    assert autocast.loop.copies is None
    assert with_copies == pytest.approx(losses(autocast.loop), rel=5e-3)


def test_every_step_computes_with_the_weights_as_they_are(start):
    trainer = start("model.dropout=0.0", "train.packing=false")
    loop = trainer.loop
    steps = loop.steps()
    next(steps)
    with torch.no_grad():
        for parameter in loop.model.classifier.parameters():
            parameter.zero_()
    step = next(steps)
    # A head of zeros finds all labels equally probable.
    expected = step.words * torch.tensor(len(trainer.task.labels)).log().item()
    assert step.loss.item() == pytest.approx(expected, rel=1e-3)


def test_gradients_are_summed_in_fp32_over_micro_batches(start):
    """Of small parts a 16-bit sum would keep 8 bits."""
    loop = start("model.dropout=0.0").loop
    layer = loop.model.classifier
    sums = torch.zeros(layer.weight.shape)
    for _ in range(50):
        with loop.computing():
            weight = layer.weight
            assert weight.dtype == torch.bfloat16
            (weight * 1.0009765625).sum().backward()
        sums += torch.tensor(1.0009765625).bfloat16().float()
    assert layer.weight.grad.dtype == torch.float32
    torch.testing.assert_close(layer.weight.grad, sums, rtol=1e-6, atol=0)


def test_the_embeddings_gradient_is_summed_in_fp32():
    model = torch.nn.Sequential(torch.nn.Embedding(3, 2), torch.nn.Linear(2, 1, bias=False))
    copies = WeightCopies(model, precision="bf16")
    copies.refresh()
    ids = torch.zeros(2000, dtype=torch.int64)
    with copies.in_use():
        out = model(ids)
        assert out.dtype == torch.bfloat16
        out.sum().backward()
    one = model[1].weight.detach().bfloat16().float()[0]
    torch.testing.assert_close(model[0].weight.grad[0], 2000 * one, rtol=1e-6, atol=0)
    assert model(ids).dtype == torch.float32


def test_a_failure_leaves_the_weights_in_their_places(start):
    loop = start().loop
    before = dict(loop.model.named_parameters())
    with pytest.raises(RuntimeError, match="in between"), loop.computing():
        assert loop.model.classifier.weight.dtype == torch.bfloat16
        raise RuntimeError("in between")
    after = dict(loop.model.named_parameters())
    assert all(after[name] is parameter for name, parameter in before.items())


def test_gradient_checkpointing_recomputes_with_the_copies(start):
    plain = losses(start().loop)
    assert losses(start("model.gradient_checkpointing=true", "resume=never").loop) == plain


def test_other_precisions_strategies_and_encoders_have_none():
    bf16 = small.one_process(precision="bf16")
    assert copies_suit(bf16, "roberta", compiled=False)
    assert not copies_suit(bf16, "roberta", compiled=True)
    assert not copies_suit(bf16, "deberta-v2", compiled=False)
    assert not copies_suit(small.one_process(), "roberta", compiled=False)


def test_fp16_gradients_that_overflow_are_infinite_in_fp32_too():
    """So that GradScaler sees them and skips the step."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    copies = WeightCopies(model, precision="fp16")
    copies.refresh()
    with copies.in_use():
        (model(torch.full((1, 2), 100.0, dtype=torch.float16)).float() * 65536.0).sum().backward()
    assert model[0].weight.grad.dtype == torch.float32
    assert torch.isinf(model[0].weight.grad).all()
