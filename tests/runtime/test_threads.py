"""Threads on a CPU: the user's number or else a share of the cores, with the reason in the log."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from ner_dist.runtime import threads
from tests.distributed.launching import REPOSITORY


@pytest.fixture
def chosen(monkeypatch):
    """The number that torch is given, and what is said, under an environment on a machine of 8 cores."""
    numbers = []
    monkeypatch.setattr(torch, "set_num_threads", numbers.append)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for name in ("OMP_NUM_THREADS", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID", "ACCELERATE_MIXED_PRECISION"):
        monkeypatch.delenv(name, raising=False)

    def choose(**environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return threads.choose_threads(), numbers[-1]

    return choose


@pytest.mark.parametrize(
    ("processes", "said"),
    [
        ("1", "8 threads (all 8 cores)"),
        ("2", "4 threads (8 cores shared by 2 processes)"),
        ("3", "2 threads (8 cores shared by 3 processes)"),
        ("16", "1 thread (8 cores shared by 16 processes)"),
    ],
)
def test_processes_share_the_cores(chosen, processes, said):
    assert chosen(LOCAL_WORLD_SIZE=processes) == (said, int(said.split()[0]))


@pytest.mark.parametrize(("value", "number"), [("1", 1), ("2", 2), (" 3 ", 3), ("12", 12), ("4,2", 4)])
def test_what_a_person_set_counts(chosen, value, number):
    said = f"{number} thread{'s' * (number > 1)} (OMP_NUM_THREADS)"
    assert chosen(OMP_NUM_THREADS=value) == (said, number)
    assert chosen(OMP_NUM_THREADS=value, LOCAL_WORLD_SIZE="2") == (said, number)


@pytest.mark.parametrize("value", ["", "0", "-1", "many", "2.5"])
def test_what_is_no_number_of_threads_does_not(chosen, value):
    assert chosen(OMP_NUM_THREADS=value) == ("8 threads (all 8 cores)", 8)


def test_a_persons_1_counts_where_the_launcher_has_become_the_training(chosen):
    told = {"OMP_NUM_THREADS": "1", "ACCELERATE_MIXED_PRECISION": "no", threads.TOLD: "1"}
    assert chosen(**told) == ("1 thread (OMP_NUM_THREADS)", 1)


@pytest.mark.parametrize("launcher", ["TORCHELASTIC_RUN_ID", "ACCELERATE_MIXED_PRECISION"])
def test_a_launchers_1_is_nobodys_wish(launcher):
    """Both launchers set 1 where nobody set anything; what they were given themselves they pass on."""
    code = "from ner_dist.runtime import threads; print(threads._asked())"
    child = f"import os, subprocess, sys; os.environ.setdefault('OMP_NUM_THREADS', '1'); \
os.environ['{launcher}'] = 'x'; subprocess.run([sys.executable, '-c', {code!r}], check=True)"
    without = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    without["PYTHONPATH"] = str(REPOSITORY)
    for told, asked in (({}, "None"), ({"OMP_NUM_THREADS": "1"}, "1"), ({"OMP_NUM_THREADS": "3"}, "3")):
        done = subprocess.run(
            [sys.executable, "-c", child], env=without | told, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == asked


@pytest.mark.parametrize(
    ("busy", "told", "found"),
    [
        (0.5, {}, {"GOMP_SPINCOUNT": "10000"}),
        (9.0, {}, {"OMP_WAIT_POLICY": "passive"}),
        (9.0, {"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
        (9.0, {"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
        (0.5, {"KMP_BLOCKTIME": "5"}, {"KMP_BLOCKTIME": "5"}),
    ],
)
def test_idle_threads_sleep_soon_unless_they_are_told_otherwise(monkeypatch, busy, told, found):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (busy, 0.0, 0.0))
    # setenv first: what the function sets is then taken back after the test.
    for name in threads._WAITING:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    threads.wait_considerately()
    assert {name: os.environ[name] for name in threads._WAITING if name in os.environ} == found


@pytest.mark.parametrize("module", ["ner_dist.cli", "ner_dist.train"])
def test_they_are_told_before_torch_is_loaded(module):
    """An early error reaches this place before torch is imported."""
    code = f"import sys, os, {module} as m; sys.argv = ['x', 'train', 'no.yaml']\n"
    code += "try: m.main(*([['no.yaml']] if m.__name__.endswith('train') else []))\n"
    code += "except SystemExit: pass\nset_ = {'OMP_WAIT_POLICY', 'GOMP_SPINCOUNT'} & {*os.environ}\n"
    code += "print(bool(set_), 'torch' in sys.modules)"
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    environment["PYTHONPATH"] = str(REPOSITORY)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"], done.stderr


def test_a_busy_machine_is_named(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (6.25, 1.0, 1.0))
    assert threads.load() == "; the machine is busy (load 6.2 on 2 cores)"
    monkeypatch.setattr(os, "getloadavg", lambda: (1.9, 9.0, 9.0))
    assert threads.load() == ""
