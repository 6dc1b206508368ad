"""Parse JSON strictly: no key twice in an object, no half of a surrogate pair.

Python's parser takes the last of two equal keys without a word. It also reads halves of surrogate pairs,
which no file can be written with: they would end a training after its last step.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ner_dist.data.cells import with_unix_ends
from ner_dist.errors import UserError

# A pair, one half, or another escape, so that the `\\` in `\\ud800` begins none.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    flags=re.DOTALL,
)


class NotJson(ValueError):
    """A text that is no JSON; the message says why."""

    line: int | None = None
    """The line of the text at which it ends to be JSON, from 1, if that is known."""
    extra = False
    """Whether a value is followed by another one, as in JSON lines."""

    @classmethod
    def at(cls, character: int, text: str, what: str) -> NotJson:
        """What is wrong at a character of the text."""
        error = cls(what)
        error.line = text.count("\n", 0, character) + 1
        return error


class Refused(NotJson):
    """A text that is JSON, but means nothing that can be used."""


def parse(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        NotJson: it is none; the message says why.
    """
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        wrong = NotJson.at(error.pos, text, f"not JSON ({error.msg} at column {error.colno})")
        wrong.extra = error.msg == "Extra data"
        raise wrong from None
    except RecursionError:
        raise NotJson("not readable as JSON (nested too deeply)") from None
    except _Twice as error:
        raise Refused(f"an object holds the key {error} twice") from None
    except ValueError:
        raise NotJson("not readable as JSON (a number has thousands of digits)") from None
    if "\\ud" in text or "\\uD" in text:
        half = next((found for found in _ESCAPE.finditer(text) if found[1]), None)
        if half is not None:
            what = f"half of a surrogate pair (\\{half[1]}), which is no character"
            raise Refused.at(half.start(), text, what)
    return value


class _Twice(ValueError):
    """A key that an object holds twice."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        times = Counter(key for key, _ in pairs)
        raise _Twice(ascii(times.most_common(1)[0][0]))
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def json_lines(text: str, path: Path, *, first: int = 1) -> Iterator[tuple[int, Any]]:
    """The JSON value of each line that is not blank, with its line number, of which the first is `first`.

    Raises:
        UserError: a line is no JSON.
    """
    # Not splitlines: JSON text may hold U+2028 and the like, which are no ends of lines here.
    for number, line in enumerate(with_unix_ends(text).split("\n"), start=first):
        if line and not line.isspace():
            try:
                yield number, parse(line)
            except NotJson as error:
                fix = "write one JSON object per line"
                raise UserError(str(error), where=f"{path}:{number}", fix=fix) from None
