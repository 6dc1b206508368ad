"""Progress bars appear on terminals, lines in logs; neither disturbs the other."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

SCRIPT = """
import logging
from ner_dist.runtime.progress import progress
from ner_dist.runtime.accelerator import set_up_logging

set_up_logging()
with progress("training", 3) as show:
    show(1)
    logging.getLogger("ner_dist").info("step 1 is done")
    with progress("scoring", 2) as show_inner:
        show_inner(2)
    show(3)
"""


def run(*, terminal: bool, **environment: str) -> str:
    """What the script writes to standard error."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    child = os.environ | {"TERM": "xterm", "COLUMNS": "80"} | environment
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stderr=theirs, env=child)
    os.close(theirs)
    written = b""
    try:
        while block := os.read(ours, 4096):
            written += block
    except OSError:  # how a terminal says that the other end has closed it
        pass
    os.close(ours)
    assert process.wait() == 0
    return written.decode()


def test_a_terminal_shows_bars_and_whole_log_lines():
    text = run(terminal=True)
    assert "training" in text and "scoring" in text
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert any(
        re.fullmatch(r"\d\d:\d\d:\d\d step 1 is done", line.strip()) for line in re.split("[\r\n]", plain)
    )


def test_a_log_file_gets_lines_alone():
    assert re.fullmatch(r"\d\d:\d\d:\d\d step 1 is done\n", run(terminal=False))


def test_other_ranks_show_no_bar():
    assert "training" not in run(terminal=True, RANK="1")
