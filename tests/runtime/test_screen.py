"""What a command prints reaches a terminal or a pipe without anything that a terminal obeys."""

from __future__ import annotations

import io
import logging
import re
import sys

import pytest
from rich.table import Table
from rich.text import Text

from ner_dist import cli
from ner_dist.runtime.accelerator import set_up_logging
from ner_dist.runtime.console import Console
from ner_dist.runtime.screen import shown_output, unchanged_output

ESCAPES = "X\x1b[31m\x1b]0;title\x07\r\u202e\x9b"
SEEN = r"X\x1b[31m\x1b]0;title\x07\r\u202e\x9b"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_printing(capsys):
    with shown_output():
        print(ESCAPES, "two\nlines", end="!")
        print("all", file=unchanged_output(), end=ESCAPES)
    assert capsys.readouterr().out == f"{SEEN} two\nlines!all{ESCAPES}"


def test_data_on_a_terminal_is_shown_too(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    with shown_output():
        print(ESCAPES, file=unchanged_output())
    assert terminal.getvalue() == f"{SEEN}\n"


@pytest.mark.parametrize("name", [ESCAPES, Text(ESCAPES)], ids=["text", "rich text"])
def test_tables_keep_their_own_colours(monkeypatch, name):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    table = Table(title=ESCAPES, caption=ESCAPES)
    table.add_column(ESCAPES, style="red")
    table.add_row(name)
    with shown_output():
        Console(width=200, force_terminal=True, color_system="standard").print(table, "[/red] :dog:")
    out = terminal.getvalue()
    assert "\x1b[31m" in out  # the column is red
    plain = re.sub(r"\x1b\[[\d;]*m", "", out)
    assert "\x1b" not in plain and "\u202e" not in plain and "\x9b" not in plain
    assert plain.count(r"\u202e") == 4 and "[/red] :dog:" in plain


def test_the_log(capsys):
    logger = logging.getLogger("ner_dist")
    before = logger.handlers[:], logger.propagate, logger.level
    logger.handlers.clear()
    try:
        set_up_logging()
        logger.warning("types: %s", ESCAPES)
        assert capsys.readouterr().err.endswith(f"types: {SEEN}\n")
    finally:
        logger.handlers[:], logger.propagate, logger.level = before


def test_commands_pass_through_the_screen(monkeypatch, capsys, tmp_path):
    rows = '{"gold": ["B-%s"], "predicted": ["B-%s"], "tokens": ["%s"]}\n'
    tag = r"\u001b[31mX\u202e"
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text("".join(rows % (tag, tag, word) for word in "wxyz"))
    files = [str(tmp_path / name) for name in ("a.jsonl", "b.jsonl")]
    words = ["ner-dist", "compare", *files, "--out", str(tmp_path / "both"), "--resamples", "100"]
    monkeypatch.setattr(sys, "argv", words)
    cli.main()
    written = [path.read_text(encoding="utf-8") for path in (tmp_path / "both").glob("report.*")]
    assert len(written) == 2
    said = capsys.readouterr()
    for text in (said.out, said.err, *written):
        assert not set(text) & set("\x1b\u202e")
    assert r"\x1b[31mX\u202e" in said.out and r"\x1b" in written[0] and r"\x1b" in written[1]
