"""The cluster that the other tests trust: two nodes, each a machine of its own, and nothing left."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster

pytestmark = [pytest.mark.slurm, pytest.mark.soak]

REPOSITORY = Path(__file__).parents[2]


def networks(cluster: Cluster) -> set[str]:
    """Which networks its machines are in."""
    return {str(Path(f"/proc/{cluster.machine(name).pid}/ns/net").readlink()) for name in ("ctl", "n1", "n2")}


def left(folder: Path, networks: set[str]) -> list[str]:
    """Mounts in a folder, and processes that name it or are in one of the networks."""
    found = [line for line in Path("/proc/mounts").read_text().splitlines() if str(folder) in line]
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            network = str((entry / "ns/net").readlink())
        except OSError:  # it has ended
            continue
        if str(folder) in words or network in networks:
            found.append(f"{entry.name} {words}")
    return found


def test_each_node_is_a_machine_of_its_own(cluster, tmp_path):
    (tmp_path / "mounted").mkdir()
    cluster.on("n2", ["mount", "-t", "tmpfs", "tmpfs", str(tmp_path / "mounted")])
    cluster.on("n2", ["touch", str(tmp_path / "mounted/here")])
    script = f"hostname; ip -4 -brief address show eth0; getent hosts n1 n2; ls {tmp_path}/mounted"
    job = cluster.submit("--nodes=2", "--wrap", f"srun --label sh -c '{script}'", cwd=tmp_path)
    cluster.wait(job)
    cluster.on("n2", ["umount", str(tmp_path / "mounted")])
    lines = sorted(" ".join(line.split()) for line in cluster.log(job).splitlines())
    one, two = ([line[3:] for line in lines if line.startswith(f"{task}:")] for task in (0, 1))
    assert {"n1", "10.231.77.11 n1", "10.231.77.12 n2"} < set(one)
    assert {"n2", "10.231.77.11 n1", "10.231.77.12 n2"} < set(two)
    assert any("10.231.77.11/24" in line for line in one)
    assert any("10.231.77.12/24" in line for line in two)
    assert "here" in two and "here" not in one


def test_a_killed_nodes_job_comes_back_as_a_restart(cluster, tmp_path):
    words = ["--requeue", "--open-mode=append", "--nodelist=n2", "--gres=gpu:2"]
    script = "echo life ${SLURM_RESTART_COUNT:=0} gpus $CUDA_VISIBLE_DEVICES; "
    script += "[ $SLURM_RESTART_COUNT -gt 0 ] || sleep 60"
    job = cluster.submit(*words, "--wrap", script, cwd=tmp_path)
    cluster.wait(job, "RUNNING")
    cluster.kill("n2")
    cluster.mark_down("n2")
    cluster.start_node("n2")
    cluster.wait(job)
    assert re.fullmatch("life [1-9] gpus 0,1", cluster.log(job).splitlines()[-1])
    cluster.clear()


def test_a_job_that_fails_is_told_with_its_log(cluster, tmp_path):
    job = cluster.submit("--wrap", "echo the reason; exit 3", cwd=tmp_path)
    with pytest.raises(AssertionError, match=r"(?s)is FAILED, not COMPLETED.*the reason"):
        cluster.wait(job)


def test_nothing_is_left_after_stop(tmp_path):
    second = Cluster(tmp_path)
    second.start()
    its = networks(second)
    assert len(its) == 3
    job = second.submit("--nodes=2", "--wrap", "srun sleep 1000", cwd=tmp_path)
    second.wait(job, "RUNNING")
    end = time.monotonic() + 30
    while not any("sleep 1000" in line for line in left(tmp_path, its)):
        assert time.monotonic() < end
        time.sleep(0.1)
    second.stop()
    second.stop()
    assert not left(tmp_path, its)


def test_nothing_is_left_of_a_cluster_whose_starter_is_killed(tmp_path):
    code = """if True:
    import sys
    from pathlib import Path
    from tests.slurm.cluster import Cluster
    from tests.slurm.test_cluster import networks
    cluster = Cluster(Path.cwd())
    cluster.start()
    print(*networks(cluster), flush=True)
    sys.stdin.read()
    """
    starter = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout and starter.stdin
    its = set(starter.stdout.readline().split())
    assert len(its) == 3
    assert left(tmp_path, its)
    starter.kill()
    starter.communicate()
    end = time.monotonic() + 10
    while left(tmp_path, its) and time.monotonic() < end:
        time.sleep(0.1)
    assert not left(tmp_path, its)
