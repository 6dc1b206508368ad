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


# zero2_bf16 is trained under in test_processes.py.
@pytest.mark.distributed
@pytest.mark.parametrize(
    "name",
    [name for name in CONFIGS if "fp16" not in name and name not in ("multi_node_zero2_bf16", "zero2_bf16")],
)
def test_config_trains_on_cpu_processes_and_says_so(recipe, tmp_path, name):
    processes = None if name in ("cpu", "single_gpu") else 2
    done = train(
        recipe, f"output_dir={tmp_path / name}", "train.max_steps=3", config=name, processes=processes
    )
    assert "no GPU" in done.stderr
    written = results(tmp_path / name)["environment"]
    assert written["strategy"] == STRATEGY[name.removesuffix("_bf16")]
    assert written["processes"] == (1 if name == "single_gpu" else 2)


@pytest.mark.distributed
def test_a_complete_run_is_left_alone_and_no_rank_complains(recipe, tmp_path):
    """Ranks that end at once once aborted, with threads of the process group still running."""
    options = [f"output_dir={tmp_path / 'run'}", "train.max_steps=2"]
    train(recipe, *options, config="cpu")
    before = (tmp_path / "run/results.json").read_bytes()
    again = train(recipe, *options, config="cpu")
    assert "holds this run, complete" in again.stderr
    assert (tmp_path / "run/results.json").read_bytes() == before


@pytest.mark.distributed
@pytest.mark.parametrize("name", ["ddp_fp16", "zero2_fp16", "zero3_offload_fp16"])
def test_fp16_without_a_gpu_is_refused_with_the_config_to_use(recipe, tmp_path, name):
    done = train(recipe, f"output_dir={tmp_path / name}", config=name, processes=2, check=False)
    assert done.returncode != 0
    line = next(line for line in done.stderr.splitlines() if line.startswith("error:"))
    assert f"launch/{name.replace('fp16', 'bf16')}.yaml" in line
    assert "ner_dist/train.py" not in done.stderr  # no traceback of ours


@pytest.mark.distributed
def test_fp32_of_the_recipe_wins_over_fp16_of_the_launch_config(recipe, tmp_path):
    done = train(
        recipe,
        f"output_dir={tmp_path / 'run'}",
        "precision=fp32",
        "train.max_steps=2",
        config="ddp_fp16",
        processes=2,
    )
    assert "wins over fp16 of the launch config" in done.stderr
    assert results(tmp_path / "run")["environment"]["precision"] == "fp32"
