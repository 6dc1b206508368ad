"""The scripts of launch/slurm/, as far as they can be looked at without a cluster."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.distributed.launching import LAUNCH

SCRIPTS = sorted((LAUNCH / "slurm").iterdir())
BATCH = [path for path in SCRIPTS if path.suffix == ".sbatch"]


def test_the_names_that_users_type_are_there():
    assert {path.name for path in SCRIPTS} == {"train.sbatch", "compare.sbatch", "environment.sh"}


@pytest.mark.slurm
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(path):
    if shutil.which("shellcheck") is None:
        pytest.skip("no shellcheck")
    done = subprocess.run(["shellcheck", path.name], cwd=path.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", BATCH, ids=lambda path: path.name)
def test_help_shows_the_usage_and_every_option(path):
    done = subprocess.run(["bash", str(path), "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr
    assert f"launch/slurm/{path.name}" in done.stdout
    assert not re.search("^ *(#|set -)", done.stdout, flags=re.M)
    for option in re.findall(r"^ +-h \| (--\S+)\)|(--[a-z-]+)[=)]\*?\)", path.read_text(), flags=re.M):
        name = "".join(option)
        assert name == "--help" or name in done.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["recipes/full.yaml"], "this is a batch script; sbatch launch/slurm/train.sbatch RECIPE submits it"),
        (["--launch-config"], "--launch-config names no file"),
        (["--lunch-config", "x"], "unknown option --lunch-config"),
        (["a.yaml", "b.yaml"], "two recipes, a.yaml and b.yaml"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(arguments, complaint, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    done = subprocess.run(
        ["bash", str(LAUNCH / "slurm/train.sbatch"), *arguments], capture_output=True, text=True
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and complaint in line


@pytest.mark.parametrize("words", [["seed=1/tiny.yaml"], ["seed=1/tiny.yaml", "train.epochs=2"]])
def test_a_recipe_may_have_an_equals_sign_in_its_path(words, tmp_path):
    (tmp_path / "seed=1").mkdir()
    (tmp_path / "seed=1" / "tiny.yaml").write_text("")
    function = "/^read_arguments()/,/^}/p"
    script = f"recipe='' settings=(); source <(sed -n '{function}' {LAUNCH / 'slurm/train.sbatch'})"
    shown = 'read_arguments "$@"; printf "%s\\n" "$recipe" "${settings[@]}"'
    done = subprocess.run(
        ["bash", "-c", f"{script}; {shown}", "bash", *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.split() == words


@pytest.mark.parametrize(
    ("processes", "gpus", "capability", "config"),
    [
        (1, 1, "8.0", "single_gpu"),
        (1, 0, None, "single_gpu"),
        (4, 0, None, "cpu"),
        (8, 4, "8.0", "ddp_bf16"),
        (8, 4, "10.3", "ddp_bf16"),
        (8, 4, "7.0", "ddp_fp16"),
        (8, 4, None, "ddp_fp16"),
    ],
)
def test_the_default_config_suits_the_gpus(processes, gpus, capability, config, tmp_path, monkeypatch):
    nvidia_smi = tmp_path / "nvidia-smi"
    nvidia_smi.write_text("#!/bin/sh\n" + (f"echo {capability}\n" * 4 if capability else "exit 9\n"))
    nvidia_smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    script = LAUNCH / "slurm/train.sbatch"
    function = f"set -euo pipefail; source <(sed -n '/^default_config/,/^}}/p' {script}); default_config"
    done = subprocess.run(
        ["bash", "-c", f"launch=L processes={processes} gpus={gpus}; {function}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"L/{config}.yaml\n"
    assert (LAUNCH / f"{config}.yaml").is_file()
