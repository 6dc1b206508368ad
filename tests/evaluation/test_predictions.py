"""A saved model loads with transformers; predictions are read back as written; figures are checked."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForTokenClassification, AutoTokenizer, RobertaConfig, pipeline

from ner_dist.data.labelled import LabelledSplit
from ner_dist.data.training_text import TrainingText
from ner_dist.errors import UserError
from ner_dist.evaluation import metrics
from ner_dist.evaluation.predictions import verify, write_predictions
from ner_dist.labels import LabelSet
from ner_dist.model.tagger import load_tagging_model, save_model
from tests import small

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    return small.trainer(small.recipe(tmp_path_factory.mktemp("results")))


@pytest.fixture(scope="module")
def saved(trainer):
    """The folder of the session's model, saved over an older one."""
    weights = small.weights_of(trainer.loop.model)
    trainer.run.model.mkdir()
    (trainer.run.model / "of-an-older-run.txt").touch()
    save_model(
        trainer.run,
        weights=weights,
        config=trainer.config,
        tokenizer=trainer.task.data.tokenizer,
        card="# a card\n",
        settings={"decode": "viterbi"},
    )
    return trainer.run.model


def test_the_saved_model_is_the_one_in_memory(trainer, saved):
    model = AutoModelForTokenClassification.from_pretrained(saved)
    trained = trainer.loop.model.state_dict()
    assert model.state_dict().keys() == trained.keys()
    assert all(torch.equal(weight, trained[name]) for name, weight in model.state_dict().items())
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert model.config.id2label == dict(enumerate(trainer.task.labels.tags))
    assert model.config.label2id == trainer.task.labels.label2id
    assert model.config.architectures == ["RobertaForTokenClassification"]


def test_the_folder_holds_the_model_and_nothing_else(saved):
    names = {path.name for path in saved.iterdir()}
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= names
    assert "of-an-older-run.txt" not in names
    assert not list(saved.parent.glob(".model*"))


def test_its_tokenizer_cuts_words_as_the_training_did(trainer, saved):
    tokenizer = AutoTokenizer.from_pretrained(saved)
    split = trainer.task.splits["test"]
    encoded, tokens = split.encoded, split.prepared.tokens()
    whole = np.flatnonzero(np.bincount(encoded.sentence)[encoded.sentence] == 1)
    assert len(whole) > 50
    for example in whole:
        start, end = encoded.example_offsets[example : example + 2]
        ids = tokenizer(tokens[encoded.sentence[example]], is_split_into_words=True)["input_ids"]
        assert ids == encoded.input_ids[start:end].tolist()


def test_a_pipeline_names_the_tags(trainer, saved):
    tag = pipeline("token-classification", str(saved), aggregation_strategy="none", ignore_labels=[])
    found = tag("Anna Berg visits York")
    assert found and {each["entity"] for each in found} <= set(trainer.task.labels.tags)
    grouped = pipeline("token-classification", str(saved), aggregation_strategy="first", ignore_labels=[])
    assert {each["entity_group"] for each in grouped("Anna Berg visits York")} <= {
        "O",
        *trainer.task.labels.types,
    }


def test_a_tagger_computes_in_the_precision_that_is_asked_for(trainer, saved):
    ids = torch.arange(5, 25)[None]
    trained = trainer.loop.model.eval()
    expected = trained(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        tagger, tags = load_tagging_model(saved, precision=precision, device=CPU)
        logits = tagger.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        assert logits.dtype == dtype
        torch.testing.assert_close(logits.float(), expected, rtol=0.02, atol=0.02)
        assert torch.equal(logits, expected) is (precision == "fp32")
        assert tags == list(trainer.task.labels.tags)


@pytest.fixture
def tagger(tmp_path):
    """Save a small tagger with the given labels; return its folder."""

    def save(names):
        shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
        config = RobertaConfig(
            vocab_size=20, id2label=names, label2id={n: i for i, n in names.items()}, **shape
        )
        AutoModelForTokenClassification.from_config(config).save_pretrained(tmp_path)
        return tmp_path

    return save


def refusal(folder):
    with pytest.raises(UserError) as caught:
        load_tagging_model(folder, precision="fp32", device=CPU)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def test_a_folder_without_a_model_is_refused(tmp_path):
    assert "cannot load the model" in refusal(tmp_path)
    assert "cannot load the model" in refusal(tmp_path / "absent")


def test_labels_come_as_the_model_has_them(tagger):
    _, tags = load_tagging_model(tagger({0: "I-PER", 1: "O", 2: "LABEL_2"}), precision="fp32", device=CPU)
    assert tags == ["I-PER", "O", "LABEL_2"]


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_damaged_models_are_refused(tagger):
    folder = tagger({0: "O", 1: "B-PER", 2: "I-PER"})
    load_tagging_model(folder, precision="fp32", device=CPU)
    edit_config(folder, id2label={"0": "O", "1": "B-PER", "3": "I-PER"})
    assert "label ids are not 0, 1, 2" in refusal(folder)
    edit_config(folder, id2label={"0": "O", "1": "B-PER", "2": "I-PER"}, hidden_size=16)
    assert "cannot load the model" in refusal(folder)
    edit_config(folder, hidden_size=8)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])
    assert "cannot load the model" in refusal(folder)


def test_a_model_without_a_head_is_refused_rather_than_scored_at_random(tagger):
    from safetensors.torch import load_file, save_file

    folder = tagger({0: "O", 1: "B-PER", 2: "I-PER"})
    weights = load_file(folder / "model.safetensors")
    body = {name: weight for name, weight in weights.items() if not name.startswith("classifier")}
    save_file(body, folder / "model.safetensors", metadata={"format": "pt"})
    assert "lacks weights: classifier.bias, classifier.weight" in refusal(folder)


LABELS = LabelSet.from_types(["PER", "LOC"])


class Words:
    """The parts of a split that are written with its predictions."""

    def __init__(self, sentences):
        self.sentences = sentences
        self.offsets = np.cumsum([0, *map(len, sentences)], dtype=np.int64)

    chars = None

    def tokens(self):
        return self.sentences

    def documents(self):
        return None


def labelled(sentences, gold, labels=LABELS):
    return LabelledSplit(Words(sentences), tags=gold, labels=labels, pad_id=0)


def write(path, sentences, gold, predicted, labels=LABELS):
    ids = [
        np.array([labels.label2id[tag] for tags in each for tag in tags], dtype=np.int16)
        for each in (gold, predicted)
    ]
    write_predictions(path, labelled(sentences, ids[0], labels), ids[1])
    return path


sentences = st.lists(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
            st.sampled_from(LABELS.tags),
            st.sampled_from(LABELS.tags),
        ),
        max_size=5,
    ),
    max_size=5,
)


@given(rows=sentences)
def test_predictions_come_back_as_written_in_order(tmp_path_factory, rows):
    columns = [[[each[i] for each in row] for row in rows] for i in range(3)]
    path = write(tmp_path_factory.mktemp("written") / "predictions" / "test.jsonl", *columns)
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]] == [
        {"id": number, "tokens": tokens, "gold": gold, "predicted": predicted}
        for number, (tokens, gold, predicted) in enumerate(zip(*columns, strict=True))
    ]
    assert [item.name for item in path.parent.iterdir()] == ["test.jsonl"]


def test_confidence_is_written_with_four_digits_if_it_is_known(tmp_path):
    gold, predicted = np.array([1, 0, 3], np.int16), np.array([1, 2, 3], np.int16)
    path, confidence = tmp_path / "test.jsonl", np.array([9987, 10000, 3333]) / 10_000
    write_predictions(path, labelled([["a", "b"], ["c"]], gold), predicted, confidence=confidence)
    first, second = path.read_text().splitlines()
    assert first.endswith('"confidence": [0.9987, 1.0]}') and second.endswith('"confidence": [0.3333]}')


def test_what_training_had_seen_is_written_if_it_is_known(tmp_path):
    words, offsets = [["Anna", "Berg"], ["Rome", "Anna"], ["Rome"]], np.array([0, 2, 4, 5])
    shown = np.array([1, 2, 3, 1, 0])  # B-PER I-PER, B-LOC B-PER, O
    training = TrainingText.from_split(words, shown, offsets, LABELS)
    path, gold = tmp_path / "test.jsonl", np.array([1, 2, 1, 0, 3, 0])
    tested = [["Anna", "Berg"], ["Anna"], ["anna"], ["Berg", "."]]
    write_predictions(path, labelled(tested, gold), gold, training=training)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["in_train"] for line in lines] == [True, False, False, False]
    assert [line["seen"] for line in lines] == [{"Anna Berg": ["PER"]}, {"Anna": ["PER"]}, {}, {"Berg": []}]


def test_predictions_are_text_that_people_can_read(tmp_path):
    path = write(tmp_path / "test.jsonl", [["東京", "naïve"]], [["B-LOC", "O"]], [["O", "O"]])
    assert '"東京", "naïve"' in path.read_text(encoding="utf-8")


GOLD = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-PER"], ["B-LOC", "O"]]
# Starts one entity with I-, so that the two schemes differ.
PREDICTED = [["B-PER", "I-PER", "O", "I-LOC"], ["B-LOC", "B-PER"], ["O", "O"]]


@pytest.fixture
def checked(tmp_path):
    """A predictions file and the figures that belong to it."""
    words = [["w"] * len(tags) for tags in GOLD]
    path = write(tmp_path / "test.jsonl", words, GOLD, PREDICTED)
    gold, predicted = (
        np.array([LABELS.label2id[tag] for tags in each for tag in tags]) for each in (GOLD, PREDICTED)
    )
    offsets = np.cumsum([0, *map(len, GOLD)])
    strict, lenient = (
        metrics.scores(metrics.count(gold, predicted, offsets, LABELS, strict=strict), LABELS.types)
        for strict in (True, False)
    )
    accuracy = metrics.token_accuracy(gold, predicted)
    return path, {"strict": vars(strict) | {"accuracy": accuracy}, "lenient": vars(lenient)}


def figures_of(found):
    return SimpleNamespace(**found["strict"], lenient=SimpleNamespace(**found["lenient"]))


def test_right_figures_pass(checked):
    path, figures = checked
    assert figures["strict"]["f1"] != figures["lenient"]["f1"]
    verify(path, figures_of(figures))


HEADLINE = [(scheme, name) for scheme in ("strict", "lenient") for name in ("precision", "recall", "f1")]


@pytest.mark.parametrize(("scheme", "name"), [*HEADLINE, ("strict", "accuracy")])
def test_a_figure_that_is_off_in_its_last_digit_fails(checked, scheme, name):
    path, figures = checked
    wrong = copy.deepcopy(figures)
    place = wrong[scheme]
    place[name] = np.nextafter(place[name], 1).item()
    with pytest.raises(AssertionError, match="differ"):
        verify(path, figures_of(wrong))


def test_a_prediction_that_was_lost_on_the_way_fails(checked):
    path, figures = checked
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(AssertionError):
        verify(path, figures_of(figures))


def test_a_test_set_without_entities_verifies_to_zero(tmp_path):
    path = write(tmp_path / "test.jsonl", [["a", "b"]], [["O", "O"]], [["O", "O"]])
    nothing = {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    verify(path, figures_of({"strict": nothing | {"accuracy": 1.0}, "lenient": nothing}))
