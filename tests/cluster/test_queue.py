"""Output of squeue is parsed into jobs; a missing or silent Slurm gives an explanation."""

from __future__ import annotations

import os
import shutil
import time
from datetime import datetime, timezone

import pytest

from ner_dist.cluster import queue

# As Slurm 22.05 printed it: an array of four, at most two at once, of which the first was requeued and the
# last cancelled; a job of two whole nodes; one that depends on another.
ANSWER = """\
4|1|0|PENDING|JobArrayTaskLimit|1795579045|5:00|5:00|
2|2|N/A|PENDING|Resources|1795579321|1-00:02:00|1-00:02:00|
3|3|N/A|PENDING|Dependency|N/A|UNLIMITED|UNLIMITED|
1|1|2|RUNNING|None|1795579039|4:58|5:00|n1
5|1|1|RUNNING|None|1795579021|4:40|5:00|n[1-2]
"""


@pytest.fixture
def jobs():
    return queue.Queue(queue.parse(ANSWER))


def test_a_task_is_found_by_array_and_index_whatever_its_own_id(jobs):
    # Slurm gives a task its own id when it begins, the last to begin that of the array.
    tasks = [jobs.find(None, array="1", index=index) for index in range(4)]
    assert [task and task.id for task in tasks] == ["4", "5", "1", None]
    assert [task.name for task in tasks if task] == ["1_0", "1_1", "1_2"]


def test_a_job_of_its_own_is_found_by_id_and_no_array_is_taken_for_it(jobs):
    assert jobs.find("2").name == "2"
    assert jobs.find("1") is None
    assert jobs.find("99") is None


def test_states_times_and_nodes_are_read(jobs):
    waiting, running = jobs.find("2"), jobs.find(None, array="1", index=1)
    assert (waiting.waits, waiting.ended, waiting.reason) == (True, False, "Resources")
    assert waiting.start == datetime(2026, 11, 25, 4, 2, 1, tzinfo=timezone.utc)
    assert waiting.limit == 24 * 3600 + 120 and waiting.nodes is None
    assert (running.waits, running.ended, running.reason) == (False, False, None)
    assert (running.left, running.limit, running.nodes) == (280, 300, "n[1-2]")
    unlimited = jobs.find("3")
    assert (unlimited.start, unlimited.left, unlimited.limit) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0:07", 7),
        ("59", 59),
        ("1:02:03", 3723),
        ("2-00:00:01", 172801),
        ("UNLIMITED", None),
        ("INVALID", None),
        ("", None),
    ],
)
def test_times(text, expected):
    assert queue.seconds(text) == expected


def test_without_squeue_the_problem_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    asked = queue.ask_queue()
    assert asked.jobs == [] and "no Slurm here" in asked.problem


@pytest.mark.skipif(shutil.which("squeue") is None, reason="no squeue")
def test_a_controller_that_is_not_there_costs_no_more_than_the_patience(monkeypatch, tmp_path):
    # Nobody listens there; squeue by itself tries for longer.
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    (tmp_path / "slurm.conf").write_text(
        f"ClusterName=none\nSlurmctldHost={os.uname().nodename}(127.0.0.1)\nSlurmctldPort=9\nAuthType=auth/none\n"
        "NodeName=n1\nPartitionName=p Nodes=ALL\n"
    )
    monkeypatch.setattr(queue, "PATIENCE", 1.0)
    began = time.monotonic()
    asked = queue.ask_queue()
    assert time.monotonic() - began < 4
    assert asked.jobs == [] and ("did not answer" in asked.problem or "cannot be asked" in asked.problem)
