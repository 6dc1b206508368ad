"""Text from outside (types, words, names, paths), shown as it is but never obeyed.

A terminal obeys escape sequences, a page marks of direction, a shell newlines. Here they become visible.
"""

from __future__ import annotations

import html
import os
import re
import shlex
from collections.abc import Iterable
from typing import Any

_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and newline
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks of direction
    "\u2028\u2029\ud800-\udfff\ufff9-\ufffb]"  # Unicode's ends of lines, halves of characters, annotations
)
# Joiners within words and emojis stay.


def shown(text: str) -> str:
    """Text of one or several lines, with what a terminal or a page would obey as `\\x1b` or `\\u202e`."""
    return _OBEYED.sub(lambda match: _escape(match[0]), text)


def on_one_line(text: str) -> str:
    """Text on one line, with everything that cannot be seen escaped."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def shown_values(values: Any) -> Any:
    """A value of JSON, with all texts but its keys as `shown`."""
    if isinstance(values, str):
        return shown(values)
    if isinstance(values, dict):
        return {key: shown_values(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [shown_values(value) for value in values]
    return values


def in_markdown(text: str) -> str:
    """Text on one line, with all Markdown and HTML escaped."""
    line = html.escape(" ".join(shown(text).split()), quote=False)
    line = re.sub(r"([\\`*\[\]|#~])", r"\\\1", line)
    # Within a word an underscore is no markup, and names have many.
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", line)


def as_code(text: str) -> str:
    """Text as code in Markdown, also in a cell of a table."""
    line = " ".join(shown(text).split())
    if not set(line) & set("`<>&\\"):
        return f"`{line}`".replace("|", "\\|") if line else ""
    # No row of backticks is safe from all texts, and a page would read HTML if the backticks failed.
    signs = (char if char.isalnum() or char in " -_.,:/" else f"&#{ord(char)};" for char in line)
    return f"<code>{''.join(signs)}</code>"


def quoted(word: str) -> str:
    """A word for a shell's command line, on one line: bash's `$'…'` where it holds control characters."""
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{''.join(map(_in_quotes, word))}'"


def command_line(words: Iterable[str]) -> str:
    """Words as a shell's command, on one line."""
    return " ".join(map(quoted, words))


def _in_quotes(char: str) -> str:
    if char.isprintable():
        return f"\\{char}" if char in "\\'" else char
    try:
        return "".join(f"\\x{byte:02x}" for byte in os.fsencode(char))
    except UnicodeEncodeError:  # half of a character, which no command line can hold
        return "?"


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
