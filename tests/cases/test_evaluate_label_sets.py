"""Taggers with the label sets found in practice are scored on their entities, however these are spelt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

from tests import small
from tests.command_line import ner_dist

DATA = Path(__file__).parent / "evaluate_label_sets"
COMMAND = ("--data", str(DATA), "--precision", "fp32")
TYPES = ("PER", "ORG", "LOC")
BIO = ["O", *(f"{part}-{name}" for name in TYPES for part in "BI")]

# What each label of a variant is called, and which of the tagger's own it stands for.
VARIANTS = {
    "label_n": {f"LABEL_{i}": tag for i, tag in enumerate(BIO)},
    "long_names": {
        tag.replace("PER", "PERSON").replace("ORG", "ORGANISATION").replace("LOC", "LOCATION"): tag
        for tag in BIO
    },
    "bioes": {"O": "O"}
    | {f"{part}-{name}": f"{own}-{name}" for name in TYPES for part, own in zip("BIES", "BIIB", strict=True)},
    "pad_label": {tag: tag for tag in BIO} | {"X": "O", "[CLS]": "O"},
    "other_order": {tag: tag for tag in reversed(BIO)},
    # As xlm-roberta-large-finetuned-conll03-english, camembert-ner and Few-NERD's taggers.
    "no_b_per": {
        "B-LOC": "B-LOC",
        "B-ORG": "B-ORG",
        "I-LOC": "I-LOC",
        "I-ORG": "I-ORG",
        "I-PER": "B-PER",
        "O": "O",
    },
    "only_i": {"O": "O", **{f"I-{name}": f"B-{name}" for name in TYPES}},
    "no_prefix": {"O": "O", **{name: f"B-{name}" for name in TYPES}},
}
LONG = "PERSON=PER,ORGANISATION=ORG,LOCATION=LOC"


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    """A tagger that knows its data well."""
    folder = tmp_path_factory.mktemp("tagger")
    settings = [f"data.path={DATA}", "data.language=null", "train.max_steps=60", "train.learning_rate=5e-3"]
    return small.train(small.recipe(folder, *settings)) / "model"


@pytest.fixture(scope="module")
def evaluated(tagger, tmp_path_factory):
    """Score a model with the command; return the exit code and the results."""

    def evaluated(model, *options):
        out = tmp_path_factory.mktemp("scores")
        code = ner_dist("evaluate", str(model), *COMMAND, "--out", str(out), *options)
        return json.loads((out / "results.json").read_text()) if code == 0 else code

    return evaluated


@pytest.fixture(scope="module")
def own(evaluated, tagger):
    """The figures of the tagger itself."""
    return evaluated(tagger)


@pytest.fixture(scope="module")
def variant(tagger, tmp_path_factory):
    """The tagger with renamed labels, which do not change its predictions."""

    def variant(name):
        labels, folder = VARIANTS[name], tmp_path_factory.mktemp(name)
        model = AutoModelForTokenClassification.from_pretrained(tagger)
        rows = [model.config.label2id[tag] for tag in labels.values()]
        head = torch.nn.Linear(model.classifier.in_features, len(rows))
        with torch.no_grad():
            head.weight.copy_(model.classifier.weight[rows])
            head.bias.copy_(model.classifier.bias[rows])
        model.classifier, model.num_labels = head, len(rows)
        model.config.id2label = dict(enumerate(labels))
        model.config.label2id = {label: i for i, label in enumerate(labels)}
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(tagger).save_pretrained(folder)
        return folder

    return variant


@pytest.mark.parametrize(
    ("name", "options", "has_loss", "scheme"),
    [
        ("label_n", ["--labels", ",".join(BIO)], True, "IOB2"),
        ("long_names", ["--map", LONG], True, "IOB2"),
        ("bioes", [], False, "IOBES"),
        ("pad_label", [], False, "IOB2"),
        ("other_order", [], True, "IOB2"),
    ],
)
def test_what_says_the_same_scores_the_same(evaluated, own, variant, name, options, has_loss, scheme):
    figures = evaluated(variant(name), *options)
    assert own["f1"] > 0.5
    assert figures["per_type"] == {kind: own["per_type"][kind] for kind in figures["per_type"]}
    for key in ("precision", "recall", "f1", "accuracy"):
        assert figures[key] == own[key]
    assert figures["lenient"]["f1"] == own["lenient"]["f1"]
    assert figures["predicted_scheme"] == scheme
    assert figures["loss"] == (pytest.approx(own["loss"], rel=1e-5) if has_loss else None)


def test_what_cannot_tell_where_entities_begin_is_scored_on_its_entities(evaluated, own, variant):
    lacking = evaluated(variant("no_b_per"))
    assert lacking["predicted_scheme"] == "IOB2" and lacking["loss"] is None
    assert lacking["per_type"]["PER"]["recall"] > 0
    assert lacking["f1"] > 0.5 * own["f1"]
    only, plain = evaluated(variant("only_i")), evaluated(variant("no_prefix"))
    assert (only["predicted_scheme"], plain["predicted_scheme"]) == ("IOB1", "IO")
    assert only["f1"] == plain["f1"] > 0.3 * own["f1"]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "label_n",
            [],
            "LABEL_0 to LABEL_6; name the tags of the 7 ids in order, as in --labels O,B-PER,I-PER",
        ),
        (
            "long_names",
            [],
            "no type is shared: the model knows PERSON, ORGANISATION, LOCATION, the data has PER, ORG, LOC; "
            "--map ",
        ),
        ("long_names", ["--map", "PERSONS=PER"], "neither side has a type `PERSONS`; did you mean `PERSON`?"),
        ("pad_label", ["--labels", "O,B-PER"], "--labels: names 2 tags, but the model has 9 labels"),
    ],
)
def test_the_remedy_is_named(evaluated, variant, capsys, name, options, said):
    assert evaluated(variant(name), *options) == 2
    message = capsys.readouterr().err
    assert said in message
    if said.endswith("--map "):  # and it works as it stands there
        named = message.split("--map ")[1].split()[0]
        assert sorted(named.split(",")) == sorted(LONG.split(","))


def test_models_of_other_names_are_compared(evaluated, tagger, variant, tmp_path, capsys):
    files = []
    for name, options in (("own", []), ("long", ["--map", "PER=PERSON,ORG=ORGANISATION,LOC=LOCATION"])):
        out = tmp_path / name
        assert ner_dist("evaluate", str(tagger), *COMMAND, "--out", str(out), *options) == 0
        files.append(str(out / "predictions" / "test.jsonl"))
    command = ["compare", *files, "--out", str(tmp_path / "out"), "--resamples", "100", "--no-html"]
    assert ner_dist(*command) == 2
    message = capsys.readouterr().err
    assert "the runs share no entity type (" in message
    named = message.split("--map ")[1].split()[0]
    assert ner_dist(*command, "--map", named) == 0
    figures = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert figures["shared"]["A"]["f1"] == figures["shared"]["B"]["f1"] > 0
    assert figures["map"] == dict(pair.split("=") for pair in named.split(","))
