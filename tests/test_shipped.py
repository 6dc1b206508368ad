"""Launch configs and batch scripts are found from anywhere, and those of the current folder come first."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ner_dist.cluster.experiment import SubmitOptions, find_script, plan_experiment
from ner_dist.launch import LaunchConfig, shipped_configs
from ner_dist.shipped import launch_file
from tests.command_line import ner_dist
from tests.conftest import REPOSITORY

NAMES = ["zero2_bf16", "zero2_bf16.yaml", "launch/zero2_bf16.yaml"]
SHIPPED = REPOSITORY / "launch" / "zero2_bf16.yaml"


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_a_config_is_found_from_an_empty_folder(empty, name):
    assert launch_file(name) == LaunchConfig.read(name).path == str(SHIPPED)


@pytest.mark.parametrize("name", NAMES)
def test_in_a_checkout_it_is_named_as_it_is_typed(monkeypatch, name):
    monkeypatch.chdir(REPOSITORY)
    assert launch_file(name) == "launch/zero2_bf16.yaml"


def test_a_file_of_the_current_folder_comes_first(empty):
    shutil.copy(REPOSITORY / "launch" / "cpu.yaml", empty / "zero2_bf16.yaml")
    assert LaunchConfig.read("zero2_bf16.yaml").strategy == "ddp"
    assert LaunchConfig.read("zero2_bf16").strategy == "zero"


@pytest.mark.parametrize("name", ["none", "elsewhere/zero2_bf16.yaml", "zero2_bf16.yml"])
def test_other_names_are_left_as_they_are(empty, name):
    assert launch_file(name) == name


def test_commands_name_files_that_are_there(empty, capsys):
    shutil.copy(REPOSITORY / "recipes" / "demo_full.yaml", "mine.yaml")
    assert {Path(config.path).parent for config in shipped_configs()} == {REPOSITORY / "launch"}
    assert ner_dist("launch-help", "mine.yaml", "--hosts", "a,b", "--launch-config", "zero2_bf16") == 0
    assert f"--config_file {SHIPPED} " in capsys.readouterr().out
    assert ner_dist("plan", "mine.yaml", "--gpus", "2", "--gpu-memory", "16GiB") == 0
    assert f"--config_file {REPOSITORY}/launch/" in capsys.readouterr().out


def test_an_experiment_is_submitted_from_an_empty_folder(empty):
    shutil.copy(REPOSITORY / "recipes" / "demo_full.yaml", "mine.yaml")
    options = SubmitOptions(launch_config="zero2_bf16")
    experiment = plan_experiment(["mine.yaml"], seeds="1,2", out="exp", options=options)
    words = experiment.train_command()
    assert words[-2:] == ["--launch-config", str(SHIPPED)]
    assert str(REPOSITORY / "launch/slurm/train.sbatch") in words
    assert find_script("compare.sbatch") == str(REPOSITORY / "launch/slurm/compare.sbatch")
