"""The entrypoint from recipe to results: the files of a run, and the effect of its settings."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import yaml
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from transformers import pipeline

from ner_dist.errors import UserError
from ner_dist.evaluation.command import evaluate
from ner_dist.evaluation.json_form import as_json
from ner_dist.evaluation.predictions import verify
from ner_dist.model.encoder import load_config
from ner_dist.recipe_file import differing_keys, load_recipe, to_yaml
from ner_dist.runtime.accelerator import running
from ner_dist.training import finalize
from ner_dist.training import trainer as session_module
from ner_dist.training.checkpoint_files import CheckpointReader
from tests import small
from tests.conftest import REPOSITORY

SHORT = ["train.max_steps=3", "train.warmup_ratio=0.0"]


def results(run):
    return json.loads((run / "results.json").read_text())


def events(run, kind="train"):
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [event for event in lines if event["event"] == kind]


def weights(run):
    return load_file(run / "model" / "model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(
        torch.equal(weight, other[name]) for name, weight in one.items()
    )


def lines(run, split="test"):
    return [json.loads(line) for line in (run / "predictions" / f"{split}.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(recipe, run) of a training that learns something."""
    recipe = small.recipe(
        tmp_path_factory.mktemp("finished"),
        "train.max_steps=60",
        "train.learning_rate=5.0e-3",
        "evaluation.every=20",
        "checkpoint.every=25",
        "logging.every=10",
    )
    return recipe, small.train(recipe)


def test_the_run_is_complete(finished):
    _, run = finished
    names = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    checkpoints = {name for name in names if name.startswith("checkpoints/")}
    model = {name for name in names if name.startswith("model/")}
    assert names - checkpoints - model == {
        "metrics.jsonl",
        "predictions/test.jsonl",
        "predictions/validation.jsonl",
        "recipe.yaml",
        "results.json",
        "SHA256SUMS",
    }
    assert model >= {
        "model/README.md",
        "model/config.json",
        "model/model.safetensors",
        "model/tokenizer.json",
    }
    assert {name.split("/")[1] for name in checkpoints} == {
        "best-000040", "best-000060", "step-000050", "step-000060",
    }  # fmt: skip


def test_it_learns(finished):
    _, run = finished
    losses = [event["loss"] for event in events(run)]
    assert losses[-1] < 0.6 * losses[0]
    assert results(run)["test"]["f1"] > 0.05 and results(run)["train"]["loss"] < 1.5


def test_the_recipe_comes_back_with_where_it_was_trained(finished):
    recipe, run = finished
    assert load_recipe(run / "recipe.yaml") == recipe
    provenance = yaml.safe_load((run / "recipe.yaml").read_text())["provenance"]
    assert provenance["data_fingerprint"] == results(run)["data"]["fingerprint"]
    assert provenance["packages"]["torch"] == torch.__version__
    assert provenance["strategy"] == "one process" and provenance["precision_used"] == "fp32"
    assert {"started", "command", "git_commit", "python"} <= provenance.keys()


def test_results_have_the_documented_keys(finished):
    written = results(finished[1])
    for split in ("validation", "test"):
        figures = written[split]
        assert {"loss", "precision", "recall", "f1", "accuracy", "per_type", "scheme"} <= figures.keys()
        assert figures["scheme"] == "strict IOB2" and "seqeval default" in figures["lenient"]["scheme"]
        assert set(figures["per_type"]) == set(written["labels"])
        assert figures["per_type"]["PER"].keys() == {"precision", "recall", "f1", "support"}
    assert written["name"] == "tiny" and len(written["labels"]) == 15
    assert written["train"]["steps"] == 60 and written["train"]["seconds"] > 0
    assert written["environment"] == {"strategy": "one process", "processes": 1, "precision": "fp32"}


def test_predictions_are_all_there_in_data_order_and_belong_to_the_figures(finished):
    recipe, run = finished
    from ner_dist.data.prepare import prepare

    data = prepare(recipe, load_config(recipe.model))
    for split in ("validation", "test"):
        written = lines(run, split)
        assert [line["id"] for line in written] == list(range(len(written)))
        assert [line["tokens"] for line in written] == data.splits[split].tokens()
        gold = [tag for line in written for tag in line["gold"]]
        assert gold == [data.labels.tags[i] for i in data.splits[split].tags]
        confidence = [value for line in written for value in line["confidence"]]
        assert len(confidence) == len(gold) and 0 < min(confidence) < max(confidence) <= 1
        figures = results(run)[split]
        lenient = SimpleNamespace(**figures["lenient"])
        verify(run / "predictions" / f"{split}.jsonl", SimpleNamespace(**figures | {"lenient": lenient}))


def test_the_log_tells_what_is_trained_how_and_what_to_type_next(tmp_path, log_lines):
    run = small.train(
        small.recipe(tmp_path, *SHORT).model_copy(update={"output_dir": f"{tmp_path / 'my run'}"})
    )
    text = "\n".join(log_lines)
    assert log_lines[0].startswith("ner_dist ") and log_lines[0].endswith(f": tiny, to be trained in {run}")
    assert re.search(r"^\d+ threads? \((all \d+ cores|the one core|OMP_NUM_THREADS)\)", text, flags=re.M)
    begins = sum(tag.startswith("B-") for line in lines(run) for tag in line["gold"])
    assert f"test: 83 sentences, 1298 words, {begins} entities" in log_lines
    assert (
        "learning rate 0.001 (linear, after a warm-up over 0 % of the steps); "
        "768 subwords per step, about 19 sentences"
    ) in log_lines
    assert log_lines[-2:] == [
        f"a page of its curves, scores and errors: ner-dist report '{run}'",
        f"which of two runs is better: ner-dist compare '{run}' OTHER_RUN --out FOLDER",
    ]


def test_a_disk_that_fills_up_at_the_end_is_named_with_the_file(tmp_path):
    recipe = small.recipe(tmp_path, *SHORT)
    aside = tmp_path / "run" / "predictions" / ".test.jsonl.part"
    aside.parent.mkdir(parents=True)
    aside.symlink_to("/dev/full")
    (tmp_path / "run" / "recipe.yaml").write_text(to_yaml(recipe))
    with pytest.raises(UserError) as caught:
        small.train(recipe)
    assert str(caught.value).startswith(
        f"{tmp_path / 'run'}/predictions/test.jsonl: No space left on device; free disk space"
    )
    assert not aside.is_symlink(), "nothing is left of it"
    assert results(small.train(recipe))["test"]["sentences"] == 83


def test_events_tell_the_steps_and_the_evaluations(finished):
    _, run = finished
    # Every ten steps, at the ends of the epochs of 16, and before the checkpoint of step 25.
    assert [event["step"] for event in events(run)] == [10, 16, 20, 25, 30, 32, 40, 48, 50, 60]
    assert [event["step"] for event in events(run, "evaluation")] == [20, 40, 60]
    assert {event["scheme"] for event in events(run, "evaluation")} == {"strict IOB2"}


def test_the_training_loss_is_that_of_the_last_epoch(finished):
    _, run = finished
    last = [event["loss"] for event in events(run) if event["epoch"] == 4]
    assert min(last) <= results(run)["train"]["loss"] <= max(last)


def test_the_model_tags_text(finished):
    _, run = finished
    tag = pipeline("token-classification", str(run / "model"), aggregation_strategy="first")
    found = tag("Anna Berg met Marta Lind in Paris .")
    assert {each["entity_group"] for each in found} <= set(results(run)["labels"])
    card = (run / "model" / "README.md").read_text()
    (row,) = [line for line in card.splitlines() if line.startswith("| precision |")]
    assert f"| {results(run)['test']['precision']:.4f} |" in row


def test_the_best_evaluation_is_the_one_reported(finished):
    _, run = finished
    figures = {event["step"]: event for event in events(run, "evaluation")}
    best = results(run)["train"]["best_step"]
    assert figures[best]["f1"] == max(event["f1"] for event in figures.values())
    for name in ("precision", "recall", "f1", "accuracy"):
        assert results(run)["validation"][name] == figures[best][name]
    assert same(weights(run), CheckpointReader(run / "checkpoints" / f"best-{best:06d}").weights())


def test_training_again_does_nothing_and_says_so(finished, log_lines):
    recipe, run = finished
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    small.train(recipe)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    f1 = results(run)["test"]["f1"]
    (line,) = [line for line in log_lines if "holds this run" in line]
    assert f"complete, test F1 {f1:.4f}; resume=never trains it again" in line
    assert not [line for line in log_lines if line.startswith("step ")]


def after_three_steps(folder, *options):
    """The weights."""
    recipe = small.recipe(folder, *SHORT, *options)
    AcceleratorState._reset_state(reset_partial_state=True)
    with running(recipe, model_type="roberta") as accelerator:
        trainer = small.trainer(recipe, accelerator=accelerator)
        for _ in trainer.loop.steps():
            pass
        return small.weights_of(trainer.loop.model)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The weights after a short training without any option."""
    return after_three_steps(tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize(
    "option",
    [
        "train.label_smoothing=0.1",
        "train.class_weights=balanced",
        "train.class_weights={O: 0.2}",
        "train.layer_decay=0.8",
        "train.schedule=cosine",
        "train.max_grad_norm=0.1",
        "train.weight_decay=0.3",
        "train.seed=14",
        "model.dropout=0.2",
    ],
)
def test_options_of_training_change_the_weights(plain, tmp_path, option):
    found = after_three_steps(tmp_path, option)
    assert found.keys() == plain.keys() and not same(found, plain)
    assert all(weight.isfinite().all() for weight in found.values())


def test_other_options_change_nothing(plain, tmp_path):
    """A whole training with all options, and evaluations between its steps."""
    options = [
        *("model.gradient_checkpointing=true", "train.max_nonfinite_steps=1"),
        *("evaluation.batch_tokens=100", "evaluation.every=1", "logging.every=3", "checkpoint.every=1"),
    ]
    run = small.train(small.recipe(tmp_path, *SHORT, *options))
    found = CheckpointReader(run / "checkpoints" / "step-000003").weights()
    assert found.keys() == plain.keys()
    for name, weight in plain.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-4, atol=1e-6)


def test_a_runs_recipe_can_be_trained_from_and_gives_the_same_model(plain, tmp_path):
    first = small.recipe(tmp_path, *SHORT)
    run = small.train(first)
    again = load_recipe(run / "recipe.yaml", [f"output_dir={tmp_path / 'again'}"])
    assert differing_keys(first, again) == []
    assert same(weights(run), plain) and same(weights(small.train(again)), plain)


def test_overwriting_keeps_the_old_run_beside_the_new(tmp_path):
    run = small.train(small.recipe(tmp_path, *SHORT))
    old = results(run)
    small.train(small.recipe(tmp_path, *SHORT, "train.seed=14", "overwrite=true"))
    assert results(tmp_path / "run.old-1") == old != results(run)


def test_a_model_of_some_types_keeps_every_sentence(finished, tmp_path):
    run = small.train(small.recipe(tmp_path, *SHORT, "labels=[LOC, PER]"))
    whole = lines(finished[1])
    found = lines(run)
    assert results(run)["labels"] == ["PER", "LOC"]
    assert [line["tokens"] for line in found] == [line["tokens"] for line in whole]
    kept = {"B-PER", "I-PER", "B-LOC", "I-LOC"}
    for line, other in zip(found, whole, strict=True):
        assert line["gold"] == [tag if tag in kept else "O" for tag in other["gold"]]
        assert set(line["predicted"]) <= kept | {"O"}


def test_a_run_is_scored_again_in_its_own_precision(finished):
    _, run = finished
    again, known = evaluate(run).scores, results(run)["test"]
    assert results(run)["environment"]["precision"] == "fp32"
    assert again.f1 == known["f1"] and again.loss == pytest.approx(known["loss"], rel=1e-5)


@pytest.mark.parametrize("splits", ["", "data.splits={validation: null, test: null}"])
def test_a_diverged_training_is_an_error_that_names_the_step(tmp_path, splits):
    settings = ["train.max_steps=3", "train.learning_rate=1.0e+30", "train.max_grad_norm=null"]
    with pytest.raises(UserError, match=r"diverged: .* of step 3 are not finite; .* not finite in step \d;"):
        small.train(small.recipe(tmp_path, *settings, *filter(None, [splits])))
    assert not (tmp_path / "run" / "results.json").exists()


def test_a_trained_model_is_fine_tuned_further(finished, tmp_path):
    _, start = finished
    overrides = [f"model.name={start / 'model'}", "train.learning_rate=1.0e-9", "labels=[PER, LOC]"]
    run = small.train(small.recipe(tmp_path, *SHORT, *overrides))
    before, after = weights(start), weights(run)
    assert after["classifier.weight"].shape[0] == 5
    for name, weight in before.items():
        if not name.startswith("classifier"):
            torch.testing.assert_close(after[name], weight, rtol=1e-4, atol=1e-6)


@pytest.fixture
def scripted(monkeypatch):
    """Has the validations of a training give the F1, or F1 and loss, of a script; returns the weights seen.

    None is the moment at which the training is cut off. A loss that is not given is 1.0.
    """

    def script(*values):
        evaluate, left, seen = session_module.evaluate, list(values), []

        def evaluate_by_script(model, *arguments, with_predictions=False, **settings):
            done = evaluate(model, *arguments, with_predictions=with_predictions, **settings)
            if with_predictions:  # the final scores
                return done
            answer = left.pop(0)
            if answer is None:
                raise KeyboardInterrupt
            seen.append(small.weights_of(model))
            f1, loss = answer if isinstance(answer, tuple) else (answer, 1.0)
            return SimpleNamespace(figures=replace(done.figures, f1=f1, loss=loss))

        monkeypatch.setattr(session_module, "evaluate", evaluate_by_script)
        return seen

    return script


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        # Another F1 decides, whatever the loss.
        ([0.1, (0.3, 2.0), (0.2, 0.1), 0.25], 4),
        # At the same F1 the loss does,
        ([(0.0, 3.0), (1.0, 0.28), (1.0, 0.01), (1.0, 0.02)], 6),
        # then the later step.
        ([(0.0, 0.7), (0.0, 0.5), (0.0, 0.5), (0.0, 0.6)], 6),
        # A loss that is not a number is worse than any that is.
        ([(0.5, math.nan), (0.5, 9.0), (0.5, math.nan), (0.4, 0.1)], 4),
        ([(0.5, math.inf), (0.5, math.nan), (0.4, 1.0), (0.4, 0.1)], 4),
    ],
)
def test_the_best_weights_are_those_of_the_best_f1_then_the_lowest_loss_then_the_last(
    tmp_path, scripted, log_lines, scores, best
):
    seen = scripted(*scores)
    run = small.train(small.recipe(tmp_path, "train.max_steps=8", "evaluation.every=2"))
    assert results(run)["train"]["best_step"] == best
    assert same(weights(run), seen[best // 2 - 1])
    assert results(run)["train"]["steps"] == 8
    said = [line for line in log_lines if line.startswith("validation at step")]
    assert [line.endswith("(strict IOB2), best so far") for line in said][best // 2 - 1 :] == [
        True, *[False] * (4 - best // 2),
    ]  # fmt: skip


def test_a_model_that_finds_nothing_is_saved_all_the_same(tmp_path, scripted):
    seen = scripted(0.0, 0.0)
    run = small.train(small.recipe(tmp_path, "train.max_steps=4", "evaluation.every=2"))
    assert results(run)["train"]["best_step"] == 4, "nothing is known to be worse of the longer trained ones"
    assert same(weights(run), seen[1])


def test_a_checkpoint_that_knows_no_loss_of_its_best_weights_goes_on(tmp_path, scripted):
    recipe = small.recipe(tmp_path, "train.max_steps=6", "evaluation.every=2", "checkpoint.every=2")
    scripted(0.5, None, (0.5, 2.0), (0.5, 3.0))
    with pytest.raises(KeyboardInterrupt):
        small.train(recipe)
    checkpoint = tmp_path / "run" / "checkpoints" / "step-000002"
    while not checkpoint.exists():  # it is written in the background
        time.sleep(0.05)
    state = json.loads((checkpoint / "state.json").read_text())
    assert state.pop("best_loss") == 1.0
    text = json.dumps(state)
    (checkpoint / "state.json").write_text(text)
    sums = (checkpoint / "SHA256SUMS").read_text().splitlines()
    digest = hashlib.sha256(text.encode()).hexdigest()
    sums = [f"{digest}  state.json" if line.endswith("  state.json") else line for line in sums]
    (checkpoint / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    assert results(small.train(recipe))["train"]["best_step"] == 4


def test_early_stopping_counts_evaluations_without_a_better_f1(tmp_path, scripted, log_lines):
    # The lower loss at the same F1 is no gain, though its weights are kept.
    scripted(0.1, 0.05, 0.2, (0.2, 0.5), 0.1, 0.9)
    run = small.train(
        small.recipe(tmp_path, "train.max_steps=20", "evaluation={every: 2, early_stopping: 2}")
    )
    assert "stopping at step 10: no better F1 in 2 evaluations" in log_lines
    assert (results(run)["train"]["steps"], results(run)["train"]["best_step"]) == (10, 8)
    assert results(run)["test"]["sentences"] == 83


@pytest.mark.parametrize(
    ("every", "expected"), [("epoch", [3, 6]), ("2", [2, 4, 6]), ("4", [4, 6]), ("50", [6]), ("6", [6])]
)
def test_evaluations_come_when_the_recipe_says_and_at_the_end(tmp_path, every, expected):
    """An epoch has three steps."""
    short = ["train.max_steps=6", "data.synthetic={train: 66, validation: 9, test: 9}"]
    run = small.train(small.recipe(tmp_path, f"evaluation.every={every}", *short))
    assert [event["step"] for event in events(run, "evaluation")] == expected


def test_a_training_that_was_cut_off_ends_as_if_it_had_not_been(tmp_path, scripted):
    recipe = small.recipe(tmp_path, "train.max_steps=6", "evaluation.every=2", "checkpoint.every=3")
    seen = scripted(0.5, 0.1, None, 0.1, 0.3)
    with pytest.raises(KeyboardInterrupt):
        small.train(recipe)
    assert not (tmp_path / "run" / "results.json").exists()
    run = small.train(recipe)
    assert [event["step"] for event in events(run)] == [*range(1, 7), 4, 5, 6]
    # Step 4 comes out as before, and the best of before the cut is remembered.
    assert same(seen[1], seen[2])
    assert results(run)["train"]["best_step"] == 2 and same(weights(run), seen[0])


@pytest.mark.parametrize("missing", [["validation"], ["test"], ["validation", "test"]])
def test_a_training_does_without_the_splits_that_are_not_there(tmp_path, missing):
    overrides = [f"data.splits.{name}=null" for name in missing]
    run = small.train(small.recipe(tmp_path, *SHORT, *overrides, "evaluation.every=1"))
    written = results(run)
    there = {"validation", "test"} - set(missing)
    assert {"validation", "test"} & written.keys() == there
    assert {path.stem for path in run.glob("predictions/*")} == there
    assert (run / "model" / "model.safetensors").exists()
    if "validation" in missing:
        assert written["train"]["best_step"] == 3
        assert events(run, "evaluation") == []


def test_repeats_and_leaks_of_the_data_are_counted_in_the_results(tmp_path, log_lines):
    rows = [{"tokens": ["Anna", "number", str(i)], "ner_tags": ["B-PER", "O", "O"]} for i in range(30)]
    other_tags = rows[4] | {"ner_tags": ["O", "O", "O"]}
    splits = {
        "train": [*rows[:20], rows[3], rows[3], other_tags],
        "validation": rows[20:25],
        "test": [*rows[25:30], rows[0], rows[21], rows[26], rows[28] | {"ner_tags": ["O", "O", "O"]}],
    }
    data = tmp_path / "data"
    data.mkdir()
    for name, sentences in splits.items():
        (data / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in sentences))
    whole = small.train(small.recipe(tmp_path, *SHORT, f"data.path={data}"))
    written = results(whole)
    counted = written["data"]
    assert (written["test"]["sentences"], written["test"]["with_repeats"]["sentences"]) == (7, 9)
    as_published = evaluate(
        str(whole), data=None, split="test", settings=["data.deduplicate=false"], precision="fp32"
    )
    again = as_json(as_published)
    for figure, value in written["test"]["with_repeats"].items():
        if figure == "lenient":
            value, again[figure] = value["f1"], again[figure]["f1"]
        assert again[figure] == value, figure
    (line,) = [line for line in log_lines if line.startswith("test as published: F1 ")]
    assert line.endswith(" on all 9 sentences, repeats among them")
    assert "with_repeats" not in written["validation"]
    assert (counted["train_duplicates"], counted["train_duplicates_with_other_tags"]) == (3, 1)
    assert (counted["train_sentences"], counted["test_in_train"], counted["test_in_validation"]) == (20, 1, 1)
    dropped = small.train(
        small.recipe(
            tmp_path,
            *SHORT,
            f"data.path={data}",
            "data.drop_test_sentences_from_train=true",
            "overwrite=true",
        )
    )
    assert results(dropped)["data"]["train_sentences"] == 19
    assert len(lines(dropped)) == 7


@pytest.mark.soak
def test_a_training_leaves_torch_as_it_was_and_another_may_follow(tmp_path):
    """In a new process, as its first training."""
    code = f"""
import torch, transformers
from pathlib import Path
from ner_dist.train import train
from tests import small
from tests.conftest import REPOSITORY

def drawn():
    torch.manual_seed(3)
    return torch.empty(1000).bernoulli_(0.5)

before = drawn(), None, transformers.logging.get_verbosity()
torch.set_num_threads(1)
for precision in ("fp32", "bf16"):
    folder = Path({str(tmp_path)!r}) / precision
    folder.mkdir()
    train(small.recipe(folder, "train.max_steps=1", f"precision={{precision}}"))
assert torch.equal(drawn(), before[0])
assert (torch.get_num_threads(), transformers.logging.get_verbosity()) == (1, before[2])
"""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_training_time_is_that_of_the_training_alone(tmp_path, monkeypatch):
    load = finalize.load_tagging_model

    def load_slowly(*all, **named):
        time.sleep(2)
        return load(*all, **named)

    monkeypatch.setattr(finalize, "load_tagging_model", load_slowly)
    run = small.train(small.recipe(tmp_path, *SHORT))
    assert 0 <= results(run)["train"]["seconds"] - events(run, "evaluation")[-1]["seconds"] < 2
