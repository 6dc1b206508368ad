"""`ner-dist push`: what reaches the hub, what stays here, and what is refused with a line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard, constants

from ner_dist.comparison.compare import compare
from ner_dist.errors import UserError
from ner_dist.publish.push import push
from ner_dist.run.directory import Run
from tests import small
from tests.command_line import ner_dist
from tests.publish.hub import OWNER, TOKEN, Hub

REPO = f"{OWNER}/tiny"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A complete run."""
    return small.train(small.recipe(tmp_path_factory.mktemp("push"), "train.max_steps=2"))


@pytest.fixture
def run(trained, tmp_path):
    """A copy of a complete run, to be changed."""
    shutil.copytree(trained, tmp_path / "run")
    return Run(tmp_path / "run")


def of_card(files) -> ModelCard:
    (card,) = [file for file in files if file.name == "README.md"]
    return ModelCard(card.content.decode())


def test_only_the_files_of_the_model_would_go_up(run):
    for name in ("optimizer.pt", "trainer_state.json", "runs.txt/events", ".cache/token"):
        (run.model / name).parent.mkdir(exist_ok=True)
        (run.model / name).write_text("private")
    results = run.model / ".eval_results" / "multinerd.yaml"
    results.parent.mkdir()
    results.write_text("- value: 0.9\n")
    files, address = push(run.folder, REPO, dry_run=True)
    assert address is None
    names = {file.name for file in files}
    of_model = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert names == {"README.md", ".eval_results/multinerd.yaml", *of_model}
    sizes = {file.name: file.size for file in files if file.name != "README.md"}
    assert sizes == {name: (run.model / name).stat().st_size for name in sizes}


def test_the_card_loads_the_model_by_its_name_on_the_hub_and_keeps_what_its_author_wrote(run):
    path = run.model / "README.md"
    path.write_text(path.read_text().replace("## Limits\n", "## Limits\n\nNot for hospitals.\n"))
    before = path.read_text()
    card = of_card(push(run.folder, REPO, dry_run=True)[0])
    assert f'ner_dist.load_tagger("{REPO}", precision="fp32")' in card.text and "path/to" not in card.text
    assert "Not for hospitals." in card.text
    assert path.read_text() == before


def test_a_card_that_was_broken_by_hand_is_one_line(run):
    path = run.model / "README.md"
    path.write_text(path.read_text().replace("license: apache-2.0", "license: [apache-2.0"))
    with pytest.raises(UserError, match=r"README\.md: its metadata cannot be read: .*; correct the block"):
        push(run.folder, REPO, dry_run=True)


@pytest.mark.parametrize("planted", ["home", "output_dir", "token"])
def test_a_place_on_this_machine_or_a_token_is_not_published(run, planted):
    secret = {
        "home": f"{Path.home()}/data",
        "output_dir": yaml.safe_load(run.recipe.read_text())["output_dir"],
        "token": "hf_" + "a" * 34,
    }[planted]
    config = run.model / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"_name_or_path": secret}))
    (run.folder / "SHA256SUMS").unlink()  # the change is meant
    with pytest.raises(
        UserError, match=r"config\.json: (names a place on this machine|holds an access token)"
    ):
        push(run.folder, REPO, dry_run=True)


def test_the_card_gets_the_verdict_of_a_comparison_without_its_paths(trained, tmp_path):
    # Two models of one name are called by their paths.
    paths = [tmp_path / "private" / name for name in ("one", "other")]
    for path in paths:
        shutil.copytree(trained, path)
    both = compare(*paths, out=tmp_path / "both", resamples=100)
    assert str(tmp_path) in both.verdict.paragraph
    text = of_card(push(paths[1], REPO, comparison=tmp_path / "both", dry_run=True)[0]).text
    section = text.partition("## Compared with other models")[2].partition("\n## ")[0]
    assert "This model is B." in section and "B (other, 15 types)" in section
    estimate = both.uncertainty.models["A"].micro.f1
    assert f"| A, one | 15 | {estimate.value:.4f} | {estimate.low:.4f} to {estimate.high:.4f} |" in section
    assert str(tmp_path) not in text and text.index("## Compared") < text.index("## How to use it")


def test_the_card_says_the_scores_of_all_seeds(trained, tmp_path):
    for name in ("full1", "full2", "other"):
        shutil.copytree(trained, tmp_path / name)
        recipe = yaml.safe_load((tmp_path / name / "recipe.yaml").read_text())
        recipe["train"]["seed"] = 2 if name == "full2" else 1
        recipe["train"]["weight_decay"] = 0.0 if name == "other" else 0.01
        (tmp_path / name / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    f1 = json.loads((trained / "results.json").read_text())["test"]["f1"]
    compare(*(tmp_path / name for name in ("full1", "full2", "other")), out=tmp_path / "c", resamples=100)
    text = of_card(push(tmp_path / "full2", REPO, comparison=tmp_path / "c", dry_run=True)[0]).text
    assert f"A. It was trained 2 times, with seeds 1 and 2; test F1 is {f1:.4f} ± 0.0000" in text


def test_a_comparison_of_other_runs_or_other_figures_is_refused(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "another")
    with pytest.raises(UserError, match=r"--comparison .*: holds no compare.json; ner-dist compare"):
        push(trained, REPO, comparison=tmp_path, dry_run=True)
    compare(trained, trained / "predictions" / "test.jsonl", out=tmp_path / "both", resamples=100)
    with pytest.raises(UserError, match=r"is not about .*another"):
        push(tmp_path / "another", REPO, comparison=tmp_path / "both", dry_run=True)
    figures = json.loads((tmp_path / "both/compare.json").read_text())
    figures["headline"]["A"]["mean"]["test"]["f1"] += 0.01
    (tmp_path / "both/compare.json").write_text(json.dumps(figures))
    with pytest.raises(UserError, match="has other scores of"):
        push(trained, REPO, comparison=tmp_path / "both", dry_run=True)


def test_a_run_that_is_not_complete_and_a_name_that_is_none_are_refused(run):
    with pytest.raises(UserError, match=r"REPO a//b: .*; write USER/NAME"):
        push(run.folder, "a//b", dry_run=True)
    run.results.unlink()
    with pytest.raises(UserError, match="holds no complete run"):
        push(run.folder, REPO, dry_run=True)


@pytest.fixture
def hub():
    """A hub on this machine: its state, and a function that pushes to it as a user would."""
    state = Hub()
    server = state.server()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield state
    server.shutdown()
    thread.join()


def pushed(address: str, *arguments: str | Path, token: str = TOKEN, **environment: str):
    """`ner-dist push ARGUMENTS` in its own process: the hub's library reads its settings when imported."""
    settings = {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_TOKEN": token} | environment
    words = [sys.executable, "-m", "ner_dist.cli", "push", *map(str, arguments)]
    return subprocess.run(words, env=os.environ | settings, capture_output=True, text=True)


def test_the_model_is_on_the_hub_afterwards(hub, run):
    done = pushed(hub.address, run.folder, "tiny", "--private")
    assert done.returncode == 0, done.stderr
    assert hub.private == {REPO: True}
    assert hub.files["model.safetensors"] == (run.model / "model.safetensors").read_bytes()
    assert f'load_tagger("{REPO}", precision="fp32")' in hub.files["README.md"].decode()
    assert done.stdout.splitlines()[-1].endswith(f"{REPO}/commit/1")


@pytest.fixture
def connected(hub, monkeypatch, tmp_path):
    """The hub's library in this process as if it had been imported with this hub's settings."""
    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no_token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return hub


@pytest.mark.parametrize(
    ("repo", "settings", "says"),
    [
        (
            "tiny",
            {"token": "hf_another"},
            "push: the hub does not accept the access token; log in with `hf auth",
        ),
        ("nobody/tiny", {}, "REPO nobody/tiny: you may not write there; name a repository of your own"),
        ("public", {}, "REPO somebody/public: exists and is public; make it private in its settings"),
        ("tiny", {"HF_HUB_OFFLINE": True}, "push: HF_HUB_OFFLINE is set; unset it, or use --dry-run"),
        ("tiny", {"ENDPOINT": "http://127.0.0.1:9"}, "push: the hub cannot be reached ("),
        ("tiny", {"token": ""}, "push: there is no access token of the hub on this machine; log in with"),
    ],
)
def test_what_the_hub_refuses_is_one_line(connected, run, monkeypatch, capsys, repo, settings, says):
    connected.private["somebody/public"] = False
    for name, value in settings.items():
        if name == "token":
            monkeypatch.setenv("HF_TOKEN", value)
        else:
            monkeypatch.setattr(constants, name, value)
    assert ner_dist("push", str(run.folder), repo, "--private") == 2
    (error,) = [line for line in capsys.readouterr().err.splitlines() if "error: " in line or "Error" in line]
    assert error.startswith(f"error: {says}")
    assert not connected.files


def test_a_card_that_the_hub_cannot_read_is_one_line(connected, run):
    connected.refused_card = '"license" must be one of a list'
    what = r'README.md: the hub refuses the card: Invalid metadata in README.md. - "license" must be one of a'
    with pytest.raises(UserError, match=what):
        push(run.folder, "tiny")
    assert not connected.files


@pytest.mark.parametrize("name", ["some/data", "gone/data"])
def test_examples_of_private_data_are_not_shown_to_everybody(connected, run, name):
    path = run.model / "README.md"
    text = path.read_text().replace("metrics:\n", f"datasets:\n- {name}\nmetrics:\n", 1)
    path.write_text(text)
    connected.private_data.append("some/data")
    with pytest.raises(
        UserError, match=rf"README\.md: its examples are from {name}, which not everybody may"
    ):
        push(run.folder, "tiny")
    assert not connected.files and not connected.private
    push(run.folder, "for_me", private=True)
    assert "examples" in connected.files["README.md"].decode()
    path.write_text(text.replace("| type | examples |", "| type | |"))
    push(run.folder, "tiny")
