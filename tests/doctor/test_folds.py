"""Folds with the tiny model: cut, trained once, resumed, reviewed, and the corrections applied."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ner_dist.data.sources import load_corpus
from ner_dist.doctor.command import review
from ner_dist.doctor.examine import examine
from ner_dist.doctor.folds import assign, write_folds
from ner_dist.errors import UserError
from ner_dist.recipe import Model, Recipe, ScratchModel, Train
from ner_dist.recipe_data import Data, SplitNames
from ner_dist.recipe_file import load_recipe
from tests.command_line import ner_dist
from tests.doctor.made import clean, write

TINY = ScratchModel(vocab_size=400, hidden_size=32, layers=1, heads=2, max_length=64)
WRONG = 3


def made(folder: Path, **settings) -> Recipe:
    """The recipe of a small corpus in which one annotation is wrong."""
    sentences = clean(60)
    words, _ = sentences[WRONG]
    sentences[WRONG] = (words, "O B-LOC I-LOC O O O O O O O O O O")
    write(folder / "data", train=sentences)
    return Recipe(
        name="tiny",
        output_dir=str(folder / "run"),
        model=Model(name="scratch", scratch=TINY),
        data=Data(
            path=str(folder / "data"),
            splits=SplitNames(validation=None, test=None),
            cache_dir=str(folder / "cache"),
            **settings,
        ),
        train=Train(epochs=20, learning_rate=3e-3, batch_tokens=512, micro_batch_tokens=256),
    )


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory):
    """Two folds that were trained and reviewed, with the recipe."""
    folder = tmp_path_factory.mktemp("folds")
    recipe = made(folder)
    return recipe, review(recipe, folds=2, out=folder / "out", train=True)[0].parent


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_sentence_is_held_out_once_and_repeats_together(tmp_path):
    write(tmp_path, train=[*clean(20), *clean(20)])
    data = Data(path=str(tmp_path), splits=SplitNames(validation=None, test=None), deduplicate=False)
    split = load_corpus(data).splits["train"]
    fold_of = assign(split, 3, seed=1)
    assert np.array_equal(fold_of[:20], fold_of[20:])
    assert sorted(np.bincount(fold_of).tolist()) == [12, 14, 14]
    assert not np.array_equal(fold_of, assign(split, 3, seed=2))
    with pytest.raises(UserError, match="20 distinct sentences, which are fewer than 21 folds"):
        assign(split, 21, seed=1)


def test_planted_error_is_at_the_top(reviewed):
    _, out = reviewed
    rows = lines(out / "suspects.jsonl")
    wrong = [row["rank"] for row in rows if row["where"].endswith(f":{WRONG + 1}")]
    assert len(rows) >= 119 and min(wrong) <= 3
    assert [row["evidence"] for row in rows] == sorted((row["evidence"] for row in rows), reverse=True)


def test_trained_folds_are_not_trained_again(reviewed):
    recipe, out = reviewed
    runs = sorted(out.glob("folds/*/run/results.json"))
    kept = sorted(out.glob("folds/*/probabilities.npz"))
    before = {path: path.stat().st_mtime_ns for path in (*runs, *kept)}
    assert len(before) == 4
    first = (out / "suspects.jsonl").read_bytes()
    review(recipe, folds=2, out=out, train=True)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert (out / "suspects.jsonl").read_bytes() == first


@pytest.mark.parametrize(
    "changes, folds, differs",
    [
        ({"train": {"seed": 5}}, 2, "differ in the recipe"),
        ({}, 3, "differ in the number of folds"),
        ({"data": {"max_length": 32}}, 2, "differ in the recipe"),
        ({"data": {"window_overlap": 8}}, 2, "differ in the recipe"),
        ({"data": {"deduplicate": False, "corrections": None}}, 2, None),
    ],
)
def test_folds_of_something_else_are_refused(reviewed, changes, folds, differs):
    recipe, out = reviewed
    parts = {key: getattr(recipe, key).model_copy(update=value) for key, value in changes.items()}
    other = recipe.model_copy(update=parts)
    corpus = load_corpus(other.data)
    if differs is None:
        assert len(write_folds(other, corpus, out, count=folds)) == folds
    else:
        with pytest.raises(UserError, match=differs):
            write_folds(other, corpus, out, count=folds)


def test_without_training_the_commands_are_printed(tmp_path, capsys):
    recipe = made(tmp_path)
    assert review(recipe, folds=2, out=tmp_path / "out", train=False) == []
    printed = capsys.readouterr().out
    for number in (1, 2):
        assert f"ner-dist train {tmp_path}/out/folds/fold-{number}/recipe.yaml" in printed
    assert "--array=0-1" in printed and f"--runs {tmp_path}/out/folds/runs.tsv" in printed
    assert len((tmp_path / "out/folds/runs.tsv").read_text().splitlines()) == 2


def test_commands_of_the_folds_do_not_disturb_the_json(tmp_path, capsys):
    data = write(tmp_path / "data", train=clean(12))
    asked = ("doctor", str(data), "--folds", "2", "--no-train", "--out", str(tmp_path / "out"), "--json")
    assert ner_dist(*asked) in (0, 1)
    printed = capsys.readouterr()
    assert json.loads(printed.out)["splits"]["train"]["sentences"] == 12
    assert "2 of 2 folds are not trained yet" in printed.err


def test_accepted_suspects_correct_the_data(reviewed, tmp_path):
    recipe, out = reviewed
    disputed = [row for row in lines(out / "suspects.jsonl") if not row["agrees"]]
    assert disputed
    file = tmp_path / "corrections.jsonl"
    file.write_text("".join(json.dumps(row | {"decision": "accept"}) + "\n" for row in disputed))
    before = load_corpus(recipe.data)
    after = load_corpus(recipe.data.model_copy(update={"corrections": str(file)}))
    assert after.counts["train_corrected"] == len(disputed)
    changed = before.splits["train"].tags != after.splits["train"].tags
    touched = {row["where"] for row in disputed}
    split = before.splits["train"]
    of = np.searchsorted(split.offsets, np.flatnonzero(changed), side="right") - 1
    assert {split.origin[i] for i in of} == touched


def test_command_ends_with_1_where_something_must_be_fixed(tmp_path, capsys):
    fine = write(tmp_path / "fine", train=clean(120), test=clean(40, start=200))
    assert ner_dist("doctor", str(fine)) == 0
    assert "Nothing must be fixed" in capsys.readouterr().out
    leaky = write(tmp_path / "leaky", train=clean(120), test=clean(40))
    assert ner_dist("doctor", str(leaky), "--json", "--out", str(tmp_path / "out")) == 1
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((tmp_path / "out" / "doctor.json").read_text())
    assert "repeats_across_splits" in {each["check"] for each in found["findings"]}
    assert (tmp_path / "out" / "doctor.html").exists()
    assert ner_dist("doctor", str(leaky), "data.drop_test_sentences_from_train=true") == 0


def test_user_errors_end_with_2(tmp_path, capsys):
    assert ner_dist("doctor", str(tmp_path / "gone.jsonl")) == 2
    assert ner_dist("doctor", "synthetic", "--folds", "2") == 2
    assert "--folds: the folds need a folder; name one with --out" in capsys.readouterr().err


def test_encoder_measures_lengths_and_the_plan(tmp_path, capsys):
    write(tmp_path / "data", train=clean(120), test=clean(40, start=200))
    settings = ["model.name=scratch", "model.scratch.vocab_size=400", "train.epochs=2"]
    assert ner_dist("doctor", str(tmp_path / "data"), *settings, f"data.cache_dir={tmp_path}", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    train = found["splits"]["train"]
    assert train["sentences"] == 120 and train["words"] == 120 * 13
    assert train["types"] == {"LOC": 120, "PER": 120}
    assert train["subwords"]["longest"] > 13 and train["subwords"]["sentences_cut"] == 0
    assert found["steps"]["steps"] == 2 * found["steps"]["steps_per_epoch"]
    assert 0 <= found["steps"]["padding_share"] < 0.2


def test_words_without_a_label_stay_so_in_folds_and_checks(tmp_path):
    rows = [
        {"tokens": ["Ann", "w", str(i)], "ner_tags": ["B-PER", "O", None if i % 3 else "O"]}
        for i in range(30)
    ]
    rows.append({"tokens": ["Ann", "w", "0"], "ner_tags": ["O", "O", None]})
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    data = Data(path=str(tmp_path / "data"), splits=SplitNames(validation=None, test=None))
    recipe = Recipe(name="made", output_dir=str(tmp_path / "run"), data=data)
    findings = examine(recipe, with_encoder=False).findings
    assert "repeats_with_other_tags" in {finding.check for finding in findings}
    corpus = load_corpus(data)
    for fold in write_folds(recipe, corpus, tmp_path / "out", count=2):
        written = [row for name in ("train", "test") for row in lines(fold.folder / f"data/{name}.jsonl")]
        tags = {row["tokens"][-1]: row["ner_tags"] for row in written}
        assert tags == {row["tokens"][-1]: row["ner_tags"] for row in rows[:30]}
        assert load_corpus(load_recipe(fold.recipe).data).labels == corpus.labels
