"""Environments of the contestants of `throughput.py` that need other versions of libraries than ner_dist.

Each lies in `benchmarks/.envs/NAME`, is made when it is first needed, and has the torch of this environment.
Where torch comes from an index of its own, name that in TORCH_INDEX, as for `make install`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parent / ".envs"

# Versions that work together. SpanMarker and flair both ask for transformers below 5.
PACKAGES = {
    "span-marker": ("span_marker==1.8.1", "transformers==4.57.6"),
    "flair": ("flair==0.15.1", "transformers==4.57.6"),
}


class NotInstalled(Exception):
    """An environment could not be created; the reason on one line."""


def python_of(name: str) -> str:
    """The interpreter of an environment, which is created if missing.

    Raises:
        NotInstalled: it could not be made.
    """
    if name not in PACKAGES:
        return sys.executable
    folder = FOLDER / name
    python, complete = folder / "bin" / "python", folder / "complete"
    wanted = [*PACKAGES[name], f"torch=={version('torch')}"]
    if complete.exists() and complete.read_text().split() == wanted:
        return str(python)
    print(f"installing {', '.join(wanted)} in {folder}", file=sys.stderr)
    index = ["--extra-index-url", os.environ["TORCH_INDEX"]] if os.environ.get("TORCH_INDEX") else []
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", *index, *wanted],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise NotInstalled(last_line(done.stderr))
    complete.write_text("\n".join(wanted))
    return str(python)


def last_line(text: str) -> str:
    """The last line of a failed process, which names the error."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
