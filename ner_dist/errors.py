"""The one exception for mistakes that a user can fix.

Every mistake in a recipe, a data file, a launch config or a folder is raised as
`UserError`. The entrypoints print it as a single line and exit with code 2; a traceback means a
bug in ner_dist itself.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ner_dist.outside import on_one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXIT_USER_ERROR = 2


class UserError(Exception):
    """A mistake of the user on one line: what is wrong, where, and how to fix it.

    Args:
        what: what is wrong, in the user's terms.
        where: a file, `file:line` or dotted recipe key.
        fix: what to do about it.
        everywhere: whether the other ranks of the machine meet the same error, so that one of them prints it.

    Example:
        >>> import ner_dist
        >>> try:
        ...     ner_dist.load_recipe("tiny.yaml", ["train.epoch=3"])
        ... except ner_dist.UserError as error:
        ...     print(error)
        override train.epoch=3: unknown key `train.epoch`; did you mean `train.epochs`?
    """

    def __init__(
        self, what: str, *, where: str | None = None, fix: str | None = None, everywhere: bool = True
    ) -> None:
        self.what, self.where, self.fix, self.everywhere = what, where, fix, everywhere
        text = f"{_shortened(where)}: {_shortened(what)}" if where else _shortened(what)
        if fix:
            text = f"{text}; {_shortened(fix)}"
        super().__init__(on_one_line(" ".join(text.split())))


_LONGEST = 1_000
"""Characters of a part of an error; a key or a name from outside can have millions."""


def _shortened(text: str) -> str:
    cut = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:cut]} … {text[-cut:]}"


_MAKE_ROOM = "free disk space and repeat the command: what was saved is still there"
_GET_ACCESS = "get permission there, or name another place"
_FIXES = {
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
    errno.EROFS: _GET_ACCESS,
    errno.EACCES: _GET_ACCESS,
    errno.EPERM: _GET_ACCESS,
    errno.EISDIR: "move the folder away, or name another place",
    errno.ENAMETOOLONG: "name a shorter one",
    errno.ENOTDIR: "what lies above it is a file: name another place",
    errno.ELOOP: "it is a link to itself: remove it, or name another place",
    errno.EIO: "see whether the disk is sound, and copy the file again",
}


@contextmanager
def disk_errors(*, everywhere: bool = True) -> Iterator[None]:
    """Raise an `OSError` for a full, read-only or forbidden path as a `UserError`; leave any other as it is.

    Args:
        everywhere: whether the other ranks of the machine meet the same error.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FIXES:
            raise
        raise UserError(
            error.strerror or "the disk is full",
            where=str(error.filename) if error.filename else None,
            fix=_FIXES[error.errno],
            everywhere=everywhere,
        ) from error


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Raise disk errors in the block as an `OSError` that names the file.

    A full disk names none, `numpy.save` and `shutil.copytree` leave out the number, and libraries written in
    Rust (tokenizers, safetensors) raise exceptions of their own.

    Args:
        path: the file or folder that a user knows, not the one beside it that is written first.
    """
    try:
        yield
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if number is None and (match := re.search(r"(?:os error|Errno) (\d+)", str(error))):
            number = int(match[1])
        if number is None and re.search(r"\d+ requested and \d+ written", str(error)):
            number = errno.ENOSPC
        if number not in _FIXES:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


def show(error: UserError) -> int:
    """Print the error, once per machine if all its ranks met it, and return the exit code."""
    if int(os.environ.get("LOCAL_RANK", 0)) == 0 or not error.everywhere:
        print(f"error: {error}", file=sys.stderr)
    return EXIT_USER_ERROR
