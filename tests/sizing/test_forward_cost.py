"""Counting parameters, saved activations and FLOPs, against the real models and the published formulas."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoModelForTokenClassification,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    RobertaConfig,
)

from ner_dist.recipe import Model
from ner_dist.sizing.forward_cost import forward_cost
from ner_dist.sizing.model_shape import KNOWN, model_shape, shape_of

SMALL = {"vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
SMALL |= {"intermediate_size": 128, "max_position_embeddings": 80, "pad_token_id": 0}
CONFIGS = {
    "bert": BertConfig(**SMALL),
    "roberta": RobertaConfig(**SMALL),
    "deberta": DebertaV2Config(
        **SMALL, relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=16, type_vocab_size=0
    ),
    "distilbert": DistilBertConfig(
        vocab_size=300, dim=32, n_layers=2, n_heads=2, hidden_dim=128, max_position_embeddings=80
    ),
    "electra": ElectraConfig(**SMALL, embedding_size=16),
    "modernbert": ModernBertConfig(**SMALL, cls_token_id=1, sep_token_id=2, bos_token_id=1, eos_token_id=2),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_are_those_of_the_real_model(name):
    shape = shape_of(CONFIGS[name], labels=31)
    model = AutoModelForTokenClassification.from_config(CONFIGS[name])
    assert shape.sizes == tuple(parameter.numel() for parameter in model.parameters())
    assert shape.parameters == sum(shape.sizes) and shape.largest == max(shape.sizes)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("length", [24, 64])
def test_flops_are_those_that_a_real_forward_pass_counts(name, length):
    cost = forward_cost(CONFIGS[name], "fp32", length=length, fused_attention=False)
    # Without fused attention, whose operations PyTorch's counter leaves out on a CPU.
    config = copy.deepcopy(CONFIGS[name])
    model = AutoModelForTokenClassification.from_config(config, attn_implementation="eager").train()
    ids = torch.ones(3, length, dtype=torch.int64)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, attention_mask=torch.ones_like(ids))
    assert cost.flops(3 * length) == pytest.approx(counter.get_total_flops(), rel=0.01)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("numbers", ["fp32", "autocast", "half"])
def test_saved_bytes_are_those_that_a_real_forward_pass_saves(name, numbers):
    cost = forward_cost(CONFIGS[name], numbers, length=40, fused_attention=False)
    model = AutoModelForTokenClassification.from_config(CONFIGS[name]).train()
    if numbers == "half":
        model.bfloat16()
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    saved = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage
        return tensor

    # The last row is padded, as in a training: without a mask some families save less.
    ids, mask = torch.ones(5, 40, dtype=torch.int64), torch.ones(5, 40, dtype=torch.int64)
    mask[-1, -1] = 0
    with (
        torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=numbers == "autocast"),
    ):
        model(input_ids=ids, attention_mask=mask)
    assert cost.saved(5 * 40) == pytest.approx(sum(s.nbytes() for s in saved.values()), rel=0.05)


def test_a_bert_comes_to_the_published_formulas():
    hidden, layers, length = 256, 4, 128
    config = BertConfig(
        vocab_size=1000, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=4,
        intermediate_size=4 * hidden, num_labels=2,
    )  # fmt: skip
    cost = forward_cost(config, "half", length=length, fused_attention=True)
    products = layers * (24 * length * hidden**2 + 4 * length**2 * hidden)
    assert cost.flops(length) == pytest.approx(products, rel=0.01)
    assert cost.saved(length) == pytest.approx(layers * 34 * length * hidden, rel=0.25)


def test_fused_attention_saves_no_probabilities():
    lengths = {
        fused: [
            forward_cost(CONFIGS["roberta"], "fp32", length=length, fused_attention=fused).saved_per_token
            for length in (20, 60)
        ]
        for fused in (True, False)
    }
    growth = {fused: long - short for fused, (short, long) in lengths.items()}
    assert growth[True] < growth[False] / 3


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("roberta-base", 124.1),
        ("roberta-large", 354.3),
        ("xlm-roberta-base", 277.5),
        ("distilbert-base-cased", 65.2),
        ("microsoft/deberta-v3-base", 183.9),
        ("answerdotai/ModernBERT-base", 149.6),
    ],
)
def test_well_known_encoders_need_no_network(name, millions):
    assert name in KNOWN
    assert model_shape(Model(name=name), labels=31).parameters == pytest.approx(1e6 * millions, rel=0.002)


def test_ten_billion_parameters_are_counted_without_being_allocated():
    wide = RobertaConfig(
        hidden_size=4096,
        intermediate_size=16384,
        num_hidden_layers=50,
        num_attention_heads=32,
        vocab_size=50265,
    )
    shape = shape_of(wide, labels=31)
    assert shape.parameters > 10e9
    assert shape.cost("half", length=128, fused_attention=True).flops(1000) > 2 * 1000 * 50 * 12 * 4096**2
