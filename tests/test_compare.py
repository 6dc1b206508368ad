"""Two runs side by side: each on its own labels, and both on the types and sentences that they share."""

from __future__ import annotations

import gzip
import json
import random
import warnings
from itertools import islice

import pytest
from seqeval.metrics import v1
from seqeval.scheme import IOB2

from ner_dist.compare import compare, print_table
from ner_dist.errors import UserError
from ner_dist.labels import MULTINERD_TYPES, split_tag

SENTENCES = [
    {"id": 0, "tokens": ["Anna", "saw", "a", "lynx"], "gold": ["B-PER", "O", "O", "B-ANIM"]},
    {"id": 1, "tokens": ["in", "New", "York"], "gold": ["O", "B-LOC", "I-LOC"]},
    {"id": 2, "tokens": ["York", "lost"], "gold": ["B-ORG", "O"]},
    {"id": 3, "tokens": ["it", "rained"], "gold": ["O", "O"]},
]
A_TYPES, B_TYPES = ["LOC", "PER", "ANIM"], ["PER", "ORG", "LOC"]


def tagged(types, *predicted):
    """The sentences as a run of some types has them: other types are O in its gold."""
    return [
        line | {"gold": project(line["gold"], types), "predicted": tags.split()}
        for line, tags in zip(SENTENCES, predicted, strict=True)
    ]


def project(tags, types):
    return [tag if split_tag(tag)[1] in types else "O" for tag in tags]


A_LINES = tagged(A_TYPES, "B-PER O O B-ANIM", "O B-LOC O", "B-LOC O", "O B-ANIM")
B_LINES = tagged(B_TYPES, "B-PER O O O", "O B-LOC I-LOC", "B-ORG O", "O I-LOC")


def figures(seed):
    made = random.Random(seed)
    names = ("loss", "precision", "recall", "f1", "accuracy")
    return {name: made.random() for name in names} | {"macro": {"f1": made.random()}}


@pytest.fixture
def make(tmp_path):
    """Writes a run by hand; returns its folder."""

    def make(name, types, lines, /, **results):
        folder = tmp_path / name
        (folder / "predictions").mkdir(parents=True)
        path = folder / "predictions" / "test.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        whole = {"name": name, "labels": types, "train": {"loss": 0.5}, "test": figures(name)} | results
        (folder / "results.json").write_text(json.dumps(whole))
        return folder

    return make


def seqeval_on(lines, types, *, strict=True):
    gold, predicted = ([project(line[key], types) for line in lines] for key in ("gold", "predicted"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return v1.precision_recall_fscore_support(gold, predicted, average="micro", scheme=IOB2)[:3]


def triple(side):
    return side["precision"], side["recall"], side["f1"]


@pytest.fixture
def runs(make):
    return make("full", A_TYPES, A_LINES, validation=figures("v")), make("subset", B_TYPES, B_LINES)


def test_both_are_scored_on_the_types_they_share_as_seqeval_does(runs, tmp_path):
    shared = compare(*runs, out=tmp_path / "out")["shared"]
    assert shared["types"] == ["LOC", "PER"]  # in the order of A
    for side, lines in (("A", A_LINES), ("B", B_LINES)):
        assert triple(shared[side]) == seqeval_on(lines, ["LOC", "PER"])
    # By hand: A finds PER of two entities, and LOC twice in the wrong place; B finds both.
    assert triple(shared["A"]) == (1 / 3, 0.5, pytest.approx(0.4))
    assert triple(shared["B"]) == (1.0, 1.0, 1.0)
    assert shared["A"]["accuracy"] == 9 / 11 and shared["B"]["accuracy"] == 10 / 11
    assert shared["A"]["per_type"]["PER"]["support"] == 1
    assert (shared["sentences"], shared["sentences_only_in"]) == (4, {"A": 0, "B": 0})
    assert shared["words_with_other_gold"] == 0


def test_the_headline_is_what_each_run_says_of_itself(runs, tmp_path):
    comparison = compare(*runs, out=tmp_path / "out")
    for name, run in zip("AB", runs, strict=True):
        result = json.loads((run / "results.json").read_text())
        headline = comparison["headline"][name]
        assert headline["train"]["loss"] == 0.5
        test = dict(headline["test"])
        assert test.pop("macro_f1") == result["test"]["macro"]["f1"]
        assert test == {key: value for key, value in result["test"].items() if key != "macro"}
    assert "validation" in comparison["headline"]["A"]
    assert "validation" not in comparison["headline"]["B"]
    assert comparison["runs"]["B"] == {"path": str(runs[1]), "name": "subset", "labels": B_TYPES}
    assert comparison["scheme"] == "strict IOB2"


def test_what_is_returned_is_what_is_written(runs, tmp_path):
    comparison = compare(*runs, out=tmp_path / "new" / "out")
    assert json.loads((tmp_path / "new" / "out" / "compare.json").read_text()) == comparison


def test_a_run_against_itself_is_even(runs, tmp_path):
    shared = compare(runs[0], runs[0], out=tmp_path / "out")["shared"]
    assert shared["A"] == shared["B"]


def test_sentences_of_one_run_alone_are_left_out_counted_and_said(make, tmp_path, log_lines):
    other = {"id": 9, "tokens": ["Berg"], "gold": ["B-PER"], "predicted": ["O"]}
    renamed = B_LINES[2] | {"tokens": ["Leeds", "lost"]}
    a, b = make("a", A_TYPES, A_LINES), make("b", B_TYPES, [other, B_LINES[1], renamed, B_LINES[0]])
    shared = compare(a, b, out=tmp_path / "out")["shared"]
    assert (shared["sentences"], shared["sentences_only_in"]) == (2, {"A": 2, "B": 2})
    # The order in which each has them does not matter.
    assert triple(shared["A"]) == seqeval_on(A_LINES[:2], ["LOC", "PER"])
    assert triple(shared["B"]) == seqeval_on(B_LINES[:2], ["LOC", "PER"])
    assert "2 of 4 sentences of B are not in the other run" in log_lines


def test_gold_that_disagrees_is_counted_and_said(make, tmp_path, log_lines):
    lines = [B_LINES[0] | {"gold": ["B-PER", "O", "O", "B-PER"]}, *B_LINES[1:]]
    a, b = make("a", A_TYPES, A_LINES), make("b", B_TYPES, lines)
    assert compare(a, b, out=tmp_path / "out")["shared"]["words_with_other_gold"] == 1
    assert [line for line in log_lines if "disagree on the gold tags of 1 words" in line]


def test_runs_in_agreement_log_nothing(runs, tmp_path, log_lines):
    compare(*runs, out=tmp_path / "out")
    assert log_lines == []


def test_runs_that_share_no_type_are_refused(make, tmp_path):
    only_animals = make("animals", ["ANIM"], tagged(["ANIM"], *["O O O O", "O O O", "O O", "O O"]))
    b = make("b", B_TYPES, B_LINES)
    with pytest.raises(UserError, match=r"share no entity type \(ANIM; PER, ORG, LOC\)"):
        compare(only_animals, b, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_runs_that_share_no_sentence_are_refused(make, tmp_path):
    moved = [line | {"id": line["id"] + 50} for line in B_LINES]
    with pytest.raises(UserError, match="share no test sentence"):
        compare(make("a", A_TYPES, A_LINES), make("b", B_TYPES, moved), out=tmp_path / "out")


def test_runs_that_are_missing_or_unfinished_are_refused(make, runs, tmp_path):
    with pytest.raises(UserError, match="there is no such run"):
        compare(tmp_path / "absent", runs[1], out=tmp_path / "out")
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    with pytest.raises(UserError, match="no complete run"):
        compare(runs[0], unfinished, out=tmp_path / "out")
    (runs[1] / "results.json").write_text(json.dumps({"name": "b", "labels": B_TYPES}))
    with pytest.raises(UserError, match="has no test figures"):
        compare(*runs, out=tmp_path / "out")
    (runs[1] / "results.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        compare(*runs, out=tmp_path / "out")


def test_predictions_that_are_missing_or_not_the_runs_own_are_refused(runs, tmp_path):
    path = runs[1] / "predictions" / "test.jsonl"
    path.write_text(json.dumps(B_LINES[0] | {"predicted": ["B-FOOD", "O", "O", "O"]}) + "\n")
    with pytest.raises(UserError, match="tag 'B-FOOD' is not one of the run's labels"):
        compare(*runs, out=tmp_path / "out")
    path.unlink()
    with pytest.raises(UserError, match="there are no predictions"):
        compare(*runs, out=tmp_path / "out")


def test_a_file_in_the_place_of_the_folder_is_refused(runs, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(UserError, match="is a file"):
        compare(*runs, out=tmp_path / "out")


def test_the_table_shows_both_runs_and_the_difference(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    comparison = compare(*runs, out=tmp_path / "out")
    print_table(comparison)
    printed = capsys.readouterr().out
    rows = {cells[0]: cells[1:] for line in printed.splitlines() if (cells := cells_of(line))}
    assert rows["figure"][:2] in (["A (full, 3 types)", "B (subset, 3 types)"], ["A", "B"])
    assert "A (full, 3 types)" in printed and "B (subset, 3 types)" in printed
    assert rows["training loss"] == ["0.5000", "0.5000"]
    assert rows["validation F1"][1] == "–"
    assert rows["test loss"] == [f"{comparison['headline'][name]['test']['loss']:.4f}" for name in "AB"]
    assert rows["test F1"] == ["0.4000", "1.0000", "+0.6000"]
    assert "4 sentences" in printed and "strict IOB2" in printed


# ---- several seeds

A_BETTER = tagged(A_TYPES, "B-PER O O O", "O B-LOC I-LOC", "O O", "O O")  # right on the types they share
B_WORSE = tagged(B_TYPES, "B-PER O O O", "O O O", "B-ORG O", "O O")  # LOC missed: P 1, R 1/2, F1 2/3


@pytest.fixture
def seeded(make):
    """Writes a run with its recipe; `f1` is what it says of its own test split."""

    def seeded(name, types, lines, *, seed, f1, epochs=2):
        folder = make(f"{name}-{seed}-{epochs}", types, lines, name=name, test=figures(0) | {"f1": f1})
        recipe = {"name": name, "output_dir": str(folder), "data": {"path": "synthetic"}, "labels": types}
        recipe |= {"train": {"seed": seed, "epochs": epochs}, "provenance": {"command": []}}
        (folder / "recipe.yaml").write_text(json.dumps(recipe))
        return folder

    return seeded


@pytest.fixture
def seeds(seeded):
    """Three runs of A and two of B; both have seeds 1 and 2. Not in the order of models or seeds."""
    return [
        seeded("full", A_TYPES, A_LINES, seed=1, f1=0.5),
        seeded("subset", B_TYPES, B_WORSE, seed=2, f1=0.7),
        seeded("full", A_TYPES, A_BETTER, seed=2, f1=0.6),
        seeded("subset", B_TYPES, B_LINES, seed=1, f1=0.9),
        seeded("full", A_TYPES, A_LINES, seed=7, f1=0.1),
    ]


def test_seeds_of_two_models_are_paired_and_averaged(seeds, tmp_path, log_lines):
    comparison = compare(*seeds, out=tmp_path / "out")
    assert json.loads((tmp_path / "out" / "compare.json").read_text()) == comparison
    assert list(comparison["runs"]["A"]["paths"]) == ["1", "2", "7"]
    assert comparison["runs"]["B"]["paths"] == {"2": str(seeds[1]), "1": str(seeds[3])}
    mean, spread = comparison["mean"], comparison["spread"]
    # F1 on the shared types, by hand: A 0.4 and 1, B 1 and 2/3; so B - A is 0.6 and -1/3.
    assert mean["shared"]["A"]["f1"] == pytest.approx(0.7)
    assert mean["shared"]["B"]["f1"] == pytest.approx(5 / 6)
    assert mean["shared"]["difference"]["f1"] == pytest.approx(0.4 / 3)
    # Of two values the sample deviation is their distance over the root of two.
    assert spread["shared"]["A"]["f1"] == pytest.approx(0.6 / 2**0.5)
    assert spread["shared"]["difference"]["f1"] == pytest.approx((0.6 + 1 / 3) / 2**0.5)
    # The headline takes the seed in that only A has: 0.5, 0.6, 0.1 are 0.1, 0.2 and -0.3 from their mean.
    assert mean["headline"]["A"]["test"]["f1"] == pytest.approx(0.4)
    assert spread["headline"]["A"]["test"]["f1"] == pytest.approx((0.14 / 2) ** 0.5)
    assert mean["headline"]["B"]["test"]["f1"] == pytest.approx(0.8)
    assert log_lines == ["only A has seed 7: used for its own figures, not for the difference"]


def test_every_pair_is_compared_as_two_runs_are(seeds, tmp_path):
    comparison = compare(*seeds, out=tmp_path / "out")
    assert list(comparison["seeds"]) == ["1", "2"]
    assert comparison["seeds"]["1"] == compare(seeds[0], seeds[3], out=tmp_path / "pair")


def test_the_table_shows_means_spreads_and_numbers_of_seeds(seeds, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")
    print_table(compare(*seeds, out=tmp_path / "out"))
    printed = capsys.readouterr().out
    rows = [cells for line in printed.splitlines() if (cells := cells_of(line))]
    own, shared = (cells[1:] for cells in rows if cells[0] == "test F1")
    assert own == ["0.4000 ± 0.2646", "0.8000 ± 0.1414"]
    assert shared == ["0.7000 ± 0.4243", "0.8333 ± 0.2357", "+0.1333 ± 0.6600"]
    words = " ".join(printed.split())
    assert "A n = 3, B n = 2" in words
    assert "n = 2 pairs of seed 1, 2" in words


def test_a_single_pair_has_a_mean_and_no_spread(seeds, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")
    comparison = compare(seeds[0], seeds[3], seeds[4], out=tmp_path / "out")
    assert comparison["mean"]["shared"]["difference"]["f1"] == pytest.approx(0.6)
    assert comparison["spread"]["shared"]["difference"]["f1"] is None
    assert comparison["spread"]["headline"]["A"]["test"]["f1"] == pytest.approx(0.4 / 2**0.5)
    print_table(comparison)
    assert "+0.6000 │" in capsys.readouterr().out


def test_runs_of_three_models_or_of_one_are_refused_by_name(seeds, seeded, tmp_path):
    other = seeded("full", A_TYPES, A_LINES, seed=3, f1=0.5, epochs=5)
    with pytest.raises(UserError) as refused:
        compare(*seeds, other, out=tmp_path / "out")
    assert "the runs are of 3 models, not two" in str(refused.value)
    assert f"full in {seeds[0]}, {seeds[2]}, {seeds[4]}; " in str(refused.value)
    assert f"full (differs in train.epochs) in {other}; " in str(refused.value)
    with pytest.raises(UserError, match="are of 1 model, not two"):
        compare(seeds[0], seeds[2], seeds[4], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_seeds_that_do_not_pair_are_refused(seeds, seeded, tmp_path):
    with pytest.raises(UserError, match="share no seed: full has 1, 7, subset has 2"):
        compare(seeds[0], seeds[1], seeds[4], out=tmp_path / "out")
    with pytest.raises(UserError, match="has seed 1 of full, as has"):
        compare(*seeds, seeds[0], out=tmp_path / "out")


def test_all_unfinished_runs_are_named_at_once(seeds, tmp_path):
    for number in (1, 3):
        (seeds[number] / "results.json").unlink()
    with pytest.raises(UserError) as refused:
        compare(*seeds, out=tmp_path / "out")
    assert str(refused.value).startswith(f"2 of 5 runs are not complete: {seeds[1]}, {seeds[3]}; ")
    with pytest.raises(UserError, match="two runs or more"):
        compare(seeds[0], out=tmp_path / "out")


def cells_of(line):
    cells = line.replace("┃", "│").strip("│ ").split("│")
    return [cell.strip() for cell in cells] if len(cells) > 1 else []


# ---- real predictions


def read(path, number):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in islice(file, number)]


@pytest.fixture
def real_runs(real_data, make):
    """Runs of the published predictions; words are not there, so that a sentence's number stands for them.

    B's authors left out the sentences without an entity of its types; the others follow each other as in A.
    """
    folder = real_data / "multinerd_predictions"
    a_rows = read(folder / "model_A.jsonl.gz", 3000)
    five = ["PER", "ORG", "LOC", "DIS", "ANIM"]
    kept = [i for i, row in enumerate(a_rows) if set(project(row["gold"], five)) != {"O"}]
    b_rows = read(folder / "model_B.jsonl.gz", len(kept))

    def lines(numbers, rows):
        return [
            {"id": i, "tokens": [str(i)] * len(row["gold"]), "gold": row["gold"], "predicted": row["pred"]}
            for i, row in zip(numbers, rows, strict=True)
        ]

    def f1(rows):
        scored = [{"gold": row["gold"], "predicted": row["pred"]} for row in rows]
        return figures(0) | {"f1": seqeval_on(scored, MULTINERD_TYPES)[2]}

    a = make("A", list(MULTINERD_TYPES), lines(range(len(a_rows)), a_rows), test=f1(a_rows))
    return a, make("B", five, lines(kept, b_rows), test=f1(b_rows))


@pytest.mark.real_data
def test_most_of_the_published_gap_is_the_label_set(real_runs, tmp_path):
    comparison = compare(*real_runs, out=tmp_path / "out")
    headline, shared = comparison["headline"], comparison["shared"]
    assert shared["words_with_other_gold"] == 0
    assert shared["sentences_only_in"]["A"] > 100 and shared["sentences_only_in"]["B"] == 0
    gap = headline["B"]["test"]["f1"] - headline["A"]["test"]["f1"]
    fair_gap = shared["B"]["f1"] - shared["A"]["f1"]
    assert gap > 0.015
    assert 0 < fair_gap < gap / 3
