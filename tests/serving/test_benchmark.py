"""The benchmark of serving measures both servers without an error."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.distributed.launching import REPOSITORY, environment


@pytest.mark.soak
def test_both_servers_answer_all_clients(models, runs):
    command = [sys.executable, str(REPOSITORY / "benchmarks" / "serving.py"), str(runs[0])]
    done = subprocess.run(
        [*command, "--clients=5", "--seconds=0.5", "--rounds=1"],
        env=environment() | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [line.split(" | ") for line in done.stdout.splitlines()[2:]]
    assert [row[0] for row in rows] == ["| ner-dist serve", "| pipeline in FastAPI"]
    assert all(int(row[3].replace(",", "")) > 0 and row[-1] == "0 |" for row in rows)
