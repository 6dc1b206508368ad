"""A step's gradient is that of its words alone, and every step is reproducible."""

from __future__ import annotations

import importlib.util
import re
import shutil
import weakref
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    AlbertConfig,
    AlbertForTokenClassification,
    RobertaConfig,
    RobertaForTokenClassification,
)

from ner_dist.errors import UserError
from ner_dist.model.compiled import compile_layers
from ner_dist.training import trainer as trainer_module
from ner_dist.training.loss import class_weights
from ner_dist.training.metrics_log import MetricsLogger
from ner_dist.training.micro_batches import plan_training
from ner_dist.training.optimizer import learning_rate
from tests import small


@pytest.fixture(scope="module")
def accelerator():
    return small.one_process()


@pytest.fixture
def start(tmp_path, accelerator):
    """Start a training with overrides of the tiny recipe."""

    def start(*overrides: str):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        return small.trainer(small.recipe(tmp_path, *overrides), accelerator=accelerator)

    return start


def examples_of_step(trainer, step):
    """The examples of one step of the first epoch, by the plan."""
    plan = plan_training(trainer.task.splits["train"].encoded.lengths, trainer.task.fixed.train)
    return plan.step_examples(step)


def naive_loss(trainer, examples):
    """Summed loss and divisor of some examples: one at a time, no padding, one word after the other."""
    encoded, tags = trainer.task.splits["train"].encoded, trainer.task.splits["train"].tags
    settings, weights = trainer.recipe.train, trainer.loop.loss.weights
    total, divisor = torch.zeros(()), 0.0
    for example in examples:
        start, end = encoded.example_offsets[example : example + 2]
        ids = torch.from_numpy(encoded.input_ids[start:end].astype(np.int64))[None]
        log_p = trainer.loop.model(input_ids=ids).logits[0].log_softmax(-1)
        for place, word in enumerate(encoded.word_index[start:end]):
            if word < 0:
                continue
            tag = int(tags[word])
            weight = torch.ones(log_p.shape[-1]) if weights is None else weights
            total = total - (1 - settings.label_smoothing) * weight[tag] * log_p[place, tag]
            total = total - settings.label_smoothing * (weight * log_p[place]).mean()
            divisor += float(weight[tag])
    return total, divisor


def first_step(trainer):
    """The first step, and the gradients that the optimiser was given."""
    gradients = {}
    named = {id(parameter): name for name, parameter in trainer.loop.model.named_parameters()}

    def keep(optimizer, *_):
        for group in optimizer.param_groups:
            gradients.update({named[id(one)]: one.grad.clone() for one in group["params"]})

    hook = trainer.loop.optimizer.optimizer.register_step_pre_hook(keep)
    step = next(trainer.loop.steps())
    hook.remove()
    return step, gradients


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["train.class_weights=balanced"],
        ["train.class_weights={O: 0.25, PER: 3.0}", "train.label_smoothing=0.1"],
    ],
    ids=["plain", "balanced", "weights and smoothing"],
)
@pytest.mark.parametrize("micro_batch_tokens", [768, 384, 256, 100])
def test_a_steps_gradient_is_that_of_its_words_whatever_the_micro_batches(start, micro_batch_tokens, options):
    trainer = start(
        f"train.micro_batch_tokens={micro_batch_tokens}",
        "model.dropout=0.0",
        "train.max_grad_norm=null",
        *options,
    )
    total, divisor = naive_loss(trainer, examples_of_step(trainer, 0))
    model = trainer.loop.model
    expected = dict(
        zip(
            (name for name, _ in model.named_parameters()),
            torch.autograd.grad(total / divisor, list(model.parameters())),
            strict=True,
        )
    )
    step, gradients = first_step(trainer)
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-3, atol=1e-6, msg=name)
    assert step.weight == pytest.approx(divisor, rel=1e-6)
    assert step.loss.item() / step.weight == pytest.approx((total / divisor).item(), rel=1e-5)
    norm = torch.stack([gradient.norm() for gradient in expected.values()]).norm().item()
    assert float(step.grad_norm) == pytest.approx(norm, rel=1e-4)


def test_the_gradient_is_clipped_and_the_norm_told_is_that_before(start):
    _, whole = first_step(start("train.max_grad_norm=null"))
    step, clipped = first_step(start("train.max_grad_norm=0.25"))
    norms = [
        torch.stack([one.norm() for one in gradients.values()]).norm().item()
        for gradients in (whole, clipped)
    ]
    assert norms[0] > 1
    assert float(step.grad_norm) == pytest.approx(norms[0], rel=1e-5)
    assert norms[1] == pytest.approx(0.25, rel=1e-3)


def test_class_weights_are_those_of_the_training_words(start):
    trainer = start("train.class_weights=balanced")
    expected = class_weights(trainer.recipe.train, trainer.task.labels, trainer.task.splits["train"].tags)
    assert torch.equal(trainer.loop.loss.weights, expected)


def test_a_step_tells_its_words_and_cells(start):
    trainer = start()
    encoded = trainer.task.splits["train"].encoded
    for index, step in zip(range(3), trainer.loop.steps(), strict=False):
        examples = examples_of_step(trainer, index)
        assert step.words == step.weight == encoded.words_per_example()[examples].sum()
        assert step.subwords == encoded.lengths[examples].sum()
        assert step.subwords <= step.padded_tokens <= trainer.recipe.train.batch_tokens
        assert step.seconds > 0


class HostReads(TorchDispatchMode):
    """Counts the operators for which the host waits on a GPU: they read a value, or a number of elements."""

    NAMES = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero")

    def __init__(self):
        super().__init__()
        self.seen = Counter()

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        name = operator.overloadpacket.__name__
        if name in self.NAMES:
            self.seen[name] += 1
        return operator(*args, **(kwargs or {}))


@pytest.mark.parametrize("options", [[], ["train.class_weights=balanced", "train.label_smoothing=0.1"]])
@pytest.mark.parametrize(("packing", "masks"), [("true", {True}), ("false", {True, False})])
def test_a_step_never_makes_the_host_wait_for_the_device(start, packing, masks, options):
    loop, masked = start(f"train.packing={packing}", *options).loop, set()
    loop.model.register_forward_pre_hook(
        lambda _, __, inputs: masked.add(inputs["attention_mask"] is not None), with_kwargs=True
    )
    steps = loop.steps()
    next(steps)
    with HostReads() as reads:
        for _ in range(4):
            next(steps)
    assert masked == masks
    assert not reads.seen
    with HostReads() as reads:
        loop.model.classifier.weight.sum().item()
    assert reads.seen  # the counter counts


def losses(steps):
    return [step.loss.item() for step in steps]


def test_a_training_goes_on_from_any_position_as_it_did_before(start):
    trainer = start("train.max_steps=8")
    loop = trainer.loop
    steps = loop.steps()
    head = losses([next(steps) for _ in range(4)])
    weights = small.weights_of(loop.model)
    moments = [
        {key: value.clone() for key, value in loop.optimizer.optimizer.state[one].items()}
        for one in loop.model.parameters()
    ]
    tail = losses(steps)
    assert (len(head), len(tail)) == (4, 4)
    end = small.weights_of(loop.model)

    with torch.no_grad():
        for (name, parameter), state in zip(loop.model.named_parameters(), moments, strict=True):
            parameter.copy_(weights[name])
            loop.optimizer.optimizer.state[parameter] = state
    loop.step = 4
    torch.manual_seed(999)
    assert losses(loop.steps()) == tail
    assert all(torch.equal(one, end[name]) for name, one in loop.model.named_parameters())


def test_what_is_done_between_steps_changes_none(start):
    undisturbed = losses(start("train.max_steps=4").loop.steps())
    loop, disturbed = start("train.max_steps=4").loop, []
    for step in loop.steps():
        disturbed.append(step.loss.item())
        loop.model.eval()
        torch.manual_seed(5)
    assert disturbed == undisturbed


def test_dropout_has_a_seed_of_its_own_for_every_step_and_micro_batch(start):
    def seeds(*overrides):
        loop, seen = start("train.max_steps=20", *overrides).loop, []
        loop.model.register_forward_pre_hook(lambda *_: seen.append(torch.initial_seed()))
        list(loop.steps())
        return seen

    first = seeds()
    assert len(set(first)) == len(first) == 20 * 3
    assert seeds() == first
    assert not set(seeds("train.seed=14")) & set(first)


def test_dropout_is_on(start):
    with_dropout, without = (
        losses(start("train.max_steps=1", f"model.dropout={p}").loop.steps()) for p in (0.1, 0.0)
    )
    assert with_dropout[0] != pytest.approx(without[0], rel=1e-5)


@pytest.mark.parametrize(("packing", "steps"), [("true", 16), ("false", 17)])
def test_an_epoch_shows_every_example_once_and_the_next_in_another_order(start, packing, steps):
    trainer = start(f"train.packing={packing}", f"train.max_steps={2 * steps}", "train.learning_rate=1.0e-9")
    encoded = trainer.task.splits["train"].encoded
    shown, learnt, pad_id = [], [], trainer.task.splits["train"].pad_id

    def show(_, __, inputs):
        rows, mask = inputs["input_ids"], inputs["attention_mask"]
        if "segments" in inputs:
            parts = rows[0].split(inputs["segments"].bounds.diff(prepend=torch.tensor([0])).tolist())
            shown[:] = [tuple(ids) for part in parts if (ids := part.tolist()) and set(ids) != {pad_id}]
            return
        masks = (torch.ones_like(rows) if mask is None else mask).bool()
        shown[:] = [tuple(row[mask].tolist()) for row, mask in zip(rows, masks, strict=True)]

    def learn(_, inputs):
        # A pass without labelled words only keeps the ranks in step.
        learnt.extend(shown if len(inputs[1]) else [])

    trainer.loop.model.register_forward_pre_hook(show, with_kwargs=True)
    trainer.loop.loss.register_forward_pre_hook(learn)
    epochs = [[], []]
    for step in trainer.loop.steps():
        epochs[step.epoch] += learnt
        learnt.clear()
    cuts = encoded.example_offsets[1:-1]
    expected = Counter(tuple(part.tolist()) for part in np.split(encoded.input_ids, cuts))
    assert Counter(epochs[0]) == Counter(epochs[1]) == expected
    assert epochs[0] != epochs[1]


def test_position_and_epoch_are_told_with_every_step(start):
    loop = start("train.max_steps=40", "train.learning_rate=1.0e-9").loop
    assert loop.steps_per_epoch == 16
    for number, step in enumerate(loop.steps(), start=1):
        assert step.number == loop.step == number
        assert step.epoch == (number - 1) // 16
        assert step.ends_epoch is (number % 16 == 0)
        assert step.total == 40
    assert loop.step == 40
    assert list(loop.steps()) == []


def test_epochs_say_how_many_steps_where_max_steps_does_not(start):
    assert start("train.max_steps=null", "train.epochs=3").loop.total == 48


@pytest.mark.parametrize("max_steps", [5, 20])
def test_max_steps_stretches_the_schedule(start, max_steps):
    trainer = start(f"train.max_steps={max_steps}", "train.warmup_ratio=0.2")
    settings = trainer.recipe.train
    rates = [step.learning_rate for step in trainer.loop.steps()]
    expected = [learning_rate(n, total=max_steps, settings=settings) for n in range(1, max_steps + 1)]
    assert rates == expected
    assert max(rates) == settings.learning_rate and rates[-1] < rates[0]


def test_the_rate_of_a_step_is_the_one_that_is_applied(start):
    trainer = start("train.layer_decay=0.5")
    step = next(trainer.loop.steps())
    for group in trainer.loop.optimizer.param_groups:
        assert group["lr"] == step.learning_rate * group["lr_scale"]


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_leaves_the_weights_and_moments_as_they_were(start, poison):
    trainer = start("train.max_steps=4")
    loop = trainer.loop
    steps = loop.steps()
    next(steps)
    before = small.weights_of(loop.model)
    state = loop.optimizer.optimizer.state
    moments = {name: state[one]["exp_avg"].clone() for name, one in loop.model.named_parameters()}
    hook = loop.model.classifier.register_forward_hook(lambda module, inputs, output: output * poison)
    assert not np.isfinite(float(next(steps).grad_norm))
    hook.remove()
    for name, parameter in loop.model.named_parameters():
        assert torch.equal(parameter, before[name]), name
        assert torch.equal(state[parameter]["exp_avg"], moments[name]), name
        assert state[parameter]["step"].item() == 1
    assert np.isfinite(float(next(steps).grad_norm))
    assert not torch.equal(loop.model.classifier.weight, before["classifier.weight"])


def poisoned_training(trainer, steps_poisoned):
    """Train with logits that are not finite in some steps; how far it came."""
    poison = trainer.loop.model.classifier.register_forward_hook(
        lambda module, inputs, output: (
            output * float("nan") if trainer.loop.step + 1 in steps_poisoned else output
        )
    )
    done = 0
    try:
        with MetricsLogger(trainer.recipe, trainer.run, accelerator=trainer.accelerator) as metrics_log:
            for step in trainer.loop.steps():
                done = step.number
                metrics_log.add(step)
    finally:
        poison.remove()
    return done


def test_a_training_stops_after_a_few_steps_in_a_row_that_are_not_finite(start, log_lines):
    trainer = start("train.max_steps=12", "train.max_nonfinite_steps=3", "logging.every=1")
    with pytest.raises(UserError, match=r"not finite in 3 steps in a row, up to step 7") as caught:
        poisoned_training(trainer, {2, 5, 6, 7, 8})
    assert "train.learning_rate" in caught.value.fix
    assert [line for line in log_lines if line.startswith(("step 2:", "step 5:", "step 7:"))] == [
        f"step {number}: loss nan, gradient norm nan: update skipped" for number in (2, 5, 7)
    ]
    assert all(torch.isfinite(parameter).all() for parameter in trainer.loop.model.parameters())


def test_steps_that_are_not_finite_here_and_there_stop_nothing(start):
    trainer = start("train.max_steps=12", "train.max_nonfinite_steps=3", "logging.every=5")
    assert poisoned_training(trainer, {1, 2, 4, 5, 7, 8}) == 12


def test_bf16_on_a_cpu_trains_fp32_weights_to_about_the_same_losses(start, tmp_path):
    exact = losses(start("train.max_steps=6").loop.steps())
    (tmp_path / "bf16").mkdir()
    recipe = small.recipe(tmp_path / "bf16", "train.max_steps=6", "precision=bf16")
    try:
        trainer = small.trainer(recipe, accelerator=small.one_process(precision="bf16"))
        rounded = losses(trainer.loop.steps())
    finally:
        small.one_process()
    assert rounded == pytest.approx(exact, rel=0.02) and rounded != exact
    assert {parameter.dtype for parameter in trainer.loop.model.parameters()} == {torch.float32}


@pytest.mark.soak
def test_a_compiled_encoder_trains_to_the_same_losses(start, monkeypatch):
    """Without a C++ compiler's minute: the graphs are captured and differentiated, then run as they are."""
    compile_module = torch.nn.Module.compile
    calls = []

    def without_compiler(self, **settings):
        calls.append(settings)
        compile_module(self, backend="aot_eager", **settings)

    options = ["train.max_steps=2", "model.dropout=0.0", "model.scratch.layers=1", "train.packing=false"]
    expected = losses(start(*options).loop.steps())
    monkeypatch.setattr(torch.nn.Module, "compile", without_compiler)
    trainer = start(*options, "model.compile=true")
    assert losses(trainer.loop.steps()) == pytest.approx(expected, rel=1e-5)
    assert calls == [{"dynamic": True}]
    assert "classifier.weight" in dict(trainer.loop.model.named_parameters())


@pytest.mark.soak
def test_one_graph_serves_all_layers():
    graphs = []
    tiny = {"vocab_size": 90, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}

    def count(graph, inputs):
        graphs.append(graph)
        return graph

    def layers(number):
        config = RobertaConfig(
            vocab_size=90,
            hidden_size=16,
            num_hidden_layers=number,
            num_attention_heads=2,
            intermediate_size=32,
        )
        model = RobertaForTokenClassification(config)
        assert compile_layers(model) == number
        for layer in model.roberta.encoder.layer:
            layer.compile(dynamic=True, backend=count)
        graphs.clear()
        for size in (7, 9, 12):
            model(input_ids=torch.randint(5, 90, (3, size)))
        return len(graphs)

    one = layers(1)
    torch._dynamo.reset()
    assert layers(5) == one > 0
    shared = AlbertConfig(**tiny, num_hidden_layers=3)
    assert compile_layers(AlbertForTokenClassification(shared)) == 1


def test_compiling_under_zero_3_is_refused(start, monkeypatch):
    monkeypatch.setattr(trainer_module, "zero_stage", lambda accelerator: 3)
    with pytest.raises(UserError, match=r"under ZeRO-3 .* launch with DDP, ZeRO-1 or ZeRO-2"):
        start("model.compile=true")


def test_compiling_for_few_steps_is_warned_of(start, log_lines, monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "compile", lambda *all, **named: None)
    start("model.compile=true")
    assert any("which 20 steps will not win back" in line for line in log_lines)


def test_fp16_that_overflows_for_ever_ends_with_one_line(start, monkeypatch):
    trainer = start()
    with trainer.open_metrics_log() as metrics_log:
        monkeypatch.setattr(trainer.accelerator.state, "_mixed_precision", "fp16")
        assert trainer.accelerator.mixed_precision == "fp16"
        step = next(trainer.loop.steps())
        overflown = replace(step, grad_norm=torch.tensor(float("inf")), total=1000)
        steps = [overflown] * 49 + [step] + [overflown] * 50
        metrics_log.waiting = [replace(one, number=n) for n, one in enumerate(steps, start=1)]
        with pytest.raises(UserError, match="overflowed in fp16 in 50 steps in a row, up to step 100"):
            metrics_log.flush()


def test_deepspeeds_own_end_of_fp16_is_the_same_line(start):
    # Importing it takes seconds.
    folder = Path(importlib.util.find_spec("deepspeed").origin).parent
    raised = re.search(r'raise Exception\(\s*"(.+)"\)', (folder / "runtime/fp16/loss_scaler.py").read_text())
    said = r"no loss scale is left at which fp16 does not overflow, after step 0, .* lower train.learning"
    with pytest.raises(UserError, match=said), start().open_metrics_log():
        raise Exception(raised[1])


def test_what_to_do_when_memory_runs_out_depends_on_what_is_done(start):
    trainer = start("train.max_steps=2")

    def advice():
        with pytest.raises(UserError) as caught, trainer.open_metrics_log():
            raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
        return str(caught.value)

    assert "train.micro_batch_tokens" in advice()
    list(trainer.loop.steps())
    assert "checkpoint.every" in advice()
    weights = [weakref.ref(one) for one in trainer.loop.model.parameters()]
    trainer.loop.release()
    trainer.released = True
    assert "evaluation.batch_tokens" in advice()
    assert [one() for one in weights] == [None] * len(weights)
