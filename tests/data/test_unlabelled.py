"""Words without a label: read in every format, and left out wherever words are counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ner_dist.comparison.prediction_files import read_file
from ner_dist.data.schemes import begins_with_inside, evidence
from ner_dist.data.sources import load_corpus
from ner_dist.errors import UserError
from ner_dist.evaluation import metrics
from ner_dist.labels import UNLABELLED, LabelSet, extract_spans, look_up
from ner_dist.recipe import Train
from ner_dist.recipe_data import Data, SplitNames
from ner_dist.training.loss import TaggingLoss, class_weights
from tests import small

LABELS = LabelSet.from_types(["PER", "LOC"])
WORDS = ["Ann", "Lee", "sings", "in", "Bern"]
OF = {"O": 0, "B-PER": 1, "I-PER": 2, "B-LOC": 3, "I-LOC": 4, None: UNLABELLED}


def load(path: Path, **settings):
    return load_corpus(Data(path=str(path), splits=SplitNames(validation=None, test=None), **settings))


def written(path: Path, tags: list) -> Path:
    if path.suffix == ".jsonl":
        path.write_text(json.dumps({"tokens": WORDS, "ner_tags": tags}) + "\n")
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({"tokens": [WORDS], "ner_tags": [tags]}), path)
    else:
        path.write_text("".join(f"{word}\t{tag}\n" for word, tag in zip(WORDS, tags, strict=True)))
    return path


@pytest.mark.parametrize("mark", [None, "?", "-100", ""])
@pytest.mark.parametrize("name", ["train.jsonl", "train.parquet", "train.conll"])
def test_text_that_means_no_label(tmp_path, caplog, name, mark):
    if name == "train.conll" and not mark:
        mark = "?"  # an empty cell is a damaged line there
    path = written(tmp_path / name, ["B-PER", mark, "O", mark, "B-LOC"])
    with caplog.at_level("INFO"):
        corpus = load(path)
    assert corpus.labels.tags == LABELS.select(["PER", "LOC"]).tags
    assert corpus.splits["train"].tags.tolist() == [1, UNLABELLED, 0, UNLABELLED, 3]
    assert corpus.counts["train_words_without_label"] == 2
    assert f"2 of 5 words without a label (null, -100 or ?), the first at {path}:" in caplog.text


@pytest.mark.parametrize("name", ["train.jsonl", "train.parquet", "train.conll"])
def test_ids_that_mean_no_label(tmp_path, name):
    path = written(tmp_path / name, [1, 2, -100, 0, 3])
    tags = load(path, label_names=list(LABELS.tags)).splits["train"].tags
    assert tags.tolist() == [1, 2, UNLABELLED, 0, 3]


def test_an_empty_cell_of_a_conll_file_is_still_an_error(tmp_path):
    path = tmp_path / "train.conll"
    path.write_text("Ann\tB-PER\tx\nsings\t\tx\n")
    with pytest.raises(UserError, match=r"train\.conll:2: no tag in"):
        load(path, tags_column=1)


def test_a_file_of_words_without_labels_has_nothing_to_learn(tmp_path):
    with pytest.raises(UserError, match="no entity in train"):
        load(written(tmp_path / "train.jsonl", [None] * 5))


def test_what_follows_tells_nothing_of_the_scheme(tmp_path):
    """I- behind a word without a label may continue an entity: it is no sign of IOB1, and not repaired."""
    rows = [["B-PER", "O", "O", "O", "B-LOC"]] + [[None, "I-PER", "O", None, "I-LOC"]] * 3
    path = tmp_path / "train.jsonl"
    path.write_text(
        "".join(
            json.dumps({"tokens": [f"{word}{i}" for word in WORDS], "ner_tags": tags}) + "\n"
            for i, tags in enumerate(rows)
        )
    )
    for repair in ("none", "begin"):
        corpus = load(path, repair=repair)
        assert corpus.counts["train_scheme"] == "IOB2" and corpus.counts["train_stray_i"] == 0
        assert corpus.splits["train"].tags[5:10].tolist() == [UNLABELLED, 2, 0, UNLABELLED, 4]


def test_evidence_passes_over_what_stands_beside_them():
    parts, types = np.array([0, 2, 0, 2, 1], np.int8), np.array([-1, 0, -1, 0, 0], np.int16)
    offsets, none = np.array([0, 5]), np.array([1, 0, 0, 0, 0], bool)
    assert evidence(parts, types, offsets).stray == 2
    found = evidence(parts, types, offsets, none)
    assert (found.stray, found.entities) == (1, 3)
    assert begins_with_inside(found)


tags = st.lists(st.sampled_from([*OF]), min_size=1, max_size=8)


@given(st.lists(tags, min_size=1, max_size=5), st.data())
def test_counts_are_those_of_the_labelled_words(sentences, data):
    gold = np.array([OF[tag] for sentence in sentences for tag in sentence], np.int16)
    predicted = np.array([data.draw(st.integers(0, len(LABELS) - 1)) for _ in range(len(gold))], np.int16)
    offsets = np.cumsum([0, *map(len, sentences)])
    kept = gold != UNLABELLED
    own = np.cumsum([0, *(sum(tag is not None for tag in sentence) for sentence in sentences)])
    for strict in (True, False):
        got = metrics.count(gold, predicted, offsets, LABELS, strict=strict).as_array()
        expected = metrics.count(gold[kept], predicted[kept], own, LABELS, strict=strict).as_array()
        assert got.tolist() == expected.tolist()
        by_sentence = metrics.count_per_sentence(gold, predicted, offsets, LABELS, strict=strict)
        assert by_sentence.sum(axis=0).tolist() == expected.tolist()
        spans = extract_spans(gold, offsets, LABELS, strict=strict)
        alone = extract_spans(gold[kept], own, LABELS, strict=strict)
        assert np.flatnonzero(kept)[alone.start].tolist() == spans.start.tolist()
        assert alone.type.tolist() == spans.type.tolist()
    assert metrics.token_accuracy(gold, predicted) == metrics.token_accuracy(gold[kept], predicted[kept])


def test_a_projection_leaves_them():
    only = LABELS.select(["LOC"])
    ids = look_up(LABELS.projection(only), np.array([1, UNLABELLED, 3], np.int16))
    assert ids.tolist() == [0, UNLABELLED, 1] and ids.dtype == np.int16


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_they_add_nothing_to_the_loss(smoothing, weighted):
    logits, targets = torch.randn(6, 5), torch.tensor([1, UNLABELLED, 0, 3, UNLABELLED, 2])
    loss = TaggingLoss(torch.rand(5) if weighted else None, label_smoothing=smoothing)
    kept = targets != UNLABELLED
    torch.testing.assert_close(loss(logits, targets), loss(logits[kept], targets[kept]))
    assert loss(logits, torch.full((6,), UNLABELLED)) == 0


def test_they_have_no_part_in_balanced_class_weights():
    settings = Train(class_weights="balanced")
    tags = np.array([0, 0, 1, 3, UNLABELLED, UNLABELLED])
    assert torch.equal(class_weights(settings, LABELS, tags), class_weights(settings, LABELS, tags[:4]))


def predictions_of(folder: Path, lines: list[dict]):
    path = folder / "a.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return read_file(path)


def test_files_of_predictions_have_null_there(tmp_path):
    line = {"gold": ["B-PER", None, "O"], "predicted": ["B-PER", "I-PER", "O"]}
    found = predictions_of(tmp_path, [line])
    assert found.gold.tolist() == [1, UNLABELLED, 0]
    assert found.scores.f1 == found.scores.accuracy == 1.0
    same = predictions_of(tmp_path, [line | {"predicted": ["B-PER", None, "O"]}])
    assert same.predicted.tolist() == [1, 0, 0]
    with pytest.raises(UserError, match=r"a\.jsonl:1: a word with a gold tag has no predicted tag"):
        predictions_of(tmp_path, [line | {"predicted": [None, "O", "O"]}])


def test_a_training_leaves_them_out_from_its_loss_to_a_comparison(tmp_path):
    """The tags of half of the words are taken away: the same run, but for these words."""
    from ner_dist.comparison.compare import compare
    from ner_dist.data.synthetic import generate
    from ner_dist.recipe_data import Synthetic

    corpus = generate(Synthetic(train=60, validation=20, test=30))
    rng = np.random.default_rng(0)
    labelled = {}
    for split, sentences in corpus.items():
        lines = []
        for words, tags in sentences:
            drop = rng.random(len(tags)) < 0.5
            lines.append(
                {
                    "tokens": list(words),
                    "ner_tags": [None if d else t for t, d in zip(tags, drop, strict=True)],
                }
            )
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        labelled[split] = sum(tag is not None for line in lines for tag in line["ner_tags"])
    settings = [f"data.path={tmp_path}", "labels=all", "data.deduplicate=false", "train.max_steps=6"]
    run = small.train(small.recipe(tmp_path, *settings))
    results = json.loads((run / "results.json").read_text())
    written = [json.loads(line) for line in (run / "predictions/test.jsonl").read_text().splitlines()]
    assert results["test"]["words"] == labelled["test"]
    assert sum(tag is not None for line in written for tag in line["gold"]) == labelled["test"]
    assert all(tag is not None for line in written for tag in line["predicted"])
    trained = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert any(event["event"] == "train" for event in trained)
    compared = compare(run, run / "predictions/test.jsonl", out=tmp_path / "out", resamples=20)
    assert compared.shared.models["A"].f1 == results["test"]["f1"]
    assert (
        f"{sum(len(line['gold']) for line in written) - labelled['test']:,}." in compared.alignment.notes[0]
    )
