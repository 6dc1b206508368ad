"""Run the command line in this process."""

from __future__ import annotations

import sys

import pytest

from ner_dist import cli


def ner_dist(*arguments: str) -> int | str | None:
    """The exit code of `ner-dist ARGUMENTS`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["ner-dist", *arguments])
        try:
            cli.main()
        except SystemExit as stop:
            return stop.code
    return 0
