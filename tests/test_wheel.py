"""The wheel is complete: installed into an empty environment it trains the demo from an empty folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import ner_dist
from tests import small
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.soak

TINY = [
    "data.synthetic.train=60",
    "data.synthetic.validation=20",
    "data.synthetic.test=20",
    "model.scratch.vocab_size=400",
    "train.max_steps=3",
]


def run(*words: str | Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a folder, without this checkout on the path."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    clean |= {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "passive"} | environment
    return subprocess.run(list(map(str, words)), cwd=folder, env=clean, capture_output=True, text=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy of the repository: building leaves files behind."""
    folder = tmp_path_factory.mktemp("wheel")
    left_out = shutil.ignore_patterns(".*", "runs", "build", "dist", "*.egg-info", "__pycache__", "tests")
    shutil.copytree(REPOSITORY, folder / "source", ignore=left_out)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    words = [sys.executable, "-m", "pip", "wheel", folder / "source", *options, "-w", folder]
    done = run(*words, folder=folder)
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("ner_dist-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The commands of a new environment: the wheel, and the libraries of this one, but not its ner_dist."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    done = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder)
    own = Path(done.stdout.strip())
    words = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet"]
    done = run(*words, wheel, folder=folder)
    assert done.returncode == 0, done.stderr
    # As a line of a .pth file the folder comes behind the environment's own, and its .pth files are not read.
    (own / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def test_it_holds_recipes_launch_configs_scripts_templates_and_types(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("recipes", "launch"):
        files = (path for path in (REPOSITORY / folder).rglob("*") if path.is_file())
        assert {f"ner_dist/shipped/{path.relative_to(REPOSITORY)}" for path in files} <= names
    templates = (REPOSITORY / "ner_dist/report/templates").iterdir()
    assert {f"ner_dist/report/templates/{path.name}" for path in templates} <= names
    assert {"ner_dist/training/templates/model_card.md", "ner_dist/py.typed"} <= names
    assert all(name.split("/")[0].startswith("ner_dist") for name in names)


def test_it_trains_and_compares_from_an_empty_folder(installed, tmp_path):
    command, cache = installed / "ner-dist", {"NER_DIST_CACHE": str(tmp_path / "cache")}
    where = run(installed / "python", "-c", "import ner_dist; print(ner_dist.__file__)", folder=tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(installed.parent), where
    assert run(command, "--version", folder=tmp_path).stdout == f"ner-dist {ner_dist.__version__}\n"
    listed = run(command, "recipes", folder=tmp_path).stdout
    assert "demo_full " in listed and "full_multilingual " in listed
    for name in ("demo_full", "demo_subset"):
        copied = run(command, "recipes", name, folder=tmp_path)
        (tmp_path / f"{name}.yaml").write_text(copied.stdout, encoding="utf-8")
        trained = run(command, "train", f"{name}.yaml", *TINY, folder=tmp_path, **cache)
        assert trained.returncode == 0, trained.stderr
        assert json.loads((tmp_path / "runs" / name / "results.json").read_text())["test"]["words"] > 0
    words = ["compare", "runs/demo_full", "runs/demo_subset", "--out", "both", "--resamples", "100"]
    compared = run(command, *words, folder=tmp_path)
    assert compared.returncode == 0, compared.stderr
    assert "<html" in (tmp_path / "both" / "report.html").read_text(encoding="utf-8")


def test_spacy_finds_the_component(installed, tmp_path):
    pytest.importorskip("spacy")
    code = "import spacy; nlp = spacy.blank('en'); nlp.add_pipe('ner_dist', config={'model': 'runs/full'})"
    done = run(installed / "python", "-c", f"{code}; print(nlp.pipe_names)", folder=tmp_path)
    assert done.stdout == "['ner_dist']\n", done.stderr


def test_launch_configs_and_scripts_are_found(installed, tmp_path):
    command = installed / "ner-dist"
    (tmp_path / "mine.yaml").write_text(run(command, "recipes", "demo_full", folder=tmp_path).stdout)
    words = ["launch-help", "mine.yaml", "--hosts", "node1,node2", "--launch-config", "zero2_bf16"]
    helped = run(command, *words, folder=tmp_path)
    assert "ner_dist/shipped/launch/zero2_bf16.yaml" in helped.stdout, helped.stderr
    options = ["--out", "exp", "--seeds", "1,2", "--dry-run"]
    submitted = run(command, "slurm", "mine.yaml", *options, folder=tmp_path)
    assert "ner_dist/shipped/launch/slurm/train.sbatch" in submitted.stdout, submitted.stderr
    missing = run(command, "train", "recipes/full.yaml", folder=tmp_path)
    assert missing.returncode == 2 and "ner-dist recipes full > full.yaml" in missing.stderr


def test_an_exported_model_predicts_without_torch(wheel, tmp_path):
    """The packages that an export lists, from the package index, and ner_dist without its dependencies."""
    pytest.importorskip("onnxscript", reason="no onnxscript: pip install 'ner_dist[onnx]'")
    from ner_dist.export.command import export

    trained = small.train(small.recipe(tmp_path, "train.max_steps=3"))
    export(str(trained), tmp_path / "onnx")
    venv.create(tmp_path / "light", with_pip=False, symlinks=True)
    python = tmp_path / "light" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    listed = run(*install, "-r", tmp_path / "onnx" / "requirements.txt", folder=tmp_path)
    if listed.returncode and "No matching distribution" in listed.stderr:
        pytest.skip(f"the package index does not answer: {listed.stderr.strip().splitlines()[-1]}")
    assert listed.returncode == 0, listed.stderr
    done = run(*install, "--no-deps", "--no-index", wheel, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert run(python, "-c", "import torch", folder=tmp_path).returncode == 1
    (tmp_path / "article.txt").write_text("Anna Berg visits York.\n", encoding="utf-8")
    command = [tmp_path / "light" / "bin" / "ner-dist", "predict", tmp_path / "onnx", "article.txt"]
    tagged = run(*command, folder=tmp_path)
    assert tagged.returncode == 0, tagged.stderr
    assert json.loads(tagged.stdout)["text"] == "Anna Berg visits York."
    size = sum(file.lstat().st_size for file in (tmp_path / "light").rglob("*")) / 1e6
    assert size < 300, f"{size:.0f} MB"
