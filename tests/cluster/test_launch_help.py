"""Accelerate parses every line of `ner-dist launch-help` as intended."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from typer.main import get_command

from ner_dist.cli import app
from ner_dist.cluster.launch_help import launch_help
from ner_dist.errors import UserError
from ner_dist.launch import shipped_configs
from ner_dist.yaml_text import flow

REPOSITORY = Path(__file__).parents[2]
RECIPE = "recipes/full.yaml"


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch):
    monkeypatch.chdir(REPOSITORY)


def commands(text: str) -> list[list[str]]:
    """The words of all lines except comments."""
    return [words for line in text.splitlines() if (words := shlex.split(line, comments=True))]


def launched(words: list[str]):
    """The arguments that Accelerate parses from a line."""
    assert words[:2] == ["accelerate", "launch"]
    return _validate_launch_command(launch_command_parser().parse_args(words[2:]))[0]


@pytest.mark.parametrize("gpus", [4, 8])
@pytest.mark.parametrize(
    ("launch", "hosts"),
    [
        pytest.param(launch, hosts, id=f"{launch.name}-{hosts}")
        for launch in shipped_configs()
        for hosts in (1, 2, 3)
        if launch.strategy != "one" and (hosts > 1 or launch.machines == 1)
    ],
)
def test_every_machine_starts_its_share_of_one_world(launch, hosts, gpus):
    names = ["a", "b.example.org", "10.0.0.3"][:hosts]
    options = {"hosts": ",".join(names), "gpus_per_node": gpus, "launch_config": launch.path, "port": 4000}
    lines = commands(launch_help(RECIPE, ["labels=[PER, LOC]"], **options))
    preflights, trainings = lines[::2], [launched(words) for words in lines[1::2]]
    assert len(preflights) == len(trainings) == hosts
    for rank, (check, training) in enumerate(zip(preflights, trainings, strict=True)):
        assert {f"RANK={rank}", f"WORLD_SIZE={hosts}", "MASTER_ADDR=a", "MASTER_PORT=4000"} <= set(check)
        assert [
            "--launch-config",
            launch.path,
            "--processes-per-node",
            str(gpus),
            "--gpus-per-node",
            str(gpus),
        ] == check[8:14]
        assert training.num_processes == hosts * gpus
        assert training.num_machines == hosts
        assert training.use_deepspeed == (launch.strategy == "zero")
        assert training.multi_gpu == (launch.strategy == "ddp")
        assert training.training_script_args == [RECIPE, "labels=[PER, LOC]"]
        if hosts > 1:
            reached = (training.machine_rank, training.main_process_ip, training.main_process_port)
            assert reached == (rank, "a", 4000)
            assert launch.strategy == "ddp" or training.deepspeed_multinode_launcher == "standard"


def test_a_launch_config_of_the_users_own_is_told_everything(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text(
        (REPOSITORY / "launch/zero2_bf16.yaml").read_text().replace("num_machines: 1", "num_machines: 5")
    )
    text = launch_help(RECIPE, [], hosts="a,b", gpus_per_node=4, launch_config=str(own))
    training = launched(commands(text)[1])
    assert (training.num_machines, training.num_processes) == (2, 8)
    assert training.deepspeed_multinode_launcher == "standard"


def test_one_gpu_is_trained_on_by_one_process():
    text = launch_help(RECIPE, [], hosts="a", gpus_per_node=1, launch_config="launch/ddp_bf16.yaml")
    assert commands(text)[1] == shlex.split(
        f"accelerate launch --config_file launch/single_gpu.yaml -m ner_dist.train {RECIPE}"
    )
    assert "one process needs no launch/ddp_bf16.yaml" in text
    offloaded = launch_help(
        RECIPE, [], hosts="a", gpus_per_node=1, launch_config="launch/zero3_offload_bf16.yaml"
    )
    assert launched(commands(offloaded)[1]).num_processes == 1


def test_machines_without_a_gpu_run_one_process_each_or_as_many_as_said():
    one, three = (
        launched(commands(launch_help(RECIPE, [], hosts="a,b", gpus_per_node=0, processes_per_node=n))[1])
        for n in (None, 3)
    )
    assert (one.num_processes, three.num_processes) == (2, 6)
    assert one.multi_gpu, "--cpu would start two runs of one process"


def test_idle_processes_are_foretold():
    said = launch_help(RECIPE, [], hosts="a,b")
    assert "a step has 1 micro-batch, so 15 of 16 processes would idle" in said
    assert "idle" not in launch_help(RECIPE, ["train.micro_batch_tokens=256"], hosts="a,b")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            {"hosts": "a,b", "launch_config": "launch/single_gpu.yaml"},
            "starts one process, and this is 2 nodes x 8 GPUs",
        ),
        (
            {"hosts": "a,b", "launch_config": "launch/none.yaml"},
            "none.yaml: cannot be read: No such",
        ),
        ({"hosts": "a,b", "launch_config": "launch"}, "launch: cannot be read"),
        ({"hosts": "a,b", "launch_config": RECIPE}, "distributed_type is None"),
        (
            {"hosts": "a", "launch_config": "launch/multi_node_zero2_bf16.yaml"},
            "for 2 machines, and this is 1 node",
        ),
        ({"hosts": "a,b", "gpus_per_node": 0, "launch_config": "launch/ddp_fp16.yaml"}, "only on a GPU"),
        ({"hosts": "a,b", "processes_per_node": 3}, "3 processes on 8 GPUs"),
        ({"hosts": "a,a"}, "named twice"),
        ({"hosts": "a, "}, "'' is not a host name"),
        ({"hosts": "a:1,b"}, "'a:1' is not a host name"),
        ({"hosts": "127.0.0.1,b"}, "a different machine on each"),
    ],
)
def test_what_cannot_work_is_refused(options, complaint):
    with pytest.raises(UserError, match=complaint):
        launch_help(RECIPE, [], **options)


def test_the_command_line(capsys):
    words = [
        "launch-help",
        RECIPE,
        "--hosts",
        "a,b",
        "--gpus-per-node",
        "2",
        "--port",
        "4000",
        "train.epochs=1",
    ]
    get_command(app)(words, standalone_mode=False)
    training = launched(commands(capsys.readouterr().out)[1])
    assert (training.num_processes, training.main_process_port) == (4, 4000)
    assert training.training_script_args == [RECIPE, "train.epochs=1"]


HOSTILE = "a'\n\r\ttouch PWNED\n$(touch PWNED) `touch PWNED` \x1b[2J\u202e #"
"""A text that a shell runs, and a terminal obeys, wherever it leaves its quotes."""


@pytest.mark.parametrize("place", ["output_dir", "recipe", "override", "launch config", "in the file"])
def test_what_is_printed_can_be_pasted_whatever_the_recipe_holds(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / HOSTILE.replace("/", "")
    folder.mkdir()
    recipe, overrides, config = Path("r.yaml"), [], None
    text = "name: a\noutput_dir: o\ndata: {path: synthetic}\n"
    if place == "output_dir":
        overrides = [f"output_dir={flow(HOSTILE)}"]
    elif place == "in the file":
        text = f"name: a\noutput_dir: {flow(HOSTILE)}\ndata: {{path: synthetic}}\n"
    elif place == "recipe":
        recipe = folder / "r.yaml"
    elif place == "override":
        overrides = ["output_dir=x", f"model.name={flow(HOSTILE)}", f"data.language={HOSTILE!a}"]
    else:
        config = str(folder / "cpu.yaml")
        shutil.copy(REPOSITORY / "launch" / "cpu.yaml", config)
    recipe.write_text(text, encoding="utf-8")
    printed = launch_help(str(recipe), overrides, hosts="node1,node2", gpus_per_node=0, launch_config=config)
    assert all(line.isprintable() for line in printed.splitlines())
    # The commands themselves only say which words they were given.
    stubs = "".join(f"{name}() {{ printf '%s\\0' {name} \"$@\"; }}\n" for name in ("python", "accelerate"))
    done = subprocess.run(["bash"], input=(stubs + printed).encode(), capture_output=True, check=True)
    assert not done.stderr
    assert not (tmp_path / "PWNED").exists()
    words = done.stdout.decode().split("\0")
    assert words.count(str(recipe)) == 4
    for override in overrides:
        assert words.count(override) == 4


def test_a_wrong_recipe_is_refused():
    with pytest.raises(UserError, match="epoch"):
        launch_help(RECIPE, ["train.epoch=1"], hosts="a,b")
