"""The check before a job trains, with one process for each machine."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys

import pytest

from ner_dist.cluster.restarts import note_start
from ner_dist.errors import UserError
from ner_dist.launch import LaunchConfig
from ner_dist.run.directory import Run
from ner_dist.run.output import check_output, move_aside
from tests import small
from tests.distributed.launching import LAUNCH, RECIPE, REPOSITORY, environment


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def preflight(recipe, tmp_path):
    """Run it on machines with different environments or arguments; return the output of each."""

    def run(*machines: dict, config: str = "cpu") -> list[tuple[int, str, str]]:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        started = []
        for rank, machine in enumerate(machines):
            words = ["--launch-config", str(LAUNCH / f"{config}.yaml"), "--processes-per-node", "2"]
            words += [f"output_dir={tmp_path / 'run'}", *machine.get("words", [])]
            group = {"RANK": str(rank), "WORLD_SIZE": str(len(machines)), "MASTER_ADDR": "localhost"}
            env = environment() | group | {"MASTER_PORT": str(port)} | machine.get("env", {})
            started.append(
                subprocess.Popen(
                    [sys.executable, "-m", "ner_dist.cluster.preflight", str(recipe), *words],
                    env=env,
                    cwd=tmp_path,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        printed = [process.communicate(timeout=120) for process in started]
        return [(process.returncode, *texts) for process, texts in zip(started, printed, strict=True)]

    return run


def test_two_machines_that_agree_pass_and_leave_no_trace(preflight, tmp_path):
    first, second = preflight({}, {})
    assert [first[0], second[0]] == [0, 0]
    assert second[1:] == ("", "") and not first[2]
    for rank in range(4):
        assert f"rank {rank} " in first[1]
    assert "GB/s in an all-reduce" in first[1] and "preflight passed" in first[1]
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.soak
def test_other_code_and_another_recipe_are_named(preflight, tmp_path):
    shutil.copytree(REPOSITORY / "ner_dist", tmp_path / "other/ner_dist")
    with (tmp_path / "other/ner_dist/loop.py").open("a") as file:
        file.write("# changed on one machine\n")
    elsewhere = {"PYTHONPATH": str(tmp_path / "other")}
    first, second = preflight({}, {"env": elsewhere, "words": ["train.seed=5"]})
    assert [first[0], second[0]] == [2, 2]
    assert not second[2]
    (line,) = first[2].splitlines()
    assert "code differs: " in line and "recipe differs in train.seed" in line and "data differs" not in line


@pytest.mark.soak
def test_an_error_of_one_machine_is_told_once_and_ends_both(preflight):
    first, second = preflight({}, {"words": ["train.epoch=1"]})
    assert [first[0], second[0]] == [2, 2]
    assert not second[2]
    (line,) = first[2].splitlines()
    assert line.endswith("unknown key `train.epoch`; did you mean `train.epochs`?")


def test_a_port_that_is_taken_is_named(recipe, tmp_path):
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        group = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}
        words = ["--launch-config", str(LAUNCH / "cpu.yaml"), "--processes-per-node", "1"]
        done = subprocess.run(
            [sys.executable, "-m", "ner_dist.cluster.preflight", str(recipe), *words],
            env=environment() | group | {"MASTER_PORT": str(taken.getsockname()[1])},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "is taken by another program" in line and "NER_DIST_PORT" in line


@pytest.mark.parametrize(
    ("name", "machines", "gpus", "complaint"),
    [
        ("single_gpu", 2, 1, "starts one process, and this is 2 nodes x 1 GPU"),
        ("multi_node_zero2_bf16", 1, 8, "is for 2 machines, and this is 1 node x 8 GPUs"),
    ],
)
def test_a_launch_config_that_contradicts_the_allocation_is_refused(name, machines, gpus, complaint):
    config = LaunchConfig.read(str(LAUNCH / f"{name}.yaml"))
    with pytest.raises(UserError, match=complaint):
        config.check(machines=machines, per_machine=gpus, gpus=gpus)


def test_every_launch_config_suits_some_allocation():
    for path in LAUNCH.glob("*.yaml"):
        per_machine = 1 if path.stem == "single_gpu" else 8
        machines = 1 if path.stem == "single_gpu" else 2
        LaunchConfig.read(str(path)).check(machines=machines, per_machine=per_machine, gpus=per_machine)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    run = Run(tmp_path / "run")
    run.checkpoints.mkdir(parents=True)
    return run


def restart(run, monkeypatch, number):
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(number))
    return [start["step"] for start in note_start(run, nodes=["n1"])["starts"]]


def test_a_job_gives_up_after_three_restarts_without_a_new_checkpoint(run, monkeypatch):
    note_start(run, nodes=["n1"])
    (run.checkpoints / "step-000010").mkdir()
    assert restart(run, monkeypatch, 1) == [0, 10]
    assert restart(run, monkeypatch, 2) == [0, 10, 10]
    assert restart(run, monkeypatch, 3) == [0, 10, 10, 10]
    with pytest.raises(UserError, match="3 restarts of job 7 saved no checkpoint after step 10"):
        restart(run, monkeypatch, 4)
    # What it says to do: submit again. Another job counts anew.
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    monkeypatch.delenv("SLURM_RESTART_COUNT")
    assert [start["step"] for start in note_start(run, nodes=["n1"])["starts"]] == [10]


def test_progress_in_between_gives_it_more_time(run, monkeypatch):
    note_start(run, nodes=["n1"])
    for number in range(1, 9):
        (run.checkpoints / f"step-{number // 2:06d}").mkdir(exist_ok=True)
        restart(run, monkeypatch, number)


def test_a_start_that_is_told_twice_counts_once(run, monkeypatch):
    for _ in range(5):
        assert restart(run, monkeypatch, 1) == [0]


def test_the_limit_can_be_set(run, monkeypatch):
    monkeypatch.setenv("NER_DIST_MAX_RESTARTS", "1")
    note_start(run, nodes=["n1"])
    with pytest.raises(UserError, match="1 restart"):
        restart(run, monkeypatch, 1)


def test_an_array_task_knows_its_array(run, monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "6")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    note_start(run, nodes=["n1"])
    job = json.loads(run.job.read_text())
    assert (job["job"], job["array_job"], job["array_task"]) == ("7", "6", 0)


def test_checkpoints_that_were_set_aside_are_no_progress(run):
    for name in ("step-000004", "old-1-step-000009", ".step-000012.part"):
        (run.checkpoints / name).mkdir()
    assert run.newest_step == 4


def test_the_jobs_file_is_no_content_and_stays_with_the_training_that_begins(tmp_path):
    settings = small.recipe(tmp_path, "train.max_steps=1")
    run = small.run_of(settings)
    run.job.write_text("{}")
    assert check_output(settings).run == run, "a folder with nothing else is free"
    assert move_aside(run) is None
    small.train(settings)
    aside = move_aside(run)
    assert aside is not None and (aside / "results.json").exists()
    assert [path.name for path in run.folder.iterdir()] == ["slurm.json"]
