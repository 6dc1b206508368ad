"""The one exception for mistakes that a user can mend.

Everything that is wrong with a recipe, a data file, a launch config or a folder is raised as
`UserError`. The entrypoints print it as a single line and exit with code 2; a traceback means a
bug in ner_dist itself.
"""

import os
import sys

EXIT_USER_ERROR = 2


class UserError(Exception):
    """What is wrong, where, and what to do, on one line.

    Args:
        what: what is wrong, in words of the user's world.
        where: a file, `file:line` or dotted recipe key.
        fix: what to do about it.
    """

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.what, self.where, self.fix = what, where, fix
        text = f"{where}: {what}" if where else what
        if fix:
            text = f"{text}; {fix}"
        super().__init__(" ".join(text.split()))


def show(error: UserError) -> int:
    """Print the error and return the exit code. Once a machine is enough: its other ranks met the same."""
    if int(os.environ.get("LOCAL_RANK", 0)) == 0:
        print(f"error: {error}", file=sys.stderr)
    return EXIT_USER_ERROR
