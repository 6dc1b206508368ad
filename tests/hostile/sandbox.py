"""Run commands of ner-dist in forked processes with limits on memory and time.

One process imports everything and forks a child for each command: it starts at once, and whatever it does to
its process ends with it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.distributed.launching import REPOSITORY, environment

MEMORY = 3 << 30
"""Bytes that a command may take on top of the libraries."""
SECONDS = 60
SERVER = """
import json, os, resource, signal, sys, traceback
from pathlib import Path
import accelerate, datasets, jinja2, matplotlib.figure, pyarrow.parquet, rich.table  # noqa: F401
import scipy.stats, torch  # noqa: F401
import seqeval.metrics.v1, transformers.models.bert.modeling_bert  # noqa: F401
import transformers.models.roberta.modeling_roberta  # noqa: F401
from transformers.conversion_mapping import get_checkpoint_conversion_mapping
import ner_dist.comparison.compare, ner_dist.evaluation.command, ner_dist.report.write  # noqa: F401
import ner_dist.training.finalize, ner_dist.training.trainer  # noqa: F401
from ner_dist import cli

torch.set_num_threads(1)
get_checkpoint_conversion_mapping("roberta")


def child(request):
    code = 1
    try:
        os.setsid()
        out = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open(request["answers"], os.O_RDONLY), 0), os.dup2(out, 1), os.dup2(out, 2)
        for name in ("stdout", "stderr"):
            setattr(sys, name, open(1, "w", errors="strict", closefd=False, buffering=1))
        sys.stdin = open(0, closefd=False)
        os.chdir(request["folder"])
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + request["memory"]
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.argv = ["ner-dist", *request["arguments"]]
        cli.main()
        code = 0
    except SystemExit as end:
        code = 0 if end.code is None else end.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


print("ready", flush=True)
for line in sys.stdin:
    request = json.loads(line)
    pid = os.fork()
    if pid == 0:
        child(request)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(pid, signal.SIGKILL))
    signal.alarm(request["seconds"])
    status = os.waitpid(pid, 0)[1]
    late = signal.alarm(0) == 0
    print(json.dumps([os.waitstatus_to_exitcode(status), late]), flush=True)
"""

Verdict = Literal["accepted", "refused", "traceback", "killed", "hang", "executed", "unreadable"]


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    output: str
    seconds: float
    late: bool = False
    executed: bool = False
    """Whether code of the input ran."""

    @property
    def verdict(self) -> Verdict:
        """What became of the input, in a word."""
        errors = [line for line in self.output.splitlines() if line.startswith("error: ")]
        if self.executed:
            return "executed"
        if self.late:
            return "hang"
        if "Traceback (most recent call last)" in self.output or self.code == 1:
            return "traceback"
        if self.code == 2 and len(errors) == 1 and self.output.rstrip().endswith(errors[0]):
            return "refused" if errors[0].isprintable() and len(errors[0]) < 4000 else "unreadable"
        return "accepted" if self.code == 0 else "killed"

    @property
    def error(self) -> str:
        """The last line."""
        return (self.output.strip().splitlines() or [""])[-1]


class Sandbox:
    """The process that forks."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "output.log"
        own = {"OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu", "NER_DIST_CACHE": str(folder / "cache")}
        own |= {"HF_HOME": str(folder / "hub"), "HF_MODULES_CACHE": str(folder / "modules")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env=environment() | own,
        )
        assert self.process.stdout.readline() == "ready\n"

    def run(
        self,
        *arguments: str,
        folder: Path,
        memory: int = MEMORY,
        seconds: int = SECONDS,
        answers: str | Path = "/dev/null",
    ) -> Outcome:
        """The outcome of `ner-dist ARGUMENTS` in a folder.

        Args:
            arguments: of the command.
            folder: in which it is typed.
            memory: bytes that it may take.
            seconds: that it may take.
            answers: a file that is its standard input.
        """
        began = time.monotonic()
        request = {
            "arguments": arguments,
            "folder": str(folder),
            "log": str(self.log),
            "answers": str(answers),
        }
        self.process.stdin.write(json.dumps(request | {"memory": memory, "seconds": seconds}) + "\n")
        self.process.stdin.flush()
        code, late = json.loads(self.process.stdout.readline())
        output = self.log.read_text(encoding="utf-8", errors="backslashreplace")
        return Outcome(code, output, time.monotonic() - began, late, (folder / "EXECUTED").exists())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
