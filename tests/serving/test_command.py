"""`ner-dist serve` as a process, and its errors before it loads anything."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import util

import httpx2 as httpx
import pytest

from tests.command_line import ner_dist
from tests.distributed.launching import environment
from tests.test_readme import COMMANDS

FAST = {"OMP_NUM_THREADS": "1"}


def error_of(capsys, *arguments: str) -> str:
    assert ner_dist("serve", *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_other_machines_need_a_token(capsys):
    line = error_of(capsys, "nowhere", "--host", "0.0.0.0")
    assert line == (
        "error: --host 0.0.0.0: other machines could use the server without a token; set NER_DIST_TOKEN to "
        "one, or pass --no-token"
    )


@pytest.mark.parametrize("token", ["", "two words", "Łódź", "a\nb"])
def test_a_token_must_fit_into_a_header(capsys, monkeypatch, token):
    monkeypatch.setenv("NER_DIST_TOKEN", token)
    if not token:
        assert "--host" in error_of(capsys, "nowhere", "--host", "0.0.0.0")
    else:
        assert error_of(capsys, "nowhere").startswith("error: --token: the token ")


def test_a_port_in_use_is_one_line(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = error_of(capsys, "nowhere", "--port", str(port))
    assert line.startswith(f"error: --port {port}: is in use already; ")


def test_an_unknown_host_is_one_line(capsys):
    assert error_of(capsys, "nowhere", "--host", "no such host").startswith("error: --host no such host: ")


def test_missing_packages_are_named_with_what_installs_them(capsys, monkeypatch):
    found = util.find_spec
    monkeypatch.setattr(
        "ner_dist.serving.command.find_spec", lambda name: None if name == "uvicorn" else found(name)
    )
    line = error_of(capsys, "nowhere")
    assert line == "error: ner-dist serve: uvicorn is not installed; pip install 'ner_dist[serve]'"


@pytest.fixture
def started(runs, tmp_path):
    """The README's command, with these runs in the place of the demo's, at a free port."""
    (tmp_path / "runs").mkdir()
    for name, run in zip(("demo_full", "demo_subset"), runs, strict=True):
        (tmp_path / "runs" / name).symlink_to(run)
    (command,) = [each for each in COMMANDS if each.startswith("ner-dist serve ")]
    process = subprocess.Popen(
        [sys.executable, "-m", "ner_dist.cli", *shlex.split(command)[1:], "--port", "0"],
        env=environment() | FAST,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.wait()


def address_of(process) -> str:
    for line in process.stderr:
        if found := re.search(r"serving on (http://\S+)/,", line):
            return found[1]
    raise AssertionError(f"it ended with {process.wait()}")


@pytest.mark.soak
def test_the_commands_of_the_readme_serve_until_a_signal(started):
    address = address_of(started)
    assert [each["name"] for each in httpx.get(f"{address}/health").json()["models"]] == [
        "demo_full",
        "demo_subset",
    ]
    (command,) = [each for each in COMMANDS if each.startswith("curl ")]
    arguments = [word.replace("http://127.0.0.1:8000", address) for word in shlex.split(command)]
    said = json.loads(subprocess.run(arguments, capture_output=True, check=True).stdout)
    assert len(said["results"]) == 1

    with ThreadPoolExecutor() as pool, httpx.Client(base_url=address, timeout=60) as client:
        asked = pool.submit(client.post, "/predict", json={"texts": ["York " * 10_000] * 4})
        while "ner_dist_requests_at_hand 1.0" not in httpx.get(f"{address}/metrics").text:
            assert not asked.done(), "it was answered before the signal"
        os.kill(started.pid, signal.SIGTERM)
        answer = asked.result()
    assert answer.status_code == 200 and len(answer.json()["results"]) == 4
    assert started.wait(timeout=30) == 0
    assert "Traceback" not in started.stderr.read()
