"""The public API: lazy imports, examples that work, and tags equal to those of an evaluation."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys

import pytest
import torch

import ner_dist
from tests.distributed.launching import RECIPE, REPOSITORY


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with tiny.yaml and two trained runs: of all types, and of two. Long sentences have windows."""
    folder = tmp_path_factory.mktemp("api")
    (folder / "tiny.yaml").write_text(RECIPE, encoding="utf-8")
    settings = ["train.max_steps=40", "model.scratch.max_length=24", "train.learning_rate=5e-3"]
    settings += ["train.class_weights=balanced", "evaluation.every=40"]
    for name, labels in (("full", "all"), ("subset", "[PER, LOC]")):
        own = [f"output_dir={folder / 'runs' / name}", f"name={name}", f"labels={labels}"]
        ner_dist.train_recipe(ner_dist.load_recipe(folder / "tiny.yaml", [*settings, *own]))
    return folder


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, ner_dist; dir(ner_dist); print(sorted({'torch', 'numpy', 'yaml'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there_and_listed():
    assert set(ner_dist.__all__) <= set(dir(ner_dist))
    assert all(getattr(ner_dist, name) is not None for name in ner_dist.__all__)
    with pytest.raises(AttributeError, match="no attribute 'trane'"):
        ner_dist.trane  # noqa: B018


def test_the_training_module_keeps_its_name():
    import ner_dist.train

    assert callable(ner_dist.train.main)


@pytest.mark.soak
def test_type_checkers_see_the_names(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import ner_dist\n"
        "names: list[list[str]] = ner_dist.load_tagger('runs/full').tags([['York']])\n"
        "wrong: int = ner_dist.train_recipe(ner_dist.load_recipe('a.yaml'))\n"
    )
    words = [sys.executable, "-m", "mypy", "--cache-dir", str(REPOSITORY / ".mypy_cache"), str(script)]
    done = subprocess.run(words, capture_output=True, text=True)
    errors = [line for line in done.stdout.splitlines() if "script.py" in line]
    assert len(errors) == 1 and 'has type "Run", variable has type "int"' in errors[0], done.stdout


@pytest.mark.parametrize("name", [name for name in ner_dist.__all__ if name != "__version__"])
def test_examples_work(name, runs, monkeypatch):
    monkeypatch.chdir(runs)
    found = doctest.DocTestFinder(recurse=True).find(getattr(ner_dist, name), name, globs={})
    examples = [each for each in found if each.examples]
    assert examples, f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    for example in examples:
        runner.run(example, out=said.append)
    assert not runner.failures, "".join(said)


def test_what_was_set_in_torch_stays(runs):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        ner_dist.evaluate(runs / "runs" / "full", precision="fp32")
        ner_dist.evaluate(runs / "runs" / "full", precision="bf16")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)


def test_a_comparison_writes_what_the_command_writes(runs, tmp_path):
    pair = [runs / "runs" / name for name in ("full", "subset")]
    comparison = ner_dist.compare(*pair, out=tmp_path, names={"A": "all of them"}, resamples=100)
    assert comparison.figures == json.loads((tmp_path / "compare.json").read_text())
    assert comparison.figures["runs"]["A"]["name"] == "all of them"
    assert {path.name for path in tmp_path.iterdir()} == {"compare.json", "report.md", "report.html"}
    options = {"seed_sd": 0.01, "partial": True, "requirements": ["B >= A - 1", "A > B + 1"]}
    comparison = ner_dist.compare(*pair, out=tmp_path, resamples=100, report=False, **options)
    assert {path.name for path in tmp_path.iterdir()} == {"compare.json"}
    assert [each.holds for each in comparison.requirements] == [True, False]
    assert comparison.uncertainty.seed_spread.sd == 0.01


@pytest.mark.parametrize("name", ["full", "subset"])
def test_a_tagger_gives_the_tags_that_the_run_wrote(runs, name):
    run = ner_dist.Run(runs / "runs" / name)
    lines = [json.loads(line) for line in run.predictions("test").read_text().splitlines()]
    tagger = ner_dist.load_tagger(run.folder)
    tags = tagger.tags([line["tokens"] for line in lines])
    assert tags == [line["predicted"] for line in lines]
    assert any(tag != "O" for sentence in tags for tag in sentence)
    assert tagger.labels.types == tuple(json.loads(run.results.read_text())["labels"])
    longest = max(len(line["tokens"]) for line in lines)
    assert longest > tagger.max_length, "a sentence is cut into windows"


def test_words_without_subwords_change_no_other_tag(runs):
    tagger = ner_dist.load_tagger(runs / "runs" / "full")
    lines = (runs / "runs/full/predictions/test.jsonl").read_text().splitlines()[:40]
    words = [json.loads(line)["tokens"] for line in lines]
    expected = tagger.tags(words)
    gaps = ["", ""]
    tags = tagger.tags([[*gaps, *(part for word in sentence for part in (word, ""))] for sentence in words])
    assert [sentence[2::2] for sentence in tags] == expected
    for before, padded in zip(expected, tags, strict=True):
        assert padded[:2] == ["O", "O"]
        for i, gap in enumerate(padded[3::2]):
            after = before[i + 1] if i + 1 < len(before) else "O"
            assert gap == (after if after.startswith("I-") and before[i][1:] == after[1:] else "O")


def test_no_sentences_and_no_words_have_no_tags(runs):
    tagger = ner_dist.load_tagger(runs / "runs" / "full", device="cpu")
    assert tagger.tags([]) == []
    assert tagger.tags([[]]) == [[]]


@pytest.mark.parametrize("sentences", ["Anna visits York", ["Anna visits York"], ["Anna", "visits"]])
def test_text_in_the_place_of_words_is_refused(runs, sentences):
    with pytest.raises(ner_dist.UserError, match="not as a list of words"):
        ner_dist.load_tagger(runs / "runs" / "full").tags(sentences)


def test_a_model_without_its_run_is_enough(runs):
    folder = runs / "runs" / "full"
    words = [["Anna", "Berg", "visits", "York", "."]]
    assert ner_dist.load_tagger(folder / "model").tags(words) == ner_dist.load_tagger(folder).tags(words)


@pytest.mark.parametrize(("asked", "settled"), [("auto", "fp32"), ("bf16", "bf16")])
def test_precision_is_the_runs_unless_another_is_asked_for(runs, asked, settled):
    assert ner_dist.load_tagger(runs / "runs" / "full", asked, device="cpu").precision == settled


def test_a_tagger_needs_a_model(tmp_path):
    with pytest.raises(ner_dist.UserError):
        ner_dist.load_tagger(tmp_path)
