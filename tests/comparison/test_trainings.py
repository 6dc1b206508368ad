"""How compared models were trained is read from their recipes."""

from __future__ import annotations

from pathlib import Path

from ner_dist.comparison.trainings import trainings as trainings_of
from ner_dist.run.directory import Run, read_recipe


def trainings(runs):
    read = {model: read_recipe(own[0]) for model, own in runs.items() if own[0] is not None}
    return trainings_of(runs, {model: recipe for model, recipe in read.items() if recipe is not None})


def run(folder: Path, recipe: str, *, started: str = "2026-03-01T23:00:00+00:00", before: str = "[]") -> Run:
    folder.mkdir()
    text = f"{recipe}\nprovenance: {{started: '{started}', earlier_starts: {before}}}\n"
    (folder / "recipe.yaml").write_text(f"output_dir: {folder}\n{text}")
    return Run(folder)


def test_data_encoder_date_and_what_differs(tmp_path):
    a = run(
        tmp_path / "a",
        "name: a\nmodel: {name: roberta-base}\ndata: {path: news, language: en}\ntrain: {seed: 1, epochs: 3}",
        before="[{started: '2026-02-27T08:00:00+00:00'}]",
    )
    b = run(
        tmp_path / "b",
        "name: b\nmodel: {name: roberta-base}\ndata: {path: news, language: en}\nlabels: [PER, 'no']\n"
        "train: {seed: 2, epochs: 4}\nlogging: {every: 7}",
    )
    found = trainings({"A": [a], "B": [b], "C": [None]})
    assert found["C"] is None
    assert (found["A"].data, found["A"].language, found["A"].encoder) == ("news", "en", "roberta-base")
    assert (found["A"].dates, found["B"].dates) == (["2026-02-27"], ["2026-03-01"])
    assert found["A"].differing == {"labels": "all", "train.epochs": "3"}
    assert found["B"].differing == {"labels": "[PER, 'no']", "train.epochs": "4"}


def test_a_key_in_which_two_of_three_differ_is_known_of_each(tmp_path):
    made = {
        name: [run(tmp_path / name, f"name: {name}\ndata: {{path: news}}\ntrain: {{epochs: {epochs}}}")]
        for name, epochs in (("A", 3), ("B", 3), ("C", 5))
    }
    found = trainings(made)
    assert [each.differing["train.epochs"] for each in found.values()] == ["3", "3", "5"]


def test_a_run_without_a_recipe_is_unknown(tmp_path):
    assert trainings({"A": [Run(tmp_path)]}) == {"A": None}
