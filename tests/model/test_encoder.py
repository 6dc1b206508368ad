"""The longest input, the initial weights, and the loss."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModel, AutoModelForTokenClassification

from ner_dist.errors import UserError
from ner_dist.labels import LabelSet
from ner_dist.model.encoder import load_config, load_model, max_length, width
from ner_dist.recipe import Model, ScratchModel, Train
from ner_dist.training.loss import TaggingLoss, class_weights

VOCABULARY = 60
SCRATCH = ScratchModel(vocab_size=300, hidden_size=16, layers=2, heads=2, max_length=24)
LABELS = LabelSet.from_types(["PER", "LOC"])
FAMILIES = ["bert", "camembert", "deberta-v2", "distilbert", "electra", "esm", "luke", "mpnet", "roberta"]
FAMILIES += ["roberta-prelayernorm", "xlm-roberta"]


def tiny_config(family, **settings):
    settings = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2} | settings
    settings |= {"vocab_size": VOCABULARY, "max_position_embeddings": 20}
    if family == "luke":
        settings |= {"entity_vocab_size": 8, "entity_emb_size": 8}
    config = AutoConfig.for_model(family, **settings)
    config.intermediate_size = 32
    config.pad_token_id = 1 if config.pad_token_id is None else config.pad_token_id
    return config


def scratch(**settings):
    return Model(name="scratch", scratch=SCRATCH, **settings)


def load(settings, labels=LABELS, *, seed=13):
    return load_model(settings, load_config(settings), labels, seed=seed, vocab_size=VOCABULARY)


def logits(model, *, seed=0):
    ids = torch.arange(2, 22).reshape(2, 10)
    torch.manual_seed(seed)
    return model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits


@pytest.mark.parametrize("family", FAMILIES)
def test_the_encoder_takes_inputs_as_long_as_it_is_said_to_and_no_longer(family):
    config = tiny_config(family)
    model = AutoModelForTokenClassification.from_config(config).eval()
    limit = max_length(config)

    def run(length):
        ids = torch.full((1, length), 7)
        return model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits

    assert run(limit).shape[1] == limit
    if family != "esm":  # its position ids are only looked up if it is told to
        with pytest.raises((IndexError, RuntimeError)):
            run(limit + 1)


def test_position_ids_of_roberta_start_behind_the_padding_id():
    assert max_length(AutoConfig.for_model("roberta", max_position_embeddings=514)) == 512
    assert max_length(AutoConfig.for_model("bert", max_position_embeddings=512)) == 512


def test_a_model_from_scratch_takes_what_the_recipe_says():
    config = load_config(scratch())
    assert max_length(config) == SCRATCH.max_length
    assert (config.hidden_size, config.num_hidden_layers) == (16, 2)
    assert config.vocab_size == SCRATCH.vocab_size, "at most; the tokenizer says how many there are"
    assert load(scratch()).config.vocab_size == VOCABULARY


def test_a_seed_gives_one_model_whatever_was_drawn_before():
    first = load(scratch()).state_dict()
    torch.rand(7)
    again, other = load(scratch()).state_dict(), load(scratch(), seed=14).state_dict()
    assert all(torch.equal(weight, again[name]) for name, weight in first.items())
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


def test_the_model_knows_its_labels_by_name():
    config = load(scratch()).config
    assert config.id2label == {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}
    assert config.label2id == {tag: i for i, tag in config.id2label.items()}
    assert config.num_labels == 5


@pytest.fixture
def saved(tmp_path):
    """A tagger of two types, saved in half precision."""
    model = load(scratch(), seed=1)
    model.to(torch.bfloat16).save_pretrained(tmp_path / "tagger")
    return tmp_path / "tagger", model


def test_a_head_of_other_labels_keeps_the_rows_it_shares_and_the_encoder(saved, log_lines):
    folder, before = saved
    model = load(Model(name=str(folder)), LabelSet.from_types(["PER", "ORG", "DIS"]))
    assert logits(model).shape == (2, 10, 7)
    kept = before.roberta.state_dict()
    assert all(torch.equal(weight, kept[name]) for name, weight in model.roberta.state_dict().items())
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert torch.equal(model.classifier.weight[:3], before.classifier.weight[:3].float())
    assert log_lines == [
        f"head: 3 of 7 labels copied from {folder}: O, B-PER, I-PER; drawn: B-ORG, I-ORG, B-DIS, I-DIS; "
        "not learnt here: B-LOC, I-LOC"
    ]


def test_a_new_head_is_drawn_from_the_seed(saved):
    labels = LabelSet.from_types(["PER", "ORG", "DIS"])
    one, again, other = (load(Model(name=str(saved[0])), labels, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(one.classifier.weight, again.classifier.weight)
    assert not torch.isclose(one.classifier.weight[3:], other.classifier.weight[3:]).any()


def test_a_head_of_as_many_other_labels_is_drawn_where_the_names_differ(saved, log_lines):
    folder, before = saved
    model = load(Model(name=str(folder)), LabelSet.from_types(["ORG", "DIS"]))
    same = torch.isclose(model.classifier.weight, before.classifier.weight.float()).all(dim=1)
    assert same.tolist() == [True, False, False, False, False]
    assert torch.equal(model.get_input_embeddings().weight, before.get_input_embeddings().weight)
    assert log_lines == [
        f"head: 1 of 5 labels copied from {folder}: O; drawn: B-ORG, I-ORG, B-DIS, I-DIS; not learnt here: "
        "B-PER, I-PER, B-LOC, I-LOC (labels are matched by name: do they mean the same in the data?)"
    ]


# What stands outside the encoder differs: a dense layer before the output, no bias, another name.
HEADS = [
    "bert",
    "deberta-v2",
    "electra",
    "gpt2",
    "longformer",
    "modernbert",
    "mpnet",
    "qwen2",
    "roberta",
    "t5",
]


@pytest.mark.parametrize("family", HEADS)
def test_labels_in_another_order_give_the_same_logits_under_the_same_names(family, tmp_path, log_lines):
    special = {"pad_token_id": 1, "eos_token_id": 2, "bos_token_id": 0, "cls_token_id": 0, "sep_token_id": 2}
    shape = {"intermediate_size": 32, "embedding_size": 16, "num_key_value_heads": 2, "attention_window": 4}
    before = LabelSet.from_tags(["I-PER", "O", "B-LOC", "B-PER", "I-LOC"])
    config = tiny_config(family, **special, **shape)
    config.num_labels, config.id2label, config.label2id = 5, before.id2label, before.label2id
    torch.manual_seed(3)
    trained = AutoModelForTokenClassification.from_config(config).eval()
    for name, weight in trained.named_parameters():
        if name.endswith(("classifier.bias", "score.bias")):
            torch.nn.init.normal_(weight)
    trained.save_pretrained(tmp_path)

    model = load(Model(name=str(tmp_path))).eval()
    order = [before.label2id[tag] for tag in LABELS.tags]
    torch.testing.assert_close(logits(model), logits(trained)[..., order])
    assert model.config.id2label == LABELS.id2label
    # Of fewer types, what is left; of more, the old beside the new.
    for types in (["LOC"], ["EVE", "LOC", "PER"]):
        labels = LabelSet.from_types(types)
        kept = [tag for tag in labels.tags if tag in before.tags]
        found = logits(load(Model(name=str(tmp_path)), labels).eval())[
            ..., [labels.label2id[t] for t in kept]
        ]
        torch.testing.assert_close(found, logits(trained)[..., [before.label2id[t] for t in kept]])
    assert [line.partition(" copied")[0] for line in log_lines if line.startswith("head: ")] == [
        "head: 5 of 5 labels",
        "head: 3 of 3 labels",
        "head: 5 of 7 labels",
    ]


def test_a_head_whose_rows_are_not_as_many_as_its_names_is_not_copied(saved, log_lines):
    folder, before = saved
    config = json.loads((folder / "config.json").read_text())
    config["id2label"]["5"], config["label2id"]["B-EVE"] = "B-EVE", 5
    (folder / "config.json").write_text(json.dumps(config))
    model = load(Model(name=str(folder)))
    # Five rows for six names: nobody knows whose they are.
    assert not torch.isclose(model.classifier.weight, before.classifier.weight.float()).all(dim=1).any()
    assert log_lines[0].startswith(f"head: 0 of 5 labels copied from {folder}; drawn: O, B-PER,")


def test_a_head_of_the_same_labels_is_kept(saved, log_lines):
    folder, before = saved
    assert torch.equal(load(Model(name=str(folder))).classifier.weight, before.classifier.weight)
    assert log_lines == [
        f"head: 5 of 5 labels copied from {folder}: O, B-PER, I-PER, B-LOC, I-LOC",
    ]


def test_an_encoder_without_a_head_gets_one(tmp_path, log_lines):
    torch.manual_seed(0)
    encoder = AutoModel.from_config(tiny_config("bert"))
    encoder.save_pretrained(tmp_path)
    model = load(Model(name=str(tmp_path)))
    assert logits(model).shape == (2, 10, 5)
    kept = encoder.state_dict()
    assert all(torch.equal(weight, kept[name]) for name, weight in model.bert.state_dict().items())
    # Not what it was saved as: this is what others will load.
    assert model.config.architectures == ["BertForTokenClassification"]
    assert log_lines == []


@pytest.mark.parametrize("default_labels", [2, 3, 5])
def test_an_encoder_without_a_head_starts_as_transformers_draws_it_from_the_seed(tmp_path, default_labels):
    config = tiny_config("bert")
    config.num_labels = default_labels
    AutoModel.from_config(config).save_pretrained(tmp_path)
    torch.manual_seed(13)
    plain = AutoModelForTokenClassification.from_pretrained(tmp_path, num_labels=5)
    if default_labels == 5:
        torch.nn.init.normal_(plain.classifier.weight, std=0.02)
    model = load(Model(name=str(tmp_path)), seed=13)
    assert all(torch.equal(weight, plain.state_dict()[name]) for name, weight in model.state_dict().items())


def test_an_encoder_that_lacks_weights_is_said_to(tmp_path, log_lines):
    encoder = AutoModel.from_config(tiny_config("bert"))
    weights = {name: weight for name, weight in encoder.state_dict().items() if "intermediate" not in name}
    encoder.save_pretrained(tmp_path, state_dict=weights)
    load(Model(name=str(tmp_path)))
    assert len(log_lines) == 1
    assert "lacks 2 weights of the encoder, initialised at random (bert.encoder.layer.0.inter" in log_lines[0]


def test_a_model_that_is_not_there_is_an_error_that_names_the_key(tmp_path):
    with pytest.raises(UserError, match="absent") as caught:
        load(Model(name=str(tmp_path / "absent")))
    assert caught.value.where == "model.name"


def test_damaged_weights_are_an_error_that_names_the_key(saved):
    folder, _ = saved
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot load the model") as caught:
        load(Model(name=str(folder)))
    assert caught.value.where == "model.name"


@pytest.mark.parametrize("family", ["bert", "deberta-v2", "distilbert", "modernbert", "roberta"])
def test_dropout_of_the_recipe_reaches_every_family(family, tmp_path):
    special = {"pad_token_id": 1, "eos_token_id": 2, "bos_token_id": 0, "cls_token_id": 0, "sep_token_id": 2}
    settings = special | {"intermediate_size": 32} if family == "modernbert" else {}
    AutoModel.from_config(tiny_config(family, **settings)).save_pretrained(tmp_path)
    for dropout, varies in ((0.0, False), (0.5, True)):
        model = load(Model(name=str(tmp_path), dropout=dropout)).train()
        assert torch.equal(logits(model, seed=1), logits(model, seed=2)) is not varies


def test_gradient_checkpointing_recomputes_and_changes_no_gradient():
    gradients, passes = {}, {}
    for checkpointing in (False, True):
        model = load(scratch(gradient_checkpointing=checkpointing, dropout=0.3)).train()
        calls = passes[checkpointing] = []
        first_layer = model.roberta.encoder.layer[0].intermediate
        first_layer.register_forward_pre_hook(lambda *_, calls=calls: calls.append(1))
        logits(model).square().sum().backward()
        gradients[checkpointing] = {name: weight.grad for name, weight in model.named_parameters()}
    assert (len(passes[False]), len(passes[True])) == (1, 2)
    for name, gradient in gradients[False].items():
        torch.testing.assert_close(gradients[True][name], gradient, msg=name)


@st.composite
def scored_words(draw):
    """(logits [n, labels], targets [n], weights or None, label smoothing)"""
    n, labels = draw(st.integers(1, 12)), draw(st.integers(2, 6))
    random = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    weights = torch.rand(labels, generator=random) + 0.1 if draw(st.booleans()) else None
    logits = torch.randn(n, labels, generator=random) * draw(st.sampled_from([0.1, 1.0, 20.0]))
    targets = torch.randint(labels, (n,), generator=random)
    return logits, targets, weights, draw(st.sampled_from([0.0, 0.1, 0.5]))


@given(scored_words())
def test_the_loss_over_the_sum_of_weights_is_torchs_mean(words):
    logits, targets, weights, smoothing = words
    total = TaggingLoss(weights, label_smoothing=smoothing)(logits, targets)
    divisor = len(targets) if weights is None else weights[targets].sum()
    mean = torch.nn.CrossEntropyLoss(weights, label_smoothing=smoothing)(logits, targets)
    torch.testing.assert_close(total / divisor, mean)


@given(scored_words())
def test_the_loss_by_hand(words):
    logits, targets, weights, smoothing = words
    log_p = torch.log_softmax(logits.double(), dim=-1)
    w = torch.ones(logits.shape[1]).double() if weights is None else weights.double()
    expected = 0.0
    for row, target in zip(log_p, targets, strict=True):
        expected -= (1 - smoothing) * w[target] * row[target] + smoothing * (w * row).mean()
    got = TaggingLoss(weights, label_smoothing=smoothing)(logits, targets)
    torch.testing.assert_close(got.double(), expected, rtol=1e-4, atol=1e-5)


@given(scored_words(), st.integers(0, 12))
def test_losses_of_parts_add_up(words, cut):
    logits, targets, weights, smoothing = words
    loss = TaggingLoss(weights, label_smoothing=smoothing)
    parts = loss(logits[:cut], targets[:cut]) + loss(logits[cut:], targets[cut:])
    torch.testing.assert_close(parts, loss(logits, targets))


def test_logits_in_half_precision_are_summed_in_fp32():
    logits = torch.randn(3000, 5, generator=torch.Generator().manual_seed(0)).bfloat16()
    loss = TaggingLoss()(logits, torch.zeros(3000, dtype=torch.int64))
    assert loss.dtype == torch.float32
    expected = torch.nn.functional.cross_entropy(logits.double(), torch.zeros(3000).long(), reduction="sum")
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


TAGS = np.array([0] * 12 + [1, 2, 2] + [3] * 1, dtype=np.int16)  # 12 O, 3 PER, 1 LOC


def weights_for(setting, tags=TAGS, labels=LABELS):
    return class_weights(Train(class_weights=setting), labels, tags)


def test_no_class_weights_is_no_tensor():
    assert weights_for(None) is None


def test_balanced_weights_give_every_type_the_same_say_and_a_word_a_mean_of_one():
    weights = weights_for("balanced")
    assert weights.dtype == torch.float32
    of_words = weights[torch.from_numpy(TAGS).long()]
    assert of_words.mean().item() == pytest.approx(1)
    for words in (TAGS == 0, (TAGS == 1) | (TAGS == 2), TAGS == 3):
        assert of_words[torch.from_numpy(words)].sum().item() == pytest.approx(len(TAGS) / 3)
    assert weights[1] == weights[2]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_balanced_weights_are_finite_and_average_to_one_whatever_occurs(tags):
    weights = weights_for("balanced", np.array(tags, dtype=np.int16))
    assert torch.isfinite(weights).all() and (weights > 0).all()
    assert weights[torch.tensor(tags)].mean().item() == pytest.approx(1, rel=1e-5)
    assert weights[1] == weights[2] and weights[3] == weights[4]


def test_named_weights_hold_for_b_and_i_and_the_rest_counts_once():
    assert weights_for({"PER": 3.0, "O": 0.5}).tolist() == [0.5, 3.0, 3.0, 1.0, 1.0]


def test_named_weights_follow_the_order_of_the_labels():
    labels = LabelSet.from_tags(["B-LOC", "I-PER", "O", "I-LOC", "B-PER"])
    assert weights_for({"PER": 3.0, "O": 0.5}, labels=labels).tolist() == [1.0, 3.0, 0.5, 1.0, 3.0]


def test_a_weight_of_a_type_that_is_not_learnt_is_an_error_that_lists_the_types():
    with pytest.raises(
        UserError, match=r"`EVE` is not an entity type of this training.*O, PER, LOC"
    ) as caught:
        weights_for({"PER": 2.0, "EVE": 2.0})
    assert caught.value.where == "train.class_weights"


@pytest.mark.parametrize("kind", ["bert", "distilbert", "gpt2", "xlnet", "qwen3_5", "t5gemma"])
def test_every_family_says_how_wide_it_is(kind):
    assert width(AutoConfig.for_model(kind)) >= 128
