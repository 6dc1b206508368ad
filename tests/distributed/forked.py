"""Trainings whose ranks are forked from one process that has imported everything: they start in a second.

`accelerate launch` is what users type, and other tests start it for real; most of its time goes into imports.
A test that needs dozens of trainings forks its ranks here. They are real processes with the environment that
`accelerate launch` would give them: they talk over gloo and can be killed.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.distributed.faults import Fault
from tests.distributed.launching import LAUNCH, REPOSITORY, environment

SERVER = """
import json, os, sys, time, traceback
import accelerate, datasets, deepspeed, torch, transformers  # noqa: F401
import deepspeed.runtime.zero.muon.original_muon, scipy.stats, seqeval.metrics.v1  # noqa: F401
import transformers.models.roberta.modeling_roberta  # noqa: F401
from transformers.conversion_mapping import get_checkpoint_conversion_mapping
import ner_dist.training.metrics_log, ner_dist.training.trainer  # noqa: F401
from ner_dist.evaluation.command import evaluate
from ner_dist.train import main
from tests.distributed import faults

get_checkpoint_conversion_mapping("roberta")  # makes a table that every loading of a model needs


def child(rank, request):
    os.setsid()
    out = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1), os.dup2(out, 2)
    os.environ.update(request["environment"])
    if "WORLD_SIZE" in request["environment"]:
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
    code = 1
    try:
        for name, settings in request["faults"]:
            getattr(faults, name)(rank, **settings)
        if request["score"]:
            evaluate(**request["score"])
            code = 0
        elif request["command"]:
            from ner_dist.cli import main as command

            os.chdir(request["folder"])
            sys.argv = ["ner-dist", *request["command"]]
            command()
            code = 0
        else:
            code = main(request["arguments"])
    except SystemExit as exit:
        code = exit.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


print("ready", flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if "arguments" in request:
        answer = []
        for rank in range(request["world"]):
            pid = os.fork()
            if pid == 0:
                child(rank, request)
            answer.append(pid)
    else:
        answer, until = {}, time.monotonic() + request["timeout"]
        while len(answer) < len(request["wait"]) and time.monotonic() < until:
            for pid in request["wait"]:
                if str(pid) not in answer:
                    done, status = os.waitpid(pid, os.WNOHANG)
                    if done:
                        answer[str(pid)] = os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
    print(json.dumps(answer), flush=True)
"""


# Launch config, and number of processes; None is one process without `accelerate launch`.
STRATEGIES = {
    "one": (None, 1),
    "ddp": ("cpu", 2),
    "zero1": ("zero1_bf16", 2),
    "zero2": ("zero2_bf16", 2),
    "zero3": ("zero3_bf16", 2),
}


class Job:
    """The ranks of one training."""

    def __init__(self, server: Server, pids: list[int], log: Path) -> None:
        self.server, self.pids, self.log = server, pids, log
        self.codes: dict[int, int] = {}

    def send(self, number: signal.Signals, *ranks: int) -> None:
        """Send a signal to some ranks or to all, except those that have ended."""
        for rank in ranks or range(len(self.pids)):
            if self.pids[rank] not in self.codes:
                os.kill(self.pids[rank], number)

    def poll(self, timeout: float = 0.0) -> bool:
        """Whether all ranks have ended."""
        waiting = [pid for pid in self.pids if pid not in self.codes]
        found = self.server.ask({"wait": waiting, "timeout": timeout}) if waiting else {}
        self.codes |= {int(pid): code for pid, code in found.items()}
        return len(self.codes) == len(self.pids)

    def wait(self, timeout: float = 120.0) -> list[int]:
        """The exit codes by rank; a rank that hangs fails the test."""
        if not self.poll(timeout):
            self.send(signal.SIGKILL)
            self.poll(10.0)
            raise AssertionError(f"ranks hang after {timeout} s:\n{self.text()[-3000:]}")
        return [self.codes[pid] for pid in self.pids]

    def text(self) -> str:
        """The output of the ranks."""
        return self.log.read_text() if self.log.exists() else ""

    def wait_for(self, text: str, timeout: float = 60.0) -> None:
        """Return once the log holds some text."""
        until = time.monotonic() + timeout
        while text not in self.text():
            assert time.monotonic() < until and not self.poll(), f"no {text!r} in:\n{self.text()[-3000:]}"
            time.sleep(0.02)


class Server:
    """The process that forks."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.jobs = folder, 0
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env=environment() | {"DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"},
        )
        assert self.process.stdout.readline() == "ready\n"

    def ask(self, request: dict) -> list | dict:
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()

    def start(
        self,
        recipe: Path,
        *overrides: str,
        config: str | None = None,
        processes: int = 1,
        faults: Sequence[Fault] = (),
    ) -> Job:
        """Start a training.

        Args:
            recipe: the YAML file.
            overrides: `key=value`.
            config: name of a launch config; None is one process without `accelerate launch`.
            processes: their number.
            faults: what goes wrong in the ranks.
        """
        arguments = [str(recipe), *overrides]
        return self._fork(config, processes, arguments=arguments, faults=list(faults))

    def score(self, *, config: str | None = None, processes: int = 1, **settings: Any) -> Job:
        """Start `evaluate` with some settings, in a launch config's processes."""
        return self._fork(config, processes, score=settings)

    def command(self, folder: Path, *words: str, faults: Sequence[Fault] = ()) -> Job:
        """Start `ner-dist WORDS` in a folder."""
        return self._fork(None, 1, command=list(words), folder=str(folder), faults=list(faults))

    def _fork(
        self,
        config: str | None,
        processes: int,
        *,
        arguments: Sequence[str] = (),
        faults: Sequence[Fault] = (),
        score: dict[str, Any] | None = None,
        command: Sequence[str] = (),
        folder: str = ".",
    ) -> Job:
        self.jobs += 1
        log = self.folder / f"job-{self.jobs}.log"
        request = {
            "arguments": arguments,
            "score": score,
            "command": command,
            "folder": folder,
            "world": processes,
            "environment": launch_environment(config, processes) if config else {},
            "log": str(log),
            "faults": faults,
        }
        return Job(self, self.ask(request), log)


def launch_environment(config: str, processes: int) -> dict[str, str]:
    """What `accelerate launch` and torchrun add to the environment of every rank."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils import launch

    words = [
        "--config_file",
        str(LAUNCH / f"{config}.yaml"),
        "--num_processes",
        str(processes),
        "-m",
        "ner_dist.train",
    ]
    arguments, defaults, _ = _validate_launch_command(launch_command_parser().parse_args(words))
    if arguments.use_deepspeed:
        arguments.deepspeed_fields_from_accelerate_config = ",".join(defaults.deepspeed_config)
        prepared = launch.prepare_deepspeed_cmd_env(arguments)[1]
    elif arguments.multi_gpu:
        prepared = launch.prepare_multi_gpu_env(arguments)
    else:
        prepared = launch.prepare_simple_launcher_cmd_env(arguments)[1]
    added = {name: value for name, value in prepared.items() if os.environ.get(name) != value}
    if not arguments.use_deepspeed and not arguments.multi_gpu:
        return added
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return added | {
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def trained_once(server: Server, recipe: Path, folder: Path) -> Callable[[str], Path]:
    """The finished run of a strategy, trained at its first use."""
    done: dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in done:
            config, processes = STRATEGIES[name]
            job = server.start(recipe, f"output_dir={folder / name}", config=config, processes=processes)
            assert set(job.wait()) == {0}, job.text()
            done[name] = folder / name
        return done[name]

    return of
