"""Standard output for people: text from outside is shown on a terminal, and never obeyed by it.

Commands print as usual, and everything passes through a screen. rich's own colours go around it: its tables
are made by `runtime/console.py`.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, redirect_stdout
from typing import Any, TextIO, cast

from ner_dist.outside import shown


class Screen:
    """A text stream that shows what a terminal would obey."""

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream
        """The stream itself, by the name under which rich looks for it."""

    def write(self, text: str) -> int:
        self.rich_proxied_file.write(shown(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


def shown_output() -> AbstractContextManager[Any]:
    """Put a screen before standard output in the block."""
    return redirect_stdout(cast("TextIO", Screen(sys.stdout)))


def unchanged_output() -> TextIO:
    """Standard output for data and files: as they are, except on a terminal."""
    stream: Any = sys.stdout
    if isinstance(stream, Screen) and not stream.isatty():
        return stream.rich_proxied_file
    result: TextIO = stream
    return result
