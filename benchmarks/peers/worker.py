"""Shared by the workers of `throughput.py`: settings in, one JSON line of results out, and the timer.

A worker is a process of its own: it reads a JSON object on standard input and prints one as the last line of
standard output. Training is measured from before the first batch is loaded to the end of the last step, after
a few steps that warm up; what comes before (imports, tokenisation where it is done beforehand) is left out.
Nothing here needs ner_dist, since most workers run where it is not installed.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# Tokenizers whose words must begin with a space; the list of transformers' own examples.
SPACED = ("bloom", "gpt2", "roberta", "deberta")


def run(measure: Callable[[SimpleNamespace], dict[str, Any]], *, packages: tuple[str, ...]) -> None:
    """Measure with the settings on standard input, print the result and the versions of `packages`."""
    settings = SimpleNamespace(**json.load(sys.stdin))
    # Libraries print what they like; the result alone is on standard output.
    with contextlib.redirect_stdout(sys.stderr):
        result = measure(settings)
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", *packages)}
    print(json.dumps(result | {"versions": versions, "python": sys.version.split()[0]}), flush=True)


def read(path: str) -> list[dict[str, Any]]:
    """Sentences as `{"tokens": [...], "ner_tags": [...]}`, tags as text."""
    with Path(path).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Watch:
    """Takes the time of a training, and counts the cells (padded subwords) that its encoder computes."""

    def __init__(self, model: Any) -> None:
        """
        Args:
            model: a model of transformers, whose word embeddings see every cell that is computed.
        """
        self.embeddings = model.get_input_embeddings()
        self.measured: dict[str, Any] = {}

    def start(self) -> None:
        self.cells = 0
        self.hook = self.embeddings.register_forward_pre_hook(self._count)
        _reset_peak()
        self.began, self.processor = now(), time.process_time()

    def _count(self, _module: Any, inputs: tuple[Any, ...]) -> None:
        self.cells += inputs[0].numel()

    def stop(self) -> None:
        """Keep in `measured`: seconds, those of all processor cores, cells, and the peak memory in bytes."""
        seconds = now() - self.began
        self.measured = {
            "seconds": seconds,
            "processor_seconds": time.process_time() - self.processor,
            "cells": self.cells,
            "memory": _peak_bytes(),
        }
        self.hook.remove()


def now() -> float:
    """Seconds so far, after waiting for the GPU."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def _reset_peak() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _peak_bytes() -> int:
    """Peak memory that PyTorch held on the GPU since the reset; without a GPU, peak resident memory."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    # Not getrusage: its peak begins with that of the process which started this one.
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024
