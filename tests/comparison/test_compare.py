"""Comparisons: each model on its own labels, and all on the types and sentences that they share."""

from __future__ import annotations

import json
import shutil
import statistics

import pytest

from ner_dist.comparison.compare import compare as compare_models
from ner_dist.errors import UserError
from ner_dist.report.terminal import print_tables
from tests.comparison.made_runs import (
    A_LINES,
    A_TYPES,
    B_LINES,
    B_TYPES,
    figures,
    seqeval_on,
    tagged,
    write_run,
)

PARTS = ("label_set", "sentences", "gold", "model")


def compare(*paths, **settings):
    """The figures, with few resamples."""
    return compare_models(*paths, **{"resamples": 200} | settings).figures


def warned(lines):
    """The warnings about alignment and headlines, without those of other parts."""
    said = ("stand in all others", "gold tags differ", "was replaced")
    return [line for line in lines if any(words in line for words in said)]


@pytest.fixture
def make(tmp_path):
    """Write a run by hand; return its folder."""

    def make(name, types, lines, /, **results):
        return write_run(tmp_path / name, types, lines, **results)

    return make


def triple(side):
    return side["precision"], side["recall"], side["f1"]


@pytest.fixture
def runs(make):
    return make("full", A_TYPES, A_LINES, validation=figures("v")), make("subset", B_TYPES, B_LINES)


def test_both_are_scored_on_the_types_they_share_as_seqeval_does(runs, tmp_path):
    comparison = compare(*runs, out=tmp_path / "out")
    shared, alignment = comparison["shared"], comparison["alignment"]
    assert shared["types"] == ["LOC", "PER"]  # in the order of A
    assert (alignment["by"], alignment["disputed"]) == ("id and words", None)
    assert alignment["only_in"] == {name: {"sentences": 0, "examples": []} for name in "AB"}
    assert (alignment["sentences"], alignment["units"]) == (4, 4)
    for side, lines in (("A", A_LINES), ("B", B_LINES)):
        assert triple(shared[side]) == seqeval_on(lines, ["LOC", "PER"])
    # By hand: A finds PER of two entities, and LOC twice in the wrong place; B finds both.
    assert triple(shared["A"]) == (1 / 3, 0.5, pytest.approx(0.4))
    assert triple(shared["B"]) == (1.0, 1.0, 1.0)
    assert shared["A"]["accuracy"] == 9 / 11 and shared["B"]["accuracy"] == 10 / 11
    assert shared["A"]["per_type"]["PER"]["support"] == 1
    assert (shared["sentences"], shared["std"]) == (4, {"A": None, "B": None})


def test_the_headline_is_what_each_run_says_of_itself(runs, tmp_path):
    comparison = compare(*runs, out=tmp_path / "out")
    for name, run in zip("AB", runs, strict=True):
        result = json.loads((run / "results.json").read_text())
        headline = comparison["headline"][name]["mean"]
        assert headline["train"]["loss"] == 0.5
        test = dict(headline["test"])
        assert test.pop("macro_f1") == result["test"]["macro"]["f1"]
        assert test == {key: value for key, value in result["test"].items() if key != "macro"}
        assert comparison["headline"][name]["std"] is None
    assert comparison["headline"]["A"]["mean"]["validation"]["f1"] == figures("v")["f1"]
    assert set(comparison["headline"]["B"]["mean"]["validation"].values()) == {None}
    described = {
        "name": "subset",
        "paths": [str(runs[1])],
        "seeds": [None],
        "labels": B_TYPES,
        "sentences": 4,
        "training": None,
    }
    assert comparison["runs"]["B"] == described
    assert comparison["scheme"] == "strict IOB2"


def test_what_is_returned_is_what_is_written(runs, tmp_path):
    comparison = compare(*runs, out=tmp_path / "new" / "out")
    assert json.loads((tmp_path / "new" / "out" / "compare.json").read_text()) == comparison


def test_a_run_against_itself_is_even(runs, tmp_path):
    comparison = compare(runs[0], runs[0], out=tmp_path / "out")
    assert comparison["shared"]["A"] == comparison["shared"]["B"]
    assert all(comparison["decomposition"]["B"][key] == 0 for key in ("gap", *PARTS))
    # Two models of one name are told apart by where they lie.
    assert [run["name"] for run in comparison["runs"].values()] == [str(runs[0])] * 2


def test_sentences_of_one_run_alone_are_left_out_counted_and_said(make, tmp_path, log_lines):
    other = {"id": 9, "tokens": ["Berg"], "gold": ["B-PER"], "predicted": ["O"]}
    renamed = B_LINES[2] | {"tokens": ["Leeds", "lost"]}
    a, b = make("a", A_TYPES, A_LINES), make("b", B_TYPES, [other, B_LINES[1], renamed, B_LINES[0]])
    comparison = compare(a, b, out=tmp_path / "out")
    shared, alignment = comparison["shared"], comparison["alignment"]
    assert (shared["sentences"], alignment["sentences"]) == (2, 2)
    assert alignment["only_in"]["B"] == {
        "sentences": 2,
        "examples": [
            {"id": "9", "place": 1, "words": "Berg"},
            {"id": "2", "place": 3, "words": "Leeds lost"},
        ],
    }
    assert alignment["only_in"]["A"]["sentences"] == 2
    # The order in which each has them does not matter.
    assert triple(shared["A"]) == seqeval_on(A_LINES[:2], ["LOC", "PER"])
    assert triple(shared["B"]) == seqeval_on(B_LINES[:2], ["LOC", "PER"])
    assert f"2 of 4 sentences of B ({b}) are left out: they were not found in all others" in log_lines


def test_sentences_whose_gold_differs_are_left_out_and_said_and_scored_by_each_gold(
    make, tmp_path, log_lines
):
    lines = [B_LINES[0] | {"gold": ["B-PER", "O", "O", "B-PER"]}, *B_LINES[1:]]
    a, b = make("a", A_TYPES, A_LINES), make("b", B_TYPES, lines)
    comparison = compare(a, b, out=tmp_path / "out")
    disputed = comparison["alignment"]["disputed"]
    assert (disputed["sentences"], disputed["words"]) == (1, 1)
    assert any(line.startswith("gold tags differ in 1 word of 1 shared sentence") for line in log_lines)
    assert comparison["shared"]["sentences"] == len(B_LINES) - 1
    assert triple(comparison["shared"]["B"]) == seqeval_on(B_LINES[1:], ["LOC", "PER"])
    by_a = [b_line | {"gold": a_line["gold"]} for a_line, b_line in zip(A_LINES, B_LINES, strict=True)]
    assert disputed["f1"]["A"]["B"] == seqeval_on(by_a, ["LOC", "PER"])[2]
    assert disputed["f1"]["B"]["B"] == seqeval_on(lines, ["LOC", "PER"])[2]


def test_gold_that_decides_who_leads_names_no_winner_in_either_order(make, tmp_path):
    """Each model says what its own gold says, on sentences that both read alike."""
    alike = [B_LINES[1] | {"id": i, "tokens": [f"w{i}", *B_LINES[1]["tokens"][1:]]} for i in range(40)]
    names = [{"tokens": [f"n{i}"], "id": 100 + i} for i in range(30)]
    of_a = [*alike, *(each | {"gold": ["B-PER"], "predicted": ["B-PER"]} for each in names)]
    of_b = [*alike, *(each | {"gold": ["B-LOC"], "predicted": ["B-LOC"]} for each in names)]
    a, b = make("a", B_TYPES, of_a), make("b", B_TYPES, of_b)
    for order in ((a, b), (b, a)):
        comparison = compare(*order, out=tmp_path / "out")
        assert comparison["alignment"]["disputed"]["f1"]["A"]["A"] == 1
        assert comparison["alignment"]["disputed"]["f1"]["B"]["B"] == 1
        said = comparison["verdict"]
        assert "Who leads depends on whose gold is right, so no model is called better." in said["paragraph"]
        assert "better than" not in said["paragraph"]
        assert said["lines"] == []


def test_a_run_whose_results_are_not_of_its_predictions_is_named(make, tmp_path, log_lines):
    a, b = make("a", A_TYPES, A_LINES, test=figures(0) | {"f1": 0.75}), make("b", B_TYPES, B_LINES)
    compare(a, b, out=tmp_path / "out")
    assert warned(log_lines) == [
        f"{a}: results.json says test F1 0.7500, its predictions give 0.5000: one of them was replaced"
    ]


def test_runs_in_agreement_log_nothing(runs, tmp_path, log_lines):
    compare(*runs, out=tmp_path / "out")
    assert warned(log_lines) == []


def test_runs_that_share_no_type_are_refused(make, tmp_path):
    only_animals = make("animals", ["ANIM"], tagged(["ANIM"], *["O O O O", "O O O", "O O", "O O"]))
    b = make("b", B_TYPES, B_LINES)
    with pytest.raises(UserError, match=r"share no entity type \(ANIM; PER, ORG, LOC\)"):
        compare(only_animals, b, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_runs_that_share_no_sentence_are_refused(make, tmp_path):
    moved = [line | {"tokens": ["x"] * len(line["tokens"])} for line in B_LINES]
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
    whole = compare_models(*runs, out=tmp_path / "out", resamples=200)
    comparison = whole.figures
    print_tables(whole)
    printed = capsys.readouterr().out
    rows = {cells[0]: cells[1:] for line in printed.splitlines() if (cells := cells_of(line))}
    assert "A (full, 3 types)" in printed and "B (subset, 3 types)" in printed
    assert rows["training loss"] == ["0.5000", "0.5000"]
    assert rows["validation F1"][1] == "–"
    test = {name: comparison["headline"][name]["mean"]["test"] for name in "AB"}
    assert rows["test loss"] == [f"{test[name]['loss']:.4f}" for name in "AB"]
    assert rows["test F1"][:2] == ["0.4000", "1.0000"]
    assert rows["test F1"][2].startswith("+0.6000")
    assert rows["F1 PER"][:2] == ["1.0000", "1.0000"]
    assert rows["part due to the model"] == ["+0.6000"]
    assert rows["gap in headline test F1"] == [f"{test['B']['f1'] - test['A']['f1']:+.4f}"]
    assert "4 sentences" in printed and "strict IOB2" in printed


A_CONLL = "Anna B-PER B-PER\nsaw O O\na O O\nlynx B-ANIM B-ANIM\n\nin O O\nNew B-LOC B-LOC\nYork I-LOC O\n"


def test_a_run_is_compared_with_a_file_of_columns(runs, tmp_path):
    path = tmp_path / "theirs.conll"
    path.write_text(A_CONLL)
    comparison = compare(path, runs[1], out=tmp_path / "out", names={"B": "ours"})
    assert [run["name"] for run in comparison["runs"].values()] == ["theirs", "ours"]
    assert comparison["runs"]["A"]["seeds"] == [None]
    mean = comparison["headline"]["A"]["mean"]
    assert (mean["train"]["loss"], mean["test"]["loss"]) == (None, None)
    assert triple(mean["test"]) == seqeval_on(A_LINES[:2], A_TYPES)
    alignment = comparison["alignment"]
    assert (alignment["by"], alignment["sentences"]) == ("words", 2)
    assert alignment["only_in"]["B"]["sentences"] == 2
    assert [
        note for note in alignment["notes"] if note.startswith("The labels of A are the types that occur")
    ]


def test_a_name_for_a_model_that_is_not_there_is_refused(runs, tmp_path):
    with pytest.raises(UserError, match=r"--names: there is no model C to be named; the models are A, B"):
        compare(*runs, out=tmp_path / "out", names={"C": "none"})


A_BETTER = tagged(A_TYPES, "B-PER O O O", "O B-LOC I-LOC", "O O", "O O")  # right on the types they share
B_WORSE = tagged(B_TYPES, "B-PER O O O", "O O O", "B-ORG O", "O O")  # LOC missed: P 1, R 1/2, F1 2/3


@pytest.fixture
def seeded(make):
    """Write a run with its recipe."""

    def seeded(name, types, lines, *, seed, epochs=2):
        folder = make(f"{name}-{seed}-{epochs}", types, lines, name=name)
        recipe = {"name": name, "output_dir": str(folder), "data": {"path": "synthetic"}, "labels": types}
        recipe |= {"train": {"seed": seed, "epochs": epochs}, "provenance": {"command": []}}
        (folder / "recipe.yaml").write_text(json.dumps(recipe))
        return folder

    return seeded


@pytest.fixture
def seeds(seeded):
    """Three runs of A and two of B, not in the order of models or seeds."""
    return [
        seeded("full", A_TYPES, A_LINES, seed=1),
        seeded("subset", B_TYPES, B_WORSE, seed=2),
        seeded("full", A_TYPES, A_BETTER, seed=2),
        seeded("subset", B_TYPES, B_LINES, seed=1),
        seeded("full", A_TYPES, A_LINES, seed=7),
    ]


def test_seeds_of_a_model_are_averaged(seeds, tmp_path, log_lines):
    comparison = compare(*seeds, out=tmp_path / "out")
    assert json.loads((tmp_path / "out" / "compare.json").read_text()) == comparison
    assert comparison["runs"]["A"]["seeds"] == [1, 2, 7]
    assert comparison["runs"]["B"]["paths"] == [str(seeds[1]), str(seeds[3])]
    shared = comparison["shared"]
    # F1 on the shared types, by hand: A 0.4, 1 and 0.4, B 2/3 and 1.
    assert shared["A"]["f1"] == pytest.approx(0.6)
    assert shared["B"]["f1"] == pytest.approx(5 / 6)
    assert shared["A"]["per_type"]["LOC"]["support"] == 1
    # Sample deviations: 0.2, 0.4, 0.2 from the mean; of two values their distance over the root of two.
    assert shared["std"]["A"]["f1"] == pytest.approx((0.24 / 2) ** 0.5)
    assert shared["std"]["B"]["f1"] == pytest.approx((1 / 3) / 2**0.5)
    for model, runs in (("A", seeds[0::2]), ("B", seeds[1::2])):
        f1 = [json.loads((run / "results.json").read_text())["test"]["f1"] for run in runs]
        headline = comparison["headline"][model]
        assert headline["mean"]["test"]["f1"] == pytest.approx(statistics.mean(f1))
        assert headline["std"]["test"]["f1"] == pytest.approx(statistics.stdev(f1))
    gap = comparison["decomposition"]["B"]
    assert gap["model"] == pytest.approx(5 / 6 - 0.6)
    assert sum(gap[part] for part in PARTS) == pytest.approx(gap["gap"], abs=1e-12)
    assert warned(log_lines) == []


def test_the_tables_show_means_deviations_and_numbers_of_seeds(seeds, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "170")
    print_tables(compare_models(*seeds, out=tmp_path / "out", resamples=200))
    printed = capsys.readouterr().out
    rows = [cells for line in printed.splitlines() if (cells := cells_of(line))]
    _, shared = (cells[1:] for cells in rows if cells[0] == "test F1")
    assert shared[:2] == ["0.6000 ± 0.3464", "0.8333 ± 0.2357"]
    assert shared[2].startswith("+0.2333")
    assert "A n = 3, B n = 2" in " ".join(printed.split())


def test_two_runs_are_two_models_whatever_they_are(seeds, tmp_path):
    comparison = compare(seeds[0], seeds[2], out=tmp_path / "out")
    assert [run["seeds"] for run in comparison["runs"].values()] == [[1], [2]]


def test_three_models_are_all_compared_with_the_first(seeds, seeded, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "170")
    other = seeded("full", A_TYPES, A_BETTER, seed=3, epochs=5)
    whole = compare_models(*seeds, other, out=tmp_path / "out", resamples=200)
    comparison = whole.figures
    assert [run["seeds"] for run in comparison["runs"].values()] == [[1, 2, 7], [2, 1], [3]]
    # The types that all three know.
    assert comparison["shared"]["types"] == ["LOC", "PER"]
    assert {model: gap["from"] for model, gap in comparison["decomposition"].items()} == {"B": "A", "C": "A"}
    assert comparison["decomposition"]["C"]["model"] == pytest.approx(1 - 0.6)
    print_tables(whole)
    printed = capsys.readouterr().out
    assert "All on the same ground" in printed and "C − A" in printed


def test_runs_that_are_no_two_models_are_refused(seeds, tmp_path):
    with pytest.raises(UserError, match=r"are of one model: they differ in train\.seed only"):
        compare(seeds[0], seeds[2], seeds[4], out=tmp_path / "out")
    with pytest.raises(UserError, match="is named twice"):
        compare(*seeds, seeds[0], out=tmp_path / "out")
    copied = shutil.copytree(seeds[0], tmp_path / "copied")
    with pytest.raises(UserError, match="has seed 1 of full, as has"):
        compare(*seeds, copied, out=tmp_path / "out")
    with pytest.raises(UserError, match="two runs or more"):
        compare(seeds[0], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_all_unfinished_runs_are_named_at_once(seeds, tmp_path):
    for number in (1, 3):
        (seeds[number] / "results.json").unlink()
    with pytest.raises(UserError) as refused:
        compare(*seeds, out=tmp_path / "out")
    assert str(refused.value).startswith(f"2 of 5 runs are not complete: {seeds[1]}, {seeds[3]}; ")


def cells_of(line):
    cells = line.replace("┃", "│").strip("│ ").split("│")
    return [cell.strip() for cell in cells] if len(cells) > 1 else []


@pytest.mark.real_data
def test_most_of_the_published_gap_is_the_task(real_data, tmp_path):
    folder = real_data / "multinerd_predictions"
    comparison = compare(folder / "model_A.jsonl.gz", folder / "model_B.jsonl.gz", out=tmp_path / "out")
    a, b = (comparison["headline"][name]["mean"]["test"] for name in "AB")
    assert a["f1"] == pytest.approx(0.9387, abs=5e-5)
    assert a["macro_f1"] == pytest.approx(0.7988, abs=5e-5)
    assert b["f1"] == pytest.approx(0.9657, abs=5e-5)
    assert sorted(comparison["shared"]["types"]) == ["ANIM", "DIS", "LOC", "ORG", "PER"]

    alignment = comparison["alignment"]
    assert (alignment["by"], alignment["sentences"]) == ("order of gold tags", 29_484)
    assert {name: side["sentences"] for name, side in alignment["only_in"].items()} == {"A": 3380, "B": 20}
    assert alignment["disputed"] is None
    # The file holds its sentences twice.
    assert 14_742 <= alignment["units"] < 14_800

    gap = comparison["decomposition"]["B"]
    assert gap["grounds"]["A"]["shared_types"] == pytest.approx(0.9605, abs=5e-5)
    assert gap["gap"] == b["f1"] - a["f1"] == pytest.approx(0.0270, abs=5e-5)
    # As a referee found them with code of their own.
    orders = gap["orders"]
    assert list(orders["labels_first"].values()) == pytest.approx([0.021780, 0.001589], abs=5e-7)
    assert list(orders["sentences_first"].values()) == pytest.approx([0.006419, 0.016924], abs=3e-5)
    assert [gap[part] for part in PARTS] == pytest.approx([0.0141, 0.00926, 0, 0.003653], abs=5e-5)
    assert sum(gap[part] for part in PARTS) == pytest.approx(gap["gap"], abs=1e-12)
