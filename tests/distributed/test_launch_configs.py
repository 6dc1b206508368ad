"""Every launch config is loaded; each that a CPU can run trains a few steps."""

from __future__ import annotations

import re

import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file

from ner_dist.recipe_file import load_recipe
from tests.distributed.launching import LAUNCH, RECIPE, results, train

CONFIGS = sorted(path.stem for path in LAUNCH.glob("*.yaml"))
NAMES = {"cpu", "single_gpu", "ddp_bf16", "ddp_fp16", "multi_node_zero2_bf16"}
NAMES |= {
    f"zero{stage}_{precision}" for stage in ("1", "2", "3", "3_offload") for precision in ("bf16", "fp16")
}
STRATEGY = {"cpu": "DDP", "single_gpu": "one process", "ddp": "DDP", "zero1": "ZeRO-1", "zero2": "ZeRO-2"}
STRATEGY |= {"zero3": "ZeRO-3", "zero3_offload": "ZeRO-3 + offload"}


def test_the_names_that_users_type_are_there():
    assert set(CONFIGS) == NAMES


@pytest.mark.parametrize("name", CONFIGS)
def test_config_loads_and_opens_with_its_own_command(name):
    path = LAUNCH / f"{name}.yaml"
    config = load_config_from_file(str(path))
    head = path.read_text().split("compute_environment")[0]
    assert f"--config_file launch/{name}.yaml" in head
    for arguments in re.findall(r"-m ner_dist\.train (.*)", head):
        file, *overrides = arguments.split()
        recipe = load_recipe(LAUNCH.parent / file, overrides)
        assert recipe.train.micro_batches % config.num_processes == 0 or name == "cpu", "idle GPUs"
    precision = name.rsplit("_", 1)[-1]
    assert config.mixed_precision == (precision if precision in ("bf16", "fp16") else "no")
    settings = yaml.safe_load(path.read_text())
    if "zero" in name:
        assert settings["deepspeed_config"]["zero_stage"] == int(re.search(r"zero(\d)", name)[1])
        assert settings["deepspeed_config"]["zero3_init_flag"] is False


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(RECIPE.replace("precision: fp32", "precision: auto"))
    return path


ELSEWHERE = {"single_gpu", "ddp_bf16", "zero1_bf16", "zero3_bf16"}


@pytest.mark.distributed
@pytest.mark.parametrize(
    "name",
    [
        # Others of the same strategy are trained elsewhere in this folder.
        pytest.param(name, marks=pytest.mark.soak) if name in ELSEWHERE else name
        for name in CONFIGS
        if "fp16" not in name and name != "multi_node_zero2_bf16"
    ],
)
def test_config_trains_on_cpu_processes_and_says_so(server, recipe, tmp_path, name):
    """Accelerate's own parser reads the config; test_processes.py has `accelerate launch` read zero2_bf16."""
    processes = 1 if name == "single_gpu" else 2
    job = server.start(
        recipe, f"output_dir={tmp_path}/run", "train.max_steps=3", config=name, processes=processes
    )
    assert set(job.wait()) == {0}, job.text()
    assert "no GPU" in job.text()
    written = results(tmp_path / "run")["environment"]
    assert written["strategy"] == STRATEGY[name.removesuffix("_bf16")]
    assert written["processes"] == processes


@pytest.mark.distributed
def test_accelerate_launch_trains_and_leaves_a_complete_run_alone(recipe, tmp_path):
    """The second time the ranks end at once, with threads of the process group still running."""
    options = [f"output_dir={tmp_path / 'run'}", "train.max_steps=2"]
    first = train(recipe, *options, config="cpu")
    assert "DDP on CPU, 2 processes" in first.stderr
    before = (tmp_path / "run/results.json").read_bytes()
    again = train(recipe, *options, config="cpu")
    assert "holds this run, complete" in again.stderr
    assert (tmp_path / "run/results.json").read_bytes() == before


def assert_refuses_fp16(text: str, name: str) -> None:
    line = next(line for line in text.splitlines() if line.startswith("error:"))
    assert f"launch/{name.replace('fp16', 'bf16')}.yaml" in line
    assert "ner_dist/train.py" not in text  # no traceback of ours


@pytest.mark.soak
@pytest.mark.distributed
def test_accelerate_launch_shows_why_fp16_is_refused_without_a_gpu(recipe, tmp_path):
    done = train(recipe, f"output_dir={tmp_path}/run", config="zero2_fp16", processes=2, check=False)
    assert done.returncode != 0
    assert_refuses_fp16(done.stderr, "zero2_fp16")


@pytest.mark.distributed
@pytest.mark.parametrize("name", [name for name in CONFIGS if "fp16" in name])
def test_fp16_without_a_gpu_is_refused_with_the_config_to_use(server, recipe, tmp_path, name):
    job = server.start(recipe, f"output_dir={tmp_path}/run", config=name, processes=2)
    assert 2 in job.wait()
    assert_refuses_fp16(job.text(), name)


@pytest.mark.distributed
def test_fp32_of_the_recipe_wins_over_fp16_of_the_launch_config(server, recipe, tmp_path):
    options = [f"output_dir={tmp_path}/run", "precision=fp32", "train.max_steps=2"]
    job = server.start(recipe, *options, config="ddp_fp16", processes=2)
    assert set(job.wait()) == {0}, job.text()
    assert "overrides fp16 of the launch config" in job.text()
    assert results(tmp_path / "run")["environment"]["precision"] == "fp32"
