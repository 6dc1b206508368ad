"""Two machines without a scheduler: the lines that `ner-dist launch-help` prints, typed on each."""

from __future__ import annotations

import subprocess

import pytest

from ner_dist.cluster.launch_help import launch_help
from tests.distributed.launching import RECIPE, REPOSITORY, environment, events, results, train
from tests.slurm.machines import Machines, why_not

pytestmark = [pytest.mark.slurm, pytest.mark.distributed, pytest.mark.soak]


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    if reason := why_not():
        pytest.skip(f"no machines: {reason}")
    machines = Machines(tmp_path_factory.mktemp("machines"), ["one", "two"])
    try:
        machines.start()
        yield machines
    finally:
        machines.stop()


def typed(machines: Machines, text: str) -> dict[str, subprocess.Popen[str]]:
    """Start the training line of each machine, as its user would."""
    started, host = {}, ""
    for line in text.splitlines():
        if line.startswith("# On "):
            host = line.removeprefix("# On ").rstrip(":")
        elif line.startswith("accelerate launch"):
            started[host] = subprocess.Popen(
                [*machines[host].prefix(REPOSITORY), "bash", "-c", line],
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
    return started


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def reference(recipe, tmp_path_factory):
    """The losses of two processes on one machine."""
    run = tmp_path_factory.mktemp("reference")
    train(recipe, f"output_dir={run}", config="cpu", processes=2)
    return events(run)


@pytest.mark.parametrize("launch", ["cpu", "zero2_bf16"])
def test_two_machines_compute_what_one_computes(machines, recipe, reference, launch, tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    text = launch_help(
        str(recipe),
        [f"output_dir={tmp_path}/run"],
        hosts="one,two",
        gpus_per_node=0,
        launch_config=f"launch/{launch}.yaml",
    )
    started = typed(machines, text)
    assert started.keys() == {"one", "two"}
    for host, process in started.items():
        output, _ = process.communicate(timeout=400)  # DeepSpeed may compile first
        assert process.returncode == 0, f"{host}: {output[-4000:]}"
    # Processes that do not find each other end well too, each with a training of its own.
    found = results(tmp_path / "run")["environment"]
    assert found["processes"] == 2
    assert found["strategy"] == {"cpu": "DDP", "zero2_bf16": "ZeRO-2"}[launch]
    for expected, got in zip(reference, events(tmp_path / "run"), strict=True):
        assert got["loss"] == pytest.approx(expected["loss"], rel=1e-4)
        assert got["grad_norm"] == pytest.approx(expected["grad_norm"], rel=1e-3)
