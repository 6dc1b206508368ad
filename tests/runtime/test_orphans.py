"""Ranks whose launcher was killed end by themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.distributed.launching import environment

# A launcher that starts one rank, says its process id, and waits.
LAUNCHER = """
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", sys.argv[1]]).pid, flush=True)
time.sleep(60)
"""
RANK = """
import os, signal, time
from ner_dist.runtime import orphans, signals
orphans._GRACE_BEFORE = 1
{}
orphans.end_with_launcher()
print("watching", flush=True)
time.sleep(60)
"""


def wait_for_end(process: int, *, seconds: float) -> bool:
    """Whether a process ends in time; it is not ours to wait for."""
    until = time.monotonic() + seconds
    while psutil.pid_exists(process) and psutil.Process(process).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def start():
    """Start a launcher with a rank, as torchrun does; return the launcher and the id of its rank."""
    begun = []

    def launch(prepares: str, **variables: str) -> tuple[subprocess.Popen, int]:
        launcher = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, RANK.format(prepares)],
            env=environment() | variables,
            stdout=subprocess.PIPE,
            text=True,
        )
        rank = int(launcher.stdout.readline())
        begun.append((launcher, rank))
        assert launcher.stdout.readline() == "watching\n"
        return launcher, rank

    yield launch
    for launcher, rank in begun:
        launcher.kill()
        launcher.wait()
        if not wait_for_end(rank, seconds=0):
            os.kill(rank, signal.SIGKILL)


@pytest.mark.parametrize(
    "prepares",
    [
        pytest.param("signals.exit_on_signals()", id="starting"),
        # As a rank that waits in a connection, which no signal ends.
        pytest.param("signal.signal(signal.SIGTERM, signal.SIG_IGN)", id="deaf"),
    ],
)
def test_a_rank_ends_after_its_launcher(start, prepares):
    launcher, rank = start(prepares, TORCHELASTIC_RUN_ID="none")
    launcher.kill()
    assert wait_for_end(rank, seconds=10)


def test_a_process_without_a_launcher_outlives_its_parent(start):
    """Such as one that was started in the background of a shell, from which Accelerate's variables come."""
    launcher, rank = start("signals.exit_on_signals()", ACCELERATE_MIXED_PRECISION="no")
    launcher.kill()
    launcher.wait()
    assert not wait_for_end(rank, seconds=2.5)
