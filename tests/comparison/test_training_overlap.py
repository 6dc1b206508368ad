"""What training had seen is in the predictions, or read from the training data, or reported as unknown."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ner_dist.comparison.compare import compare
from ner_dist.comparison.prediction_files import read_run
from ner_dist.comparison.training_overlap import with_training
from ner_dist.data.sources import load_corpus
from ner_dist.recipe_file import load_recipe
from ner_dist.report.run_page import run_page
from ner_dist.run.directory import Run
from ner_dist.run.provenance import write_recipe
from tests import small
from tests.comparison.made_runs import A_LINES, A_TYPES, B_LINES, B_TYPES, write_run
from tests.conftest import REPOSITORY

TRAIN = [
    ("Anna saw a lynx", "B-PER O O O"),
    ("New York", "B-ORG I-ORG"),
    ("the lynx", "O B-ANIM"),
    ("it rained", "O O"),
]
SEEN = {
    "Anna": {"PER"},
    "lynx": {"ANIM"},
    "New York": {"ORG"},
    "York": frozenset(),
}


def write_data(folder, train=TRAIN):
    folder.mkdir()
    for split, sentences in (("train", train), ("validation", TRAIN[:1]), ("test", TRAIN[:1])):
        lines = [json.dumps({"tokens": text.split(), "ner_tags": tags.split()}) for text, tags in sentences]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")


@pytest.fixture
def run(tmp_path):
    """A run of A whose predictions do not say what training had seen."""
    write_data(tmp_path / "data")
    recipe = small.recipe(tmp_path, f"data.path={tmp_path / 'data'}")
    run = Run(write_run(tmp_path / "a", A_TYPES, A_LINES))
    write_recipe(run, recipe, world={}, fingerprint=load_corpus(recipe.data).fingerprint)
    return run


def test_what_was_trained_on_is_read_again(run):
    found = with_training(read_run(run, A_TYPES), run)
    assert found.in_train.tolist() == [True, False, False, True]
    # York is an entity in the gold of B alone.
    assert found.seen == {form: types for form, types in SEEN.items() if form != "York"}


def test_what_the_predictions_say_is_not_read_again(run, tmp_path):
    shutil.rmtree(tmp_path / "data")
    said = replace(read_run(run, A_TYPES), in_train=np.array([True] * 4), seen={})
    assert with_training(said, run) is said


def unknown(run, log_lines, why):
    found = with_training(read_run(run, A_TYPES), run)
    assert (found.in_train, found.seen) == (None, None)
    assert why in log_lines[-1]


def test_a_source_that_has_changed_is_not_what_was_trained_on(run, tmp_path, log_lines):
    shutil.rmtree(tmp_path / "data")
    write_data(tmp_path / "data", TRAIN[:1])
    unknown(run, log_lines, "has changed since the run was trained")


def test_a_source_that_is_gone_is_named(run, tmp_path, log_lines):
    shutil.rmtree(tmp_path / "data")
    unknown(run, log_lines, f"{tmp_path / 'data'}: is neither a file nor a folder here")


def test_a_folder_without_a_recipe_has_no_training_text(run, log_lines):
    run.recipe.unlink()
    unknown(run, log_lines, "there is no recipe")


def with_keys(lines):
    """Lines of predictions as a training on TRAIN writes them."""
    train = {text for text, _ in TRAIN}
    for line in lines:
        words, entities = line["tokens"], {"New York", "lynx", "Anna", "York"}
        seen = {form: sorted(SEEN[form]) for form in entities if form in " ".join(words)}
        yield line | {"in_train": " ".join(words) in train, "seen": seen}


def test_a_comparison_needs_no_training_text(tmp_path):
    """Of the shared types, PER and LOC, Anna was seen, and New York was seen with another type."""
    for name, types, lines in (("a", A_TYPES, A_LINES), ("b", B_TYPES, B_LINES)):
        write_run(tmp_path / name, types, list(with_keys(lines)))
    found = compare(tmp_path / "a", tmp_path / "b", out=tmp_path / "out", resamples=50)
    for model in "AB":
        by_seen = found.errors[model].by_seen
        assert [(each.bucket, each.support) for each in by_seen] == [
            ("seen", 1),
            ("seen with another type", 1),
            ("unseen", 0),
        ]
    assert [each.recall for each in found.errors["B"].by_seen[:2]] == [1.0, 1.0]
    effect = found.effects["train_test_overlap"]
    assert (effect.count, effect.why) == (2, None)
    assert effect.what.endswith("Looked up in the training text of A, B.")


def test_renamed_types_are_renamed_in_what_was_seen(tmp_path):
    for name, types, lines in (("a", A_TYPES, A_LINES), ("b", B_TYPES, B_LINES)):
        write_run(tmp_path / name, types, list(with_keys(lines)))
    names = {"ORG": "LOC", "PER": "person", "ANIM": None}
    found = compare(tmp_path / "a", tmp_path / "b", out=tmp_path / "out", resamples=50, renaming=names)
    # Anna, and New York, which was an ORG in training.
    assert [each.support for each in found.errors["A"].by_seen] == [2, 0, 0]


def figures_of(path):
    figures = json.loads((path / "compare.json").read_text())
    return {model: each["by_seen"] for model, each in figures["errors"].items()}, figures["effects"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two types, and one of all, on data of which the test split is partly in training."""
    folder = tmp_path_factory.mktemp("trained")
    recipe = small.recipe(folder)
    corpus = load_corpus(recipe.data)
    names = np.array(corpus.labels.tags, dtype=object)
    lines = {}
    for split, found in corpus.splits.items():
        bounds = zip(found.offsets[:-1], found.offsets[1:], strict=True)
        tags = [names[found.tags[start:end]].tolist() for start, end in bounds]
        lines[split] = [{"tokens": w, "ner_tags": t} for w, t in zip(found.tokens, tags, strict=True)]
    lines["test"] += lines["train"][:20]
    (folder / "data").mkdir()
    for split, rows in lines.items():
        (folder / "data" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    some = ",".join(corpus.labels.types[:2])
    for name, more in (("all", []), ("some", [f"labels=[{some}]"])):
        settings = [f"data.path={folder / 'data'}", f"output_dir={folder / name}", "train.max_steps=2", *more]
        small.train(small.recipe(folder, *settings))
    return folder


@pytest.fixture
def former(trained, tmp_path):
    """The same runs as an earlier version wrote them."""
    for name in ("all", "some"):
        shutil.copytree(trained / name, tmp_path / name)
        path = tmp_path / name / "predictions" / "test.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            assert isinstance(line.pop("in_train"), bool) and isinstance(line.pop("seen"), dict)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        (tmp_path / name / "SHA256SUMS").unlink()
    return tmp_path


def test_a_training_writes_what_would_be_read_again(trained, former):
    for folder in (trained, former):
        compare(folder / "all", folder / "some", out=folder / "compared", resamples=50)
    written, read = figures_of(trained / "compared"), figures_of(former / "compared")
    assert written == read
    by_seen, effects = written
    assert effects["train_test_overlap"]["count"] >= 20
    for model in "AB":
        supports = [each["support"] for each in by_seen[model]]
        assert supports[0] > 0 and supports[2] > 0, "all entities are of one kind"
    for name in ("all", "some"):
        one, other = (read_run(Run(folder / name), _labels(folder / name)) for folder in (trained, former))
        again = with_training(other, Run(former / name))
        assert one.seen == again.seen and one.in_train.tolist() == again.in_train.tolist()


def _labels(folder):
    return json.loads((folder / "results.json").read_text())["labels"]


def documented() -> list[str]:
    """The keys of a line by docs/formats.md, in its order."""
    page = (REPOSITORY / "docs/formats.md").read_text()
    section = page.split("## predictions/*.jsonl\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, flags=re.M)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_every_line_has_the_documented_keys(trained, split):
    lines = (trained / "some" / "predictions" / f"{split}.jsonl").read_text().splitlines()
    # This data has neither documents nor texts: `tests/data/test_document_ids.py` has both.
    keys = [key for key in documented() if key not in ("document", "offsets")]
    assert lines and all(list(json.loads(line)) == keys for line in lines)


def test_figures_do_not_depend_on_where_a_run_lies(trained, tmp_path, monkeypatch):
    """Copied to a machine without the data, its predictions and recipe are enough."""
    for name in ("all", "some"):
        shutil.copytree(trained / name, tmp_path / name)
        settings = load_recipe(tmp_path / name / "recipe.yaml")
        text = (tmp_path / name / "recipe.yaml").read_text()
        (tmp_path / name / "recipe.yaml").write_text(text.replace(settings.data.path, "/nowhere/else"))
    for folder in (trained, tmp_path):
        compare(folder / "all", folder / "some", out=folder / "compared", resamples=50)
    assert figures_of(trained / "compared") == figures_of(tmp_path / "compared")
    page = run_page(Run(tmp_path / "all"))
    assert "had seen an entity in training is not known" not in page and "by what training had seen" in page


@pytest.mark.parametrize(
    "name", ["error_analysis", "calibration", "data_effects", "disagreements", "training_overlap"]
)
def test_import_needs_neither_torch_nor_transformers(name):
    heavy = "{'torch', 'transformers'}"
    code = f"import sys, ner_dist.comparison.{name}; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
